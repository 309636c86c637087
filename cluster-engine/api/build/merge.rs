//! Brings JSON schemas and protobuf messages together into the types of the schema block.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::{Builder, FieldDef, Kind, ListType, ShapeDef, TypeDef, field_flag, shape_flag, type_flag};
use crate::literal::{Definition, Literal};
use crate::proto::{self, Member, Message, Messages};
use crate::rules;

/// The outcome: types to write and what describes them.
pub(crate) struct Merged {
    /// The types.
    pub(crate) builder: Builder,
    /// By type, in the block's order: its description, then its fields' in order.
    pub(crate) descriptions: Vec<(String, Vec<String>)>,
}

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// Kinds of `meta/v1` that OpenAPI does not define but clients send in protobuf.
const OPTION_KINDS: [&str; 5] = ["CreateOptions", "GetOptions", "ListOptions", "PatchOptions", "UpdateOptions"];

/// Makes every type.
pub(crate) fn merge(definitions: &BTreeMap<String, Definition>, messages: &Messages) -> Merged {
    let mut merge = Merge { definitions, messages, types: BTreeMap::new(), texts: BTreeMap::new() };
    for (name, definition) in definitions {
        merge.definition(name, definition);
        if let (Some(kind), Some(gvk)) = (&definition.list_kind, &definition.gvk) {
            merge.list(name, kind, gvk);
        }
    }
    for kind in OPTION_KINDS {
        merge.option_kind(kind);
    }
    let Merge { types, mut texts, .. } = merge;
    let mut builder = Builder::default();
    let mut descriptions = Vec::new();
    for (name, definition) in types {
        let mut names: Vec<&str> =
            definition.fields.iter().filter(|f| f.flags & field_flag::INLINE == 0).map(|f| f.name.as_str()).collect();
        names.sort_unstable();
        let mut of_type = texts.remove(&name).unwrap_or_default();
        let mut row = vec![of_type.remove("").unwrap_or_default()];
        row.extend(names.iter().map(|field| of_type.remove(*field).unwrap_or_default()));
        descriptions.push((name, row));
        builder.add(definition);
    }
    Merged { builder, descriptions }
}

struct Merge<'a> {
    definitions: &'a BTreeMap<String, Definition>,
    messages: &'a Messages,
    types: BTreeMap<String, TypeDef>,
    /// Descriptions by type, then field; the type's own under the empty name.
    texts: BTreeMap<String, BTreeMap<String, String>>,
}

/// The kind of types that are no structs in JSON.
fn special(name: &str) -> Option<Kind> {
    Some(match name.strip_prefix("io.k8s.")? {
        "apimachinery.pkg.apis.meta.v1.Time" => Kind::Time,
        "apimachinery.pkg.apis.meta.v1.MicroTime" => Kind::MicroTime,
        "apimachinery.pkg.apis.meta.v1.FieldsV1" => Kind::FieldsV1,
        "apimachinery.pkg.api.resource.Quantity" => Kind::Quantity,
        "apimachinery.pkg.util.intstr.IntOrString" => Kind::IntOrString,
        "apimachinery.pkg.runtime.RawExtension" => Kind::RawExtension,
        "apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON" => Kind::Json,
        "apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool" => Kind::SchemaOrBool,
        "apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray" => Kind::SchemaOrArray,
        "apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray" => Kind::SchemaOrStrings,
        _ => return None,
    })
}

