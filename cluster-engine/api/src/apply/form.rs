//! How a value is owned: as a whole, or by its parts.

use serde_json::{Map, Value};

use crate::schema::{Field, Kind, ListType, Shape, Type};

/// Where in the schema a value stands.
#[derive(Clone, Copy)]
pub(super) enum Scope<'a> {
    /// A struct.
    Type(Type<'a>),
    /// A member of a struct, list or map.
    Shape(Shape<'a>),
    /// JSON without schema: maps by their parts, the rest as a whole.
    Deduced,
}

/// How the value there is owned.
#[derive(Clone, Copy)]
pub(super) enum Form<'a> {
    /// As a whole.
    Leaf,
    /// Field by field.
    Struct(Type<'a>),
    /// Entry by entry.
    Map(Scope<'a>),
    /// Item by item.
    List(Shape<'a>, Shape<'a>),
}

impl<'a> Scope<'a> {
    /// The form of the values that meet here.
    pub(super) fn form(self, values: [Option<&Value>; 2]) -> Form<'a> {
        match self {
            Self::Type(ty) if ty.is_atomic() => Form::Leaf,
            Self::Type(ty) => Form::Struct(ty),
            Self::Deduced => deduced(values),
            Self::Shape(shape) if shape.is_atomic() => Form::Leaf,
            Self::Shape(shape) => match (shape.kind(), shape.ty(), shape.items(), shape.list_type()) {
                (Kind::Object, Some(ty), ..) => Form::Struct(ty),
                (Kind::Map, _, Some(items), _) => Form::Map(Self::Shape(items)),
                (Kind::List, _, Some(items), ListType::Set | ListType::Map) => Form::List(shape, items),
                (Kind::Any | Kind::RawExtension | Kind::Json, ..) => deduced(values),
                _ => Form::Leaf,
            },
        }
    }
}

fn deduced<'a>(values: [Option<&Value>; 2]) -> Form<'a> {
    if values.into_iter().flatten().any(Value::is_object) { Form::Map(Scope::Deduced) } else { Form::Leaf }
}

/// The scope of a struct's member, and its field if the struct declares it.
pub(super) fn member<'a>(ty: Type<'a>, name: &str) -> (Scope<'a>, Option<Field<'a>>) {
    match ty.field(name) {
        Some(field) => (Scope::Shape(field.shape()), Some(field)),
        None => (Scope::Deduced, None),
    }
}

/// A value, with null as absence.
pub(super) fn present(value: Option<&Value>) -> Option<&Value> {
    value.filter(|v| !v.is_null())
}

/// The path element of an item of a set or keyed list; `None` if a keyed item has none of its keys.
pub(super) fn item_element(list: Shape<'_>, items: Shape<'_>, item: &Value) -> Option<String> {
    if list.list_type() == ListType::Set {
        return Some(format!("v:{item}"));
    }
    let mut keys = Map::new();
    for key in list.keys() {
        let default = || {
            let text = items.ty()?.field(key)?.default_json();
            serde_json::from_str(text).ok()
        };
        if let Some(value) = present(item.get(key)).cloned().or_else(default) {
            keys.insert(key.to_owned(), value);
        }
    }
    (!keys.is_empty()).then(|| format!("k:{}", Value::Object(keys)))
}

/// The element of a field or map key.
pub(super) fn field_element(name: &str) -> String {
    format!("f:{name}")
}
