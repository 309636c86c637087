//! What a cluster shall be, in the words of the one who asks for it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::host::NodeLimits;

/// The most workers one session may have: their addresses must fit before the workstation's.
pub const MAX_WORKERS: u16 = 20;

/// Which software makes up the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Drydock's own control plane and node agent.
    #[default]
    Native,
}

/// The learner's shell beside the nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkstationSpec {
    /// Its image, e.g. `drydock/tools:latest`.
    pub image: String,
    /// The genuine kubectl on the host, seen read-only in the workstation.
    pub kubectl: PathBuf,
}

/// A cluster to create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// A DNS label, unique on the host.
    pub name: String,
    /// Which software.
    pub distribution: Distribution,
    /// Worker nodes beside the one master.
    pub workers: u16,
    /// Limits of each node.
    pub limits: NodeLimits,
    /// Limits of the cluster as a whole, workstation included.
    #[serde(default)]
    pub session_limits: NodeLimits,
    /// The shell; none: only the cluster.
    pub workstation: Option<WorkstationSpec>,
    /// A static busybox on the host that gives people a shell on the nodes, which hold nothing but our binary.
    #[serde(default)]
    pub node_shell: Option<PathBuf>,
}

/// What is wrong with a [`ClusterSpec`], as a sentence that says what to do.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SpecError {
    /// The name is not a DNS label.
    #[error(
        "{name:?} cannot name a cluster: use 1 to 40 lowercase letters, digits and '-', starting and ending with a letter or digit"
    )]
    Name {
        /// The name that was given.
        name: String,
    },
    /// Too many workers.
    #[error("a cluster has at most {MAX_WORKERS} workers, {workers} were asked for")]
    Workers {
        /// The number that was given.
        workers: u16,
    },
}

impl ClusterSpec {
    /// A cluster of `workers` workers and nothing else.
    pub fn new(name: impl Into<String>, workers: u16) -> ClusterSpec {
        ClusterSpec {
            name: name.into(),
            distribution: Distribution::Native,
            workers,
            limits: NodeLimits::default(),
            session_limits: NodeLimits::default(),
            workstation: None,
            node_shell: None,
        }
    }

    /// Checks what a user may have typed wrong.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), SpecError> {
        if !is_cluster_name(&self.name) {
            return Err(SpecError::Name { name: self.name.clone() });
        }
        if self.workers > MAX_WORKERS {
            return Err(SpecError::Workers { workers: self.workers });
        }
        Ok(())
    }
}

/// Names become host names, cgroup and folder names: a DNS label, kept short.
fn is_cluster_name(name: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = name.as_bytes();
    bytes.len() <= 40
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, workers: u16, ok: bool) {
        assert_eq!(ClusterSpec::new(name, workers).validate().is_ok(), ok, "{name:?} with {workers}");
    }

    #[test]
    fn names_and_sizes() {
        check("lab", 2, true);
        check("a", 0, true);
        check("class-7b", MAX_WORKERS, true);
        check("", 2, false);
        check("-lab", 2, false);
        check("lab-", 2, false);
        check("Lab", 2, false);
        check("../etc", 2, false);
        check(&"x".repeat(41), 2, false);
        check("lab", MAX_WORKERS + 1, false);
    }
}
