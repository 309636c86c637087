//! Protobuf to JSON values, driven by the schema table.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::wire::{Reader, Wire, packed};
use super::{Error, MAX_DEPTH, PROTOBUF_MAGIC};
use crate::meta::Gvk;
use crate::schema::{Field, Kind, Shape, Type, table};
use crate::time;

/// Reads a protobuf body: the envelope (`runtime.Unknown`) and the message in it. The kind is the envelope's, or `default` where it names none. The
/// value carries `apiVersion` and `kind`.
pub fn decode_protobuf(body: &[u8], default: Option<&Gvk>) -> Result<(Gvk, Value), Error> {
    let envelope = body.strip_prefix(PROTOBUF_MAGIC).ok_or(Error::NoMagic)?;
    let (mut api_version, mut kind, mut raw) = ("", "", &[][..]);
    let mut reader = Reader::new(envelope);
    while let Some((tag, wire)) = reader.next()? {
        match (tag, wire) {
            (1, Wire::Bytes(type_meta)) => {
                let mut inner = Reader::new(type_meta);
                while let Some((tag, wire)) = inner.next()? {
                    match (tag, wire) {
                        (1, Wire::Bytes(text)) => api_version = utf8(text)?,
                        (2, Wire::Bytes(text)) => kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let mut gvk = Gvk::from_api_version(api_version, kind);
    if let Some(default) = default {
        if kind.is_empty() {
            gvk.kind.clone_from(&default.kind);
        }
        if api_version.is_empty() {
            (gvk.group, gvk.version) = (default.group.clone(), default.version.clone());
        }
    }
    let ty = table().by_gvk(&gvk).ok_or_else(|| Error::UnknownKind(gvk.clone()))?;
    let mut value = decode_message(raw, ty)?;
    if let Value::Object(object) = &mut value {
        object.insert("apiVersion".to_owned(), gvk.api_version().into());
        object.insert("kind".to_owned(), gvk.kind.clone().into());
    }
    Ok((gvk, value))
}

/// Reads a bare protobuf message of a type.
pub fn decode_message(message: &[u8], ty: Type<'_>) -> Result<Value, Error> {
    let mut object = Map::new();
    message_into(&mut object, message, ty, 0)?;
    Ok(Value::Object(object))
}

fn message_into(object: &mut Map<String, Value>, message: &[u8], ty: Type<'_>, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::Malformed { reason: "proto: message nests too deep" });
    }
    let mut reader = Reader::new(message);
    while let Some((tag, wire)) = reader.next()? {
        // A tag we do not know is of a newer client: upstream skips it too.
        let Some(field) = ty.by_tag(tag) else { continue };
        if field.is_inline() {
            if let (Some(inner), Wire::Bytes(bytes)) = (field.shape().ty(), wire) {
                message_into(object, bytes, inner, depth + 1)?;
            }
            continue;
        }
        add(object, field, wire, depth)?;
    }
    Ok(())
}

fn add(object: &mut Map<String, Value>, field: Field<'_>, wire: Wire<'_>, depth: usize) -> Result<(), Error> {
    let shape = field.shape();
    match (shape.kind(), shape.items()) {
        (Kind::List, Some(items)) if !shape.is_wrapped() => {
            let list = list_of(object, field.name());
            if let (Kind::Int32 | Kind::Int64, Wire::Bytes(bytes)) = (items.kind(), wire) {
                list.extend(packed(bytes)?.into_iter().map(|n| Value::from(n as i64)));
            } else {
                list.push(value(items, wire, depth)?);
            }
        }
        (Kind::Map, Some(items)) => {
            let Wire::Bytes(bytes) = wire else { return Err(WRONG) };
            let (key, item) = map_entry(items, bytes, depth)?;
            if let Value::Object(map) = object.entry(field.name()).or_insert_with(|| Value::Object(Map::new())) {
                map.insert(key, item);
            }
        }
        (Kind::Object, _) => {
            let (Some(ty), Wire::Bytes(bytes)) = (shape.ty(), wire) else { return Err(WRONG) };
            // A message may come in parts; they add up.
            if let Value::Object(inner) = object.entry(field.name()).or_insert_with(|| Value::Object(Map::new())) {
                message_into(inner, bytes, ty, depth + 1)?;
            }
        }
        _ => {
            let value = value(shape, wire, depth)?;
            let keep = match &value {
                Value::Null => false,
                Value::Bool(false) => field.is_pointer() || field.required(),
                Value::Number(n) => {
                    n.as_f64() != Some(0.0)
                        || field.is_pointer()
                        || field.required()
                        || shape.kind() == Kind::IntOrString
                }
                Value::String(s) => !s.is_empty() || field.is_pointer() || shape.kind() == Kind::IntOrString,
                _ => true,
            };
            if keep {
                object.insert(field.name().to_owned(), value);
            }
        }
    }
    Ok(())
}

const WRONG: Error = Error::Malformed { reason: "proto: wrong wireType" };

fn list_of<'a>(object: &'a mut Map<String, Value>, name: &str) -> &'a mut Vec<Value> {
    let slot = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    match slot {
        Value::Array(list) => list,
        _ => unreachable!("just made an array"),
    }
}

fn map_entry(items: Shape<'_>, bytes: &[u8], depth: usize) -> Result<(String, Value), Error> {
    let (mut key, mut item) = (String::new(), None);
    let mut reader = Reader::new(bytes);
    while let Some((tag, wire)) = reader.next()? {
        match (tag, wire) {
            (1, Wire::Bytes(text)) => utf8(text)?.clone_into(&mut key),
            (2, wire) => item = Some(value(items, wire, depth)?),
            _ => {}
        }
    }
    let empty = || match items.kind() {
        Kind::Quantity => Value::from("0"),
        Kind::Object | Kind::Map => Value::Object(Map::new()),
        Kind::List => Value::Array(Vec::new()),
        Kind::Bool => Value::Bool(false),
        Kind::Int32 | Kind::Int64 => Value::from(0),
        Kind::String | Kind::Bytes => Value::from(""),
        _ => Value::Null,
    };
    Ok((key, item.unwrap_or_else(empty)))
}

/// One value; a zero time is null.
fn value(shape: Shape<'_>, wire: Wire<'_>, depth: usize) -> Result<Value, Error> {
    Ok(match (shape.kind(), wire) {
        (Kind::String, Wire::Bytes(text)) => utf8(text)?.into(),
        (Kind::Bool, Wire::Varint(n)) => Value::Bool(n != 0),
        (Kind::Int32, Wire::Varint(n)) => Value::from(n as i32),
        (Kind::Int64, Wire::Varint(n)) => Value::from(n as i64),
        (Kind::Double, Wire::Fixed64(bits)) => double(f64::from_bits(bits)),
        (Kind::Double, Wire::Fixed32(bits)) => double(f64::from(f32::from_bits(bits))),
        (Kind::Bytes, Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Kind::Time | Kind::MicroTime, Wire::Bytes(bytes)) => timestamp(bytes, shape.kind())?,
        (Kind::Duration, Wire::Bytes(bytes)) => duration(first_int(bytes, 1)?).into(),
        (Kind::Quantity, Wire::Bytes(bytes)) => quantity(bytes)?,
        (Kind::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes)?,
        (Kind::RawExtension | Kind::FieldsV1 | Kind::Json, Wire::Bytes(bytes)) => raw_json(bytes)?,
        (Kind::SchemaOrBool, Wire::Bytes(bytes)) => schema_or_bool(bytes, depth)?,
        (Kind::SchemaOrArray, Wire::Bytes(bytes)) => schema_or_list(bytes, depth)?,
        (Kind::SchemaOrStrings, Wire::Bytes(bytes)) => schema_or_strings(bytes, depth)?,
        (Kind::Object, Wire::Bytes(bytes)) => {
            let mut object = Map::new();
            if let Some(ty) = shape.ty() {
                message_into(&mut object, bytes, ty, depth + 1)?;
            }
            Value::Object(object)
        }
        (Kind::List, Wire::Bytes(bytes)) if shape.is_wrapped() => {
            let mut list = Vec::new();
            let mut reader = Reader::new(bytes);
            while let Some((tag, wire)) = reader.next()? {
                if let (1, Some(items)) = (tag, shape.items()) {
                    list.push(value(items, wire, depth + 1)?);
                }
            }
            Value::Array(list)
        }
        _ => return Err(WRONG),
    })
}

fn utf8(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|_| Error::Malformed { reason: "proto: invalid UTF-8 in string" })
}

fn double(n: f64) -> Value {
    Number::from_f64(n).map_or(Value::Null, Value::Number)
}

fn first_int(bytes: &[u8], wanted: u32) -> Result<i64, Error> {
    let mut found = 0;
    let mut reader = Reader::new(bytes);
    while let Some((tag, wire)) = reader.next()? {
        if let (true, Wire::Varint(n)) = (tag == wanted, wire) {
            found = n as i64;
        }
    }
    Ok(found)
}

fn timestamp(bytes: &[u8], kind: Kind) -> Result<Value, Error> {
    let (seconds, nanos) = (first_int(bytes, 1)?, first_int(bytes, 2)?);
    // Year 1 is Go's zero time; upstream writes it as nothing or as these seconds.
    if (seconds == 0 && nanos == 0) || seconds == -62_135_596_800 {
        return Ok(Value::Null);
    }
    Ok(match kind {
        Kind::MicroTime => time::format_micro(seconds, u32::try_from(nanos).unwrap_or_default()),
        _ => time::format_seconds(seconds),
    }
    .into())
}

/// Nanoseconds as Go prints a duration: `1h0m0s`, `1.5s`, `10ms`.
fn duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let n = nanos.unsigned_abs();
    let fraction = |n: u64, unit: u64| {
        let (whole, rest) = (n / unit, n % unit);
        if rest == 0 {
            return whole.to_string();
        }
        let digits = format!("{:0width$}", rest, width = unit.to_string().len() - 1);
        format!("{whole}.{}", digits.trim_end_matches('0'))
    };
    let text = match n {
        0 => return "0s".to_owned(),
        n if n < 1_000 => format!("{n}ns"),
        n if n < 1_000_000 => format!("{}µs", fraction(n, 1_000)),
        n if n < 1_000_000_000 => format!("{}ms", fraction(n, 1_000_000)),
        n => {
            let minutes = n / 60_000_000_000;
            let seconds = fraction(n % 60_000_000_000, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, m) => format!("{m}m{seconds}s"),
                (h, m) => format!("{h}h{m}m{seconds}s"),
            }
        }
    };
    format!("{sign}{text}")
}

