//! Validation of custom objects against OpenAPI v3, with the texts of upstream's validator.
//!
//! What an update leaves as it was is not checked again (ratcheting), so that a schema may become stricter.

use drydock_api::field::{FieldError, Path};
use serde_json::Value;

use super::formats;

/// Everything that is wrong with the object, or with what an update makes of `old`.
pub(super) fn validate(object: &Value, old: Option<&Value>, schema: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut top = schema.clone();
    if let Some(properties) = top.get_mut("properties").and_then(Value::as_object_mut) {
        // The server itself looks after these.
        for key in ["apiVersion", "kind", "metadata"] {
            properties.remove(key);
        }
    }
    check(object, old, &top, &Path::root(), "", &mut errors);
    errors
}

fn check(value: &Value, old: Option<&Value>, schema: &Value, path: &Path, shown: &str, errors: &mut Vec<FieldError>) {
    if old == Some(value) {
        return;
    }
    if value.is_null() {
        let nullable = schema.get("nullable").and_then(Value::as_bool).unwrap_or(false);
        if nullable || schema.get("type").is_none() {
            return;
        }
    }
    if !fits_type(value, schema) {
        let wanted = schema.get("type").and_then(Value::as_str).unwrap_or("");
        let text = format!("{} in body must be of type {wanted}: {}", name(shown), go_type(value));
        errors.push(FieldError::type_invalid(path, go_type_value(value), text));
        return;
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let texts: Vec<String> = allowed.iter().map(plain).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        errors.push(FieldError::not_supported(path, value.clone(), &texts));
    }
    match value {
        Value::String(text) => string(text, schema, path, shown, errors),
        Value::Number(_) => number(value, schema, path, shown, errors),
        Value::Array(items) => array(items, old, schema, path, shown, errors),
        Value::Object(_) => object(value, old, schema, path, shown, errors),
        _ => {}
    }
    combine(value, schema, path, shown, errors);
}

