//! One command with what is expected of it.

use std::process::{Command, Stdio};

use drydock_tests_harness::{Outcome, wait_for};

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
    versions: std::ops::RangeInclusive<u32>,
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
        versions: 0..=u32::MAX,
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

    /// Older clients than 1.`minor` cannot do it.
    #[must_use]
    pub fn since(mut self, minor: u32) -> Self {
        self.versions = minor..=*self.versions.end();
        self
    }

    /// Newer clients than 1.`minor` do it otherwise.
    #[must_use]
    pub fn until(mut self, minor: u32) -> Self {
        self.versions = *self.versions.start()..=minor;
        self
    }

    /// Whether a client of this version can do it.
    pub(crate) fn fits(&self, minor: u32) -> bool {
        self.versions.contains(&minor)
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
        (!wrong.is_empty()).then(|| format!("$ {}\n{all}=> {}", self.line, wrong.join(", ")))
    }

    fn outcome(&self, mut command: Command) -> Outcome {
        use std::io::Write as _;
        if !self.editor.is_empty() {
            command.env("EDITOR", &self.editor).env("KUBE_EDITOR", &self.editor);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the client can be started");
        if let Some(mut stdin) = child.stdin.take() {
            // Who does not read it has no need of it.
            let _ = stdin.write_all(self.input.as_bytes());
        }
        child.wait_with_output().expect("the client ends").into()
    }

    /// Does it and gives what was printed.
    ///
    /// # Panics
    /// When the outcome is not what is expected.
    #[track_caller]
    pub(crate) fn take(&self, client: &str, command: impl Fn(&str) -> Command) -> String {
        let attempt = || {
            let outcome = self.outcome(command(&self.line));
            self.wrong(&outcome).map_or(Ok(outcome.stdout), Err)
        };
        if self.patient {
            return wait_for(&format!("{client} {}", self.line), attempt);
        }
        match attempt() {
            Ok(printed) => printed,
            Err(wrong) => panic!("{client}: {wrong}"),
        }
    }
}

/// Another client than kubectl.
pub struct Tool<'a> {
    name: &'a str,
    command: &'a dyn Fn(&[String]) -> Command,
}

impl<'a> Tool<'a> {
    /// A client that is started in this way with the words of a line.
    pub fn new(name: &'a str, command: &'a dyn Fn(&[String]) -> Command) -> Self {
        Self { name, command }
    }

    /// Runs one command and gives what it printed.
    ///
    /// # Panics
    /// When it does not do what is expected.
    #[track_caller]
    pub fn step(&self, step: &Step) -> String {
        step.take(self.name, |line| (self.command)(&drydock_tests_harness::words(line)))
    }

    /// Runs a table, one step after the other.
    ///
    /// # Panics
    /// At the first step that does not do what is expected.
    #[track_caller]
    pub fn table(&self, steps: &[Step]) {
        for step in steps {
            self.step(step);
        }
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

    #[test]
    fn steps_are_for_versions() {
        for (step, minor, expected) in [
            (run("x"), 20, true),
            (run("x").since(28), 20, false),
            (run("x").since(28), 28, true),
            (run("x").until(33), 33, true),
            (run("x").until(33), 36, false),
        ] {
            assert_eq!(step.fits(minor), expected, "{step:?} {minor}");
        }
    }
}
