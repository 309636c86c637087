//! A cluster of a test; gone when the test is over.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::product::run_with_input;
use crate::{Outcome, Product, Server, http, wait_for, wait_for_within};

/// A cluster made by `drydock cluster create`.
pub struct Cluster<'a> {
    product: &'a Product,
    name: String,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
}

impl<'a> Cluster<'a> {
    /// Creates a cluster and waits until its DNS answers too.
    ///
    /// # Panics
    /// When it does not come up.
    #[track_caller]
    pub fn create(product: &'a Product, name: &str, workers: u16) -> Cluster<'a> {
        Cluster::create_with(product, name, workers, &[])
    }

    /// The same with further flags.
    ///
    /// # Panics
    /// When it does not come up.
    #[track_caller]
    pub fn create_with(product: &'a Product, name: &str, workers: u16, more: &[&str]) -> Cluster<'a> {
        let kubeconfig = product.scratch().join(format!("{name}.kubeconfig"));
        let workers = workers.to_string();
        let file = kubeconfig.display().to_string();
        let head = ["cluster", "create", name, "--workers", &workers, "--kubeconfig", &file];
        product.drydock(head.iter().chain(more)).ok();
        Cluster { product, name: name.to_owned(), kubeconfig, kubectl: "kubectl".into() }
    }

    /// Takes over a cluster that the test created by itself.
    pub fn adopt(product: &'a Product, name: &str, kubeconfig: PathBuf) -> Cluster<'a> {
        Cluster { product, name: name.to_owned(), kubeconfig, kubectl: "kubectl".into() }
    }

    /// A new session of a server, through the kubeconfig that its page gives, and the session's identifier.
    ///
    /// # Panics
    /// When it does not become ready, or gives none.
    #[track_caller]
    pub fn of_session(product: &'a Product, server: &Server, workers: u16) -> (Cluster<'a>, String) {
        let address = server.address();
        let session = http::request(address, "POST", "/api/v1/sessions", &format!(r#"{{"workers":{workers}}}"#));
        let id = session["id"].as_str().expect("the session has an identifier").to_owned();
        let session = wait_for_within(Duration::from_secs(120), "the session", || {
            let session = http::request(address, "GET", &format!("/api/v1/sessions/{id}"), "");
            if session["state"] == "Ready" { Ok(session) } else { Err(session.to_string()) }
        });
        let answer = http::raw(address, "GET", &format!("/api/v1/sessions/{id}/kubeconfig"), "");
        let (head, text) = answer.split_once("\r\n\r\n").expect("an answer");
        assert!(head.contains("attachment; filename="), "{head}");
        let kubeconfig = product.scratch().join(format!("{id}.kubeconfig"));
        std::fs::write(&kubeconfig, text).expect("the kubeconfig is written");
        (Self::adopt(product, session["name"].as_str().expect("the session has a name"), kubeconfig), id)
    }

    /// Uses another kubectl from here on.
    #[must_use]
    pub fn with_kubectl(mut self, program: impl Into<PathBuf>) -> Cluster<'a> {
        self.kubectl = program.into();
        self
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A kubectl that is not started yet.
    pub fn kubectl_command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(words(line)).stdin(Stdio::null());
        command.env("HOME", self.product.scratch());
        command
    }

    /// Runs the genuine kubectl; words are split at spaces, quotes keep them together.
    pub fn kubectl(&self, line: &str) -> Outcome {
        run_with_input(self.kubectl_command(line), None)
    }

    /// Runs the genuine kubectl with a manifest on its standard input.
    pub fn kubectl_with(&self, line: &str, input: &str) -> Outcome {
        run_with_input(self.kubectl_command(line), Some(input))
    }

    /// Waits until a kubectl command prints what `expected` accepts.
    ///
    /// # Panics
    /// When it does not in time.
    #[track_caller]
    pub fn wait(&self, line: &str, expected: impl Fn(&str) -> bool) -> String {
        wait_for(line, || {
            let outcome = self.kubectl(line);
            if outcome.code == 0 && expected(&outcome.stdout) {
                Ok(outcome.stdout)
            } else {
                Err(format!("{}{}", outcome.stdout, outcome.stderr))
            }
        })
    }

    /// The file with which clients find the cluster.
    pub fn kubeconfig(&self) -> &std::path::Path {
        &self.kubeconfig
    }

    /// A folder for the test's own files.
    pub fn scratch(&self) -> &std::path::Path {
        self.product.scratch()
    }

    /// Runs a command on a node.
    pub fn exec(&self, node: &str, command: &[&str]) -> Outcome {
        let head = ["cluster", "exec", &self.name, node, "--"];
        self.product.drydock(head.iter().chain(command))
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in ["get pods -A -o wide", "get events -A", "get nodes"] {
                let outcome = self.kubectl(line);
                eprint(&format!("$ kubectl {line}\n{}{}", outcome.stdout, outcome.stderr));
            }
        }
        self.product.drydock(["cluster", "delete", &self.name]);
    }
}

#[allow(clippy::print_stderr, reason = "what a failed test saw")]
fn eprint(text: &str) {
    eprintln!("{text}");
}

/// Splits at spaces as a shell does; single quotes keep what is between them together.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            _ if character.is_whitespace() && !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(words("exec x -- sh -c 'echo a b'"), ["exec", "x", "--", "sh", "-c", "echo a b"]);
        assert_eq!(words("get x  -o jsonpath='{.a} {.b}' ''"), ["get", "x", "-o", "jsonpath={.a} {.b}", ""]);
    }
}
