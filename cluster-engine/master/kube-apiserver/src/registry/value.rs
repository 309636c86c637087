//! Reading and defaulting objects that are `serde_json::Value`s, with Go's view of emptiness.
//!
//! Upstream works on typed structs, where a missing string is `""`, a missing list is empty and a null is missing.
//! These functions give rows the same view, so that a validation reads like upstream's.

use drydock_api::quantity::Quantity;
use serde_json::{Map, Value};

static NULL: Value = Value::Null;

/// Reading access by dotted path; every missing step reads as null, `""`, 0 or empty.
pub(crate) trait Read {
    /// The value at a dotted path (`spec.template.spec`), null when missing.
    fn at(&self, path: &str) -> &Value;
    /// The string at a path, `""` when missing.
    fn text(&self, path: &str) -> &str;
    /// The integer at a path.
    fn int(&self, path: &str) -> Option<i64>;
    /// The boolean at a path, false when missing.
    fn flag(&self, path: &str) -> bool;
    /// The list at a path, empty when missing.
    fn items(&self, path: &str) -> &[Value];
    /// The entries of the map at a path in key order, none when missing.
    fn entries(&self, path: &str) -> Vec<(&str, &Value)>;
    /// Whether something other than null stands at the path.
    fn has(&self, path: &str) -> bool;
    /// The map of strings at a path (labels, selectors), in key order.
    fn strings(&self, path: &str) -> Vec<(&str, &str)>;
}

impl Read for Value {
    fn at(&self, path: &str) -> &Value {
        if path.is_empty() {
            return self;
        }
        let mut here = self;
        for step in path.split('.') {
            match here.get(step) {
                Some(next) => here = next,
                None => return &NULL,
            }
        }
        here
    }

    fn text(&self, path: &str) -> &str {
        self.at(path).as_str().unwrap_or("")
    }

    fn int(&self, path: &str) -> Option<i64> {
        self.at(path).as_i64()
    }

    fn flag(&self, path: &str) -> bool {
        self.at(path).as_bool().unwrap_or(false)
    }

    fn items(&self, path: &str) -> &[Value] {
        self.at(path).as_array().map_or(&[], Vec::as_slice)
    }

    fn entries(&self, path: &str) -> Vec<(&str, &Value)> {
        let mut entries: Vec<_> = self
            .at(path)
            .as_object()
            .map(|map| map.iter().map(|(key, value)| (key.as_str(), value)).collect())
            .unwrap_or_default();
        entries.sort_by_key(|(key, _)| *key);
        entries
    }

    fn has(&self, path: &str) -> bool {
        !self.at(path).is_null()
    }

    fn strings(&self, path: &str) -> Vec<(&str, &str)> {
        self.entries(path).into_iter().map(|(key, value)| (key, value.as_str().unwrap_or(""))).collect()
    }
}

/// A value of an annotation.
pub(crate) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.at("metadata.annotations").get(key).and_then(Value::as_str)
}

/// The object at `key`, made when it is missing or null; nothing when `value` is no object.
pub(crate) fn child<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    let map = value.as_object_mut()?;
    let slot = map.entry(key).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    Some(slot)
}

/// The value at a dotted path for change, if all of it is there and not null.
pub(crate) fn at_mut<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let mut here = value;
    for step in path.split('.') {
        here = here.get_mut(step)?;
    }
    if here.is_null() { None } else { Some(here) }
}

/// The elements of the list at a dotted path for change.
pub(crate) fn items_mut<'a>(value: &'a mut Value, path: &str) -> &'a mut [Value] {
    match at_mut(value, path).and_then(Value::as_array_mut) {
        Some(list) => list.as_mut_slice(),
        None => &mut [],
    }
}

/// Sets a pointer-like field when it is missing or null.
pub(crate) fn default(value: &mut Value, key: &str, to: impl Into<Value>) {
    if let Some(map) = value.as_object_mut() {
        let slot = map.entry(key).or_insert(Value::Null);
        if slot.is_null() {
            *slot = to.into();
        }
    }
}

