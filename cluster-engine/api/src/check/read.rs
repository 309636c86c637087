//! The reading pass: a deserializer seed that walks the schema along with the document.

use std::collections::HashSet;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::read_scalar as scalar;
use crate::quantity::Quantity;
use crate::schema::{Kind, Shape, Type, table};

/// Strict errors beyond this many are dropped, as upstream does.
const MAX_STRICT: usize = 100;

/// What is collected while reading.
pub(super) struct Context {
    /// The path as strict errors print it.
    path: String,
    /// The struct fields passed, as type errors print them.
    fields: Vec<String>,
    /// The struct last entered.
    owner: String,
    error: Option<String>,
    strict: Vec<String>,
    seen: HashSet<String>,
}

impl Context {
    pub(super) fn new() -> Self {
        Self {
            path: String::new(),
            fields: Vec::new(),
            owner: String::new(),
            error: None,
            strict: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// For a part of an object: paths start with its name.
    pub(super) fn below(name: &str) -> Self {
        Self { path: name.to_owned(), fields: vec![name.to_owned()], ..Self::new() }
    }

    /// The first type error and the strict errors.
    pub(super) fn into_parts(self) -> (Option<String>, Vec<String>) {
        (self.error, self.strict)
    }

    fn strict(&mut self, what: &str, field: &str) {
        let path = if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) };
        let text = format!("{what} field {}", crate::go_quote(&path));
        if self.strict.len() < MAX_STRICT && self.seen.insert(text.clone()) {
            self.strict.push(text);
        }
    }

    fn fail(&mut self, text: String) {
        self.error.get_or_insert(text);
    }

    fn mismatch(&mut self, found: &str, go_type: &str) {
        let text = if self.owner.is_empty() {
            format!("json: cannot unmarshal {found} into Go value of type {go_type}")
        } else {
            format!(
                "json: cannot unmarshal {found} into Go struct field {}.{} of type {go_type}",
                self.owner,
                self.fields.join(".")
            )
        };
        self.fail(text);
    }

    /// Runs `read` with the path one key deeper.
    fn at_key<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let len = self.path.len();
        if len > 0 {
            self.path.push('.');
        }
        self.path.push_str(key);
        let out = read(self);
        self.path.truncate(len);
        out
    }

    fn at_index<T>(&mut self, index: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        let len = self.path.len();
        self.path.push_str(&format!("[{index}]"));
        let out = read(self);
        self.path.truncate(len);
        out
    }
}

