//! JSON as CEL values: as it is, or as a structural schema reads it.

use std::collections::HashMap;

use ::cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelOptional, CelString, CelUInt,
};
use ::cel::common::value::{CowVal, Val};
use base64::Engine as _;
use serde_json::{Map, Value as Json};

use super::ENVIRONMENT;
use super::unordered::{Identity, Unordered};

/// JSON as it is.
pub(crate) fn dynamic(value: &Json) -> Box<dyn Val> {
    match value {
        Json::Null => Box::new(CelNull),
        Json::Bool(value) => Box::new(CelBool::from(*value)),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Box::new(CelInt::from(number)),
            (None, Some(number)) => Box::new(CelUInt::from(number)),
            _ => Box::new(CelDouble::from(number.as_f64().unwrap_or_default())),
        },
        Json::String(text) => string(text),
        Json::Array(items) => Box::new(CelList::from(items.iter().map(dynamic).collect::<Vec<_>>())),
        Json::Object(fields) => map(fields.iter().map(|(key, value)| (key.clone(), dynamic(value)))),
    }
}

/// An optional value.
pub(crate) fn optional(value: Option<Box<dyn Val>>) -> Box<dyn Val> {
    Box::new(value.map_or_else(CelOptional::none, CelOptional::of))
}

fn string(text: &str) -> Box<dyn Val> {
    Box::new(CelString::from(text.to_owned()))
}

fn map(fields: impl Iterator<Item = (String, Box<dyn Val>)>) -> Box<dyn Val> {
    let map: HashMap<CelMapKey<'static>, Box<dyn Val>> =
        fields.map(|(key, value)| (CelMapKey::from(key), value)).collect();
    Box::new(CelMap::from(map))
}

/// JSON as its schema reads it. `resource` marks a whole object, whose apiVersion, kind and metadata the schema need not name.
pub(crate) fn typed(value: &Json, schema: &Json, resource: bool) -> Box<dyn Val> {
    let flag = |key: &str| schema.get(key).and_then(Json::as_bool).unwrap_or(false);
    if flag("x-kubernetes-int-or-string") {
        return dynamic(value);
    }
    match (schema.get("type").and_then(Json::as_str).unwrap_or(""), value) {
        ("number", Json::Number(number)) => Box::new(CelDouble::from(number.as_f64().unwrap_or_default())),
        // Whole numbers may be written as 1.0.
        ("integer", Json::Number(number)) if number.is_f64() => {
            Box::new(CelInt::from(number.as_f64().unwrap_or_default() as i64))
        }
        ("string", Json::String(text)) => text_of(text, schema.get("format").and_then(Json::as_str).unwrap_or("")),
        ("array", Json::Array(items)) => {
            let inner = schema.get("items").unwrap_or(&Json::Null);
            let items = items.iter().map(|item| typed(item, inner, false)).collect::<Vec<_>>();
            match identity(schema) {
                Some(identity) => Box::new(Unordered::new(items, identity)),
                None => Box::new(CelList::from(items)),
            }
        }
        ("object", Json::Object(fields)) => object(fields, schema, resource || flag("x-kubernetes-embedded-resource")),
        _ => dynamic(value),
    }
}

/// What a list's items are known by, if not by their places.
fn identity(schema: &Json) -> Option<Identity> {
    match schema.get("x-kubernetes-list-type")?.as_str()? {
        "set" => Some(Identity::Set),
        "map" => {
            let keys = schema.get("x-kubernetes-list-map-keys")?.as_array()?.iter().filter_map(Json::as_str);
            Some(Identity::Map(keys.map(|key| escape(key).unwrap_or_else(|| key.to_owned())).collect()))
        }
        _ => None,
    }
}

fn object(fields: &Map<String, Json>, schema: &Json, resource: bool) -> Box<dyn Val> {
    let properties = schema.get("properties").and_then(Json::as_object);
    if let (None, Some(others)) = (properties, schema.get("additionalProperties").filter(|others| others.is_object())) {
        return map(fields.iter().map(|(key, value)| (key.clone(), typed(value, others, false))));
    }
    map(fields.iter().filter_map(|(key, value)| {
        let own = properties.and_then(|properties| properties.get(key));
        let value = match (key.as_str(), own) {
            ("apiVersion" | "kind", _) if resource => dynamic(value),
            ("metadata", _) if resource => metadata(value),
            (_, Some(schema)) => typed(value, schema, false),
            (_, None) => return None,
        };
        Some((escape(key)?, value))
    }))
}

/// Rules see an object's names and nothing else of its metadata.
fn metadata(value: &Json) -> Box<dyn Val> {
    let fields = value.as_object().into_iter().flatten();
    let names = fields.filter(|(key, _)| matches!(key.as_str(), "name" | "generateName"));
    map(names.map(|(key, value)| (key.clone(), dynamic(value))))
}

fn text_of(text: &str, format: &str) -> Box<dyn Val> {
    let found = match format {
        "byte" => base64::engine::general_purpose::STANDARD
            .decode(text)
            .ok()
            .map(|bytes| Box::new(CelBytes::from(bytes)) as Box<dyn Val>),
        "date-time" => call("timestamp", text),
        "date" => call("timestamp", &format!("{text}T00:00:00Z")),
        "duration" => call("duration", text),
        _ => None,
    };
    found.unwrap_or_else(|| string(text))
}

/// What CEL's own conversion makes of a text; nothing when it refuses it.
fn call(function: &str, text: &str) -> Option<Box<dyn Val>> {
    let args = vec![CowVal::owned(CelString::from(text.to_owned()))];
    let conversion = ENVIRONMENT.find_overload(function, &args)?;
    conversion(args).ok().map(CowVal::into_owned)
}

/// Words of the language, which are no names of fields.
const RESERVED: &[&str] = &[
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// A property's name in expressions: `foo-bar` is `foo__dash__bar`. None for names that have no form there.
pub(crate) fn escape(name: &str) -> Option<String> {
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__"));
    }
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let (text, length) = match c {
            '_' if rest.starts_with("__") => ("__underscores__", 2),
            '.' => ("__dot__", 1),
            '-' => ("__dash__", 1),
            '/' => ("__slash__", 1),
            c if c.is_ascii_alphanumeric() || c == '_' => (&rest[..1], 1),
            _ => return None,
        };
        out.push_str(text);
        rest = &rest[length..];
    }
    Some(out)
}
