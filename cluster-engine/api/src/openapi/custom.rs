//! Schemas of custom kinds, as upstream publishes them.

use serde_json::{Map, Value, json};

use super::schemas::META;
use super::{Dialect, PathSpec};

/// The schema's name: `com.example.v1.CronTab` for group `example.com`.
pub(super) fn name(spec: &PathSpec) -> String {
    let group: Vec<&str> = spec.gvk.group.split('.').rev().collect();
    format!("{}.{}.{}", group.join("."), spec.gvk.version, spec.gvk.kind)
}

/// The kind's schema and that of its list.
pub(super) fn schemas(dialect: Dialect, spec: &PathSpec, schema: &Value) -> Vec<(String, Value)> {
    let gvk = |kind: String| json!([{"group": spec.gvk.group, "version": spec.gvk.version, "kind": kind}]);
    let name = name(spec);
    let open = schema["x-kubernetes-preserve-unknown-fields"] == true && dialect == Dialect::V2;
    let mut own = match (dialect, schema) {
        // kubectl would forbid whatever swagger does not name.
        _ if open => Map::new(),
        (Dialect::V2, schema) => swagger(schema),
        (_, Value::Object(schema)) => schema.clone(),
        _ => Map::new(),
    };
    own.entry("type").or_insert_with(|| "object".into());
    if !open && let Value::Object(properties) = own.entry("properties").or_insert_with(|| json!({})) {
        properties.extend(type_meta());
        let described = json!({"description": "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"});
        properties.insert("metadata".to_owned(), with_reference(dialect, "ObjectMeta", described));
    }
    own.insert("x-kubernetes-group-version-kind".to_owned(), gvk(spec.gvk.kind.clone()));
    let list_kind = format!("{}List", spec.gvk.kind);
    let mut properties = type_meta();
    let described = json!({"description": "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"});
    properties.insert("metadata".to_owned(), with_reference(dialect, "ListMeta", described));
    properties.insert(
        "items".to_owned(),
        json!({"description": format!("List of {}. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md", spec.plural),
            "type": "array", "items": dialect.reference(&name)}),
    );
    let list = json!({"description": format!("{list_kind} is a list of {}", spec.gvk.kind), "type": "object", "required": ["items"], "properties": properties,
        "x-kubernetes-group-version-kind": gvk(list_kind)});
    vec![(format!("{name}List"), list), (name, Value::Object(own))]
}

fn with_reference(dialect: Dialect, kind: &str, mut described: Value) -> Value {
    let reference = dialect.reference(&format!("{META}.{kind}"));
    match (&mut described, reference, dialect) {
        (Value::Object(out), reference, Dialect::V3) => {
            out.insert("allOf".to_owned(), json!([reference]));
        }
        (Value::Object(out), Value::Object(reference), Dialect::V2) => out.extend(reference),
        _ => {}
    }
    described
}

fn type_meta() -> Map<String, Value> {
    let text = |description: &str| json!({"type": "string", "description": description});
    Map::from_iter([
        (
            "apiVersion".to_owned(),
            text(
                "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources",
            ),
        ),
        (
            "kind".to_owned(),
            text(
                "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds",
            ),
        ),
    ])
}

/// What of a schema swagger can say (`ToStructuralOpenAPIV2`): no logic, no nullable, no defaults; an open or mixed value has no type.
fn swagger(schema: &Value) -> Map<String, Value> {
    let Value::Object(schema) = schema else { return Map::new() };
    let flag = |key: &str| schema.get(key) == Some(&Value::Bool(true));
    let open = flag("x-kubernetes-preserve-unknown-fields");
    let mut out = Map::new();
    for (key, value) in schema {
        let converted = match (key.as_str(), value) {
            ("allOf" | "anyOf" | "oneOf" | "not" | "nullable" | "default", _) => continue,
            ("type", _) if open || flag("nullable") || flag("x-kubernetes-int-or-string") => continue,
            ("items" | "properties" | "additionalProperties", _) if open || flag("nullable") => continue,
            ("properties", Value::Object(properties)) => {
                Value::Object(properties.iter().map(|(k, v)| (k.clone(), Value::Object(swagger(v)))).collect())
            }
            ("items" | "additionalProperties", value @ Value::Object(_)) => Value::Object(swagger(value)),
            (_, value) => value.clone(),
        };
        out.insert(key.clone(), converted);
    }
    out
}