#[derive(Clone, Copy)]
enum Expect<'s> {
    Type(Type<'s>),
    Shape(Shape<'s>),
    /// Anything; duplicates are looked for or not.
    Any {
        duplicates: bool,
    },
}

/// The seed of one value.
pub(super) struct Node<'c, 's> {
    context: &'c mut Context,
    expect: Expect<'s>,
}

impl<'c, 's> Node<'c, 's> {
    pub(super) fn of_type(context: &'c mut Context, ty: Type<'s>) -> Self {
        Self { context, expect: Expect::Type(ty) }
    }

    pub(super) fn any(context: &'c mut Context, duplicates: bool) -> Self {
        Self { context, expect: Expect::Any { duplicates } }
    }

    fn of_shape(context: &'c mut Context, shape: Shape<'s>) -> Self {
        let expect = match (shape.kind(), shape.ty()) {
            (Kind::Object, Some(ty)) => Expect::Type(ty),
            (Kind::Any | Kind::RawExtension | Kind::FieldsV1 | Kind::Json, _) => Expect::Any { duplicates: false },
            _ => Expect::Shape(shape),
        };
        Self { context, expect }
    }

    /// A scalar of a kind, or the type error that Go gives for what was found.
    fn wrong(self, found: &str) -> Value {
        let go_type = match self.expect {
            Expect::Type(ty) => ty.go_type(),
            Expect::Shape(shape) => scalar::go_type(shape),
            Expect::Any { .. } => return Value::Null,
        };
        self.context.mismatch(found, &go_type);
        Value::Null
    }

    fn scalar(self, found: &str, read: Result<Value, String>) -> Value {
        match read {
            Ok(value) => value,
            Err(text) if text.is_empty() => self.wrong(found),
            Err(text) => {
                self.context.fail(text);
                Value::Null
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn schema_props() -> Option<Type<'static>> {
    table().by_name("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps")
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(match self.expect {
            Expect::Any { .. } => Value::Bool(b),
            Expect::Shape(shape) if matches!(shape.kind(), Kind::Bool | Kind::SchemaOrBool) => Value::Bool(b),
            Expect::Shape(shape) if shape.kind() == Kind::Quantity => {
                self.scalar("bool", Err(crate::quantity::ParseError::Format.to_string()))
            }
            _ => self.wrong("bool"),
        })
    }

    fn visit_i64<E>(self, n: i64) -> Result<Value, E> {
        Ok(self.number(Number::from(n)))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Value, E> {
        Ok(self.number(Number::from(n)))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Value, E> {
        Ok(Number::from_f64(n).map_or(Value::Null, |n| self.number(n)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(match self.expect {
            Expect::Any { .. } => text.into(),
            Expect::Type(_) => self.wrong("string"),
            Expect::Shape(shape) => {
                let read = scalar::from_text(shape, text);
                self.scalar("string", read)
            }
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let items = match self.expect {
            Expect::Any { .. } => None,
            Expect::Shape(shape) => match (shape.kind(), shape.items()) {
                (Kind::List, Some(items)) => Some(items),
                (Kind::SchemaOrArray, _) => return self.schemas(seq),
                (Kind::SchemaOrStrings, _) => None,
                _ => {
                    while seq.next_element::<IgnoredAny>()?.is_some() {}
                    return Ok(self.wrong("array"));
                }
            },
            Expect::Type(_) => {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(self.wrong("array"));
            }
        };
        let duplicates = matches!(self.expect, Expect::Any { duplicates: true });
        let mut list = Vec::new();
        let Node { context, .. } = self;
        loop {
            let index = list.len();
            let item = context.at_index(index, |context| {
                let node = match items {
                    Some(shape) => Node::of_shape(context, shape),
                    None => Node::any(context, duplicates),
                };
                seq.next_element_seed(node)
            })?;
            match item {
                None => return Ok(Value::Array(list)),
                // A null in a typed list is Go's zero value.
                Some(Value::Null) => list.push(items.map_or(Value::Null, scalar::zero)),
                Some(value) => list.push(value),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        match self.expect {
            Expect::Any { duplicates } => self.open_map(map, None, duplicates),
            Expect::Type(ty) => self.structure(map, ty),
            Expect::Shape(shape) => match (shape.kind(), shape.items(), schema_props()) {
                (Kind::Map, Some(items), _) => self.open_map(map, Some(items), true),
                (Kind::SchemaOrBool | Kind::SchemaOrArray | Kind::SchemaOrStrings, _, Some(ty)) => {
                    Node::of_type(self.context, ty).structure(map, ty)
                }
                (kind, ..) => {
                    let mut map = map;
                    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                    Ok(match kind {
                        Kind::Quantity => self.scalar("object", Err(crate::quantity::ParseError::Format.to_string())),
                        _ => self.wrong("object"),
                    })
                }
            },
        }
    }
}

impl<'s> Node<'_, 's> {
    fn number(self, n: Number) -> Value {
        match self.expect {
            Expect::Any { .. } => Value::Number(n),
            Expect::Type(_) => self.wrong("number"),
            Expect::Shape(shape) => match shape.kind() {
                Kind::Int32 | Kind::Int64 | Kind::IntOrString => {
                    let wide = shape.kind() == Kind::Int64;
                    match n.as_i64() {
                        Some(i) if wide || i32::try_from(i).is_ok() => Value::from(i),
                        _ => self.wrong(&format!("number {n}")),
                    }
                }
                Kind::Double => Value::Number(n),
                Kind::Quantity => {
                    let read = Quantity::parse(&n.to_string()).map(|q| q.to_string().into()).map_err(|e| e.to_string());
                    self.scalar("number", read)
                }
                _ => self.wrong("number"),
            },
        }
    }

    fn schemas<'de, A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let Node { context, .. } = self;
        let mut list = Vec::new();
        loop {
            let index = list.len();
            let item = context.at_index(index, |context| {
                let node = match schema_props() {
                    Some(ty) => Node::of_type(context, ty),
                    None => Node::any(context, false),
                };
                seq.next_element_seed(node)
            })?;
            match item {
                Some(value) => list.push(value),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    /// A map: every key is welcome. Nulls of a typed map are zero values, those of untyped JSON stay.
    fn open_map<'de, A: MapAccess<'de>>(
        self,
        mut map: A,
        items: Option<Shape<'_>>,
        duplicates: bool,
    ) -> Result<Value, A::Error> {
        let Node { context, .. } = self;
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if duplicates && object.contains_key(&key) {
                context.strict("duplicate", &key);
            }
            let value = context.at_key(&key, |context| {
                let node = match items {
                    Some(shape) => Node::of_shape(context, shape),
                    None => Node::any(context, duplicates),
                };
                map.next_value_seed(node)
            })?;
            let value = match (value, items) {
                (Value::Null, Some(shape)) => scalar::zero(shape),
                (value, _) => value,
            };
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }

    fn structure<'de, A: MapAccess<'de>>(self, mut map: A, ty: Type<'s>) -> Result<Value, A::Error> {
        let Node { context, .. } = self;
        let mut object = Map::new();
        let mut nulls: Vec<&str> = Vec::new();
        let outer = std::mem::replace(&mut context.owner, ty.go_name().to_owned());
        while let Some(key) = map.next_key::<String>()? {
            let Some(field) = ty.field(&key) else {
                context.strict("unknown", &key);
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if object.contains_key(&key) || nulls.contains(&field.name()) {
                context.strict("duplicate", &key);
            }
            context.fields.push(key.clone());
            let shape = field.shape();
            let value = context.at_key(&key, |context| map.next_value_seed(Node::of_shape(context, shape)))?;
            context.fields.pop();
            ty.go_name().clone_into(&mut context.owner);
            // Go leaves out empty lists and maps when it writes an object again, so they are never stored.
            let empty = match &value {
                Value::Null => true,
                Value::Array(list) => list.is_empty() && shape.kind() == Kind::List && !field.required(),
                Value::Object(map) => map.is_empty() && shape.kind() == Kind::Map && !field.required(),
                _ => false,
            };
            if empty {
                object.remove(&key);
                nulls.push(field.name());
            } else {
                object.insert(key, value);
            }
        }
        context.owner = outer;
        Ok(Value::Object(object))
    }
}

/// Base64 as Go reads it: line breaks are skipped.
pub(super) fn base64_text(text: &str) -> Result<Value, String> {
    let clean: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    match STANDARD.decode(&clean) {
        Ok(bytes) => Ok(STANDARD.encode(bytes).into()),
        Err(base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _)) => {
            Err(format!("illegal base64 data at input byte {at}"))
        }
        Err(_) => Err(format!("illegal base64 data at input byte {}", clean.len() / 4 * 4)),
    }
}
