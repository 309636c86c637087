//! The compact form: fixed-size little-endian records over a string pool, and the builder that writes it.
//!
//! `build.rs` includes this file too, so it depends on nothing but std. Layout: a header of twelve `u32`, then type, field, shape and GVK records,
//! then strings (each a `u16` length and UTF-8 bytes). Types are sorted by name and a type's fields by JSON name, so look-ups are binary searches.

use std::collections::{BTreeMap, HashMap};

/// First word of a block; changes with the layout.
pub(crate) const MAGIC: u32 = 0x4452_5903;
/// Bytes of the header.
pub(crate) const HEADER: usize = 48;
/// Bytes of a type record: name, first field, JSON fields, protobuf-only fields, flags, go name.
pub(crate) const TYPE_SIZE: usize = 20;
/// Bytes of a field record: name, shape, tag, flags, merge key, default.
pub(crate) const FIELD_SIZE: usize = 20;
/// Bytes of a shape record: kind, list type, flags, reference, keys.
pub(crate) const SHAPE_SIZE: usize = 12;
/// Bytes of a GVK record: key string, type.
pub(crate) const GVK_SIZE: usize = 8;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Anything at all.
    Any = 0,
    /// A string.
    String,
    /// True or false.
    Bool,
    /// A 32-bit integer.
    Int32,
    /// A 64-bit integer.
    Int64,
    /// A floating-point number.
    Double,
    /// Base64 in JSON, bytes in protobuf.
    Bytes,
    /// RFC 3339 in whole seconds.
    Time,
    /// RFC 3339 in microseconds.
    MicroTime,
    /// A Go duration, such as `1m30s`.
    Duration,
    /// An amount such as `100m`.
    Quantity,
    /// An integer or a string.
    IntOrString,
    /// A whole object of any kind.
    RawExtension,
    /// A set of owned fields.
    FieldsV1,
    /// Any JSON (`apiextensions` JSON).
    Json,
    /// A schema or a boolean (`JSONSchemaPropsOrBool`).
    SchemaOrBool,
    /// A schema or a list of schemas (`JSONSchemaPropsOrArray`).
    SchemaOrArray,
    /// A schema or a list of strings (`JSONSchemaPropsOrStringArray`).
    SchemaOrStrings,
    /// A struct: see the type it refers to.
    Object,
    /// A map from strings.
    Map,
    /// A list.
    List,
}

impl Kind {
    /// Every kind, by its number.
    pub const ALL: [Self; 21] = [
        Self::Any,
        Self::String,
        Self::Bool,
        Self::Int32,
        Self::Int64,
        Self::Double,
        Self::Bytes,
        Self::Time,
        Self::MicroTime,
        Self::Duration,
        Self::Quantity,
        Self::IntOrString,
        Self::RawExtension,
        Self::FieldsV1,
        Self::Json,
        Self::SchemaOrBool,
        Self::SchemaOrArray,
        Self::SchemaOrStrings,
        Self::Object,
        Self::Map,
        Self::List,
    ];
}

/// How lists merge under server-side apply (`x-kubernetes-list-type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ListType {
    /// Not said: as a whole.
    #[default]
    Unset = 0,
    /// As a whole.
    Atomic,
    /// Of unique scalars.
    Set,
    /// Of structs told apart by keys.
    Map,
}

/// Shape flags.
pub mod shape_flag {
    /// The reference points into the built-in schema.
    pub const BUILTIN: u16 = 1;
    /// Null is a value here (custom resources).
    pub const NULLABLE: u16 = 2;
    /// Unknown members are kept (custom resources).
    pub const PRESERVE: u16 = 4;
    /// A whole object with apiVersion, kind and metadata (custom resources).
    pub const EMBEDDED: u16 = 8;
    /// The struct or map is owned as a whole (`x-kubernetes-map-type: atomic`).
    pub const ATOMIC: u16 = 16;
    /// In protobuf a message with one repeated field `items`.
    pub const WRAPPED: u16 = 32;
}

