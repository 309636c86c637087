//! The built `drydock` with a data folder of its own.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// What a command did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Outcome {
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Outcome {
    /// Standard output of a command that must have succeeded.
    ///
    /// # Panics
    /// When it failed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "it failed:\n{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Standard error of a command that must have failed.
    ///
    /// # Panics
    /// When it succeeded.
    #[track_caller]
    pub fn failed(self) -> String {
        assert_ne!(self.code, 0, "it did not fail:\n{}", self.stdout);
        self.stderr
    }
}

/// One data folder and the program under test.
pub struct Product {
    binary: PathBuf,
    folder: TempDir,
}

impl Product {
    /// The program that `cargo xtask test` built.
    ///
    /// # Panics
    /// When `DRYDOCK_TEST_BINARY` names no file: run these tests through `cargo xtask test`.
    pub fn new() -> Product {
        let binary = std::env::var_os("DRYDOCK_TEST_BINARY").map(PathBuf::from).filter(|file| file.is_file());
        let binary = binary.expect("DRYDOCK_TEST_BINARY names no file: run these tests through `cargo xtask test`");
        // Below /var/tmp, a real disk: overlay file systems do not stack on another overlay or a small tmpfs.
        let folder = tempfile::Builder::new().prefix("drydock-test-").tempdir_in("/var/tmp").expect("a folder");
        Product { binary, folder }
    }

    /// The program.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder for a test's own files.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// A command that is not started yet.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.env("DRYDOCK_DATA_DIR", self.data()).env_remove("DRYDOCK_HOST").stdin(Stdio::null());
        // The same tests on another host than the one that this machine would choose.
        if let Some(host) = std::env::var_os("DRYDOCK_TEST_HOST") {
            command.env("DRYDOCK_HOST", host);
        }
        command
    }

    /// Runs `drydock` with arguments to its end.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn drydock<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Outcome {
        self.command().args(arguments).output().expect("drydock can be started").into()
    }
}

impl Default for Product {
    fn default() -> Product {
        Product::new()
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        let listed = self.drydock(["cluster", "list", "--output", "json"]).stdout;
        let clusters: serde_json::Value = serde_json::from_str(&listed).unwrap_or_default();
        for cluster in clusters.as_array().into_iter().flatten() {
            if let Some(name) = cluster["name"].as_str() {
                self.drydock(["cluster", "delete", name]);
            }
        }
    }
}

/// Runs a command with text on its standard input.
///
/// # Panics
/// When it cannot be started.
pub(crate) fn run_with_input(mut command: Command, input: Option<&str>) -> Outcome {
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command can be started");
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // A program that stops reading has its reasons, which its exit code tells.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output().expect("the command ends").into()
}
