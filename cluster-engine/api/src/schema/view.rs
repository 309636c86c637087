//! Views into a schema block: copyable, and cheap enough to look things up in while walking an object.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use super::builtin::table;
use super::format::{
    FIELD_SIZE, GVK_SIZE, HEADER, Kind, ListType, MAGIC, SHAPE_SIZE, TYPE_SIZE, field_flag, shape_flag, type_flag,
};
use crate::meta::Gvk;

/// A block of types.
#[derive(Clone)]
pub struct Schema {
    bytes: Cow<'static, [u8]>,
}

/// A struct of the API, or of a custom resource.
#[derive(Clone, Copy)]
pub struct Type<'a> {
    schema: &'a Schema,
    id: u32,
}

/// A field of a [`Type`].
#[derive(Clone, Copy)]
pub struct Field<'a> {
    schema: &'a Schema,
    at: usize,
}

/// What a value is: a scalar, a struct, a list or a map.
#[derive(Clone, Copy)]
pub struct Shape<'a> {
    schema: &'a Schema,
    at: usize,
}

impl Schema {
    /// Reads a block made by [`super::Builder`]. A block that is not one gives an empty schema.
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>) -> Self {
        Self { bytes: bytes.into() }
    }

    pub(crate) const fn from_static(bytes: &'static [u8]) -> Self {
        Self { bytes: Cow::Borrowed(bytes) }
    }

    fn word(&self, at: usize) -> u32 {
        self.bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
    }

    fn half(&self, at: usize) -> u16 {
        self.bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
    }

    /// A word of the header: only if the block is one of ours.
    fn header(&self, index: usize) -> usize {
        if self.bytes.len() >= HEADER && self.word(0) == MAGIC { self.word(index * 4) as usize } else { 0 }
    }

    fn string(&self, offset: u32) -> &str {
        let at = self.header(9) + offset as usize;
        let len = usize::from(self.half(at));
        self.bytes.get(at + 2..at + 2 + len).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default()
    }

    /// How many types there are.
    pub fn len(&self) -> usize {
        self.header(2)
    }

    /// There is no type at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A type by its number.
    pub fn by_id(&self, id: u32) -> Type<'_> {
        Type { schema: self, id }
    }

    /// A type by its full name, such as `io.k8s.api.core.v1.PodSpec`.
    pub fn by_name(&self, name: &str) -> Option<Type<'_>> {
        let id = search(self.len(), |i| self.by_id(i as u32).name().cmp(name))?;
        Some(self.by_id(id as u32))
    }

    /// The type of a group, version and kind. Option kinds (`DeleteOptions` …) and `Status` are found in every group.
    pub fn by_gvk(&self, gvk: &Gvk) -> Option<Type<'_>> {
        let key = format!("{}/{}/{}", gvk.group, gvk.version, gvk.kind);
        let base = self.header(7);
        let find = |key: &str| search(self.header(8), |i| self.string(self.word(base + i * GVK_SIZE)).cmp(key));
        let index =
            find(&key).or_else(|| is_meta_kind(&gvk.kind).then(|| find(&format!("/v1/{}", gvk.kind))).flatten())?;
        Some(self.by_id(self.word(base + index * GVK_SIZE + 4)))
    }

    /// Every type, sorted by name.
    pub fn types(&self) -> impl Iterator<Item = Type<'_>> {
        (0..self.len()).map(|id| self.by_id(id as u32))
    }

    /// Every group, version and kind with its type.
    pub fn gvks(&self) -> impl Iterator<Item = (Gvk, Type<'_>)> {
        let base = self.header(7);
        (0..self.header(8)).filter_map(move |i| {
            let mut parts = self.string(self.word(base + i * GVK_SIZE)).splitn(3, '/');
            let gvk = Gvk::new(parts.next()?, parts.next()?, parts.next()?);
            Some((gvk, self.by_id(self.word(base + i * GVK_SIZE + 4))))
        })
    }
}