fn name(shown: &str) -> &str {
    if shown.is_empty() { "<nil>" } else { shown }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn fits_type(value: &Value, schema: &Value) -> bool {
    if schema.get("x-kubernetes-int-or-string").and_then(Value::as_bool) == Some(true) {
        return value.is_string() || value.is_i64() || value.is_u64();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        Some("number") => value.is_number(),
        _ => true,
    }
}

fn go_type(value: &Value) -> String {
    format!("\"{}\"", go_type_value(value))
}

fn go_type_value(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn size(schema: &Value, key: &str) -> Option<usize> {
    schema.get(key).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok())
}

fn string(text: &str, schema: &Value, path: &Path, shown: &str, errors: &mut Vec<FieldError>) {
    let length = text.chars().count();
    if let Some(most) = size(schema, "maxLength").filter(|most| length > *most) {
        errors.push(FieldError::too_long(path, most));
    }
    if let Some(least) = size(schema, "minLength").filter(|least| length < *least) {
        errors.push(FieldError::invalid(
            path,
            text,
            format!("{} in body should be at least {least} chars long", name(shown)),
        ));
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && regex::Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
    {
        errors.push(FieldError::invalid(path, text, format!("{} in body should match '{pattern}'", name(shown))));
    }
    let format = schema.get("format").and_then(Value::as_str).unwrap_or("");
    let fits = formats::fits(format, text);
    if !fits {
        errors.push(FieldError::invalid(
            path,
            text,
            format!("{} in body must be of type {format}: \"{text}\"", name(shown)),
        ));
    }
}

fn number(value: &Value, schema: &Value, path: &Path, shown: &str, errors: &mut Vec<FieldError>) {
    let Some(number) = value.as_f64() else { return };
    let exclusive = |key: &str| schema.get(key).and_then(Value::as_bool).unwrap_or(false);
    if let Some(most) = schema.get("maximum").and_then(Value::as_f64) {
        let (wrong, word) = if exclusive("exclusiveMaximum") {
            (number >= most, "less than")
        } else {
            (number > most, "less than or equal to")
        };
        if wrong {
            errors.push(FieldError::invalid(
                path,
                value.clone(),
                format!("{} in body should be {word} {most}", name(shown)),
            ));
        }
    }
    if let Some(least) = schema.get("minimum").and_then(Value::as_f64) {
        let (wrong, word) = if exclusive("exclusiveMinimum") {
            (number <= least, "greater than")
        } else {
            (number < least, "greater than or equal to")
        };
        if wrong {
            errors.push(FieldError::invalid(
                path,
                value.clone(),
                format!("{} in body should be {word} {least}", name(shown)),
            ));
        }
    }
    if let Some(step) = schema.get("multipleOf").and_then(Value::as_f64)
        && step > 0.0
        && (number / step).fract().abs() > 1e-9
    {
        errors.push(FieldError::invalid(
            path,
            value.clone(),
            format!("{} in body should be a multiple of {step}", name(shown)),
        ));
    }
}

fn array(items: &[Value], old: Option<&Value>, schema: &Value, path: &Path, shown: &str, errors: &mut Vec<FieldError>) {
    if let Some(most) = size(schema, "maxItems").filter(|most| items.len() > *most) {
        errors.push(FieldError::too_many(path, items.len(), most));
    }
    if let Some(least) = size(schema, "minItems").filter(|least| items.len() < *least) {
        errors.push(FieldError::invalid(
            path,
            items.len(),
            format!("{} in body should have at least {least} items", name(shown)),
        ));
    }
    let kind = schema.get("x-kubernetes-list-type").and_then(Value::as_str).unwrap_or("");
    let keys: Vec<&str> = schema
        .get("x-kubernetes-list-map-keys")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let identity = |item: &Value| match kind {
        "map" => {
            Value::Object(keys.iter().filter_map(|key| Some(((*key).to_owned(), item.get(*key)?.clone()))).collect())
        }
        _ => item.clone(),
    };
    if kind == "map" || kind == "set" || schema.get("uniqueItems").and_then(Value::as_bool) == Some(true) {
        let mut seen: Vec<Value> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let own = identity(item);
            if seen.contains(&own) {
                errors.push(FieldError::duplicate(&path.index(index), own.clone()));
            }
            seen.push(own);
        }
    }
    if let Some(inner) = schema.get("items") {
        for (index, item) in items.iter().enumerate() {
            let old = old.and_then(|old| super::rules::counterpart(item, old, schema));
            check(item, old, inner, &path.index(index), &format!("{shown}[{index}]"), errors);
        }
    }
}

fn object(value: &Value, old: Option<&Value>, schema: &Value, path: &Path, shown: &str, errors: &mut Vec<FieldError>) {
    let Some(fields) = value.as_object() else { return };
    let child = |key: &str| if path.as_str().is_empty() { Path::new(key) } else { path.child(key) };
    let deeper = |key: &str| if shown.is_empty() { key.to_owned() } else { format!("{shown}.{key}") };
    for key in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(key) {
            errors.push(FieldError::required(&child(key), ""));
        }
    }
    if let Some(most) = size(schema, "maxProperties").filter(|most| fields.len() > *most) {
        errors.push(FieldError::too_many(path, fields.len(), most));
    }
    if let Some(least) = size(schema, "minProperties").filter(|least| fields.len() < *least) {
        errors.push(FieldError::invalid(
            path,
            fields.len(),
            format!("{} in body should have at least {least} properties", name(shown)),
        ));
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let others = schema.get("additionalProperties").filter(|others| others.is_object());
    for (key, value) in fields {
        let old = old.and_then(|old| old.get(key));
        match (properties.and_then(|properties| properties.get(key)), others) {
            (Some(schema), _) => check(value, old, schema, &child(key), &deeper(key), errors),
            (None, Some(schema)) => check(value, old, schema, &path.key(key), &deeper(key), errors),
            (None, None) => {}
        }
    }
    if schema.get("x-kubernetes-embedded-resource").and_then(Value::as_bool) == Some(true) {
        for key in ["apiVersion", "kind"] {
            if fields.get(key).and_then(Value::as_str).is_none_or(str::is_empty) {
                errors.push(FieldError::required(&child(key), "must not be empty"));
            }
        }
    }
}

fn combine(value: &Value, schema: &Value, path: &Path, shown: &str, errors: &mut Vec<FieldError>) {
    let list = |key: &str| schema.get(key).and_then(Value::as_array).filter(|list| !list.is_empty());
    let fits = |schema: &Value| {
        let mut inner = Vec::new();
        check(value, None, schema, path, shown, &mut inner);
        inner.is_empty()
    };
    for schema in list("allOf").into_iter().flatten() {
        check(value, None, schema, path, shown, errors);
    }
    if list("anyOf").is_some_and(|list| !list.iter().any(fits)) {
        errors.push(FieldError::invalid(
            path,
            value.clone(),
            format!("{} in body must validate at least one schema (anyOf)", name(shown)),
        ));
    }
    if list("oneOf").is_some_and(|list| list.iter().filter(|schema| fits(schema)).count() != 1) {
        errors.push(FieldError::invalid(
            path,
            value.clone(),
            format!("{} in body must validate one and only one schema (oneOf)", name(shown)),
        ));
    }
    if schema.get("not").is_some_and(fits) {
        errors.push(FieldError::invalid(
            path,
            value.clone(),
            format!("{} in body must not validate the schema (not)", name(shown)),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check_spec(spec: Value, expected: &[&str]) {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 1}, "mode": {"type": "string", "enum": ["a", "b"]}, "name": {"type": "string", "pattern": "^x"},
            "port": {"x-kubernetes-int-or-string": true}, "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}}}}});
        let errors: Vec<String> = validate(&json!({"apiVersion": "g/v1", "metadata": {}, "spec": spec}), None, &schema)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(errors, expected);
    }

    #[test]
    fn objects_are_checked_with_upstreams_texts() {
        check_spec(json!({"size": 1, "mode": "a", "name": "xy", "port": "http", "tags": ["a"]}), &[]);
        check_spec(json!({}), &["spec.size: Required value"]);
        check_spec(
            json!({"size": 0}),
            &["spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"],
        );
        check_spec(
            json!({"size": "1"}),
            &["spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\""],
        );
        check_spec(
            json!({"size": 1, "mode": "c"}),
            &["spec.mode: Unsupported value: \"c\": supported values: \"a\", \"b\""],
        );
        check_spec(
            json!({"size": 1, "name": "y"}),
            &["spec.name: Invalid value: \"y\": spec.name in body should match '^x'"],
        );
        check_spec(json!({"size": 1, "tags": ["a", "a"]}), &["spec.tags[1]: Duplicate value: \"a\""]);
    }

    #[test]
    fn what_was_wrong_before_may_stay() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "integer", "maximum": 5}, "b": {"type": "integer", "maximum": 5},
            "l": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"],
                "items": {"type": "object", "properties": {"n": {"type": "string"}, "v": {"type": "integer", "maximum": 5}}}}}});
        let check = |new: Value, old: Value| validate(&new, Some(&old), &schema).len();
        assert_eq!(check(json!({"a": 9, "b": 1}), json!({"a": 9})), 0);
        assert_eq!(check(json!({"a": 9, "b": 7}), json!({"a": 9})), 1);
        let list = |v: i64| json!([{"n": "x", "v": v}, {"n": "y", "v": 1}]);
        assert_eq!(check(json!({"l": list(9), "a": 1}), json!({"l": [{"n": "x", "v": 9}]})), 0);
        assert_eq!(check(json!({"l": list(8)}), json!({"l": list(9)})), 1);
    }
}
