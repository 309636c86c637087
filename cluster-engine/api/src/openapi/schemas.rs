//! Schemas of built-in types.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::Dialect;
use crate::schema::{Descriptions, Field, Kind, ListType, Shape, Type, table};

/// The package of the types every group uses.
pub(super) const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// The name of the schema that a kind of scalar has of its own.
fn scalar_name(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Time => "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
        Kind::MicroTime => "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
        Kind::FieldsV1 => "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
        Kind::Quantity => "io.k8s.apimachinery.pkg.api.resource.Quantity",
        Kind::IntOrString => "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        Kind::RawExtension => "io.k8s.apimachinery.pkg.runtime.RawExtension",
        Kind::Json => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
        Kind::SchemaOrBool => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool",
        Kind::SchemaOrArray => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray",
        Kind::SchemaOrStrings => {
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray"
        }
        _ => return None,
    })
}

fn reference(shape: Shape<'_>) -> Option<String> {
    scalar_name(shape.kind()).map(str::to_owned).or_else(|| shape.ty().map(|ty| ty.name().to_owned()))
}

/// The named types and all they refer to, sorted.
pub(super) fn reachable(mut open: Vec<String>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let Some(ty) = table().by_name(&name) else { continue };
        for field in ty.fields() {
            let mut shape = field.shape();
            while let Some(items) = shape.items() {
                shape = items;
            }
            open.extend(reference(shape));
        }
    }
    seen
}

/// The schema of one type.
pub(super) fn definition(dialect: Dialect, ty: Type<'_>, descriptions: &mut Descriptions, kinds: &Kinds) -> Value {
    let texts: Vec<&str> = descriptions.of(ty).collect();
    let mut out = Map::new();
    if let Some(text) = texts.first().filter(|text| !text.is_empty()) {
        out.insert("description".to_owned(), (*text).into());
    }
    let kind = Kind::ALL.into_iter().find(|kind| scalar_name(*kind) == Some(ty.name()));
    if let Some(kind) = kind {
        out.extend(scalar(dialect, kind));
        return Value::Object(out);
    }
    out.insert("type".to_owned(), "object".into());
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (index, field) in ty.fields().enumerate() {
        properties.insert(
            field.name().to_owned(),
            property(dialect, field, texts.get(index + 1).copied().unwrap_or_default()),
        );
        // What the schemas of k8s-openapi ask for is what its types have; upstream lets every object leave its metadata out.
        if field.required() && field.name() != "metadata" {
            required.push(field.name());
        }
    }
    if !properties.is_empty() {
        out.insert("properties".to_owned(), Value::Object(properties));
    }
    if !required.is_empty() {
        out.insert("required".to_owned(), json!(required));
    }
    if ty.is_atomic() {
        out.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
    }
    if let Some(kinds) = kinds.0.get(&ty.id()) {
        out.insert("x-kubernetes-group-version-kind".to_owned(), Value::Array(kinds.clone()));
    }
    Value::Object(out)
}

/// `x-kubernetes-group-version-kind` of every type that has one, by the type's number.
pub(super) struct Kinds(BTreeMap<u32, Vec<Value>>);

impl Kinds {
    /// Reads them off the table. Options and events belong to every group version.
    pub(super) fn new() -> Self {
        let entry = |group: &str, version: &str, kind: &str| json!({"group": group, "kind": kind, "version": version});
        let (mut kinds, mut versions) = (BTreeMap::<u32, Vec<Value>>::new(), BTreeSet::new());
        for (gvk, ty) in table().gvks() {
            kinds.entry(ty.id()).or_default().push(entry(&gvk.group, &gvk.version, &gvk.kind));
            versions.insert((gvk.group, gvk.version));
        }
        for kind in ["DeleteOptions", "WatchEvent"] {
            if let Some(ty) = table().by_name(&format!("{META}.{kind}")) {
                kinds.insert(ty.id(), versions.iter().map(|(group, version)| entry(group, version, kind)).collect());
            }
        }
        Self(kinds)
    }
}

fn scalar(dialect: Dialect, kind: Kind) -> Map<String, Value> {
    let schema = match (kind, dialect) {
        (Kind::Time | Kind::MicroTime, _) => json!({"type": "string", "format": "date-time"}),
        (Kind::FieldsV1 | Kind::RawExtension, _) => json!({"type": "object"}),
        (Kind::Quantity, Dialect::V2) => json!({"type": "string"}),
        (Kind::Quantity, Dialect::V3) => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        (Kind::IntOrString, Dialect::V2) => json!({"type": "string", "format": "int-or-string"}),
        (Kind::IntOrString, Dialect::V3) => {
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
        }
        _ => json!({}),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// The schema of a shape without description.
fn shape_schema(dialect: Dialect, shape: Shape<'_>) -> Value {
    if let Some(name) = reference(shape) {
        return dialect.reference(&name);
    }
    let mut schema = match (shape.kind(), shape.items()) {
        (Kind::String | Kind::Duration, _) => json!({"type": "string"}),
        (Kind::Bool, _) => json!({"type": "boolean"}),
        (Kind::Int32, _) => json!({"type": "integer", "format": "int32"}),
        (Kind::Int64, _) => json!({"type": "integer", "format": "int64"}),
        (Kind::Double, _) => json!({"type": "number", "format": "double"}),
        (Kind::Bytes, _) => json!({"type": "string", "format": "byte"}),
        (Kind::Map, Some(items)) => json!({"type": "object", "additionalProperties": shape_schema(dialect, items)}),
        (Kind::List, Some(items)) => json!({"type": "array", "items": shape_schema(dialect, items)}),
        _ => json!({"type": "object"}),
    };
    if let Value::Object(schema) = &mut schema {
        let list_type = match shape.list_type() {
            ListType::Unset => None,
            ListType::Atomic => Some("atomic"),
            ListType::Set => Some("set"),
            ListType::Map => Some("map"),
        };
        if let Some(list_type) = list_type {
            schema.insert("x-kubernetes-list-type".to_owned(), list_type.into());
        }
        let keys: Vec<&str> = shape.keys().collect();
        if !keys.is_empty() {
            schema.insert("x-kubernetes-list-map-keys".to_owned(), json!(keys));
        }
    }
    schema
}

fn property(dialect: Dialect, field: Field<'_>, description: &str) -> Value {
    let shape = field.shape();
    let mut schema = match shape_schema(dialect, shape) {
        Value::Object(schema) => schema,
        _ => Map::new(),
    };
    let mut extras = Map::new();
    if !description.is_empty() {
        extras.insert("description".to_owned(), description.into());
    }
    if let Ok(default) = serde_json::from_str::<Value>(field.default_json()) {
        extras.insert("default".to_owned(), default);
    }
    if let Some(strategy) = field.patch_strategy() {
        extras.insert("x-kubernetes-patch-strategy".to_owned(), strategy.into());
    }
    if !field.merge_key().is_empty() {
        extras.insert("x-kubernetes-patch-merge-key".to_owned(), field.merge_key().into());
    }
    if shape.is_atomic() && shape.ty().is_none_or(|ty| !ty.is_atomic()) {
        extras.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
    }
    // In v3 a reference stands alone, so its companions go beside an allOf.
    if dialect == Dialect::V3 && schema.contains_key("$ref") && !extras.is_empty() {
        schema = Map::from_iter([("allOf".to_owned(), Value::Array(vec![Value::Object(schema)]))]);
    }
    schema.extend(extras);
    Value::Object(schema)
}
