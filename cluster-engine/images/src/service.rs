//! What is said between a node and the image service of its machine: one JSON line asks, one JSON line answers.
//!
//! The service listens on a socket in the node's own file system. Whoever is on a node may speak to it, so nothing that
//! it is asked for may be more than a learner may have.

use serde::{Deserialize, Serialize};

/// Where a node finds the socket.
pub const SOCKET: &str = "/run/drydock/images.sock";
/// No line is longer.
pub const LINE_LIMIT: usize = 256 * 1024;

/// What a node asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// Fetch an image, or make sure that the one here is what its registry has under that name.
    Pull {
        /// The name, as the pod has it.
        image: String,
        /// Tried in this order; without any, anonymously.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        credentials: Vec<Credentials>,
    },
    /// An image that is here is used: it stays as long as the session does.
    Use {
        /// `sha256:…` of its configuration.
        digest: String,
    },
}

/// Who asks a registry.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Credentials {
    /// User.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// Password.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// A token that the registry's token service takes in exchange for a short-lived one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub identity_token: String,
    /// A token for the registry itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub registry_token: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What the service answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The image is in the store of the machine, or in the session's own.
    Ready {
        /// `sha256:…` of its configuration.
        digest: String,
        /// How long fetching took, without waiting for others, milliseconds.
        millis: u64,
    },
    /// There is nothing to say.
    Done,
    /// It could not be had.
    Failed(Failure),
}

/// Why an image could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind of failure in gRPC's words, as container runtimes use them: `NotFound`, `Unknown` …
    pub code: String,
    /// Why.
    pub reason: String,
}
