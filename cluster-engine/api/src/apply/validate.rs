//! What keeps an applied configuration from being typed: unknown fields, wrong types, items without keys or with the same ones.

use serde_json::Value;

use super::form::{Form, Scope, field_element, item_element, member};
use super::set::print_element;
use crate::schema::{Kind, ListType, Shape};

/// Everything that is wrong, in upstream's words.
pub(super) fn validate(value: &Value, scope: Scope<'_>) -> Vec<String> {
    let mut errors = Vec::new();
    walk(value, scope, "", &mut errors);
    errors
}

/// Several errors as one text.
pub(super) fn join(mut errors: Vec<String>) -> String {
    if errors.len() == 1 { errors.remove(0) } else { format!("errors:\n  {}", errors.join("\n  ")) }
}

fn walk(value: &Value, scope: Scope<'_>, path: &str, errors: &mut Vec<String>) {
    if value.is_null() {
        return;
    }
    let at = |element: &str| format!("{path}{}", print_element(element));
    match (scope.form([Some(value), None]), value) {
        (Form::Struct(ty), Value::Object(object)) => {
            for (name, value) in object {
                let (scope, field) = member(ty, name);
                if field.is_none() && !ty.preserves_unknown() {
                    errors.push(format!("{}: field not declared in schema", at(&field_element(name))));
                } else {
                    walk(value, scope, &at(&field_element(name)), errors);
                }
            }
        }
        (Form::Map(items), Value::Object(object)) => {
            object.iter().for_each(|(name, value)| walk(value, items, &at(&field_element(name)), errors))
        }
        (Form::List(list, items), Value::Array(values)) => {
            let mut seen: Vec<String> = Vec::new();
            for (index, value) in values.iter().enumerate() {
                let Some(element) = item_element(list, items, value) else {
                    errors.push(missing_key(list, &at(&format!("i:{index}"))));
                    continue;
                };
                if seen.contains(&element) {
                    let shown = print_element(&element);
                    errors.push(match list.list_type() {
                        ListType::Set => format!("{path}: duplicate entries for key {}", &shown),
                        _ => format!("{path}: duplicate entries for key {shown}"),
                    });
                }
                walk(value, Scope::Shape(items), &at(&element), errors);
                seen.push(element);
            }
        }
        (Form::Struct(_) | Form::Map(_), other) => errors.push(format!("{path}: expected map, got {}", found(other))),
        (Form::List(..), other) => errors.push(format!("{path}: expected list, got {}", found(other))),
        (Form::Leaf, value) => {
            if let Scope::Shape(shape) = scope {
                leaf(value, shape, path, errors);
            }
        }
    }
}

fn missing_key(list: Shape<'_>, path: &str) -> String {
    let keys: Vec<&str> = list.keys().collect();
    match keys.as_slice() {
        [key] => format!(
            "{path}: element 0: associative list with keys has an element that omits key field {} (and doesn't have default value)",
            crate::go_quote(key)
        ),
        keys => format!(
            "{path}: element 0: associative list with keys has an element that omits all key fields {keys:?} (and doesn't have default values for any key fields)"
        ),
    }
}

fn leaf(value: &Value, shape: Shape<'_>, path: &str, errors: &mut Vec<String>) {
    let wanted = match (shape.kind(), value) {
        (Kind::Int32 | Kind::Int64 | Kind::Double, v) if !v.is_number() => "numeric (int or float)",
        (Kind::String | Kind::Bytes | Kind::Time | Kind::MicroTime | Kind::Duration, v) if !v.is_string() => "string",
        (Kind::Bool, v) if !v.is_boolean() => "boolean",
        (Kind::List, v) if !v.is_array() => "list",
        (Kind::Object | Kind::Map, v) if !v.is_object() => "map",
        _ => return,
    };
    errors.push(format!("{path}: expected {wanted}, got {}", found(value)));
}

fn found(value: &Value) -> String {
    match value {
        Value::String(_) => "string".to_owned(),
        Value::Number(n) if n.is_f64() => "float".to_owned(),
        Value::Number(_) => "int".to_owned(),
        Value::Bool(_) => "boolean".to_owned(),
        Value::Array(_) => "list".to_owned(),
        _ => "map".to_owned(),
    }
}
