//! The three patches that need no field ownership: JSON patch, JSON merge patch and strategic merge patch.

use serde_json::Value;

use crate::schema::Type;
use crate::status::Status;

/// Applies a JSON patch (RFC 6902): `patch` is the request's body.
pub fn json_patch(_original: &Value, _patch: &[u8]) -> Result<Value, Status> {
    unimplemented!("second stage")
}

/// Applies a JSON merge patch (RFC 7386).
pub fn merge_patch(_original: &Value, _patch: &Value) -> Result<Value, Status> {
    unimplemented!("second stage")
}

/// Applies a strategic merge patch to an object of type `ty`.
pub fn strategic_merge(_original: &Value, _patch: &Value, _ty: Type<'_>) -> Result<Value, Status> {
    unimplemented!("second stage")
}
