//! Validation of CustomResourceDefinitions (`apiextensions-apiserver/pkg/apis/apiextensions/validation`).

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::{Value, json};

use super::schema;
use crate::registry::check::{self, Errors};
use crate::registry::value::{Read as _, child, restore, same};
use crate::row::Context;

/// PrepareForCreate: the storage version is the first that was ever stored.
pub(super) fn prepare_create(definition: &mut Value, _: &Context<'_>) {
    definition["status"] = json!({});
    stored_version(definition);
}

/// PrepareForUpdate: a new storage version is added to those ever stored.
pub(super) fn prepare_update(new: &mut Value, old: &Value, _: &Context<'_>) {
    restore(new, old, "status");
    stored_version(new);
}

fn stored_version(definition: &mut Value) {
    let Some(version) = definition
        .items("spec.versions")
        .iter()
        .find(|version| version.flag("storage"))
        .map(|version| version.text("name").to_owned())
    else {
        return;
    };
    if let Some(status) = child(definition, "status") {
        let mut stored = status.items("storedVersions").to_vec();
        if !stored.iter().any(|known| known == &version) {
            stored.push(Value::String(version));
            status["storedVersions"] = Value::Array(stored);
        }
    }
}

/// ValidateCustomResourceDefinition.
pub(super) fn create(definition: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = definition.at("spec");
    let wanted = format!("{}.{}", spec.text("names.plural"), spec.text("group"));
    if definition.text("metadata.name") != wanted {
        errors.push(FieldError::invalid(
            &Path::new("metadata.name"),
            definition.text("metadata.name"),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    self::spec(&mut errors, spec, &Path::new("spec"));
    stored(&mut errors, definition);
    errors
}

fn spec(errors: &mut Errors, spec: &Value, path: &Path) {
    let group = spec.text("group");
    if check::required(errors, spec, path, "group") {
        let messages = names::is_dns1123_subdomain(group);
        if !messages.is_empty() {
            errors.push(FieldError::invalid(&path.child("group"), group, messages.join(",")));
        } else if !group.contains('.') {
            errors.push(FieldError::invalid(&path.child("group"), group, "should be a domain with at least one dot"));
        }
    }
    check::one_of(errors, spec, path, "scope", &["Cluster", "Namespaced"]);
    if spec.flag("preserveUnknownFields") {
        errors.push(FieldError::invalid(
            &path.child("preserveUnknownFields"),
            true,
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
        ));
    }
    versions(errors, spec, path);
    kind_names(errors, spec.at("names"), &path.child("names"));
    conversion(errors, spec.at("conversion"), &path.child("conversion"));
}

fn versions(errors: &mut Errors, spec: &Value, path: &Path) {
    let own = path.child("versions");
    let list = spec.items("versions");
    let mut seen = Vec::new();
    let mut unique = true;
    for (index, version) in list.iter().enumerate() {
        let path = own.index(index);
        let name = version.text("name");
        unique &= !seen.contains(&name);
        seen.push(name);
        let messages = names::is_dns1035_label(name);
        if !messages.is_empty() {
            errors.push(FieldError::invalid(&path.child("name"), name, messages.join(",")));
        }
        let root = version.at("schema.openAPIV3Schema");
        let schema_path = path.child("schema.openAPIV3Schema");
        if root.is_null() {
            errors.push(FieldError::required(&schema_path, "schemas are required"));
        } else {
            schema::structural(errors, root, &schema_path);
        }
        printer_columns(errors, version, &path);
        scale(errors, version, &path);
        selectable(errors, version, &path);
    }
    if !unique {
        errors.push(FieldError::invalid(&own, spec.at("versions").clone(), "must contain unique version names"));
    }
    if list.iter().filter(|version| version.flag("storage")).count() != 1 {
        errors.push(FieldError::invalid(
            &own,
            spec.at("versions").clone(),
            "must have exactly one version marked as storage version",
        ));
    }
}

fn printer_columns(errors: &mut Errors, version: &Value, path: &Path) {
    const TYPES: &[&str] = &["boolean", "date", "integer", "number", "string"];
    for (index, column) in version.items("additionalPrinterColumns").iter().enumerate() {
        let path = path.child("additionalPrinterColumns").index(index);
        check::required(errors, column, &path, "name");
        match column.text("type") {
            "" => errors.push(FieldError::required(&path.child("type"), format!("must be one of {}", TYPES.join(",")))),
            kind if !TYPES.contains(&kind) => errors.push(FieldError::invalid(
                &path.child("type"),
                kind,
                format!("must be one of {}", TYPES.join(",")),
            )),
            _ => {}
        }
        simple_path(errors, column.text("jsonPath"), &path.child("jsonPath"));
    }
}

fn simple_path(errors: &mut Errors, text: &str, path: &Path) {
    if text.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else if !text.starts_with('.') {
        errors.push(FieldError::invalid(path, text, "must be a simple json path starting with ."));
    }
}

fn scale(errors: &mut Errors, version: &Value, path: &Path) {
    let scale = version.at("subresources.scale");
    if scale.is_null() {
        return;
    }
    let path = path.child("subresources.scale");
    for (key, prefix) in [("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")] {
        let text = scale.text(key);
        let own = path.child(key);
        if text.is_empty() {
            errors.push(FieldError::required(&own, ""));
        } else if !text.starts_with(prefix) {
            let what = prefix.trim_end_matches('.');
            errors.push(FieldError::invalid(&own, text, format!("should be a json path under {what}")));
        }
    }
    let selector = scale.text("labelSelectorPath");
    if !selector.is_empty() && !selector.starts_with(".spec.") && !selector.starts_with(".status.") {
        errors.push(FieldError::invalid(
            &path.child("labelSelectorPath"),
            selector,
            "should be a json path under either .spec or .status",
        ));
    }
}

fn selectable(errors: &mut Errors, version: &Value, path: &Path) {
    let fields = version.items("selectableFields");
    let own = path.child("selectableFields");
    if fields.len() > 8 {
        errors.push(FieldError::too_many(&own, fields.len(), 8));
    }
    let mut seen = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let path = own.index(index).child("jsonPath");
        let text = field.text("jsonPath");
        simple_path(errors, text, &path);
        if text.starts_with(".metadata.") || text == ".metadata" {
            errors.push(FieldError::invalid(&path, text, "must not point to fields in metadata"));
        }
        if seen.contains(&text) {
            errors.push(FieldError::duplicate(&path, text));
        }
        seen.push(text);
    }
}

fn kind_names(errors: &mut Errors, own: &Value, path: &Path) {
    for key in ["plural", "singular", "kind", "listKind"] {
        check::required(errors, own, path, key);
    }
    let label = |errors: &mut Errors, path: &Path, name: &str| {
        let messages = names::is_dns1035_label(name);
        if !name.is_empty() && !messages.is_empty() {
            errors.push(FieldError::invalid(path, name, messages.join(",")));
        }
    };
    let mixed = |errors: &mut Errors, path: &Path, name: &str| {
        let messages = names::is_dns1035_label(&name.to_lowercase());
        if !name.is_empty() && !messages.is_empty() {
            let message = format!("may have mixed case, but should otherwise match: {}", messages.join(","));
            errors.push(FieldError::invalid(path, name, message));
        }
    };
    label(errors, &path.child("plural"), own.text("plural"));
    label(errors, &path.child("singular"), own.text("singular"));
    mixed(errors, &path.child("kind"), own.text("kind"));
    mixed(errors, &path.child("listKind"), own.text("listKind"));
    for list in ["shortNames", "categories"] {
        for (index, name) in own.items(list).iter().filter_map(Value::as_str).enumerate() {
            label(errors, &path.child(list).index(index), name);
        }
    }
    if !own.text("kind").is_empty() && own.text("kind") == own.text("listKind") {
        errors.push(FieldError::invalid(
            &path.child("listKind"),
            own.text("listKind"),
            "kind and listKind may not be the same",
        ));
    }
}

fn conversion(errors: &mut Errors, conversion: &Value, path: &Path) {
    match conversion.text("strategy") {
        "" => errors.push(FieldError::required(&path.child("strategy"), "")),
        "None" => {
            if conversion.has("webhook") {
                errors.push(FieldError::forbidden(
                    &path.child("webhook"),
                    "should not be set when strategy is not set to Webhook",
                ));
            }
        }
        "Webhook" => {
            if !conversion.has("webhook.clientConfig") {
                errors.push(FieldError::required(
                    &path.child("webhook.clientConfig"),
                    "required when strategy is set to Webhook",
                ));
            }
            if conversion.items("webhook.conversionReviewVersions").is_empty() {
                errors.push(FieldError::required(&path.child("webhook.conversionReviewVersions"), ""));
            }
        }
        other => errors.push(FieldError::not_supported(&path.child("strategy"), other, &["None", "Webhook"])),
    }
}

fn stored(errors: &mut Errors, definition: &Value) {
    let path = Path::new("status.storedVersions");
    let list = definition.items("status.storedVersions");
    if list.is_empty() {
        errors.push(FieldError::invalid(
            &path,
            definition.at("status.storedVersions").clone(),
            "must have at least one stored version",
        ));
        return;
    }
    for (index, stored) in list.iter().filter_map(Value::as_str).enumerate() {
        if !definition.items("spec.versions").iter().any(|version| version.text("name") == stored) {
            errors.push(FieldError::invalid(
                &path.index(index),
                stored,
                format!(
                    "missing from spec.versions; {stored} was previously a storage version, and must remain in spec.versions until \
                     a storage migration ensures no data remains persisted in {stored} and removes {stored} from status.storedVersions"
                ),
            ));
        }
    }
}

/// ValidateCustomResourceDefinitionUpdate: once established, scope and kind are fixed.
pub(super) fn update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = create(new, context);
    let established = crate::registry::print::condition(old, "Established") == "True";
    let mut fixed: Vec<&str> = vec!["group", "names.plural"];
    if established {
        fixed.extend(["scope", "names.kind"]);
    }
    for key in fixed {
        if !same(new.at("spec").at(key), old.at("spec").at(key)) {
            let path = Path::new("spec").child(key);
            check::immutable(&mut errors, new.at("spec").at(key), old.at("spec").at(key), &path);
        }
    }
    errors
}

/// ValidateUpdateCustomResourceDefinitionStatus.
pub(super) fn status(new: &Value, _: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    stored(&mut errors, new);
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::apiextensions::CUSTOM_RESOURCE_DEFINITIONS as ROW;
    use crate::registry::check::texts;

    fn context() -> Context<'static> {
        Context { resource: &ROW, namespace: "", user: "", groups: &[], subresource: None, now: "" }
    }

    fn made(spec: Value) -> Value {
        let mut object = json!({"metadata": {"name": "crontabs.stable.example.com"}, "spec": {"group": "stable.example.com", "scope": "Namespaced",
            "names": {"plural": "crontabs", "kind": "CronTab"}, "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]}});
        for (key, value) in spec.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        (ROW.default)(&mut object);
        (ROW.prepare_create)(&mut object, &context());
        object
    }

    #[test]
    fn defaults_and_stored_versions() {
        let object = made(json!({}));
        assert_eq!(object["spec"]["names"]["singular"], "crontab");
        assert_eq!(object["spec"]["names"]["listKind"], "CronTabList");
        assert_eq!(object["spec"]["conversion"], json!({"strategy": "None"}));
        assert_eq!(object["status"], json!({"storedVersions": ["v1"]}));
        assert_eq!(texts(&create(&object, &context())), [""; 0]);
    }

    #[test]
    fn creation() {
        #[track_caller]
        fn check(spec: Value, expected: &[&str]) {
            assert_eq!(texts(&create(&made(spec), &context())), expected);
        }
        check(
            json!({"group": "example", "scope": "World"}),
            &[
                r#"metadata.name: Invalid value: "crontabs.stable.example.com": must be spec.names.plural+"."+spec.group"#,
                r#"spec.group: Invalid value: "example": should be a domain with at least one dot"#,
                r#"spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced""#,
            ],
        );
        check(
            json!({"versions": [{"name": "v1", "served": true, "storage": true}]}),
            &["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"],
        );
    }

    #[test]
    fn kinds_are_fixed_once_established() {
        let mut old = made(json!({}));
        old["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
        let mut new = old.clone();
        new["spec"]["scope"] = json!("Cluster");
        assert_eq!(
            texts(&update(&new, &old, &context())),
            [r#"spec.scope: Invalid value: "Cluster": field is immutable"#]
        );
    }
}
