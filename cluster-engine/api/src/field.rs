//! Field paths and validation errors, with the texts of `k8s.io/apimachinery/pkg/util/validation/field`.

use std::fmt;

use serde_json::Value;

use crate::go_quote;

/// A path into an object, printed as upstream prints it: `spec.containers[0].name`, `metadata.labels[app]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// A path that starts at a field; `"spec"` or already dotted, `"spec.template"`.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The empty path, of the object itself; prints as `<nil>` like upstream's nil path.
    pub fn root() -> Self {
        Self(String::new())
    }

    /// The path of a member of this field; dots in `name` are kept.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() { Self(name.to_owned()) } else { Self(format!("{}.{name}", self.0)) }
    }

    /// The path of an item of this list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The path of an entry of this map.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }

    /// The printed path; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "<nil>" } else { &self.0 })
    }
}

impl From<&str> for Path {
    fn from(path: &str) -> Self {
        Self(path.to_owned())
    }
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A reference to something that does not exist.
    NotFound,
    /// A required value is missing.
    Required,
    /// A value that must be unique is not.
    Duplicate,
    /// A malformed value.
    Invalid,
    /// A value outside an enumeration.
    NotSupported,
    /// A well-formed value that may not be set here.
    Forbidden,
    /// A value longer than allowed.
    TooLong,
    /// A list with more items than allowed.
    TooMany,
    /// Something went wrong that is not the user's doing.
    Internal,
    /// A value of the wrong type.
    TypeInvalid,
}

impl ErrorKind {
    /// The cause type of the `Status`, such as `FieldValueInvalid`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Internal => "InternalError",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Internal => "Internal error",
        }
    }
}

/// One failed check of one field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// The field's printed path.
    pub field: String,
    /// The offending value; `None` keeps it out of the message.
    pub bad_value: Option<Value>,
    /// What would be right.
    pub detail: String,
}

impl FieldError {
    fn new(kind: ErrorKind, path: &Path, bad_value: Option<Value>, detail: impl Into<String>) -> Self {
        Self { kind, field: path.to_string(), bad_value, detail: detail.into() }
    }

    /// `field: Not found: value`.
    pub fn not_found(path: &Path, value: impl Into<Value>) -> Self {
        Self::new(ErrorKind::NotFound, path, Some(value.into()), "")
    }

    /// `field: Required value: detail`.
    pub fn required(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Required, path, None, detail)
    }

    /// `field: Duplicate value: value`.
    pub fn duplicate(path: &Path, value: impl Into<Value>) -> Self {
        Self::new(ErrorKind::Duplicate, path, Some(value.into()), "")
    }

    /// `field: Invalid value: value: detail`.
    pub fn invalid(path: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, path, Some(value.into()), detail)
    }

    /// `field: Unsupported value: value: supported values: "a", "b"`. Give `supported` in the order to print: upstream sorts sets.
    pub fn not_supported(path: &Path, value: impl Into<Value>, supported: &[&str]) -> Self {
        let detail = if supported.is_empty() {
            String::new()
        } else {
            format!("supported values: {}", supported.iter().map(|s| go_quote(s)).collect::<Vec<_>>().join(", "))
        };
        Self::new(ErrorKind::NotSupported, path, Some(value.into()), detail)
    }

    /// `field: Forbidden: detail`.
    pub fn forbidden(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, path, None, detail)
    }

    /// `field: Too long: may not be more than N bytes`.
    pub fn too_long(path: &Path, max_length: usize) -> Self {
        Self::new(ErrorKind::TooLong, path, None, format!("may not be more than {max_length} bytes"))
    }

    /// `field: Too many: actual: must have at most N items`.
    pub fn too_many(path: &Path, actual: usize, max: usize) -> Self {
        let items = if max == 1 { "item" } else { "items" };
        Self::new(ErrorKind::TooMany, path, Some(actual.into()), format!("must have at most {max} {items}"))
    }

    /// `field: Internal error: detail`.
    pub fn internal(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, path, None, detail)
    }

    /// `field: Invalid value: value: detail`, for a value of the wrong type.
    pub fn type_invalid(path: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::TypeInvalid, path, Some(value.into()), detail)
    }

    /// The message without the field's path, as in a `Status` cause.
    pub fn body(&self) -> String {
        let mut text = self.kind.text().to_owned();
        let quiet =
            matches!(self.kind, ErrorKind::Required | ErrorKind::Forbidden | ErrorKind::TooLong | ErrorKind::Internal);
        if let (false, Some(value)) = (quiet, &self.bad_value) {
            text.push_str(": ");
            match value {
                Value::Null => text.push_str("\"null\""),
                Value::String(s) => text.push_str(&go_quote(s)),
                other => text.push_str(&other.to_string()),
            }
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

impl std::error::Error for FieldError {}

/// Upstream's text for several errors: one alone as it is, more as `[a, b]` without repeats.
pub fn aggregate(errors: &[FieldError]) -> String {
    join_errors(errors.iter().map(ToString::to_string))
}

/// Joins messages as `utilerrors.NewAggregate(...).Error()` does.
pub fn join_errors(messages: impl IntoIterator<Item = String>) -> String {
    let mut seen: Vec<String> = Vec::new();
    for message in messages {
        if !seen.contains(&message) {
            seen.push(message);
        }
    }
    match seen.len() {
        0 => String::new(),
        1 => seen.remove(0),
        _ => format!("[{}]", seen.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_upstreams() {
        let spec = Path::new("spec");
        let name = spec.child("containers").index(0).child("name");
        for (error, want) in [
            (FieldError::required(&name, ""), "spec.containers[0].name: Required value"),
            (FieldError::required(&name, "must be set"), "spec.containers[0].name: Required value: must be set"),
            (FieldError::invalid(&name, "A b", "bad"), r#"spec.containers[0].name: Invalid value: "A b": bad"#),
            (
                FieldError::invalid(&spec.child("replicas"), -1, "must be greater than or equal to 0"),
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            ),
            (FieldError::invalid(&spec, json!({"a":1}), "x"), r#"spec: Invalid value: {"a":1}: x"#),
            (FieldError::invalid(&spec, Value::Null, "x"), r#"spec: Invalid value: "null": x"#),
            (FieldError::duplicate(&name, "a"), r#"spec.containers[0].name: Duplicate value: "a""#),
            (
                FieldError::not_supported(&spec.child("type"), "X", &["A", "B"]),
                r#"spec.type: Unsupported value: "X": supported values: "A", "B""#,
            ),
            (
                FieldError::forbidden(&Path::new("metadata").child("labels").key("a/b"), "no"),
                "metadata.labels[a/b]: Forbidden: no",
            ),
            (FieldError::too_long(&spec, 10), "spec: Too long: may not be more than 10 bytes"),
            (FieldError::too_many(&spec, 11, 10), "spec: Too many: 11: must have at most 10 items"),
            (FieldError::not_found(&spec, "v"), r#"spec: Not found: "v""#),
        ] {
            assert_eq!(error.to_string(), want);
        }
    }

    #[test]
    fn several_errors_are_bracketed_once_each() {
        let a = FieldError::required(&Path::new("a"), "");
        let b = FieldError::required(&Path::new("b"), "");
        assert_eq!(aggregate(std::slice::from_ref(&a)), "a: Required value");
        assert_eq!(aggregate(&[a.clone(), b, a]), "[a: Required value, b: Required value]");
    }
}
