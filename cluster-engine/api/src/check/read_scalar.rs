//! Scalars out of text, Go's names for types, and Go's zero values.

use serde_json::{Map, Value};

use super::read::base64_text;
use crate::quantity::Quantity;
use crate::schema::{Kind, Shape};
use crate::time;

/// Reads text as a shape. An empty error means that text does not fit; any other is the decoder's own.
pub(super) fn from_text(shape: Shape<'_>, text: &str) -> Result<Value, String> {
    match shape.kind() {
        Kind::String | Kind::IntOrString => Ok(text.into()),
        Kind::Bytes => base64_text(text),
        Kind::Quantity => Quantity::parse(text.trim()).map(|q| q.to_string().into()).map_err(|e| e.to_string()),
        Kind::Time => match time::parse(text) {
            Some((seconds, _)) => Ok(time::format_seconds(seconds).into()),
            None => Err(time_error(text, "2006-01-02T15:04:05Z07:00")),
        },
        Kind::MicroTime => match time::parse(text) {
            Some((seconds, nanos)) => Ok(time::format_micro(seconds, nanos).into()),
            None => Err(time_error(text, "2006-01-02T15:04:05.000000Z07:00")),
        },
        Kind::Duration => match crate::codec::parse_duration(text) {
            Some(_) => Ok(text.into()),
            None => Err(format!("time: invalid duration {}", crate::go_quote(text))),
        },
        _ => Err(String::new()),
    }
}

/// Go's words for a time it cannot parse: what was left, and which part of the layout it should have been.
fn time_error(text: &str, layout: &str) -> String {
    let quoted = crate::go_quote(text);
    let parts: [(&str, &[u8]); 11] = [
        ("2006", b"dddd"),
        ("-", b"-"),
        ("01", b"dd"),
        ("-", b"-"),
        ("02", b"dd"),
        ("T", b"T"),
        ("15", b"dd"),
        (":", b":"),
        ("04", b"dd"),
        (":", b":"),
        ("05", b"dd"),
    ];
    let mut rest = text;
    for (name, shape) in parts {
        let fits = rest.len() >= shape.len()
            && shape
                .iter()
                .zip(rest.bytes())
                .all(|(want, got)| if *want == b'd' { got.is_ascii_digit() } else { *want == got });
        if !fits {
            return format!(
                "parsing time {quoted} as {}: cannot parse {} as {}",
                crate::go_quote(layout),
                crate::go_quote(rest),
                crate::go_quote(name)
            );
        }
        rest = &rest[shape.len()..];
    }
    if rest.is_empty() || !rest.starts_with(['Z', '+', '-', '.', ',']) {
        return format!(
            "parsing time {quoted} as {}: cannot parse {} as {}",
            crate::go_quote(layout),
            crate::go_quote(rest),
            crate::go_quote("Z07:00")
        );
    }
    format!("parsing time {quoted}: out of range")
}

/// Go's name of a shape's type, as its errors print it.
pub(super) fn go_type(shape: Shape<'_>) -> String {
    match shape.kind() {
        Kind::Bool => "bool".to_owned(),
        Kind::Int32 | Kind::IntOrString => "int32".to_owned(),
        Kind::Int64 => "int64".to_owned(),
        Kind::Double => "float64".to_owned(),
        Kind::Bytes => "[]uint8".to_owned(),
        Kind::Object => shape.ty().map_or_else(|| "interface {}".to_owned(), |ty| ty.go_type()),
        Kind::List => format!("[]{}", shape.items().map_or_else(|| "interface {}".to_owned(), named)),
        Kind::Map => format!("map[string]{}", shape.items().map_or_else(|| "interface {}".to_owned(), named)),
        // Times, durations and quantities read text first.
        _ => "string".to_owned(),
    }
}

fn named(shape: Shape<'_>) -> String {
    match shape.kind() {
        Kind::Quantity => "resource.Quantity".to_owned(),
        Kind::Time => "v1.Time".to_owned(),
        Kind::IntOrString => "intstr.IntOrString".to_owned(),
        _ => go_type(shape),
    }
}

/// What a null in a list or map stands for.
pub(super) fn zero(shape: Shape<'_>) -> Value {
    match shape.kind() {
        Kind::String | Kind::Bytes => "".into(),
        Kind::Bool => false.into(),
        Kind::Int32 | Kind::Int64 | Kind::Double | Kind::IntOrString => 0.into(),
        Kind::Quantity => "0".into(),
        Kind::Object | Kind::Map => Value::Object(Map::new()),
        Kind::List => Value::Array(Vec::new()),
        _ => Value::Null,
    }
}
