//! The three patches that need no field ownership: JSON patch (RFC 6902), JSON merge patch (RFC 7386) and strategic merge patch.

mod json;
mod strategic;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::schema::Type;
use crate::status::Status;

/// The most operations a JSON patch may have.
pub const MAX_JSON_PATCH_OPERATIONS: usize = 10_000;

/// Applies a JSON patch; `patch` is the request's body. A body that is no patch gives 400; one that does not fit the object gives 422.
pub fn json_patch(original: &Value, patch: &[u8]) -> Result<Value, Status> {
    let operations = json::parse(patch)?;
    if operations.len() > MAX_JSON_PATCH_OPERATIONS {
        return Err(Status::request_entity_too_large(format!(
            "The allowed maximum operations in a JSON patch is {MAX_JSON_PATCH_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let mut value = original.clone();
    let mut copied = 0;
    for operation in &operations {
        json::apply(&mut value, operation, &mut copied).map_err(Status::unprocessable)?;
    }
    Ok(value)
}

/// Applies a JSON merge patch.
pub fn merge_patch(original: &Value, patch: &Value) -> Result<Value, Status> {
    if !patch.is_object() {
        let found = match patch {
            Value::Array(_) => "array",
            Value::String(_) => "string",
            Value::Number(_) => "number",
            _ => "bool",
        };
        return Err(Status::bad_request(format!(
            "error decoding patch: json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
        )));
    }
    let mut value = original.clone();
    merge(&mut value, patch);
    Ok(value)
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(object) = target else { return };
    for (key, change) in changes {
        if change.is_null() {
            object.remove(key);
        } else {
            merge(object.entry(key).or_insert(Value::Null), change);
        }
    }
}

/// Applies a strategic merge patch to an object of type `ty`, with its merge keys and directives (`$patch`, `$retainKeys`,
/// `$deleteFromPrimitiveList/…`, `$setElementOrder/…`).
pub fn strategic_merge(original: &Value, patch: &Value, ty: Type<'_>) -> Result<Value, Status> {
    let (Value::Object(object), Value::Object(changes)) = (original, patch) else {
        return Err(Status::bad_request("invalid JSON document"));
    };
    strategic::merge(object.clone(), changes.clone(), ty).map(Value::Object).map_err(Status::from)
}
