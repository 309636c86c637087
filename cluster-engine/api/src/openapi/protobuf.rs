//! The v2 document as protobuf (gnostic's `openapi.v2.Document`), which kubectl up to 1.28 and `kubectl explain --output plaintext-openapiv2` read.
//!
//! A message that is written in parts is one message to its reader, so paths and schemas are written one by one: nothing large is held.

use std::io::{self, Write};

use serde_json::{Map, Value};

use super::foreign::{Merge, Part};
use super::{Dialect, PathSpec, each_path, each_schema, security};
use crate::KUBERNETES_VERSION;
use crate::codec::wire::{put_bytes, put_int, put_key};

/// Writes the v2 document of all specs and of the groups that other servers answer for as protobuf.
///
/// # Errors
/// Those of the writer.
pub fn write_v2_protobuf(out: &mut impl Write, specs: &[PathSpec], others: Vec<Part>) -> io::Result<()> {
    let specs: Vec<&PathSpec> = specs.iter().collect();
    let mut head = Vec::new();
    put_bytes(&mut head, 1, b"2.0");
    nested(&mut head, 2, |info| {
        put_bytes(info, 1, b"Kubernetes");
        put_bytes(info, 2, KUBERNETES_VERSION.as_bytes());
    });
    out.write_all(&head)?;
    let mut merge = Merge::new(others);
    each_schema(Dialect::V2, &specs, &mut |name, definition| {
        let merged = merge.own(name, definition);
        out.write_all(&definition_part(name, merged.as_ref().unwrap_or(definition)))
    })?;
    let mut rest = merge.rest();
    rest.definitions().try_for_each(|(name, definition)| out.write_all(&definition_part(name, definition)))?;
    for (name, parameter) in rest.parameters() {
        let mut part = Vec::new();
        nested(&mut part, 10, |parameters| named(parameters, 1, name, |own| one_parameter(own, parameter)));
        out.write_all(&part)?;
    }
    each_path(Dialect::V2, &specs, &mut |path, item| {
        rest.own_path(path);
        out.write_all(&path_part(path, item))
    })?;
    rest.paths().try_for_each(|(path, item)| out.write_all(&path_part(path, item)))?;
    let mut tail = Vec::new();
    // security: [{"BearerToken": []}]
    nested(&mut tail, 12, |requirement| named(requirement, 1, "BearerToken", |_| ()));
    let security = security();
    nested(&mut tail, 13, |definitions| {
        named(definitions, 1, "BearerToken", |item| {
            nested(item, 2, |key| {
                for (tag, name) in (1..).zip(["type", "name", "in", "description"]) {
                    text(key, tag, &security[name]);
                }
            });
        });
    });
    out.write_all(&tail)
}

fn path_part(path: &str, item: &Value) -> Vec<u8> {
    let mut part = Vec::new();
    nested(&mut part, 8, |paths| named(paths, 2, path, |own| path_item(own, item)));
    part
}

fn definition_part(name: &str, definition: &Value) -> Vec<u8> {
    let mut part = Vec::new();
    nested(&mut part, 9, |definitions| named(definitions, 1, name, |own| schema(own, definition)));
    part
}

fn nested(out: &mut Vec<u8>, tag: u16, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    put_bytes(out, tag, &inner);
}

/// An entry of a map: name and value.
fn named(out: &mut Vec<u8>, tag: u16, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
    nested(out, tag, |entry| {
        put_bytes(entry, 1, name.as_bytes());
        nested(entry, 2, write);
    });
}

fn text(out: &mut Vec<u8>, tag: u16, value: &Value) {
    if let Some(text) = value.as_str() {
        put_bytes(out, tag, text.as_bytes());
    }
}

fn texts(out: &mut Vec<u8>, tag: u16, value: &Value) {
    value.as_array().into_iter().flatten().for_each(|item| text(out, tag, item));
}

fn flag(out: &mut Vec<u8>, tag: u16, value: &Value) {
    if value.as_bool() == Some(true) {
        put_int(out, tag, 1);
    }
}

fn integer(out: &mut Vec<u8>, tag: u16, value: &Value) {
    if let Some(number) = value.as_i64() {
        put_int(out, tag, number);
    }
}

