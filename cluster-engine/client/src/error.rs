//! Why a call to the API server failed.

use std::sync::Arc;

use drydock_api::status::Status;
use thiserror::Error;

/// Why a call failed: either the server said so (a `Status`) or it was not reached.
#[derive(Clone, Debug, Error)]
pub enum Error {
    /// The server's own answer.
    #[error("{0}")]
    Status(Box<Status>),
    /// No connection could be made.
    #[error("cannot connect to {server}: {reason}")]
    Connect {
        /// The server's URL.
        server: String,
        /// What went wrong, in one sentence.
        reason: String,
    },
    /// The connection broke during the call; a write may or may not have happened.
    #[error("the connection to the API server failed: {0}")]
    Transport(#[source] Arc<hyper::Error>),
    /// The server did not answer in time.
    #[error("the API server did not answer {method} {path} in time")]
    Timeout {
        /// The request's method.
        method: http::Method,
        /// The request's path.
        path: String,
    },
    /// The answer (or the body to send) is not what the type expects.
    #[error("cannot decode {what}: {reason}")]
    Decode {
        /// What was being read.
        what: String,
        /// serde's explanation.
        reason: String,
    },
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(String),
}

impl Error {
    /// The server's status, if it answered with one.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Error::Status(status) => Some(status),
            _ => None,
        }
    }

    /// The HTTP code of the server's answer; 0 without one.
    pub fn code(&self) -> u16 {
        self.status().map_or(0, |status| status.code)
    }

    fn is_reason(&self, reason: &str) -> bool {
        self.status().is_some_and(|status| status.reason == reason)
    }

    /// 404 NotFound.
    pub fn is_not_found(&self) -> bool {
        self.is_reason("NotFound") || self.code() == 404
    }

    /// 409 Conflict: someone else wrote in between.
    pub fn is_conflict(&self) -> bool {
        self.is_reason("Conflict")
    }

    /// 409 AlreadyExists.
    pub fn is_already_exists(&self) -> bool {
        self.is_reason("AlreadyExists")
    }

    /// 410: the resourceVersion asked for is compacted away.
    pub fn is_gone(&self) -> bool {
        self.code() == 410
    }

    /// 422 Invalid.
    pub fn is_invalid(&self) -> bool {
        self.code() == 422
    }

    /// 403 Forbidden.
    pub fn is_forbidden(&self) -> bool {
        self.code() == 403
    }

    /// 403 because the namespace is being deleted: creating in it is pointless.
    pub fn is_namespace_terminating(&self) -> bool {
        self.is_forbidden()
            && self.status().is_some_and(|status| status.message.contains("because it is being terminated"))
    }

    /// Whether the server was not reached at all or the answer got lost, so that trying again is sensible.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Error::Connect { .. } | Error::Transport(_) | Error::Timeout { .. })
    }
}
