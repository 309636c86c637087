//! Reading a request's body against its type: what Go's strict JSON decoder (`sigs.k8s.io/json`) would keep, drop and refuse.
//!
//! One pass reads, prunes, normalises (quantities, times, base64) and collects errors. Unknown and duplicate fields are *strict* errors: the caller
//! refuses, warns or ignores according to `fieldValidation`. A value of the wrong type is refused in every mode. `null` is absence, as in Go.
//!
//! A custom kind's type (not of the built-in schema) is only pruned here: its types are checked by validation, not by the decoder.

mod prune;
mod read;
mod read_scalar;

#[cfg(test)]
mod tests;

use serde::de::DeserializeSeed;
use serde_json::Value;

pub use prune::prune;

use crate::schema::{Type, table};
use read::{Context, Node};

/// A body that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The object, without unknown members and nulls.
    pub value: Value,
    /// Strict errors in the body's order, in upstream's words: `unknown field "spec.foo"`, `duplicate field "spec.bar"`.
    pub strict: Vec<String>,
}

impl Checked {
    /// The text of a refusal under `fieldValidation=Strict`, as upstream joins it; `None` if there is nothing to refuse.
    pub fn strict_error(&self) -> Option<String> {
        (!self.strict.is_empty()).then(|| format!("strict decoding error: {}", self.strict.join(", ")))
    }
}

/// A body that Go's decoder refuses even when it is not strict; the text is the decoder's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub String);

/// Reads JSON bytes as `ty`.
pub fn check_json(json: &[u8], ty: Type<'_>) -> Result<Checked, DecodeError> {
    let mut context = Context::new();
    let custom = !std::ptr::eq(ty.schema(), table());
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let node = if custom { Node::any(&mut context, true) } else { Node::of_type(&mut context, ty) };
    let value = node.deserialize(&mut deserializer).map_err(|e| DecodeError(json_syntax_error(json, &e)))?;
    deserializer.end().map_err(|e| DecodeError(json_syntax_error(json, &e)))?;
    finish(context, value, custom.then_some(ty))
}

/// Checks a parsed value (from YAML, or the result of a patch) as `ty`.
pub fn check_value(value: Value, ty: Type<'_>) -> Result<Checked, DecodeError> {
    let mut context = Context::new();
    if !std::ptr::eq(ty.schema(), table()) {
        return finish(context, value, Some(ty));
    }
    let value = Node::of_type(&mut context, ty).deserialize(value).map_err(|e| DecodeError(e.to_string()))?;
    finish(context, value, None)
}

/// Reads JSON without a type and reports duplicate fields.
pub fn check_untyped(json: &[u8]) -> Result<Checked, DecodeError> {
    let mut context = Context::new();
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = Node::any(&mut context, true)
        .deserialize(&mut deserializer)
        .map_err(|e| DecodeError(json_syntax_error(json, &e)))?;
    deserializer.end().map_err(|e| DecodeError(json_syntax_error(json, &e)))?;
    finish(context, value, None)
}

/// Reads JSON as an object of a kind without a type: duplicate fields are found, and metadata is read as what it always is.
pub fn check_object_json(json: &[u8]) -> Result<Checked, DecodeError> {
    let Checked { value, mut strict } = check_untyped(json)?;
    let checked = check_object(value)?;
    strict.extend(checked.strict);
    Ok(Checked { value: checked.value, strict })
}

/// The same for a parsed object.
pub fn check_object(mut value: Value) -> Result<Checked, DecodeError> {
    let (error, strict) = metadata(&mut value)?;
    match error {
        Some(error) => Err(DecodeError(error)),
        None => Ok(Checked { value, strict }),
    }
}

/// Metadata is a Go struct whatever the kind: reads it as such; gives what is wrong and what is unknown.
fn metadata(value: &mut Value) -> Result<(Option<String>, Vec<String>), DecodeError> {
    let meta = table().by_name("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
    let (Some(meta), Some(object)) = (meta, value.as_object_mut()) else { return Ok((None, Vec::new())) };
    let Some(metadata) = object.remove("metadata") else { return Ok((None, Vec::new())) };
    let mut context = Context::below("metadata");
    let metadata = Node::of_type(&mut context, meta).deserialize(metadata).map_err(|e| DecodeError(e.to_string()))?;
    object.insert("metadata".to_owned(), metadata);
    Ok(context.into_parts())
}

fn finish(context: Context, mut value: Value, custom: Option<Type<'_>>) -> Result<Checked, DecodeError> {
    let (mut error, mut strict) = context.into_parts();
    if let Some(ty) = custom {
        let (wrong, unknown) = metadata(&mut value)?;
        error = error.or(wrong);
        strict.extend(unknown);
        strict.extend(prune(&mut value, ty));
    }
    match error {
        Some(error) => Err(DecodeError(error)),
        None => Ok(Checked { value, strict }),
    }
}

/// Go's words for broken JSON.
pub(crate) fn json_syntax_error(json: &[u8], error: &serde_json::Error) -> String {
    if error.is_eof() || json.is_empty() {
        return "unexpected end of JSON input".to_owned();
    }
    let line_start =
        json.split_inclusive(|c| *c == b'\n').take(error.line().saturating_sub(1)).map(<[u8]>::len).sum::<usize>();
    let at = (line_start + error.column().saturating_sub(1)).min(json.len() - 1);
    let text = String::from_utf8_lossy(&json[at..]);
    let shown = text
        .chars()
        .next()
        .map_or_else(String::new, |c| if c == '\'' { "'\\''".to_owned() } else { format!("'{}'", c.escape_default()) });
    let message = error.to_string();
    let where_ = if message.starts_with("expected `,`") {
        "after object key:value pair"
    } else if message.starts_with("expected `:`") {
        "after object key"
    } else if message.starts_with("key must be a string") {
        "looking for beginning of object key string"
    } else if message.starts_with("trailing characters") {
        "after top-level value"
    } else {
        "looking for beginning of value"
    };
    format!("invalid character {shown} {where_}")
}
