//! Why a sandbox or container could not do what was asked.

use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

/// A command that could not be executed, in the words of upstream's runtimes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecFailure {
    /// For example `exec: "foo": executable file not found in $PATH`.
    pub message: String,
    /// 127 when there is no such command, 126 when it cannot be executed.
    pub exit_code: i32,
}

/// Errors of the runtime.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The id is taken.
    #[error("{kind} \"{id}\" already exists")]
    AlreadyExists {
        /// `sandbox` or `container`.
        kind: &'static str,
        /// The id.
        id: String,
    },
    /// No such sandbox or container, or it does not run.
    #[error("{kind} \"{id}\" not found")]
    NotFound {
        /// `sandbox` or `container`.
        kind: &'static str,
        /// The id.
        id: String,
    },
    /// The container is not in the state the call needs.
    #[error("container \"{id}\" is {state}")]
    State {
        /// The id.
        id: String,
        /// What it is instead: `not running`, `already started`.
        state: &'static str,
    },
    /// A configuration that can never work.
    #[error("invalid configuration: {reason}")]
    Invalid {
        /// What is wrong.
        reason: String,
    },
    /// The command could not be executed.
    #[error("{}", .0.message)]
    Exec(ExecFailure),
    /// A step of the set-up failed inside the helper or the new namespaces.
    #[error("{message}")]
    Setup {
        /// The step and the kernel's reason, e.g. `mount /proc: Operation not permitted (os error 1)`.
        message: String,
    },
    /// The helper process could not be started or broke off.
    #[error("runtime helper: {what}")]
    Helper {
        /// What happened.
        what: String,
        /// The cause, where there is one.
        #[source]
        source: Option<io::Error>,
    },
    /// A file of the host or a cgroup.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried, e.g. `create cgroup`.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn container(id: &str) -> Self {
        Self::NotFound { kind: "container", id: id.to_owned() }
    }

    pub(crate) fn sandbox(id: &str) -> Self {
        Self::NotFound { kind: "sandbox", id: id.to_owned() }
    }
}
