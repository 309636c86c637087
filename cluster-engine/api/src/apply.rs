//! Field ownership: managedFields and server-side apply.

use serde_json::Value;

use crate::schema::Type;
use crate::status::Status;

/// Who writes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// The subresource written through, or empty.
    pub subresource: &'a str,
    /// `metadata.managedFields[].apiVersion`.
    pub api_version: &'a str,
    /// Now, RFC 3339.
    pub now: &'a str,
    /// Field paths this endpoint does not let anyone change, such as `["status"]` on the main resource; dotted.
    pub reset_fields: &'a [&'a str],
}

/// Records in `new.metadata.managedFields` what a create, update or patch changed against `live`.
pub fn update(_live: Option<&Value>, _new: &mut Value, _writer: Writer<'_>, _ty: Type<'_>) -> Result<(), Status> {
    unimplemented!("second stage")
}

/// Applies `patch` to `live` (an empty object of the kind when creating) and gives the merged object with its managedFields.
pub fn apply(_live: &Value, _patch: &Value, _writer: Writer<'_>, _force: bool, _ty: Type<'_>) -> Result<Value, Status> {
    unimplemented!("second stage")
}

/// Takes managedFields out, for comparing objects.
pub fn without_managed_fields(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("managedFields");
    }
    object
}