/// Kinds of `meta/v1` that every group version knows.
fn is_meta_kind(kind: &str) -> bool {
    matches!(
        kind,
        "DeleteOptions"
            | "ListOptions"
            | "CreateOptions"
            | "UpdateOptions"
            | "PatchOptions"
            | "GetOptions"
            | "WatchEvent"
            | "Status"
    )
}

fn search(len: usize, compare: impl Fn(usize) -> Ordering) -> Option<usize> {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        match compare(middle) {
            Ordering::Equal => return Some(middle),
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
        }
    }
    None
}

impl<'a> Type<'a> {
    fn at(self) -> usize {
        self.schema.header(1) + self.id as usize * TYPE_SIZE
    }

    fn flags(self) -> u16 {
        self.schema.half(self.at() + 12)
    }

    /// The number within its schema.
    pub fn id(self) -> u32 {
        self.id
    }

    /// The schema it belongs to.
    pub fn schema(self) -> &'a Schema {
        self.schema
    }

    /// The full name, such as `io.k8s.api.core.v1.Pod`.
    pub fn name(self) -> &'a str {
        self.schema.string(self.schema.word(self.at()))
    }

    /// The struct's name in Go, such as `Pod`.
    pub fn go_name(self) -> &'a str {
        self.schema.string(self.schema.word(self.at() + 16))
    }

    /// The struct's name in Go with its package, such as `v1.Pod`.
    pub fn go_type(self) -> String {
        let mut parts = self.name().rsplit('.');
        let name = self.go_name();
        parts.next();
        parts.next().map_or_else(|| name.to_owned(), |package| format!("{package}.{name}"))
    }

    fn field_at(self, index: usize) -> Field<'a> {
        let first = self.schema.word(self.at() + 4) as usize;
        Field { schema: self.schema, at: self.schema.header(3) + (first + index) * FIELD_SIZE }
    }

    fn count(self) -> usize {
        usize::from(self.schema.half(self.at() + 8))
    }

    /// The fields of its JSON form, sorted by name.
    pub fn fields(self) -> impl Iterator<Item = Field<'a>> + Clone {
        (0..self.count()).map(move |i| self.field_at(i))
    }

    /// Structs whose members protobuf groups under a tag and JSON does not (`Volume.volumeSource`).
    pub fn inlined(self) -> impl Iterator<Item = Field<'a>> + Clone {
        let (first, len) = (self.count(), usize::from(self.schema.half(self.at() + 10)));
        (first..first + len).map(move |i| self.field_at(i))
    }

    /// A field by its JSON name.
    pub fn field(self, name: &str) -> Option<Field<'a>> {
        search(self.count(), |i| self.field_at(i).name().cmp(name)).map(|i| self.field_at(i))
    }

    /// A field, or an inlined struct, by its protobuf tag.
    pub fn by_tag(self, tag: u32) -> Option<Field<'a>> {
        let tag = u16::try_from(tag).ok().filter(|t| *t != 0)?;
        self.fields().chain(self.inlined()).find(|f| f.tag() == tag)
    }

    /// It exists for protobuf alone and is not part of OpenAPI.
    pub fn is_proto_only(self) -> bool {
        self.flags() & type_flag::PROTO_ONLY != 0
    }

    /// Members it does not know are kept.
    pub fn preserves_unknown(self) -> bool {
        self.flags() & type_flag::PRESERVE != 0
    }

    /// It is owned as a whole under server-side apply.
    pub fn is_atomic(self) -> bool {
        self.flags() & type_flag::ATOMIC != 0
    }
}

impl PartialEq for Type<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.schema, other.schema) && self.id == other.id
    }
}

impl fmt::Debug for Type<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<'a> Field<'a> {
    fn flag(self, flag: u16) -> bool {
        self.schema.half(self.at + 10) & flag != 0
    }