/// Field flags.
pub mod field_flag {
    /// `required` in the OpenAPI schema.
    pub const REQUIRED: u16 = 1;
    /// Patch strategy `merge`.
    pub const MERGE: u16 = 2;
    /// Patch strategy `retainKeys`.
    pub const RETAIN_KEYS: u16 = 4;
    /// Patch strategy `replace`, said outright.
    pub const REPLACE: u16 = 8;
    /// Protobuf only: its members lie directly in the owner's JSON.
    pub const INLINE: u16 = 16;
    /// A pointer in Go: a zero in protobuf is a value, not an absence.
    pub const POINTER: u16 = 32;
    /// A struct held by value in Go: it is never absent, only empty.
    pub const VALUE: u16 = 64;
}

/// Type flags.
pub mod type_flag {
    /// Not in OpenAPI: exists for protobuf alone.
    pub const PROTO_ONLY: u16 = 1;
    /// Unknown members are kept.
    pub const PRESERVE: u16 = 2;
    /// Owned as a whole under server-side apply.
    pub const ATOMIC: u16 = 4;
}

/// Items of a list or values of a map.
pub type ItemsDef = Box<ShapeDef>;

/// A shape to be written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ShapeDef {
    /// What it is.
    pub kind: Kind,
    /// For objects: the type's name.
    pub type_name: Option<String>,
    /// For lists and maps.
    pub items: Option<ItemsDef>,
    /// For lists.
    pub list_type: ListType,
    /// For lists of type map.
    pub keys: Vec<String>,
    /// [`shape_flag`]s.
    pub flags: u16,
}

impl ShapeDef {
    /// A scalar or other shape without parts.
    pub fn of(kind: Kind) -> Self {
        Self { kind, type_name: None, items: None, list_type: ListType::Unset, keys: Vec::new(), flags: 0 }
    }

    /// A struct.
    pub fn object(type_name: impl Into<String>) -> Self {
        Self { type_name: Some(type_name.into()), ..Self::of(Kind::Object) }
    }

    /// A list.
    pub fn list(items: Self) -> Self {
        Self { items: Some(Box::new(items)), ..Self::of(Kind::List) }
    }

    /// A map from strings.
    pub fn map(items: Self) -> Self {
        Self { items: Some(Box::new(items)), ..Self::of(Kind::Map) }
    }
}

/// A field to be written.
#[derive(Clone, Debug)]
pub struct FieldDef {
    /// The JSON name; for inline fields any name.
    pub name: String,
    /// Its shape.
    pub shape: ShapeDef,
    /// The protobuf tag, or 0.
    pub tag: u16,
    /// [`field_flag`]s.
    pub flags: u16,
    /// The strategic merge key, or empty.
    pub merge_key: String,
    /// The default as JSON, or empty.
    pub default: String,
}

impl FieldDef {
    /// A plain field.
    pub fn new(name: impl Into<String>, shape: ShapeDef) -> Self {
        Self { name: name.into(), shape, tag: 0, flags: 0, merge_key: String::new(), default: String::new() }
    }
}

/// A type to be written.
#[derive(Clone, Debug, Default)]
pub struct TypeDef {
    /// The full name, such as `io.k8s.api.core.v1.Pod`.
    pub name: String,
    /// What Go's decoder calls it in errors, such as `Pod`.
    pub go_name: String,
    /// Its fields.
    pub fields: Vec<FieldDef>,
    /// Group, version and kind, if it is an object's type; several for the types of `meta`.
    pub gvks: Vec<(String, String, String)>,
    /// [`type_flag`]s.
    pub flags: u16,
}

/// Collects types and writes a block.
#[derive(Default)]
pub struct Builder {
    types: BTreeMap<String, TypeDef>,
}

#[derive(Default)]
struct Pool {
    bytes: Vec<u8>,
    seen: HashMap<String, u32>,
}

impl Pool {
    fn add(&mut self, text: &str) -> u32 {
        if let Some(at) = self.seen.get(text) {
            return *at;
        }
        let at = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        // A name longer than 64 kB does not occur; one that did would be cut at a character.
        let mut end = text.len().min(usize::from(u16::MAX));
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.bytes.extend_from_slice(&(end as u16).to_le_bytes());
        self.bytes.extend_from_slice(&text.as_bytes()[..end]);
        self.seen.insert(text.to_owned(), at);
        at
    }
}

impl Builder {
    /// How many types were added.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// No type was added.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// Adds a type; a second one of the same name replaces the first.
    pub fn add(&mut self, definition: TypeDef) {
        self.types.insert(definition.name.clone(), definition);
    }