fn double(out: &mut Vec<u8>, tag: u16, value: &Value) {
    if let Some(number) = value.as_f64() {
        put_key(out, tag, 1);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// Any value, as YAML, of which JSON is a part.
fn any(out: &mut Vec<u8>, tag: u16, value: &Value) {
    nested(out, tag, |own| put_bytes(own, 2, value.to_string().as_bytes()));
}

fn extension(out: &mut Vec<u8>, tag: u16, name: &str, value: &Value) {
    nested(out, tag, |entry| {
        put_bytes(entry, 1, name.as_bytes());
        any(entry, 2, value);
    });
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(key, value)| (key.as_str(), value))
}

fn path_item(out: &mut Vec<u8>, item: &Value) {
    for (key, value) in members(item) {
        let tag = match key {
            "get" => 2,
            "put" => 3,
            "post" => 4,
            "delete" => 5,
            "options" => 6,
            "head" => 7,
            "patch" => 8,
            "parameters" => {
                parameters(out, 9, value);
                continue;
            }
            _ => continue,
        };
        nested(out, tag, |own| operation(own, value));
    }
}

fn operation(out: &mut Vec<u8>, operation: &Value) {
    for (key, value) in members(operation) {
        match key {
            "tags" => texts(out, 1, value),
            "description" => text(out, 3, value),
            "operationId" => text(out, 5, value),
            "produces" => texts(out, 6, value),
            "consumes" => texts(out, 7, value),
            "parameters" => parameters(out, 8, value),
            "responses" => nested(out, 9, |own| {
                for (code, response) in members(value) {
                    named(own, 1, code, |own| nested(own, 1, |own| answer(own, response)));
                }
            }),
            "schemes" => texts(out, 10, value),
            key if key.starts_with("x-") => extension(out, 13, key, value),
            _ => {}
        }
    }
}

fn answer(out: &mut Vec<u8>, response: &Value) {
    text(out, 1, &response["description"]);
    if let Some(own) = response.get("schema") {
        nested(out, 2, |item| nested(item, 1, |item| schema(item, own)));
    }
}

fn parameters(out: &mut Vec<u8>, tag: u16, list: &Value) {
    for parameter in list.as_array().into_iter().flatten() {
        nested(out, tag, |item| match parameter.get("$ref") {
            Some(reference) => nested(item, 2, |own| text(own, 1, reference)),
            None => nested(item, 1, |own| one_parameter(own, parameter)),
        });
    }
}

fn one_parameter(out: &mut Vec<u8>, parameter: &Value) {
    let place = parameter["in"].as_str().unwrap_or("");
    if place == "body" {
        nested(out, 1, |body| {
            text(body, 1, &parameter["description"]);
            text(body, 2, &parameter["name"]);
            text(body, 3, &parameter["in"]);
            flag(body, 4, &parameter["required"]);
            nested(body, 5, |own| schema(own, &parameter["schema"]));
        });
        return;
    }
    // The parameters of queries may be empty, which moves the numbers behind by one.
    let (tag, shift) = if place == "query" { (3, 1) } else { (4, 0) };
    nested(out, 2, |other| {
        nested(other, tag, |own| {
            flag(own, 1, &parameter["required"]);
            text(own, 2, &parameter["in"]);
            text(own, 3, &parameter["description"]);
            text(own, 4, &parameter["name"]);
            text(own, 5 + shift, &parameter["type"]);
            text(own, 6 + shift, &parameter["format"]);
            flag(own, 19 + shift, &parameter["uniqueItems"]);
        });
    });
}

fn schema(out: &mut Vec<u8>, own: &Value) {
    for (key, value) in members(own) {
        match key {
            "$ref" => text(out, 1, value),
            "format" => text(out, 2, value),
            "title" => text(out, 3, value),
            "description" => text(out, 4, value),
            "default" => any(out, 5, value),
            "multipleOf" => double(out, 6, value),
            "maximum" => double(out, 7, value),
            "exclusiveMaximum" => flag(out, 8, value),
            "minimum" => double(out, 9, value),
            "exclusiveMinimum" => flag(out, 10, value),
            "maxLength" => integer(out, 11, value),
            "minLength" => integer(out, 12, value),
            "pattern" => text(out, 13, value),
            "maxItems" => integer(out, 14, value),
            "minItems" => integer(out, 15, value),
            "uniqueItems" => flag(out, 16, value),
            "maxProperties" => integer(out, 17, value),
            "minProperties" => integer(out, 18, value),
            "required" => texts(out, 19, value),
            "enum" => value.as_array().into_iter().flatten().for_each(|item| any(out, 20, item)),
            "additionalProperties" => nested(out, 21, |item| match value {
                Value::Bool(open) => put_int(item, 2, i64::from(*open)),
                value => nested(item, 1, |own| schema(own, value)),
            }),
            "type" => nested(out, 22, |item| text(item, 1, value)),
            "items" => nested(out, 23, |item| nested(item, 1, |own| schema(own, value))),
            "allOf" => {
                value.as_array().into_iter().flatten().for_each(|part| nested(out, 24, |own| schema(own, part)));
            }
            "properties" => nested(out, 25, |item| {
                members(value).for_each(|(name, property)| named(item, 1, name, |own| schema(own, property)));
            }),
            key if key.starts_with("x-") => extension(out, 31, key, value),
            _ => {}
        }
    }
}