fn shape(schema: &Literal) -> ShapeDef {
    if let Literal::Ref { name, .. } = schema {
        return special(name).map_or_else(|| ShapeDef::object(name.clone()), ShapeDef::of);
    }
    match (schema.text("type"), schema.text("format")) {
        ("string", "byte") => ShapeDef::of(Kind::Bytes),
        ("string", _) => ShapeDef::of(Kind::String),
        ("boolean", _) => ShapeDef::of(Kind::Bool),
        ("integer", "int64") => ShapeDef::of(Kind::Int64),
        ("integer", _) => ShapeDef::of(Kind::Int32),
        ("number", _) => ShapeDef::of(Kind::Double),
        ("array", _) => ShapeDef::list(schema.get("items").map_or_else(|| ShapeDef::of(Kind::Any), shape)),
        ("object", _) => match schema.get("additionalProperties") {
            Some(values) => ShapeDef::map(shape(values)),
            None => ShapeDef::of(Kind::Any),
        },
        _ => ShapeDef::of(Kind::Any),
    }
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

impl Merge<'_> {
    /// The message of a type: of the same name, or of another version of the same group where the sources' ages differ.
    fn message(&self, name: &str) -> Option<&Message> {
        let direct = self.messages.get(&proto::key(name));
        direct.or_else(|| {
            let (package, kind) = name.rsplit_once('.')?;
            let (group, _) = package.rsplit_once('.')?;
            ["v1", "v1beta2", "v1beta1", "v1alpha3", "v1alpha2", "v1alpha1"]
                .iter()
                .find_map(|version| self.messages.get(&proto::key(&format!("{group}.{version}.{kind}"))))
        })
    }

    fn definition(&mut self, name: &str, definition: &Definition) {
        let schema = &definition.schema;
        self.texts.entry(name.to_owned()).or_default().insert(String::new(), schema.text("description").to_owned());
        let mut out = TypeDef { name: name.to_owned(), go_name: last(name).to_owned(), ..TypeDef::default() };
        let message = self.message(name).cloned();
        if let Some(Literal::Map(properties)) = schema.get("properties") {
            let required: BTreeSet<&str> = match schema.get("required") {
                Some(Literal::List(items)) => {
                    items.iter().filter_map(|i| if let Literal::Str(s) = i { Some(s.as_str()) } else { None }).collect()
                }
                _ => BTreeSet::new(),
            };
            for (field_name, property) in properties {
                let member = message.as_ref().and_then(|m| find(m, field_name));
                let mut field = self.field(name, field_name, shape(property), member);
                if required.contains(field_name.as_str()) {
                    field.flags |= field_flag::REQUIRED;
                }
                let text = match property {
                    Literal::Ref { description, .. } => description.clone(),
                    other => other.text("description").to_owned(),
                };
                self.texts.entry(name.to_owned()).or_default().insert(field_name.clone(), text);
                out.fields.push(field);
            }
        }
        if let Some(message) = &message {
            if proto::markers(&message.doc, "structType").contains(&"atomic") {
                out.flags |= type_flag::ATOMIC;
            }
            if special(name).is_none() {
                self.inline(&mut out, message);
            }
        }
        if let Some(gvk) = &definition.gvk {
            out.gvks.push(gvk.clone());
        }
        if matches!(name.strip_prefix(META), Some(".DeleteOptions" | ".Status" | ".WatchEvent")) {
            out.gvks.push((String::new(), "v1".to_owned(), last(name).to_owned()));
        }
        self.types.insert(out.name.clone(), out);
    }

    fn field(&self, owner: &str, name: &str, mut shape: ShapeDef, member: Option<&Member>) -> FieldDef {
        let mut field = FieldDef::new(name, ShapeDef::of(Kind::Any));
        if rules::is_pointer(owner, name) {
            field.flags |= field_flag::POINTER;
        }
        if shape.kind == Kind::Object && rules::is_value(owner, name) {
            field.flags |= field_flag::VALUE;
        }
        if let Some(member) = member {
            field.tag = member.tag;
            refine(&mut shape, member);
            let strategy = member.marker("patchStrategy");
            self.patch(&mut field, strategy, member.marker("patchMergeKey"));
            let default = member.marker("default");
            if !default.starts_with("ref(") {
                field.default = default.to_owned();
            }
        }
        if let Some((_, _, strategy, key)) = rules::PATCHES.iter().find(|(t, f, ..)| *t == owner && *f == name) {
            self.patch(&mut field, strategy, key);
        }
        field.shape = shape;
        field
    }

    fn patch(&self, field: &mut FieldDef, strategy: &str, key: &str) {
        for word in strategy.split(',') {
            field.flags |= match word.trim() {
                "merge" => field_flag::MERGE,
                "retainKeys" => field_flag::RETAIN_KEYS,
                "replace" => field_flag::REPLACE,
                _ => 0,
            };
        }
        key.clone_into(&mut field.merge_key);
    }

    /// Finds protobuf fields that JSON lays flat, and makes the struct each refers to if OpenAPI has none.
    fn inline(&mut self, out: &mut TypeDef, message: &Message) {
        let names: BTreeMap<String, FieldDef> =
            out.fields.iter().map(|f| (proto::normal(&f.name), f.clone())).collect();
        for member in message
            .fields
            .iter()
            .filter(|m| m.attribute.starts_with("message, optional") && !names.contains_key(&proto::normal(&m.name)))
        {
            let Some(target) = proto::target(self.messages, &message.module, &member.rust_type).cloned() else {
                continue;
            };
            let Some(fields) = self.flat_fields(&out.name, &names, &target) else { continue };
            // What the struct's comments say of lists and patches holds for the owner's flat fields too.
            for inner in &fields {
                if let Some(outer) =
                    out.fields.iter_mut().find(|f| f.name == inner.name && f.flags & field_flag::INLINE == 0)
                {
                    let required = outer.flags & field_flag::REQUIRED;
                    *outer = FieldDef { tag: 0, flags: inner.flags | required, ..inner.clone() };
                }
            }
            let target_name = format!("io.k8s.{}.{}", target.module, target.name);
            let target_key = proto::key(&target_name);
            let existing = self.definitions.keys().find(|name| proto::key(name) == target_key).cloned();
            let target_name = existing.unwrap_or_else(|| {
                let mut inner = TypeDef {
                    name: target_name.clone(),
                    go_name: out.go_name.clone(),
                    flags: type_flag::PROTO_ONLY,
                    ..TypeDef::default()
                };
                inner.fields = fields;
                self.types.insert(target_name.clone(), inner);
                target_name
            });
            let mut field = FieldDef::new(&member.name, ShapeDef::object(target_name));
            field.tag = member.tag;
            field.flags = field_flag::INLINE;
            out.fields.push(field);
        }
    }

    /// The target's fields taken from the owner, if the owner has all of them.
    fn flat_fields(&self, owner: &str, names: &BTreeMap<String, FieldDef>, target: &Message) -> Option<Vec<FieldDef>> {
        let mut fields = Vec::new();
        for member in &target.fields {
            let Some(outer) = names.get(&proto::normal(&member.name)) else {
                // One level deeper: NamedRuleWithOperations holds RuleWithOperations, which holds Rule.
                let inner = proto::target(self.messages, &target.module, &member.rust_type)?;
                self.flat_fields(owner, names, inner)?;
                continue;
            };
            fields.push(self.field(owner, &outer.name, outer.shape.clone(), Some(member)));
        }
        Some(fields)
    }

    fn list(&mut self, item: &str, list_kind: &str, gvk: &(String, String, String)) {
        let package = item.rsplit_once('.').map_or("", |(package, _)| package);
        let name = format!("{package}.{list_kind}");
        let mut out = TypeDef { name: name.clone(), go_name: list_kind.to_owned(), ..TypeDef::default() };
        let mut texts = BTreeMap::from([
            (String::new(), format!("{list_kind} is a list of {}", last(item))),
            ("apiVersion".to_owned(), "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources".to_owned()),
            ("kind".to_owned(), "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds".to_owned()),
            ("metadata".to_owned(), "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds".to_owned()),
            ("items".to_owned(), format!("items is the list of {}", last(item))),
        ]);
        if let Some(message) = self.message(&name) {
            let text = proto::description(&message.doc);
            if !text.is_empty() {
                texts.insert(String::new(), text);
            }
            for (field, text) in
                ["metadata", "items"].into_iter().filter_map(|f| Some((f, proto::description(&find(message, f)?.doc))))
            {
                if !text.is_empty() {
                    texts.insert(field.to_owned(), text);
                }
            }
        }
        for (field, shape, tag) in [
            ("apiVersion", ShapeDef::of(Kind::String), 0),
            ("kind", ShapeDef::of(Kind::String), 0),
            ("metadata", ShapeDef::object(format!("{META}.ListMeta")), 1),
            ("items", ShapeDef::list(ShapeDef::object(item)), 2),
        ] {
            let mut field = FieldDef::new(field, shape);
            field.tag = tag;
            if field.name == "items" {
                field.flags |= field_flag::REQUIRED;
            }
            out.fields.push(field);
        }
        out.gvks.push((gvk.0.clone(), gvk.1.clone(), list_kind.to_owned()));
        self.texts.insert(name.clone(), texts);
        self.types.insert(name, out);
    }

    fn option_kind(&mut self, kind: &str) {
        let name = format!("{META}.{kind}");
        let Some(message) = self.message(&name).cloned() else { return };
        let mut out = TypeDef {
            name: name.clone(),
            go_name: kind.to_owned(),
            flags: type_flag::PROTO_ONLY,
            ..TypeDef::default()
        };
        for (field, tag) in [("apiVersion", 0), ("kind", 0)] {
            out.fields.push(FieldDef { tag, ..FieldDef::new(field, ShapeDef::of(Kind::String)) });
        }
        for member in &message.fields {
            let shape = match member.attribute.as_str() {
                "bool, optional" => ShapeDef::of(Kind::Bool),
                "int64, optional" => ShapeDef::of(Kind::Int64),
                "string, repeated" => ShapeDef::list(ShapeDef::of(Kind::String)),
                "string, optional" => ShapeDef::of(Kind::String),
                _ => continue,
            };
            let field = self.field(&name, &camel(&member.name), shape, Some(member));
            out.fields.push(field);
        }
        out.gvks.push((String::new(), "v1".to_owned(), kind.to_owned()));
        self.types.insert(name, out);
    }
}

