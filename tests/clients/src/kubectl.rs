//! kubectl, of more than one version.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use drydock_tests_harness::{Cluster, Follow};

use crate::{Step, run};

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

/// One client on a cluster.
pub struct Client<'a> {
    cluster: &'a Cluster<'a>,
    kubectl: PathBuf,
    minor: u32,
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
            let minor = minor(&kubectl);
            let client = Self { cluster, kubectl, minor, namespace: format!("client-{index}") };
            client.table(&[run(format!("create namespace client-{index}"))]);
            client
        });
        made.collect()
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster<'a> {
        self.cluster
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

    /// Runs one command and gives what it printed; nothing when this client's version is not meant.
    ///
    /// # Panics
    /// When it does not do what is expected.
    #[track_caller]
    pub fn step(&self, step: &Step) -> String {
        if !step.fits(self.minor) {
            return String::new();
        }
        step.take(&self.kubectl.display().to_string(), |line| self.command(line))
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

    /// Starts a command that goes on until it is dropped.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn follow(&self, line: &str) -> Follow {
        Follow::start(self.command(line))
    }

    /// Starts a command on a terminal.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn terminal(&self, line: &str) -> Follow {
        Follow::on_terminal(self.command(line))
    }
}

/// The second number of a kubectl's version.
fn minor(kubectl: &Path) -> u32 {
    let output = Command::new(kubectl).args(["version", "--client", "-o", "json"]).output().expect("kubectl runs");
    let version: serde_json::Value = serde_json::from_slice(&output.stdout).expect("kubectl tells its version");
    let minor = version["clientVersion"]["minor"].as_str().unwrap_or_default();
    minor.trim_end_matches('+').parse().expect("kubectl's version is a number")
}
