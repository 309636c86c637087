//! `metadata`: what the server sets, carries over and checks on every object.

use drydock_api::Status;
use drydock_api::field::{FieldError, Path};
use drydock_api::meta::{self, metadata_mut, set_meta};
use drydock_api::names;
use serde_json::{Map, Value};

use crate::exchange::Exchange;
use crate::row::Resource;

const ANNOTATIONS_LIMIT: usize = 256 << 10;

/// Prepares a new object: namespace of the request, uid and time, nothing that only the server may say.
///
/// # Errors
/// 400 when the object names another namespace or carries a resourceVersion.
pub(crate) fn begin_create(exchange: &Exchange, row: &Resource, object: &mut Value) -> Result<(), Status> {
    if object.get("metadata").is_none_or(Value::is_null) {
        object["metadata"] = Value::Object(Map::new());
    }
    if row.namespaced {
        let (own, asked) = (meta::namespace(object), exchange.info.namespace.as_str());
        if !own.is_empty() && own != asked {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        set_meta(object, "namespace", asked.to_owned());
    }
    if !matches!(meta::resource_version(object), "" | "0") {
        return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
    }
    if let Some(metadata) = metadata_mut(object) {
        for key in ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"] {
            metadata.remove(key);
        }
        metadata.insert("uid".to_owned(), crate::meta::new_uid().into());
        metadata.insert("creationTimestamp".to_owned(), exchange.now.clone().into());
    }
    if row.has_status() && !row.status_on_create {
        match row.custom {
            Some(_) => _ = object.as_object_mut().map(|fields| fields.remove("status")),
            // Present but empty, as Go writes a struct.
            None => object["status"] = Value::Object(Map::new()),
        }
    }
    if row.generation {
        set_meta(object, "generation", 1);
    }
    Ok(())
}

/// Carries over what an update may not touch, and checks version and identity.
///
/// # Errors
/// 409 when the object was modified or replaced meanwhile, 422 when a version is needed and not given.
pub(crate) fn begin_update(row: &Resource, new: &mut Value, old: &Value) -> Result<(), Status> {
    let name = meta::name(old).to_owned();
    match meta::resource_version(new) {
        "" | "0" if !row.unconditional_update => {
            let error = FieldError::invalid(
                &Path::new("metadata.resourceVersion"),
                Value::from(0),
                "must be specified for an update",
            );
            return Err(Status::invalid(row.group, row.kind, &name, vec![error]));
        }
        "" | "0" => {}
        version if version != meta::resource_version(old) => {
            return Err(Status::modified(row.group, row.plural, &name));
        }
        _ => {}
    }
    let uid = meta::uid(new);
    if !uid.is_empty() && uid != meta::uid(old) {
        let text = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", meta::uid(old));
        return Err(Status::conflict(row.group, row.plural, &name, text));
    }
    let carried = [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "generateName",
        "namespace",
        "name",
    ];
    let old_metadata = meta::metadata(old).cloned().unwrap_or_default();
    if new.get("metadata").is_none_or(Value::is_null) {
        new["metadata"] = Value::Object(Map::new());
    }
    if let Some(metadata) = metadata_mut(new) {
        metadata.remove("selfLink");
        for key in carried {
            match old_metadata.get(key) {
                Some(value) => metadata.insert(key.to_owned(), value.clone()),
                None => metadata.remove(key),
            };
        }
    }
    Ok(())
}

/// Takes out of `metadata` what is empty, as Go's encoder would (`labels: {}`, `finalizers: []`, nulls).
pub(crate) fn tidy(object: &mut Value) {
    if let Some(metadata) = metadata_mut(object) {
        metadata.retain(|_, value| match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            _ => true,
        });
    }
}

/// Sets the generation of an update: one more when anything but metadata and status changed.
pub(crate) fn bump_generation(row: &Resource, new: &mut Value, old: &Value) {
    if !row.generation {
        return;
    }
    let part = |object: &Value| {
        let mut fields = object.as_object().cloned().unwrap_or_default();
        for key in ["metadata", "apiVersion", "kind"] {
            fields.remove(key);
        }
        if row.has_status() {
            fields.remove("status");
        }
        fields
    };
    if part(new) != part(old) {
        set_meta(new, "generation", meta::generation(old) + 1);
    }
}

/// Upstream's ValidateObjectMeta.
pub(crate) fn validate(row: &Resource, object: &Value) -> Vec<FieldError> {
    let path = Path::new("metadata");
    let mut errors = Vec::new();
    let (name, base) = (meta::name(object), meta::generate_name(object));
    if !base.is_empty() {
        errors.extend(
            (row.name)(base, true).into_iter().map(|text| FieldError::invalid(&path.child("generateName"), base, text)),
        );
    }
    if name.is_empty() {
        errors.push(FieldError::required(&path.child("name"), "name or generateName is required"));
    } else {
        errors.extend(
            (row.name)(name, false).into_iter().map(|text| FieldError::invalid(&path.child("name"), name, text)),
        );
    }
    let namespace = meta::namespace(object);
    if !row.namespaced && !namespace.is_empty() {
        errors.push(FieldError::forbidden(&path.child("namespace"), "not allowed on this type"));
    } else if row.namespaced && namespace.is_empty() {
        errors.push(FieldError::required(&path.child("namespace"), ""));
    } else if row.namespaced {
        errors.extend(
            names::is_dns1123_label(namespace)
                .into_iter()
                .map(|text| FieldError::invalid(&path.child("namespace"), namespace, text)),
        );
    }
    errors.extend(validate_common(object, &path));
    // Extensions check less: theirs are finalizers such as `customresourcecleanup.apiextensions.k8s.io`.
    if row.custom.is_none() && !matches!(row.group, "apiextensions.k8s.io" | "apiregistration.k8s.io") {
        errors.extend(validate_finalizers(object, &path.child("finalizers")));
    }
    errors
}

