//! JSON values to protobuf, driven by the schema table. A field whose tag is unknown is left out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::wire::{put_bytes, put_int, put_key, put_varint};
use super::{Error, PROTOBUF_MAGIC};
use crate::meta;
use crate::schema::{Kind, Shape, Type, table};
use crate::time;

/// Writes an object as a protobuf body; its type is that of its own `apiVersion` and `kind`.
pub fn encode_protobuf(object: &Value) -> Result<Vec<u8>, Error> {
    let gvk = meta::gvk(object);
    let ty = table().by_gvk(&gvk).ok_or_else(|| Error::UnknownKind(gvk.clone()))?;
    let mut type_meta = Vec::new();
    put_bytes(&mut type_meta, 1, gvk.api_version().as_bytes());
    put_bytes(&mut type_meta, 2, gvk.kind.as_bytes());
    let mut out = PROTOBUF_MAGIC.to_vec();
    put_bytes(&mut out, 1, &type_meta);
    put_bytes(&mut out, 2, &encode_message(object, ty));
    // contentEncoding and contentType, which upstream writes empty.
    put_bytes(&mut out, 3, b"");
    put_bytes(&mut out, 4, b"");
    Ok(out)
}

/// Writes a bare message of a type.
pub fn encode_message(object: &Value, ty: Type<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    if let Value::Object(object) = object {
        message(&mut out, object, ty);
    }
    out
}

fn message(out: &mut Vec<u8>, object: &Map<String, Value>, ty: Type<'_>) {
    for field in ty.fields().filter(|f| f.tag() != 0) {
        match object.get(field.name()) {
            None | Some(Value::Null) => {}
            Some(value) => put(out, field.tag(), field.shape(), value),
        }
    }
    for field in ty.inlined() {
        if let Some(inner) = field.shape().ty() {
            let mut bytes = Vec::new();
            message(&mut bytes, object, inner);
            put_bytes(out, field.tag(), &bytes);
        }
    }
}

fn put(out: &mut Vec<u8>, tag: u16, shape: Shape<'_>, value: &Value) {
    match (shape.kind(), value, shape.items()) {
        (Kind::List, Value::Array(list), Some(items)) if shape.is_wrapped() => {
            let mut bytes = Vec::new();
            list.iter().for_each(|item| put(&mut bytes, 1, items, item));
            put_bytes(out, tag, &bytes);
        }
        (Kind::List, Value::Array(list), Some(items)) => list.iter().for_each(|item| put(out, tag, items, item)),
        (Kind::Map, Value::Object(map), Some(items)) => {
            for (key, item) in map {
                let mut entry = Vec::new();
                put_bytes(&mut entry, 1, key.as_bytes());
                put(&mut entry, 2, items, item);
                put_bytes(out, tag, &entry);
            }
        }
        (Kind::Object, Value::Object(object), _) => {
            let mut bytes = Vec::new();
            if let Some(ty) = shape.ty() {
                message(&mut bytes, object, ty);
            }
            put_bytes(out, tag, &bytes);
        }
        (Kind::String, Value::String(text), _) => put_bytes(out, tag, text.as_bytes()),
        (Kind::Bool, Value::Bool(b), _) => put_int(out, tag, i64::from(*b)),
        (Kind::Int32 | Kind::Int64, Value::Number(n), _) => put_int(out, tag, n.as_i64().unwrap_or_default()),
        (Kind::Double, Value::Number(n), _) => {
            put_key(out, tag, 1);
            out.extend_from_slice(&n.as_f64().unwrap_or_default().to_bits().to_le_bytes());
        }
        (Kind::Bytes, Value::String(text), _) => put_bytes(out, tag, &STANDARD.decode(text).unwrap_or_default()),
        (Kind::Time | Kind::MicroTime, Value::String(text), _) => {
            let (seconds, nanos) = time::parse(text).unwrap_or_default();
            let mut bytes = Vec::new();
            put_int(&mut bytes, 1, seconds);
            put_int(&mut bytes, 2, if shape.kind() == Kind::MicroTime { i64::from(nanos) } else { 0 });
            put_bytes(out, tag, &bytes);
        }
        (Kind::Quantity, value, _) => {
            let text = crate::quantity::Quantity::from_value(value).unwrap_or_default().to_string();
            let mut bytes = Vec::new();
            put_bytes(&mut bytes, 1, text.as_bytes());
            put_bytes(out, tag, &bytes);
        }
        (Kind::IntOrString, value, _) => {
            let mut bytes = Vec::new();
            put_int(&mut bytes, 1, i64::from(value.is_string()));
            put_int(&mut bytes, 2, value.as_i64().unwrap_or_default());
            put_bytes(&mut bytes, 3, value.as_str().unwrap_or_default().as_bytes());
            put_bytes(out, tag, &bytes);
        }
        (Kind::RawExtension | Kind::FieldsV1 | Kind::Json, value, _) => {
            let mut bytes = Vec::new();
            put_bytes(&mut bytes, 1, value.to_string().as_bytes());
            put_bytes(out, tag, &bytes);
        }
        (Kind::SchemaOrBool, Value::Bool(allows), _) => {
            let mut bytes = Vec::new();
            put_int(&mut bytes, 1, i64::from(*allows));
            put_bytes(out, tag, &bytes);
        }
        (Kind::SchemaOrBool, value, _) => {
            let mut bytes = Vec::new();
            put_int(&mut bytes, 1, 1);
            put_bytes(&mut bytes, 2, &schema(value));
            put_bytes(out, tag, &bytes);
        }
        (Kind::SchemaOrArray | Kind::SchemaOrStrings, Value::Array(list), _) => {
            let mut bytes = Vec::new();
            for item in list {
                match item {
                    Value::String(text) => put_bytes(&mut bytes, 2, text.as_bytes()),
                    other => put_bytes(&mut bytes, 2, &schema(other)),
                }
            }
            put_bytes(out, tag, &bytes);
        }
        (Kind::SchemaOrArray | Kind::SchemaOrStrings, value, _) => {
            let mut bytes = Vec::new();
            put_bytes(&mut bytes, 1, &schema(value));
            put_bytes(out, tag, &bytes);
        }
        (Kind::Duration, Value::String(text), _) => {
            let mut bytes = Vec::new();
            put_key(&mut bytes, 1, 0);
            put_varint(&mut bytes, parse_duration(text).unwrap_or_default() as u64);
            put_bytes(out, tag, &bytes);
        }
        _ => {}
    }
}

fn schema(value: &Value) -> Vec<u8> {
    let ty = table().by_name("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps");
    ty.map_or_else(Vec::new, |ty| encode_message(value, ty))
}

/// A Go duration in nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_len = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..unit_len] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[unit_len..];
    }
    Some((sign * total) as i64)
}
