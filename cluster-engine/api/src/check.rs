//! Reading a request's body against its type: what Go's strict JSON decoder would keep, drop and refuse.

use serde_json::Value;

use crate::schema::Type;

/// A body that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The object with unknown and null members removed.
    pub value: Value,
    /// Strict errors in upstream's order and words: `unknown field "spec.foo"`, `duplicate field "spec.bar"`.
    pub strict: Vec<String>,
}

/// A body that Go's decoder refuses even when it is not strict; the text is the decoder's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub String);

/// Reads JSON bytes as `ty`.
pub fn check_json(_json: &[u8], _ty: Type<'_>) -> Result<Checked, DecodeError> {
    unimplemented!("second stage")
}

/// Checks a parsed value (from YAML, or the result of a patch) as `ty`.
pub fn check_value(_value: Value, _ty: Type<'_>) -> Result<Checked, DecodeError> {
    unimplemented!("second stage")
}