fn quantity(bytes: &[u8]) -> Result<Value, Error> {
    let mut text = "0";
    let mut reader = Reader::new(bytes);
    while let Some((tag, wire)) = reader.next()? {
        if let (1, Wire::Bytes(bytes)) = (tag, wire) {
            text = utf8(bytes)?;
        }
    }
    let quantity = crate::quantity::Quantity::parse(if text.is_empty() { "0" } else { text });
    Ok(quantity
        .map_err(|_| Error::Malformed {
            reason: "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        })?
        .to_string()
        .into())
}

fn int_or_string(bytes: &[u8]) -> Result<Value, Error> {
    let (mut is_string, mut int, mut text) = (false, 0, "");
    let mut reader = Reader::new(bytes);
    while let Some((tag, wire)) = reader.next()? {
        match (tag, wire) {
            (1, Wire::Varint(n)) => is_string = n == 1,
            (2, Wire::Varint(n)) => int = n as i32,
            (3, Wire::Bytes(bytes)) => text = utf8(bytes)?,
            _ => {}
        }
    }
    Ok(if is_string { text.into() } else { int.into() })
}

/// A message with JSON bytes under tag 1; RawExtension may itself hold a protobuf body.
fn raw_json(bytes: &[u8]) -> Result<Value, Error> {
    let mut reader = Reader::new(bytes);
    let mut raw: &[u8] = &[];
    while let Some((tag, wire)) = reader.next()? {
        if let (1, Wire::Bytes(bytes)) = (tag, wire) {
            raw = bytes;
        }
    }
    if raw.is_empty() {
        return Ok(Value::Null);
    }
    if raw.starts_with(PROTOBUF_MAGIC) {
        return Ok(decode_protobuf(raw, None)?.1);
    }
    super::decode_json(raw)
}

fn schema_type() -> Option<Type<'static>> {
    table().by_name("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps")
}

fn schema_message(bytes: &[u8], depth: usize) -> Result<Value, Error> {
    let mut object = Map::new();
    if let Some(ty) = schema_type() {
        message_into(&mut object, bytes, ty, depth + 1)?;
    }
    Ok(Value::Object(object))
}

fn schema_or_bool(bytes: &[u8], depth: usize) -> Result<Value, Error> {
    let (mut allows, mut schema) = (false, None);
    let mut reader = Reader::new(bytes);
    while let Some((tag, wire)) = reader.next()? {
        match (tag, wire) {
            (1, Wire::Varint(n)) => allows = n != 0,
            (2, Wire::Bytes(bytes)) => schema = Some(schema_message(bytes, depth)?),
            _ => {}
        }
    }
    Ok(schema.unwrap_or(Value::Bool(allows)))
}

fn schema_or_list(bytes: &[u8], depth: usize) -> Result<Value, Error> {
    let (mut schema, mut list) = (None, Vec::new());
    let mut reader = Reader::new(bytes);
    while let Some((tag, wire)) = reader.next()? {
        match (tag, wire) {
            (1, Wire::Bytes(bytes)) => schema = Some(schema_message(bytes, depth)?),
            (2, Wire::Bytes(bytes)) => list.push(schema_message(bytes, depth)?),
            _ => {}
        }
    }
    Ok(if list.is_empty() { schema.unwrap_or(Value::Null) } else { Value::Array(list) })
}

fn schema_or_strings(bytes: &[u8], depth: usize) -> Result<Value, Error> {
    let (mut schema, mut list) = (None, Vec::new());
    let mut reader = Reader::new(bytes);
    while let Some((tag, wire)) = reader.next()? {
        match (tag, wire) {
            (1, Wire::Bytes(bytes)) => schema = Some(schema_message(bytes, depth)?),
            (2, Wire::Bytes(text)) => list.push(Value::from(utf8(text)?)),
            _ => {}
        }
    }
    Ok(if list.is_empty() { schema.unwrap_or(Value::Null) } else { Value::Array(list) })
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_print_as_go_prints_them() {
        for (nanos, want) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (10_000_000, "10ms"),
            (1_500_000_000, "1.5s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (-1_000_000_000, "-1s"),
        ] {
            assert_eq!(super::duration(nanos), want);
        }
    }
}
