//! Objects in etcd: keys, bytes and compare-and-swap.
//!
//! The value of a key is one JSON object without `metadata.resourceVersion`; the version is the key's
//! `mod_revision`. Keys are upstream's: `/registry/<resource>/<namespace>/<name>`.

pub(crate) mod bytes_form;
pub(crate) mod continue_token;
pub(crate) mod etcd;

pub(crate) use etcd::{Etcd, Stored, Written};

/// What can go wrong between us and etcd.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The address or the TLS files are unusable.
    #[error("cannot set up the connection to etcd at {endpoint}")]
    Setup {
        /// The configured endpoint.
        endpoint: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A certificate or key file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The revision asked for was compacted away.
    #[error("the requested revision has been compacted")]
    Compacted,
    /// The revision asked for is in the future.
    #[error("the requested revision is in the future")]
    FutureRevision,
    /// etcd did not answer as it should.
    #[error("etcd: {0}")]
    Rpc(String),
}

impl From<tonic::Status> for StorageError {
    fn from(status: tonic::Status) -> Self {
        let message = status.message();
        if message.contains("required revision has been compacted") {
            Self::Compacted
        } else if message.contains("future revision") {
            Self::FutureRevision
        } else {
            Self::Rpc(format!("{:?}: {message}", status.code()))
        }
    }
}

/// The key of an object below its storage prefix: `namespace/name` or `name`.
pub(crate) fn relative_key(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") }
}
