//! Types of custom resources, made at run time from their OpenAPI structural schema.

use serde_json::{Map, Value};

use super::builtin::table;
use super::format::{Builder, FieldDef, Kind, ListType, ShapeDef, TypeDef, field_flag, shape_flag, type_flag};
use super::view::Schema;
use crate::meta::Gvk;

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// Deeper schemas are refused; upstream's own limit is the size of the object.
const MAX_DEPTH: usize = 100;

/// Why a schema cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StructuralError {
    /// A part of the schema is no JSON object.
    #[error("{path}: must be an object")]
    NotAnObject {
        /// Where.
        path: String,
    },
    /// Schemas nest too deep.
    #[error("{path}: nested too deep")]
    TooDeep {
        /// Where.
        path: String,
    },
}

/// Makes a schema that holds `gvk` (and the structs below it) from `openAPIV3Schema`. `metadata`, `apiVersion` and `kind` are the built-in ones.
///
/// The block says how the object is pruned and how it merges under server-side apply; what values are valid is for validation, which reads the
/// original schema.
///
/// # Errors
/// If a part that must be an object is none.
pub fn from_structural(gvk: &Gvk, openapi: &Value) -> Result<Schema, StructuralError> {
    let mut walk = Walk { builder: Builder::default() };
    let root = format!("{}.{}.{}", gvk.group, gvk.version, gvk.kind);
    let openapi = object(openapi, "openAPIV3Schema")?;
    let mut definition = walk.structure(openapi, &root, "openAPIV3Schema", 0)?;
    gvk.kind.clone_into(&mut definition.go_name);
    definition.gvks.push((gvk.group.clone(), gvk.version.clone(), gvk.kind.clone()));
    definition.fields.retain(|field| !matches!(field.name.as_str(), "apiVersion" | "kind" | "metadata"));
    for name in ["apiVersion", "kind"] {
        definition.fields.push(FieldDef::new(name, ShapeDef::of(Kind::String)));
    }
    definition
        .fields
        .push(FieldDef { flags: field_flag::VALUE, ..FieldDef::new("metadata", ShapeDef::object(OBJECT_META)) });
    walk.builder.add(definition);
    Ok(Schema::from_bytes(walk.builder.build(|name| table().by_name(name).map(|ty| ty.id()))))
}

struct Walk {
    builder: Builder,
}

fn object<'a>(value: &'a Value, path: &str) -> Result<&'a Map<String, Value>, StructuralError> {
    value.as_object().ok_or_else(|| StructuralError::NotAnObject { path: path.to_owned() })
}

fn flag(schema: &Map<String, Value>, name: &str) -> bool {
    schema.get(name) == Some(&Value::Bool(true))
}

fn text<'a>(schema: &'a Map<String, Value>, name: &str) -> &'a str {
    schema.get(name).and_then(Value::as_str).unwrap_or_default()
}

impl Walk {
    /// A struct from `properties`.
    fn structure(
        &mut self,
        schema: &Map<String, Value>,
        name: &str,
        path: &str,
        depth: usize,
    ) -> Result<TypeDef, StructuralError> {
        let mut out = TypeDef {
            name: name.to_owned(),
            go_name: name.rsplit('.').next().unwrap_or(name).to_owned(),
            ..TypeDef::default()
        };
        if flag(schema, "x-kubernetes-preserve-unknown-fields") {
            out.flags |= type_flag::PRESERVE;
        }
        if text(schema, "x-kubernetes-map-type") == "atomic" {
            out.flags |= type_flag::ATOMIC;
        }
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        if let Some(properties) = schema.get("properties") {
            for (property, inner) in object(properties, &format!("{path}.properties"))? {
                let inner_path = format!("{path}.properties[{property}]");
                let shape = self.shape(inner, &format!("{name}.{property}"), &inner_path, depth + 1)?;
                let mut field = FieldDef::new(property, shape);
                if required.contains(&property.as_str()) {
                    field.flags |= field_flag::REQUIRED;
                }
                if let Some(default) = inner.get("default") {
                    field.default = default.to_string();
                }
                out.fields.push(field);
            }
        }
        Ok(out)
    }

    fn shape(&mut self, schema: &Value, name: &str, path: &str, depth: usize) -> Result<ShapeDef, StructuralError> {
        if depth > MAX_DEPTH {
            return Err(StructuralError::TooDeep { path: path.to_owned() });
        }
        let schema = object(schema, path)?;
        let preserve = flag(schema, "x-kubernetes-preserve-unknown-fields");
        let mut shape = match (text(schema, "type"), text(schema, "format")) {
            _ if flag(schema, "x-kubernetes-int-or-string") => ShapeDef::of(Kind::IntOrString),
            ("string", _) => ShapeDef::of(Kind::String),
            ("boolean", _) => ShapeDef::of(Kind::Bool),
            ("integer", "int32") => ShapeDef::of(Kind::Int32),
            ("integer", _) => ShapeDef::of(Kind::Int64),
            ("number", _) => ShapeDef::of(Kind::Double),
            ("array", _) => self.list(schema, name, path, depth)?,
            ("object", _) => match schema.get("additionalProperties") {
                Some(Value::Object(values)) => {
                    let values = self.shape(
                        &Value::Object(values.clone()),
                        &format!("{name}.*"),
                        &format!("{path}.additionalProperties"),
                        depth + 1,
                    )?;
                    ShapeDef::map(values)
                }
                Some(Value::Bool(true)) => ShapeDef::map(ShapeDef::of(Kind::Any)),
                _ if preserve
                    && !schema.contains_key("properties")
                    && !flag(schema, "x-kubernetes-embedded-resource") =>
                {
                    ShapeDef::of(Kind::Any)
                }
                _ => {
                    let definition = self.structure(schema, name, path, depth)?;
                    self.builder.add(definition);
                    ShapeDef::object(name)
                }
            },
            _ => ShapeDef::of(Kind::Any),
        };
        if flag(schema, "nullable") {
            shape.flags |= shape_flag::NULLABLE;
        }
        if preserve {
            shape.flags |= shape_flag::PRESERVE;
        }
        if flag(schema, "x-kubernetes-embedded-resource") {
            shape.flags |= shape_flag::EMBEDDED;
        }
        if text(schema, "x-kubernetes-map-type") == "atomic" {
            shape.flags |= shape_flag::ATOMIC;
        }
        Ok(shape)
    }

