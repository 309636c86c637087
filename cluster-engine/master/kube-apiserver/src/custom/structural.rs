//! Pruning and defaults by a structural schema.

use serde_json::{Map, Value};

fn flag(schema: &Value, key: &str) -> bool {
    schema.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// Takes out every field that the schema does not name; their paths are added to `unknown`.
pub(super) fn prune(object: &mut Value, schema: &Value, unknown: &mut Vec<String>) {
    walk(object, schema, "", true, unknown);
}

fn walk(value: &mut Value, schema: &Value, path: &str, resource: bool, unknown: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let keep = flag(schema, "x-kubernetes-preserve-unknown-fields");
            let properties = schema.get("properties").and_then(Value::as_object);
            let others = schema.get("additionalProperties").filter(|others| **others != Value::Bool(false));
            let resource = resource || flag(schema, "x-kubernetes-embedded-resource");
            fields.retain(|key, value| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if resource && matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
                    return true;
                }
                match (properties.and_then(|properties| properties.get(key)), others) {
                    (Some(schema), _) => walk(value, schema, &path, false, unknown),
                    (None, Some(Value::Bool(_))) => {}
                    (None, Some(schema)) => walk(value, schema, &path, false, unknown),
                    (None, None) if keep => {}
                    (None, None) => {
                        unknown.push(path);
                        return false;
                    }
                }
                true
            });
        }
        Value::Array(items) => {
            let schema = schema.get("items").unwrap_or(&Value::Null);
            for (index, item) in items.iter_mut().enumerate() {
                walk(item, schema, &format!("{path}[{index}]"), false, unknown);
            }
        }
        _ => {}
    }
}

/// Fills in the schema's defaults, deepest last; a null where null is not allowed counts as missing.
pub(super) fn default(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(fields) => {
            for (key, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                drop_null(fields, key, schema);
                if !fields.contains_key(key)
                    && let Some(given) = schema.get("default")
                {
                    fields.insert(key.clone(), given.clone());
                }
                if let Some(value) = fields.get_mut(key) {
                    default(value, schema);
                }
            }
            if let Some(others) = schema.get("additionalProperties").filter(|others| others.is_object()) {
                fields.values_mut().for_each(|value| default(value, others));
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| default(item, schema));
            }
        }
        _ => {}
    }
}

fn drop_null(fields: &mut Map<String, Value>, key: &str, schema: &Value) {
    if fields.get(key).is_some_and(Value::is_null) && !flag(schema, "nullable") {
        fields.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_fields_go_and_defaults_come() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "size": {"type": "integer", "default": 3},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"default": 1}}}},
            "list": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "string"}}}}}}}});
        let mut object = json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "x", "labels": {}}, "extra": 1,
            "spec": {"size": null, "free": {"any": 1}, "map": {"k": {}}, "list": [{"n": "a", "m": 1}]}});
        let mut unknown = Vec::new();
        prune(&mut object, &schema, &mut unknown);
        default(&mut object, &schema);
        assert_eq!(unknown, ["extra", "spec.list[0].m"]);
        assert_eq!(
            object["spec"],
            json!({"size": 3, "free": {"any": 1}, "map": {"k": {"a": 1}}, "list": [{"n": "a"}]})
        );
        assert_eq!(object["metadata"]["name"], "x");
    }
}
