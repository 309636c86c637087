//! Rules of structural schemas (`apiextensions-apiserver/pkg/apiserver/schema/validation.go`).

use drydock_api::field::{FieldError, Path};
use serde_json::Value;

use crate::registry::check::Errors;
use crate::registry::value::Read as _;

const TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];

/// Checks a root schema.
pub(super) fn structural(errors: &mut Errors, root: &Value, path: &Path) {
    if root.text("type").is_empty() {
        errors.push(FieldError::required(&path.child("type"), "must not be empty at the root"));
    } else if root.text("type") != "object" {
        errors.push(FieldError::invalid(&path.child("type"), root.text("type"), "must be object at the root"));
    }
    node(errors, root, path, true);
}

fn node(errors: &mut Errors, schema: &Value, path: &Path, root: bool) {
    let kind = schema.text("type");
    if !kind.is_empty() && !TYPES.contains(&kind) {
        errors.push(FieldError::not_supported(&path.child("type"), kind, TYPES));
    }
    if !root && kind.is_empty() && !exempt(schema) {
        errors.push(FieldError::required(&path.child("type"), "must not be empty for specified object fields"));
    }
    let has_properties = !schema.entries("properties").is_empty();
    let additional = schema.at("additionalProperties");
    if has_properties && !additional.is_null() && additional != &Value::Bool(false) {
        errors.push(FieldError::forbidden(
            &path.child("additionalProperties"),
            "must not be used together with properties",
        ));
    }
    if root && additional.is_object() {
        errors.push(FieldError::forbidden(&path.child("additionalProperties"), "must not be used at the root"));
    }
    for (name, property) in schema.entries("properties") {
        let own = path.child("properties").key(name);
        if root && name == "metadata" {
            // Only rules for name and generateName are allowed there.
            continue;
        }
        node(errors, property, &own, false);
    }
    if additional.is_object() {
        node(errors, additional, &path.child("additionalProperties"), false);
    }
    items(errors, schema, path);
    if schema.flag("x-kubernetes-int-or-string") && !kind.is_empty() {
        errors.push(FieldError::forbidden(&path.child("type"), "must be empty if x-kubernetes-int-or-string is true"));
    }
    if schema.has("x-kubernetes-preserve-unknown-fields") && !schema.flag("x-kubernetes-preserve-unknown-fields") {
        errors.push(FieldError::invalid(
            &path.child("x-kubernetes-preserve-unknown-fields"),
            false,
            "must be true or undefined",
        ));
    }
    if schema.flag("x-kubernetes-embedded-resource") && kind != "object" {
        errors.push(FieldError::invalid(
            &path.child("type"),
            kind,
            "must be object if x-kubernetes-embedded-resource is true",
        ));
    }
    for key in ["$ref", "definitions", "dependencies", "id", "patternProperties"] {
        if schema.has(key) {
            errors.push(FieldError::forbidden(&path.child(key), format!("{key} is not supported")));
        }
    }
    if schema.flag("uniqueItems") {
        errors.push(FieldError::forbidden(
            &path.child("uniqueItems"),
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ));
    }
    list_type(errors, schema, path);
}

/// Schemas that need no type.
fn exempt(schema: &Value) -> bool {
    schema.flag("x-kubernetes-int-or-string") || schema.flag("x-kubernetes-preserve-unknown-fields")
}

fn items(errors: &mut Errors, schema: &Value, path: &Path) {
    let items = schema.at("items");
    match items {
        Value::Null => {
            if schema.text("type") == "array" {
                errors.push(FieldError::required(&path.child("items"), "must be specified"));
            }
        }
        Value::Array(_) => {
            errors.push(FieldError::forbidden(&path.child("items"), "items must be a schema object and not an array"))
        }
        items => {
            let own = path.child("items");
            if items.text("type").is_empty() && !exempt(items) {
                errors.push(FieldError::required(&own.child("type"), "must not be empty for specified array items"));
                node(errors, items, &own, true);
            } else {
                node(errors, items, &own, false);
            }
        }
    }
}

fn list_type(errors: &mut Errors, schema: &Value, path: &Path) {
    let own = path.child("x-kubernetes-list-type");
    match schema.text("x-kubernetes-list-type") {
        "" => {}
        "map" => {
            if schema.items("x-kubernetes-list-map-keys").is_empty() {
                errors.push(FieldError::required(
                    &path.child("x-kubernetes-list-map-keys"),
                    "must not be empty if x-kubernetes-list-type is map",
                ));
            }
        }
        "atomic" | "set" => {
            if !schema.items("x-kubernetes-list-map-keys").is_empty() {
                errors.push(FieldError::invalid(
                    &own,
                    schema.text("x-kubernetes-list-type"),
                    "must be map if x-kubernetes-list-map-keys is non-empty",
                ));
            }
        }
        other => errors.push(FieldError::not_supported(&own, other, &["atomic", "map", "set"])),
    }
    if schema.has("x-kubernetes-list-type") && schema.text("type") != "array" {
        errors.push(FieldError::invalid(
            &path.child("type"),
            schema.text("type"),
            "must be array if x-kubernetes-list-type is specified",
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;

    #[track_caller]
    fn check(schema: Value, expected: &[&str]) {
        let mut errors = Errors::new();
        structural(&mut errors, &schema, &Path::new("s"));
        assert_eq!(texts(&errors), expected);
    }

    #[test]
    fn schemas() {
        check(
            json!({"type": "object", "properties": {"spec": {"type": "object", "additionalProperties": {"type": "string"}}, "port": {"x-kubernetes-int-or-string": true}}}),
            &[],
        );
        check(json!({}), &["s.type: Required value: must not be empty at the root"]);
        check(
            json!({"type": "object", "properties": {"a": {}, "b": {"type": "array"}, "c": {"type": "array", "items": {}}, "d": {"type": "text"}}}),
            &[
                "s.properties[a].type: Required value: must not be empty for specified object fields",
                "s.properties[b].items: Required value: must be specified",
                "s.properties[c].items.type: Required value: must not be empty for specified array items",
                r#"s.properties[d].type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string""#,
            ],
        );
    }
}