/// Sets a string field when it is missing, null or `""`.
pub(crate) fn default_text(value: &mut Value, key: &str, to: &str) {
    if let Some(map) = value.as_object_mut() {
        let slot = map.entry(key).or_insert(Value::Null);
        if slot.is_null() || slot.as_str() == Some("") {
            *slot = Value::from(to);
        }
    }
}

/// Sets a plain integer field when it is missing, null or 0.
pub(crate) fn default_int(value: &mut Value, key: &str, to: i64) {
    if let Some(map) = value.as_object_mut() {
        let slot = map.entry(key).or_insert(Value::Null);
        if slot.is_null() || slot.as_i64() == Some(0) {
            *slot = Value::from(to);
        }
    }
}

/// Takes a field away.
pub(crate) fn remove(value: &mut Value, key: &str) {
    if let Some(map) = value.as_object_mut() {
        map.remove(key);
    }
}

/// Puts `key` back to what `old` has: its value, or nothing.
pub(crate) fn restore(new: &mut Value, old: &Value, key: &str) {
    if let Some(map) = new.as_object_mut() {
        match old.get(key) {
            Some(value) => {
                map.insert(key.to_owned(), value.clone());
            }
            None => {
                map.remove(key);
            }
        }
    }
}

/// Whether two values are the same to Go's `DeepEqual` of decoded structs: nulls, `""`, `false`, `0` and empty lists or maps are
/// as if they were missing, and quantities of equal amount written differently count as different only by their text.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            a.iter().all(|(key, value)| same(value, b.get(key).unwrap_or(&NULL)))
                && b.iter().all(|(key, value)| a.contains_key(key) || empty(value))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(x, y)| same(x, y)),
        _ => left == right || (empty(left) && empty(right)),
    }
}

/// Whether a value reads as missing in Go.
pub(crate) fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A quantity: strings and numbers are both allowed in JSON.
pub(crate) fn quantity(value: &Value) -> Option<Quantity> {
    if value.is_null() { None } else { Quantity::from_value(value).ok() }
}

/// The canonical text of a quantity, or the text as it stands.
pub(crate) fn quantity_text(value: &Value) -> String {
    match quantity(value) {
        Some(quantity) => quantity.to_string(),
        None => value.as_str().unwrap_or("0").to_owned(),
    }
}

/// Rewrites every quantity of a resource list in canonical form, as decoding and encoding does upstream.
pub(crate) fn canonical_quantities(list: &mut Value) {
    if let Some(map) = list.as_object_mut() {
        for value in map.values_mut() {
            if let Some(quantity) = quantity(value) {
                *value = Value::String(quantity.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn missing_steps_read_as_empty() {
        let value = json!({"spec": {"a": [1], "b": null, "c": "x", "n": 3}});
        assert_eq!(value.text("spec.c"), "x");
        assert_eq!(value.text("spec.c.d"), "");
        assert_eq!(value.int("spec.n"), Some(3));
        assert_eq!(value.items("spec.a").len(), 1);
        assert!(value.items("spec.zz").is_empty());
        assert!(!value.has("spec.b"));
    }

    #[test]
    fn defaults_fill_only_what_is_unset() {
        let mut value = json!({"a": "", "b": null, "c": "set", "d": 0});
        default_text(&mut value, "a", "A");
        default(&mut value, "b", 1);
        default_text(&mut value, "c", "C");
        default(&mut value, "d", 5);
        assert_eq!(value, json!({"a": "A", "b": 1, "c": "set", "d": 0}));
        default_int(&mut value, "d", 5);
        assert_eq!(value.int("d"), Some(5));
    }

    #[test]
    fn sameness_is_gos() {
        assert!(same(&json!({"a": 1, "labels": {}}), &json!({"a": 1})));
        assert!(same(&json!({"a": {"b": null}}), &json!({})));
        assert!(!same(&json!({"a": 1}), &json!({"a": 2})));
        assert!(!same(&json!({"a": false}), &json!({})), "a pointer to false is not a missing one");
        assert!(!same(&json!([1]), &json!([1, 2])));
    }
}
