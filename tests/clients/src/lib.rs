//! Clients' daily work: tables of commands, run by genuine clients against a real cluster.
//!
//! A [`Step`] is one command line with what it must print and how it must end. A table runs once for each kubectl there is: the one on the PATH
//! and an old one, in a namespace of its own. `DRYDOCK_TEST_KUBECTLS` names other ones, separated by colons.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use drydock_tests_harness::{Cluster, Outcome, wait_for};

/// An old kubectl, which speaks SPDY and reads OpenAPI v2, where Google's SDK is installed.
const OLD: &str = "/usr/lib/google-cloud-sdk/bin/kubectl.1.28";

/// The kubectls to try.
pub fn kubectls() -> Vec<PathBuf> {
    match std::env::var("DRYDOCK_TEST_KUBECTLS") {
        Ok(list) => list.split(':').map(PathBuf::from).collect(),
        Err(_) => std::iter::once(PathBuf::from("kubectl"))
            .chain(Some(PathBuf::from(OLD)).filter(|file| file.is_file()))
            .collect(),
    }
}

/// One command and what is expected of it.
#[derive(Clone, Debug)]
pub struct Step {
    line: String,
    input: String,
    editor: String,
    code: i32,
    exact: Option<String>,
    parts: Vec<String>,
    absent: Vec<String>,
    patient: bool,
}

/// A command that must succeed.
pub fn run(line: impl Into<String>) -> Step {
    Step {
        line: line.into(),
        input: String::new(),
        editor: String::new(),
        code: 0,
        exact: None,
        parts: Vec::new(),
        absent: Vec::new(),
        patient: false,
    }
}

impl Step {
    /// With this on its standard input.
    #[must_use]
    pub fn input(mut self, text: impl Into<String>) -> Self {
        self.input = text.into();
        self
    }

    /// With this command as the editor.
    #[must_use]
    pub fn editor(mut self, command: &str) -> Self {
        self.editor = command.to_owned();
        self
    }

    /// It ends with this code.
    #[must_use]
    pub fn code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }

    /// It prints exactly this (and a line break) to standard output, or standard error when it fails.
    #[must_use]
    pub fn is(mut self, text: &str) -> Self {
        self.exact = Some(text.to_owned());
        self
    }

    /// It prints this somewhere.
    #[must_use]
    pub fn has(mut self, text: &str) -> Self {
        self.parts.push(text.to_owned());
        self
    }

    /// It prints this nowhere.
    #[must_use]
    pub fn lacks(mut self, text: &str) -> Self {
        self.absent.push(text.to_owned());
        self
    }

    /// What is expected may take a while: the command is repeated.
    #[must_use]
    pub fn eventually(mut self) -> Self {
        self.patient = true;
        self
    }

    /// What is wrong with an outcome.
    fn wrong(&self, outcome: &Outcome) -> Option<String> {
        let all = format!("{}{}", outcome.stdout, outcome.stderr);
        let main = if self.code == 0 { &outcome.stdout } else { &outcome.stderr };
        let mut wrong = Vec::new();
        if outcome.code != self.code {
            wrong.push(format!("ended with {} and not {}", outcome.code, self.code));
        }
        if let Some(exact) = self.exact.as_ref().filter(|exact| main.trim_end() != **exact) {
            wrong.push(format!("did not print {exact:?}"));
        }
        wrong.extend(self.parts.iter().filter(|part| !all.contains(*part)).map(|part| format!("lacks {part:?}")));
        wrong.extend(self.absent.iter().filter(|part| all.contains(*part)).map(|part| format!("has {part:?}")));
        (!wrong.is_empty()).then(|| format!("$ kubectl {}\n{all}=> {}", self.line, wrong.join(", ")))
    }
}

/// One client on a cluster.
pub struct Client<'a> {
    cluster: &'a Cluster<'a>,
    kubectl: PathBuf,
    namespace: String,
}

impl<'a> Client<'a> {
    /// The cluster's clients, each with a namespace of its own.
    ///
    /// # Panics
    /// When a namespace cannot be made.
    #[track_caller]
    pub fn all(cluster: &'a Cluster<'a>) -> Vec<Self> {
        let made = kubectls().into_iter().enumerate().map(|(index, kubectl)| {
            let client = Self { cluster, kubectl, namespace: format!("client-{index}") };
            client.table(&[run(format!("create namespace client-{index}"))]);
            client
        });
        made.collect()
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A command that is not started yet.
    pub fn command(&self, line: &str) -> Command {
        let wanted = self.cluster.kubectl_command(line);
        let mut command = Command::new(&self.kubectl);
        command.arg("--namespace").arg(&self.namespace).args(wanted.get_args());
        for (name, value) in wanted.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command.stdin(Stdio::null());
        command
    }

    fn outcome(&self, step: &Step) -> Outcome {
        use std::io::Write as _;
        let mut command = self.command(&step.line);
        if !step.editor.is_empty() {
            command.env("EDITOR", &step.editor).env("KUBE_EDITOR", &step.editor);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl can be started");
        if let Some(mut stdin) = child.stdin.take() {
            // Who does not read it has no need of it.
            let _ = stdin.write_all(step.input.as_bytes());
        }
        child.wait_with_output().expect("kubectl ends").into()
    }

    /// Runs a table, one step after the other.
    ///
    /// # Panics
    /// At the first step that does not do what is expected.
    #[track_caller]
    pub fn table(&self, steps: &[Step]) {
        for step in steps {
            let attempt = || match step.wrong(&self.outcome(step)) {
                None => Ok(()),
                Some(wrong) => Err(wrong),
            };
            if step.patient {
                wait_for(&step.line, attempt);
            } else if let Err(wrong) = attempt() {
                panic!("{}: {wrong}", self.kubectl.display());
            }
        }
    }

    /// Starts a command that goes on until it is dropped.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(&self, line: &str) -> Running {
        let child =
            self.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("kubectl can be started");
        Running(child)
    }
}

/// A command that is running; killed when dropped.
pub struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_judged() {
        let outcome =
            |code, stdout: &str, stderr: &str| Outcome { code, stdout: stdout.to_owned(), stderr: stderr.to_owned() };
        assert_eq!(run("x").is("a").has("a").lacks("b").wrong(&outcome(0, "a\n", "")), None);
        assert_eq!(run("x").code(1).is("b").wrong(&outcome(1, "a\n", "b\n")), None);
        for (step, seen) in [
            (run("x"), outcome(1, "", "")),
            (run("x").is("a"), outcome(0, "b\n", "")),
            (run("x").has("a"), outcome(0, "", "")),
            (run("x").lacks("a"), outcome(0, "", "a")),
        ] {
            assert!(step.wrong(&seen).is_some(), "{step:?}");
        }
    }
}
