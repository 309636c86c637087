//! Accessors on objects held as `serde_json::Value`; absent and null read as empty.

use serde_json::{Map, Value};

use super::types::{Gvk, ObjectMeta, OwnerReference};

/// The object's group, version and kind as it states them.
pub fn gvk(object: &Value) -> Gvk {
    Gvk::from_api_version(text(object, "apiVersion"), text(object, "kind"))
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// `metadata`, if it is an object.
pub fn metadata(object: &Value) -> Option<&Map<String, Value>> {
    object.get("metadata")?.as_object()
}

/// `metadata`, made if it is absent. `None` only if the object is no JSON object.
pub fn metadata_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let slot = object.as_object_mut()?.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
}

/// A string of `metadata`; empty if absent.
pub fn meta_str<'a>(object: &'a Value, key: &str) -> &'a str {
    metadata(object).and_then(|m| m.get(key)).and_then(Value::as_str).unwrap_or_default()
}

/// Sets a member of `metadata`; null removes it.
pub fn set_meta(object: &mut Value, key: &str, value: impl Into<Value>) {
    let value = value.into();
    if let Some(meta) = metadata_mut(object) {
        if value.is_null() {
            meta.remove(key);
        } else {
            meta.insert(key.to_owned(), value);
        }
    }
}

/// `metadata.name`.
pub fn name(object: &Value) -> &str {
    meta_str(object, "name")
}

/// `metadata.generateName`.
pub fn generate_name(object: &Value) -> &str {
    meta_str(object, "generateName")
}

/// `metadata.namespace`.
pub fn namespace(object: &Value) -> &str {
    meta_str(object, "namespace")
}

/// `metadata.uid`.
pub fn uid(object: &Value) -> &str {
    meta_str(object, "uid")
}

/// `metadata.resourceVersion`.
pub fn resource_version(object: &Value) -> &str {
    meta_str(object, "resourceVersion")
}

/// `metadata.creationTimestamp`.
pub fn creation_timestamp(object: &Value) -> &str {
    meta_str(object, "creationTimestamp")
}

/// `metadata.deletionTimestamp`, if the object is being deleted.
pub fn deletion_timestamp(object: &Value) -> Option<&str> {
    metadata(object)?.get("deletionTimestamp")?.as_str()
}

/// `metadata.deletionGracePeriodSeconds`.
pub fn deletion_grace_period_seconds(object: &Value) -> Option<i64> {
    metadata(object)?.get("deletionGracePeriodSeconds")?.as_i64()
}

/// `metadata.generation`; zero if absent.
pub fn generation(object: &Value) -> i64 {
    metadata(object).and_then(|m| m.get("generation")).and_then(Value::as_i64).unwrap_or_default()
}

/// `metadata.labels`.
pub fn labels(object: &Value) -> Option<&Map<String, Value>> {
    metadata(object)?.get("labels")?.as_object()
}

/// `metadata.annotations`.
pub fn annotations(object: &Value) -> Option<&Map<String, Value>> {
    metadata(object)?.get("annotations")?.as_object()
}

/// One label.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    labels(object)?.get(key)?.as_str()
}

/// One annotation.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    annotations(object)?.get(key)?.as_str()
}

/// Label pairs, for [`crate::selector::Selector::matches`].
pub fn label_pairs(object: &Value) -> impl Iterator<Item = (&str, &str)> + Clone {
    labels(object).into_iter().flatten().filter_map(|(k, v)| Some((k.as_str(), v.as_str()?)))
}

/// `metadata.finalizers`.
pub fn finalizers(object: &Value) -> Vec<&str> {
    list(object, "finalizers").iter().filter_map(Value::as_str).collect()
}

/// `metadata.ownerReferences`, typed; unreadable entries are left out.
pub fn owner_references(object: &Value) -> Vec<OwnerReference> {
    list(object, "ownerReferences").iter().filter_map(|o| serde::Deserialize::deserialize(o).ok()).collect()
}

fn list<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    metadata(object).and_then(|m| m.get(key)).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The whole metadata, typed.
pub fn object_meta(object: &Value) -> ObjectMeta {
    object.get("metadata").and_then(|m| serde::Deserialize::deserialize(m).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_reads_as_empty() {
        for object in [json!({}), json!({"metadata": null}), json!([]), json!({"metadata": {"labels": null}})] {
            assert_eq!(name(&object), "");
            assert_eq!(generation(&object), 0);
            assert_eq!(label_pairs(&object).count(), 0);
            assert!(finalizers(&object).is_empty());
        }
    }

    #[test]
    fn reads_and_sets() {
        let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "generation": 3, "labels": {"app": "x"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u", "controller": true}]}});
        assert_eq!(gvk(&object), Gvk::new("apps", "v1", "Deployment"));
        assert_eq!((name(&object), generation(&object), label(&object, "app")), ("a", 3, Some("x")));
        assert_eq!(object_meta(&object).controller().map(|o| o.uid.as_str()), Some("u"));
        set_meta(&mut object, "uid", "1");
        set_meta(&mut object, "labels", Value::Null);
        assert_eq!((uid(&object), labels(&object)), ("1", None));
    }
}