    fn list(
        &mut self,
        schema: &Map<String, Value>,
        name: &str,
        path: &str,
        depth: usize,
    ) -> Result<ShapeDef, StructuralError> {
        let items = match schema.get("items") {
            Some(items) => self.shape(items, &format!("{name}[]"), &format!("{path}.items"), depth + 1)?,
            None => ShapeDef::of(Kind::Any),
        };
        let mut shape = ShapeDef::list(items);
        shape.list_type = match text(schema, "x-kubernetes-list-type") {
            "set" => ListType::Set,
            "map" => ListType::Map,
            _ => ListType::Atomic,
        };
        let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
        shape.keys = keys.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(shape)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apply::{self, Writer};
    use crate::check::check_json;

    fn schema() -> Schema {
        let openapi = json!({"type": "object", "properties": {
            "spec": {"type": "object", "required": ["list"], "properties": {
                "n": {"type": "integer", "default": 1},
                "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "string"}}}},
                "pod": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"spec": {"type": "object"}}},
                "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "properties": {"name": {"type": "string"}, "v": {"x-kubernetes-int-or-string": true}}}}}}}});
        from_structural(&Gvk::new("e.com", "v1", "Cron"), &openapi).unwrap()
    }

    #[test]
    fn prunes_what_it_does_not_know() {
        let schema = schema();
        let ty = schema.by_gvk(&Gvk::new("e.com", "v1", "Cron")).unwrap();
        let body = br#"{"apiVersion":"e.com/v1","kind":"Cron","metadata":{"name":"a","labels":{"x":"y"},"nope":1},"x":1,"spec":{"n":1,"n":2,"any":{"k":[1]},
            "map":{"q":{"a":"b","c":1}},"list":[{"name":"a","z":1}],"pod":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p"},"status":{}}}}"#;
        let checked = check_json(body, ty).unwrap();
        assert_eq!(
            checked.value,
            json!({"apiVersion": "e.com/v1", "kind": "Cron", "metadata": {"name": "a", "labels": {"x": "y"}},
                "spec": {"n": 2, "any": {"k": [1]}, "map": {"q": {"a": "b"}}, "list": [{"name": "a"}], "pod": {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p"}}}})
        );
        assert_eq!(
            checked.strict,
            [
                r#"duplicate field "spec.n""#,
                r#"unknown field "metadata.nope""#,
                r#"unknown field "x""#,
                r#"unknown field "spec.list[0].z""#,
                r#"unknown field "spec.map.q.c""#,
                r#"unknown field "spec.pod.status""#
            ]
        );
        let error = check_json(br#"{"metadata":{"labels":{"a":1}}}"#, ty).unwrap_err();
        assert_eq!(
            error.0,
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"
        );
    }

    #[test]
    fn merges_by_its_keys() {
        let schema = schema();
        let ty = schema.by_gvk(&Gvk::new("e.com", "v1", "Cron")).unwrap();
        let object = |items: Value| json!({"apiVersion": "e.com/v1", "kind": "Cron", "metadata": {"name": "a", "uid": "u"}, "spec": {"list": items}});
        let writer = |manager| Writer {
            manager,
            subresource: "",
            api_version: "e.com/v1",
            now: "2026-11-21T08:00:00Z",
            reset_fields: &[],
        };
        let live =
            apply::apply(&json!({"metadata": {}}), &object(json!([{"name": "a", "v": 1}])), writer("a"), false, ty)
                .unwrap();
        let both = apply::apply(&live, &object(json!([{"name": "b", "v": "2"}])), writer("b"), false, ty).unwrap();
        assert_eq!(both["spec"]["list"], json!([{"name": "a", "v": 1}, {"name": "b", "v": "2"}]));
        assert_eq!(
            both["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:list"],
            json!({"k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:v": {}}})
        );
    }

    #[test]
    fn the_root_keeps_metadata() {
        let schema = from_structural(
            &Gvk::new("e.com", "v1", "X"),
            &json!({"type": "object", "properties": {"metadata": {"type": "object"}}}),
        )
        .unwrap();
        let ty = schema.by_gvk(&Gvk::new("e.com", "v1", "X")).unwrap();
        assert_eq!(ty.field("metadata").unwrap().shape().ty().map(|t| t.name()), Some(OBJECT_META));
        assert_eq!(
            from_structural(&Gvk::default(), &json!({"type": "object", "properties": {"a": 1}})).map(drop),
            Err(StructuralError::NotAnObject { path: "openAPIV3Schema.properties[a]".to_owned() })
        );
    }
}