    /// The JSON name.
    pub fn name(self) -> &'a str {
        self.schema.string(self.schema.word(self.at))
    }

    /// What its value is.
    pub fn shape(self) -> Shape<'a> {
        let index = self.schema.word(self.at + 4) as usize;
        Shape { schema: self.schema, at: self.schema.header(5) + index * SHAPE_SIZE }
    }

    /// The protobuf tag; 0 if it has none.
    pub fn tag(self) -> u16 {
        self.schema.half(self.at + 8)
    }

    /// OpenAPI says it is required.
    pub fn required(self) -> bool {
        self.flag(field_flag::REQUIRED)
    }

    /// It is a pointer in Go: its zero value is written.
    pub fn is_pointer(self) -> bool {
        self.flag(field_flag::POINTER)
    }

    /// A struct held by value in Go: absent and empty are the same.
    pub fn is_value(self) -> bool {
        self.flag(field_flag::VALUE)
    }

    /// Its members lie directly in the owner's JSON.
    pub fn is_inline(self) -> bool {
        self.flag(field_flag::INLINE)
    }

    /// Strategic merge merges it.
    pub fn merges(self) -> bool {
        self.flag(field_flag::MERGE)
    }

    /// Strategic merge drops what `$retainKeys` does not name.
    pub fn retains_keys(self) -> bool {
        self.flag(field_flag::RETAIN_KEYS)
    }

    /// The strategic merge key; empty if none.
    pub fn merge_key(self) -> &'a str {
        self.schema.string(self.schema.word(self.at + 12))
    }

    /// `x-kubernetes-patch-strategy`, if any.
    pub fn patch_strategy(self) -> Option<&'static str> {
        match (self.merges(), self.retains_keys(), self.flag(field_flag::REPLACE)) {
            (true, true, _) => Some("merge,retainKeys"),
            (true, false, _) => Some("merge"),
            (false, true, _) => Some("retainKeys"),
            (false, false, true) => Some("replace"),
            (false, false, false) => None,
        }
    }

    /// The default as JSON text; empty if none.
    pub fn default_json(self) -> &'a str {
        self.schema.string(self.schema.word(self.at + 16))
    }
}

impl<'a> Shape<'a> {
    /// What it is.
    pub fn kind(self) -> Kind {
        let number = self.schema.bytes.get(self.at).copied().unwrap_or_default();
        Kind::ALL.get(usize::from(number)).copied().unwrap_or(Kind::Any)
    }

    fn flag(self, flag: u16) -> bool {
        self.schema.half(self.at + 2) & flag != 0
    }

    /// For a struct: its type.
    pub fn ty(self) -> Option<Type<'a>> {
        let schema = if self.flag(shape_flag::BUILTIN) { table() } else { self.schema };
        (self.kind() == Kind::Object).then(|| schema.by_id(self.schema.word(self.at + 4)))
    }

    /// For a list or map: what it holds.
    pub fn items(self) -> Option<Self> {
        let index = self.schema.word(self.at + 4) as usize;
        matches!(self.kind(), Kind::List | Kind::Map)
            .then(|| Shape { schema: self.schema, at: self.schema.header(5) + index * SHAPE_SIZE })
    }

    /// How the list merges under server-side apply.
    pub fn list_type(self) -> ListType {
        match self.schema.bytes.get(self.at + 1) {
            Some(1) => ListType::Atomic,
            Some(2) => ListType::Set,
            Some(3) => ListType::Map,
            _ => ListType::Unset,
        }
    }

    /// The keys that tell the list's items apart.
    pub fn keys(self) -> impl Iterator<Item = &'a str> + Clone {
        self.schema.string(self.schema.word(self.at + 8)).split(',').filter(|key| !key.is_empty())
    }

    /// Null is a value here.
    pub fn nullable(self) -> bool {
        self.flag(shape_flag::NULLABLE)
    }

    /// Members it does not know are kept.
    pub fn preserves_unknown(self) -> bool {
        self.flag(shape_flag::PRESERVE)
    }

    /// A whole object with apiVersion, kind and metadata.
    pub fn embedded_resource(self) -> bool {
        self.flag(shape_flag::EMBEDDED)
    }

    /// The struct or map is owned as a whole.
    pub fn is_atomic(self) -> bool {
        self.flag(shape_flag::ATOMIC) || self.ty().is_some_and(Type::is_atomic)
    }

    /// In protobuf the list is a message with one repeated field.
    pub fn is_wrapped(self) -> bool {
        self.flag(shape_flag::WRAPPED)
    }
}