fn find<'a>(message: &'a Message, json_name: &str) -> Option<&'a Member> {
    let wanted = proto::normal(json_name);
    message.fields.iter().find(|member| proto::normal(&member.name) == wanted)
}

/// Adds to a shape what the message's comments and types say.
fn refine(shape: &mut ShapeDef, member: &Member) {
    match shape.kind {
        Kind::List => {
            shape.list_type = match member.marker("listType") {
                "atomic" => ListType::Atomic,
                "set" => ListType::Set,
                "map" => ListType::Map,
                _ => shape.list_type,
            };
            let keys: Vec<String> = member.markers("listMapKey").into_iter().map(str::to_owned).collect();
            if !keys.is_empty() {
                shape.keys = keys;
            }
            if member.attribute.starts_with("message, optional") {
                shape.flags |= shape_flag::WRAPPED;
            }
        }
        Kind::Map => {
            if let Some(items) =
                shape.items.as_mut().filter(|items| items.kind == Kind::List && member.attribute.contains("message"))
            {
                items.flags |= shape_flag::WRAPPED;
            }
        }
        Kind::String if member.attribute.starts_with("message") && member.rust_type.contains("Duration") => {
            shape.kind = Kind::Duration
        }
        _ => {}
    }
    if member.marker("structType") == "atomic" || member.marker("mapType") == "atomic" {
        shape.flags |= shape_flag::ATOMIC;
    }
}

/// `field_manager` as `fieldManager`.
fn camel(name: &str) -> String {
    let mut out = String::new();
    for (i, part) in name.split('_').enumerate() {
        let mut chars = part.chars();
        if i == 0 {
            out.push_str(part);
        } else if let Some(first) = chars.next() {
            out.extend(first.to_uppercase());
            out.push_str(chars.as_str());
        }
    }
    out
}