/// Of built-in kinds, upstream's validateKubeFinalizerName.
fn validate_finalizers(object: &Value, path: &Path) -> Vec<FieldError> {
    let text = "name is neither a standard finalizer name nor is it fully qualified";
    let known = |name: &str| name.contains('/') || matches!(name, "orphan" | "foregroundDeletion" | "kubernetes");
    let finalizers = meta::finalizers(object);
    let wrong = finalizers.into_iter().enumerate().filter(|(_, name)| !known(name));
    wrong.map(|(index, name)| FieldError::invalid(&path.index(index), name, text)).collect()
}

/// Upstream's ValidateObjectMetaUpdate.
pub(crate) fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let path = Path::new("metadata");
    let mut errors = Vec::new();
    if meta::deletion_timestamp(old).is_some() {
        let before = meta::finalizers(old);
        let added: Vec<_> = meta::finalizers(new).into_iter().filter(|name| !before.contains(name)).collect();
        if !added.is_empty() {
            let quoted: Vec<_> = added.iter().map(|name| drydock_api::go_quote(name)).collect();
            let text = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                quoted.join(", ")
            );
            errors.push(FieldError::forbidden(&path.child("finalizers"), text));
        }
    }
    errors.extend(validate_common(new, &path));
    errors
}

fn validate_common(object: &Value, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (key, value) in meta::labels(object).into_iter().flatten() {
        let (path, value) = (path.child("labels"), value.as_str().unwrap_or(""));
        errors.extend(
            names::is_qualified_name(key).into_iter().map(|text| FieldError::invalid(&path, key.as_str(), text)),
        );
        errors.extend(names::is_label_value(value).into_iter().map(|text| FieldError::invalid(&path, value, text)));
    }
    let mut size = 0;
    for (key, value) in meta::annotations(object).into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        let lower = key.to_lowercase();
        errors.extend(
            names::is_qualified_name(&lower)
                .into_iter()
                .map(|text| FieldError::invalid(&path.child("annotations"), key.as_str(), text)),
        );
    }
    if size > ANNOTATIONS_LIMIT {
        errors.push(FieldError::too_long(&path.child("annotations"), ANNOTATIONS_LIMIT));
    }
    errors.extend(validate_owners(object, &path.child("ownerReferences")));
    let path = path.child("finalizers");
    let finalizers = meta::finalizers(object);
    for name in &finalizers {
        errors.extend(names::is_qualified_name(name).into_iter().map(|text| FieldError::invalid(&path, *name, text)));
    }
    if finalizers.contains(&"orphan") && finalizers.contains(&"foregroundDeletion") {
        let text = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(FieldError::invalid(&path, Value::from(finalizers.clone()), text));
    }
    errors
}

fn validate_owners(object: &Value, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut controller: Option<String> = None;
    for reference in meta::owner_references(object) {
        let shown = serde_json::to_value(&reference).unwrap_or_default();
        let mut wrong =
            |field: &str, value: &str, text: &str| errors.push(FieldError::invalid(&path.child(field), value, text));
        if reference.api_version.is_empty() || reference.api_version == "/" {
            wrong("apiVersion", &reference.api_version, "version must not be empty");
        }
        for (field, value) in [("kind", &reference.kind), ("name", &reference.name), ("uid", &reference.uid)] {
            if value.is_empty() {
                let text =
                    if field == "kind" { "must not be empty".to_owned() } else { format!("{field} must not be empty") };
                wrong(field, value, &text);
            }
        }
        if reference.controller == Some(true) {
            match &controller {
                None => controller = Some(reference.name.clone()),
                Some(first) => {
                    let text = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {}",
                        reference.name
                    );
                    errors.push(FieldError::invalid(path, shown, text));
                }
            }
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    static ROW: Resource = Resource { kind: "ConfigMap", plural: "configmaps", generation: true, ..Resource::BASE };

    #[track_caller]
    fn check(object: Value, expected: &[&str]) {
        let texts: Vec<_> = validate(&ROW, &object).iter().map(|error| error.field.clone()).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn metadata_is_checked_as_upstream_does() {
        check(json!({"metadata": {"name": "a", "namespace": "n"}}), &[]);
        check(json!({"metadata": {"namespace": "n"}}), &["metadata.name"]);
        check(json!({"metadata": {"name": "A", "namespace": "n"}}), &["metadata.name"]);
        check(json!({"metadata": {"name": "a", "namespace": "n", "labels": {"a b": "c"}}}), &["metadata.labels"]);
        check(json!({"metadata": {"name": "a", "namespace": "n", "finalizers": ["x"]}}), &["metadata.finalizers[0]"]);
    }

    #[test]
    fn a_stale_update_is_a_conflict() {
        let old = json!({"metadata": {"name": "a", "uid": "u", "resourceVersion": "5", "creationTimestamp": "t"}});
        let mut new = json!({"metadata": {"name": "a", "resourceVersion": "4"}});
        assert_eq!(begin_update(&ROW, &mut new, &old).map_err(|status| status.code), Err(409));
        let mut new = json!({"metadata": {"name": "a", "labels": {"x": "y"}}, "data": {}});
        begin_update(&ROW, &mut new, &old).expect("unconditional");
        assert_eq!(new["metadata"]["uid"], "u");
        bump_generation(&ROW, &mut new, &old);
        assert_eq!(new["metadata"]["generation"], 1);
    }
}
