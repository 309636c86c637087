//! Rules of structural schemas (`apiextensions-apiserver/pkg/apiserver/schema/validation.go`).

use drydock_api::field::{FieldError, Path};
use serde_json::Value;

use crate::cel;
use crate::custom::rules::VARIABLES;
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
    if errors.is_empty() {
        let mut total = 0u64;
        rules(errors, root, path, Place { resource: true, times: 1, apart: None }, &mut total);
        if total > cel::check::SCHEMA_LIMIT {
            let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
            errors.push(FieldError::forbidden(path, cel::check::over_budget(what, total, cel::check::SCHEMA_LIMIT)));
        }
    }
}

/// Where in the root schema a schema is.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// It is that of a whole object.
    resource: bool,
    /// How often its value can be there.
    times: u64,
    /// The list above whose items cannot be told apart, so that old and new ones cannot be matched.
    apart: Option<&'a Path>,
}

/// The CEL rules at and below a schema.
fn rules(errors: &mut Errors, schema: &Value, path: &Path, place: Place<'_>, total: &mut u64) {
    for (index, rule) in schema.items("x-kubernetes-validations").iter().enumerate() {
        let own = path.child("x-kubernetes-validations").index(index);
        one_rule(errors, schema, rule, &own, place, total);
    }
    let below = Place { resource: false, ..place };
    for (name, property) in schema.entries("properties") {
        rules(errors, property, &path.child("properties").key(name), below, total);
    }
    for key in ["additionalProperties", "items"] {
        if let Some(inner) = schema.get(key).filter(|inner| inner.is_object()) {
            let times = place.times.saturating_mul(cel::check::most(schema));
            let unmatched = key == "items" && schema.text("x-kubernetes-list-type") != "map";
            let apart = place.apart.or_else(|| unmatched.then_some(path));
            rules(errors, inner, &path.child(key), Place { times, apart, ..below }, total);
        }
    }
}

fn one_rule(errors: &mut Errors, schema: &Value, rule: &Value, path: &Path, place: Place<'_>, total: &mut u64) {
    let Place { resource, times, apart } = place;
    let source = rule.text("rule").trim();
    if source.is_empty() {
        errors.push(FieldError::required(&path.child("rule"), "rule is not specified"));
        return;
    }
    let message = rule.text("message");
    if message.contains(['\n', '\r']) {
        errors.push(FieldError::invalid(&path.child("message"), message, "message must not contain line breaks"));
    } else if rule.has("message") && message.trim().is_empty() {
        errors.push(FieldError::invalid(&path.child("message"), message, "message must be non-empty if specified"));
    }
    if source.contains(['\n', '\r']) && message.is_empty() && !rule.has("messageExpression") {
        errors.push(FieldError::required(
            &path.child("message"),
            "message must be specified if rule contains line breaks",
        ));
    }
    const REASONS: &[&str] = &["FieldValueRequired", "FieldValueForbidden", "FieldValueInvalid", "FieldValueDuplicate"];
    if rule.has("reason") && !REASONS.contains(&rule.text("reason")) {
        errors.push(FieldError::not_supported(&path.child("reason"), rule.text("reason"), REASONS));
    }
    let optional_old = rule.flag("optionalOldSelf");
    let mut look = |key: &str, source: &str, wants_bool: bool| {
        let own = path.child(key);
        let program = match cel::compile(source, VARIABLES) {
            Ok(program) => program,
            Err(error) => {
                errors.push(FieldError::invalid(&own, source, error.to_string()));
                return false;
            }
        };
        let found = cel::check::rule(&program, source, schema, resource, optional_old);
        if !found.errors.is_empty() {
            let text = format!("compilation failed: {}", found.errors.join("\n"));
            errors.push(FieldError::invalid(&own, source, text));
        } else if wants_bool && found.not_bool {
            errors.push(FieldError::invalid(&own, source, "cel expression must evaluate to a bool"));
        } else if !wants_bool && found.not_string {
            errors.push(FieldError::invalid(&own, source, "messageExpression must evaluate to a string"));
        }
        let cost = found.cost.saturating_mul(times);
        if cost > cel::check::RULE_LIMIT {
            let what = if wants_bool { "estimated rule cost" } else { "estimated messageExpression cost" };
            errors.push(FieldError::forbidden(&own, cel::check::over_budget(what, cost, cel::check::RULE_LIMIT)));
        }
        *total = total.saturating_add(cost);
        program.uses("oldSelf")
    };
    let transition = look("rule", source, true);
    if rule.has("messageExpression") {
        look("messageExpression", rule.text("messageExpression").trim(), false);
    }
    if let Some(list) = apart.filter(|_| transition) {
        let text = format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {list}");
        errors.push(FieldError::invalid(&path.child("rule"), source, text));
    }
    if optional_old && !transition {
        errors.push(FieldError::invalid(
            &path.child("optionalOldSelf"),
            true,
            "may not be set if oldSelf is not used in rule",
        ));
    }
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
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && let Err(error) = regex::Regex::new(pattern)
    {
        let text = format!("must be a valid regular expression, but isn't: {error}");
        errors.push(FieldError::invalid(&path.child("pattern"), pattern, text));
    }
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
        let rule = json!([{"rule": "self >= oldSelf"}]);
        let items = json!({"type": "object", "required": ["k"], "properties": {"k": {"type": "string", "maxLength": 9}, "n": {"type": "integer", "x-kubernetes-validations": rule}}});
        let list = |kind: &str| {
            json!({"type": "object", "properties": {"l": {"type": "array", "maxItems": 9, "x-kubernetes-list-type": kind, "items": items,
                "x-kubernetes-list-map-keys": if kind == "map" { json!(["k"]) } else { json!([]) }}}})
        };
        check(list("map"), &[]);
        check(
            list("atomic"),
            &[
                r#"s.properties[l].items.properties[n].x-kubernetes-validations[0].rule: Invalid value: "self >= oldSelf": oldSelf cannot be used on the uncorrelatable portion of the schema within s.properties[l]"#,
            ],
        );
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
