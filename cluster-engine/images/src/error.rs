//! Why an image could not be stored or found.

use std::io;
use std::path::PathBuf;

/// Errors of the image store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not an image name.
    #[error("invalid reference format: \"{reference}\"")]
    InvalidReference {
        /// What was given.
        reference: String,
    },
    /// The store has no such image.
    #[error("image \"{name}\" not found")]
    NotFound {
        /// The normalised name.
        name: String,
    },
    /// The archive is not what it says it is.
    #[error("not a valid image: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// A part does not have the digest it is named by.
    #[error("digest mismatch: expected {expected}, have {actual}")]
    Digest {
        /// From the manifest.
        expected: String,
        /// Of the bytes.
        actual: String,
    },
    /// Larger than the store accepts.
    #[error("image too large: {what}")]
    TooLarge {
        /// Which bound was reached.
        what: &'static str,
    },
    /// A layer went while an image was being made of it: whoever tries again gets it anew.
    #[error("layer {layer} was removed meanwhile")]
    Removed {
        /// Its digest.
        layer: String,
    },
    /// A file operation.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
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

    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid { reason: reason.into() }
    }
}