    /// Writes the block. `builtin` finds types of the built-in schema by name, for references that this block does not resolve; a reference that
    /// nobody resolves becomes [`Kind::Any`].
    pub fn build(mut self, builtin: impl Fn(&str) -> Option<u32>) -> Vec<u8> {
        let ids: HashMap<String, u32> = self.types.keys().zip(0u32..).map(|(name, id)| (name.clone(), id)).collect();
        let mut pool = Pool::default();
        pool.add("");
        let mut shapes = Shapes { ids: &ids, builtin: &builtin, seen: HashMap::new(), bytes: Vec::new(), count: 0 };
        let (mut types, mut fields, mut gvks) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut field_count = 0u32;
        for (definition, id) in self.types.values_mut().zip(0u32..) {
            definition
                .fields
                .sort_by(|a, b| (a.flags & field_flag::INLINE, &a.name).cmp(&(b.flags & field_flag::INLINE, &b.name)));
            let inline = definition.fields.iter().filter(|f| f.flags & field_flag::INLINE != 0).count();
            push(&mut types, &[pool.add(&definition.name), field_count]);
            push16(&mut types, &[(definition.fields.len() - inline) as u16, inline as u16, definition.flags, 0]);
            push(&mut types, &[pool.add(&definition.go_name)]);
            for field in &definition.fields {
                push(&mut fields, &[pool.add(&field.name), shapes.add(&field.shape, &mut pool)]);
                push16(&mut fields, &[field.tag, field.flags]);
                push(&mut fields, &[pool.add(&field.merge_key), pool.add(&field.default)]);
                field_count += 1;
            }
            for (group, version, kind) in &definition.gvks {
                gvks.insert(format!("{group}/{version}/{kind}"), id);
            }
        }
        let (shape_bytes, shape_count) = (shapes.bytes, shapes.count);
        let mut gvk_bytes = Vec::new();
        for (key, id) in &gvks {
            push(&mut gvk_bytes, &[pool.add(key), *id]);
        }
        let mut out = Vec::new();
        let types_at = HEADER as u32;
        let fields_at = types_at + types.len() as u32;
        let shapes_at = fields_at + fields.len() as u32;
        let gvks_at = shapes_at + shape_bytes.len() as u32;
        let strings_at = gvks_at + gvk_bytes.len() as u32;
        push(
            &mut out,
            &[
                MAGIC,
                types_at,
                ids.len() as u32,
                fields_at,
                field_count,
                shapes_at,
                shape_count,
                gvks_at,
                gvks.len() as u32,
                strings_at,
                pool.bytes.len() as u32,
                0,
            ],
        );
        for part in [types, fields, shape_bytes, gvk_bytes, pool.bytes] {
            out.extend_from_slice(&part);
        }
        out
    }
}

struct Shapes<'a, F> {
    ids: &'a HashMap<String, u32>,
    builtin: &'a F,
    seen: HashMap<ShapeDef, u32>,
    bytes: Vec<u8>,
    count: u32,
}

impl<F: Fn(&str) -> Option<u32>> Shapes<'_, F> {
    fn add(&mut self, shape: &ShapeDef, pool: &mut Pool) -> u32 {
        if let Some(id) = self.seen.get(shape) {
            return *id;
        }
        let (mut kind, mut flags, mut reference) = (shape.kind, shape.flags, 0);
        if let Some(name) = &shape.type_name {
            if let Some(id) = self.ids.get(name) {
                reference = *id;
            } else if let Some(id) = (self.builtin)(name) {
                reference = id;
                flags |= shape_flag::BUILTIN;
            } else {
                kind = Kind::Any;
            }
        } else if let Some(items) = &shape.items {
            reference = self.add(items, pool);
        }
        self.bytes.extend_from_slice(&[kind as u8, shape.list_type as u8]);
        push16(&mut self.bytes, &[flags]);
        push(&mut self.bytes, &[reference, pool.add(&shape.keys.join(","))]);
        let id = self.count;
        self.count += 1;
        self.seen.insert(shape.clone(), id);
        id
    }
}

fn push(out: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

fn push16(out: &mut Vec<u8>, words: &[u16]) {
    for word in words {
        out.extend_from_slice(&word.to_le_bytes());
    }
}
