//! Why an image could not be pulled, in the words of container runtimes.

use std::time::Duration;

use drydock_images::service::Failure;

/// Errors of a pull.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator does not let sessions pull, or not from there.
    #[error("{0}")]
    Denied(String),
    /// Not an image name, or a host that is none.
    #[error("{0}")]
    Name(#[source] drydock_images::Error),
    /// A request could not be sent or answered.
    #[error("failed to do request: {method} \"{url}\": {reason}")]
    Request {
        /// `Get`, `Head`, `Post`.
        method: &'static str,
        /// Where to.
        url: String,
        /// Why.
        reason: String,
    },
    /// The registry has no such thing.
    #[error("{what}: not found")]
    NotFound {
        /// The image, or a part of it by its digest.
        what: String,
    },
    /// The registry does not let us.
    #[error("pull access denied, repository does not exist or may require authorization: {reason}")]
    Access {
        /// What it says.
        reason: String,
    },
    /// The token service does not let us.
    #[error("failed to authorize: {0}")]
    Authorize(String),
    /// An answer that nobody expects.
    #[error("unexpected status from {method} request to {url}: {status}{detail}")]
    Status {
        /// `GET`, `HEAD`, `POST`.
        method: &'static str,
        /// Where to.
        url: String,
        /// Code and text.
        status: http::StatusCode,
        /// What the registry says of it.
        detail: String,
    },
    /// The registry's answer is not what it must be.
    #[error("{0}")]
    Invalid(String),
    /// It took longer than anybody waits.
    #[error("the pull took longer than {}s", limit.as_secs())]
    Late {
        /// The limit.
        limit: Duration,
    },
    /// There is no room.
    #[error("{0}")]
    Full(String),
    /// The store failed.
    #[error("{}", describe(.0))]
    Store(#[from] drydock_images::Error),
    /// A file operation.
    #[error("{action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    pub(crate) fn request(method: &'static str, url: &crate::url::Url, reason: impl ToString) -> Self {
        Self::Request { method, url: url.to_string(), reason: reason.to_string() }
    }

    /// gRPC's word for the kind of failure, as container runtimes choose it.
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "NotFound",
            Self::Denied(_) => "PermissionDenied",
            Self::Name(_) => "InvalidArgument",
            Self::Full(_) => "ResourceExhausted",
            Self::Late { .. } => "DeadlineExceeded",
            _ => "Unknown",
        }
    }

    /// For the node: the whole sentence, of a bounded length.
    #[must_use]
    pub fn failure(&self, image: &str, resolving: bool) -> Failure {
        let reason = match self {
            Self::Denied(_) | Self::Name(_) | Self::Full(_) => self.to_string(),
            _ if resolving => {
                format!("failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": {self}")
            }
            _ => format!("failed to pull and unpack image \"{image}\": {self}"),
        };
        Failure { code: self.code().to_owned(), reason: reason.chars().take(1500).collect() }
    }
}

fn describe(error: &drydock_images::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
