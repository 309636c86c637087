//! Bytes to objects and back: Kubernetes' protobuf envelope and JSON that keeps integers.

use serde_json::Value;

use crate::meta::Gvk;
use crate::schema::Type;

/// The first bytes of every protobuf body.
pub const PROTOBUF_MAGIC: &[u8; 4] = b"k8s\0";

/// Why bytes could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not in the envelope.
    #[error("provided data does not appear to be a protobuf message, expected prefix {PROTOBUF_MAGIC:?}")]
    NoMagic,
    /// Broken protobuf.
    #[error("proto: {reason}")]
    Malformed {
        /// What is wrong.
        reason: &'static str,
    },
    /// No such kind.
    #[error("no kind \"{}\" is registered for version \"{}\"", .0.kind, .0.api_version())]
    UnknownKind(Gvk),
    /// Broken JSON.
    #[error("{0}")]
    Json(String),
}

/// Reads a protobuf body. The kind is the envelope's; the value carries `apiVersion` and `kind`.
pub fn decode_protobuf(_body: &[u8], _default: Option<&Gvk>) -> Result<(Gvk, Value), Error> {
    unimplemented!("second stage")
}

/// Reads a bare protobuf message of a type.
pub fn decode_message(_message: &[u8], _ty: Type<'_>) -> Result<Value, Error> {
    unimplemented!("second stage")
}

/// Writes an object as a protobuf body; the type is found by the object's own apiVersion and kind.
pub fn encode_protobuf(_object: &Value) -> Result<Vec<u8>, Error> {
    unimplemented!("second stage")
}

/// Reads JSON; integers stay integers.
pub fn decode_json(_json: &[u8]) -> Result<Value, Error> {
    unimplemented!("second stage")
}
