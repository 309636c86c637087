//! Pod templates: are two the same, and a short name for one.

use serde_json::Value;

use crate::kinds::Raw;

/// The label that keeps the pods of a deployment's replica sets apart.
pub(super) const HASH_LABEL: &str = "pod-template-hash";
/// What names are made of: no vowels, no look-alikes (upstream: `rand.SafeEncodeString`).
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Whether two templates are the same but for the hash label.
pub(super) fn is_same(a: &Raw, b: &Raw) -> bool {
    a == b || normal(a) == normal(b)
}

/// The template without the hash label and without fields that say nothing.
fn normal(template: &Raw) -> Value {
    let mut value = template.value();
    if let Some(labels) = value.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH_LABEL);
    }
    prune(&mut value);
    value
}

fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null() && field.as_array().is_none_or(|list| !list.is_empty()));
            fields.values_mut().for_each(prune);
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

/// A short name for a template. It depends on nothing but the template and on how often its name
/// was found taken; fields are visited in order of their names.
pub(crate) fn hash(template: &Raw, collisions: Option<i32>) -> String {
    let mut state = Fnv(0x811c_9dc5);
    state.visit(&normal(template));
    if let Some(collisions) = collisions {
        state.write(&collisions.to_le_bytes());
    }
    let digits = state.0.to_string();
    digits.bytes().map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()])).collect()
}

/// FNV-1a, 32 bits, as upstream's `hash/fnv`.
struct Fnv(u32);

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }

    fn visit(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                let mut names: Vec<_> = fields.iter().collect();
                names.sort_by_key(|(name, _)| name.as_str());
                self.write(b"{");
                for (name, field) in names {
                    self.write(name.as_bytes());
                    self.write(b":");
                    self.visit(field);
                }
                self.write(b"}");
            }
            Value::Array(items) => {
                self.write(b"[");
                items.iter().for_each(|item| self.visit(item));
                self.write(b"]");
            }
            other => {
                self.write(other.to_string().as_bytes());
                self.write(b",");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn raw(value: Value) -> Raw {
        (&value).into()
    }

    #[test]
    fn the_hash_label_and_empty_fields_do_not_count() {
        let deployment = raw(
            json!({"metadata": {"labels": {"app": "web"}, "creationTimestamp": null}, "spec": {"containers": [{"name": "a"}]}}),
        );
        let set = raw(
            json!({"spec": {"containers": [{"name": "a"}], "volumes": []}, "metadata": {"labels": {"pod-template-hash": "x", "app": "web"}}}),
        );
        let other = raw(json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "b"}]}}));
        assert!(is_same(&deployment, &set));
        assert!(!is_same(&deployment, &other));
        assert_eq!(hash(&deployment, None), hash(&set, None));
        assert_ne!(hash(&deployment, None), hash(&other, None));
        assert_ne!(hash(&deployment, None), hash(&deployment, Some(1)));
    }

    #[test]
    fn hashes_are_names() {
        let name = hash(&raw(json!({"spec": {"x": [1, true, "y"]}})), None);
        assert!(!name.is_empty() && name.len() <= 10);
        assert!(name.bytes().all(|byte| ALPHABET.contains(&byte)), "{name}");
        // A changed algorithm would roll every deployment out again.
        assert_eq!(hash(&raw(json!({"spec": {"x": 1}})), None), hash(&raw(json!({"spec": {"x": 1}})), None));
    }
}
