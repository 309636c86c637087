//! Bytes to objects and back: Kubernetes' protobuf envelope, and JSON that keeps integers.
//!
//! Protobuf is read through the schema table alone. Upstream's Go encoder writes every field that is no pointer, empty or not; a zero that JSON's
//! `omitempty` would leave out is therefore dropped, and a pointer's zero is kept.

mod decode;
mod encode;
pub(crate) mod wire;

#[cfg(test)]
mod tests;

pub use decode::{decode_message, decode_protobuf};
pub use encode::{encode_message, encode_protobuf};

pub(crate) use encode::parse_duration;

use serde_json::Value;

use crate::meta::Gvk;

/// The first bytes of every protobuf body.
pub const PROTOBUF_MAGIC: &[u8; 4] = b"k8s\0";

/// How deep messages may nest; upstream's gogo decoder stops at 10,000, but no kind needs this much except schemas.
const MAX_DEPTH: usize = 200;

/// Why bytes could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not in the envelope.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    NoMagic,
    /// Broken protobuf.
    #[error("{reason}")]
    Malformed {
        /// What is wrong.
        reason: &'static str,
    },
    /// No such kind.
    #[error("no kind {} is registered for version {}", crate::go_quote(&.0.kind), crate::go_quote(&.0.api_version()))]
    UnknownKind(Gvk),
    /// Broken JSON.
    #[error("{0}")]
    Json(String),
}

/// Reads JSON; integers stay integers. The error text is Go's decoder's where it is the same for all bodies.
pub fn decode_json(json: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(json).map_err(|e| Error::Json(crate::check::json_syntax_error(json, &e)))
}
