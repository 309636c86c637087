//! Validation of `storage.k8s.io`.

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use crate::registry::check::{self, Errors};
use crate::registry::template::csi_driver;
use crate::registry::value::{Read as _, quantity, same};
use crate::row::Context;

fn provisioner(errors: &mut Errors, name: &str, path: &Path) {
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else {
        check::each(errors, path, name, names::is_qualified_name(&name.to_lowercase()));
    }
}

fn parameters(errors: &mut Errors, parameters: &Value, path: &Path) {
    const TOTAL: usize = 256 * 1024;
    let entries = parameters.strings("");
    if entries.len() > 512 {
        errors.push(FieldError::too_long(path, 512));
        return;
    }
    let mut size = 0;
    for (key, value) in entries {
        if key.is_empty() {
            errors.push(FieldError::invalid(path, key, "field can not be empty."));
        }
        size += key.len() + value.len();
    }
    if size > TOTAL {
        errors.push(FieldError::too_long(path, TOTAL));
    }
}

/// ValidateStorageClass.
pub(super) fn class(class: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let root = Path::root();
    provisioner(&mut errors, class.text("provisioner"), &Path::new("provisioner"));
    parameters(&mut errors, class.at("parameters"), &Path::new("parameters"));
    check::maybe_one_of(&mut errors, class, &root, "reclaimPolicy", &["Delete", "Retain"]);
    check::one_of(&mut errors, class, &root, "volumeBindingMode", &["Immediate", "WaitForFirstConsumer"]);
    for (index, term) in class.items("allowedTopologies").iter().enumerate() {
        let path = Path::new("allowedTopologies").index(index).child("matchLabelExpressions");
        let mut seen = Vec::new();
        for (index, expression) in term.items("matchLabelExpressions").iter().enumerate() {
            let path = path.index(index);
            if expression.items("values").is_empty() {
                errors.push(FieldError::required(&path.child("values"), ""));
            }
            let key = expression.text("key");
            check::label_name(&mut errors, &path.child("key"), key);
            if seen.contains(&key) {
                errors.push(FieldError::duplicate(&path.child("key"), key));
            }
            seen.push(key);
        }
    }
    errors
}

/// ValidateStorageClassUpdate.
pub(super) fn class_update(new: &Value, old: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    for key in ["parameters", "provisioner", "reclaimPolicy"] {
        if !same(new.at(key), old.at(key)) {
            errors.push(FieldError::forbidden(&Path::new(key), format!("updates to {key} are forbidden.")));
        }
    }
    let path = Path::new("volumeBindingMode");
    check::immutable(&mut errors, new.at("volumeBindingMode"), old.at("volumeBindingMode"), &path);
    errors
}

/// ValidateVolumeAttributesClass.
pub(super) fn attributes(class: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    provisioner(&mut errors, class.text("driverName"), &Path::new("driverName"));
    let path = Path::new("parameters");
    if class.strings("parameters").is_empty() {
        errors.push(FieldError::required(&path, "must contain at least one key/value pair"));
    }
    parameters(&mut errors, class.at("parameters"), &path);
    errors
}

/// ValidateVolumeAttributesClassUpdate.
pub(super) fn attributes_update(new: &Value, old: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    for key in ["driverName", "parameters"] {
        if !same(new.at(key), old.at(key)) {
            errors.push(FieldError::forbidden(&Path::new(key), format!("updates to {key} are forbidden.")));
        }
    }
    errors
}

/// ValidateVolumeAttachment.
pub(super) fn attachment(attachment: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let path = Path::new("spec");
    csi_driver(&mut errors, attachment.text("spec.attacher"), &path.child("attacher"));
    let source = attachment.at("spec.source");
    let own = path.child("source");
    match (source.at("persistentVolumeName").as_str(), source.has("inlineVolumeSpec")) {
        (None, false) => errors
            .push(FieldError::required(&own, "must specify exactly one of inlineVolumeSpec and persistentVolumeName")),
        (Some(_), true) => errors
            .push(FieldError::forbidden(&own, "must specify exactly one of inlineVolumeSpec and persistentVolumeName")),
        (Some(""), false) => {
            errors.push(FieldError::required(
                &own.child("persistentVolumeName"),
                "must specify non empty persistentVolumeName",
            ));
        }
        (Some(name), false) => check::dns_subdomain(&mut errors, &own.child("persistentVolumeName"), name),
        (None, true) => {}
    }
    check::dns_subdomain(&mut errors, &path.child("nodeName"), attachment.text("spec.nodeName"));
    errors
}

/// ValidateVolumeAttachmentUpdate.
pub(super) fn attachment_update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = attachment(new, context);
    check::immutable(&mut errors, new.at("spec"), old.at("spec"), &Path::new("spec"));
    errors
}

/// ValidateCSINode.
pub(super) fn node(node: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let mut seen = Vec::new();
    for (index, driver) in node.items("spec.drivers").iter().enumerate() {
        let path = Path::new("spec.drivers").index(index);
        let name = driver.text("name");
        csi_driver(&mut errors, name, &path.child("name"));
        if seen.contains(&name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        seen.push(name);
        match driver.text("nodeID") {
            "" => errors.push(FieldError::required(&path.child("nodeID"), "")),
            id if id.len() > 256 => {
                errors.push(FieldError::invalid(&path.child("nodeID"), id, "must be 256 characters or less"))
            }
            _ => {}
        }
        if let Some(count) = driver.int("allocatable.count")
            && count < 0
        {
            errors.push(FieldError::invalid(&path.child("allocatable.count"), count, check::NEGATIVE));
        }
    }
    errors
}

/// ValidateCSINodeUpdate: a driver's entry is fixed while it is there.
pub(super) fn node_update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = node(new, context);
    for before in old.items("spec.drivers") {
        for after in new.items("spec.drivers").iter().filter(|driver| driver.text("name") == before.text("name")) {
            let mut copy = after.clone();
            crate::registry::value::restore(&mut copy, before, "allocatable");
            if !same(&copy, before) {
                errors.push(FieldError::invalid(&Path::new("CSINode"), after.clone(), check::IMMUTABLE));
            }
        }
    }
    errors
}

/// ValidateCSIDriver.
pub(super) fn driver(driver: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = driver.at("spec");
    let path = Path::new("spec");
    for key in ["attachRequired", "podInfoOnMount", "storageCapacity"] {
        if !spec.has(key) {
            errors.push(FieldError::required(&path.child(key), ""));
        }
    }
    check::maybe_one_of(&mut errors, spec, &path, "fsGroupPolicy", &["File", "None", "ReadWriteOnceWithFSType"]);
    for (index, request) in spec.items("tokenRequests").iter().enumerate() {
        if let Some(seconds) = request.int("expirationSeconds")
            && seconds < 600
        {
            errors.push(FieldError::invalid(
                &path.child("tokenRequests").index(index).child("expirationSeconds"),
                seconds,
                "may not specify a duration less than 10 minutes",
            ));
        }
    }
    for (index, mode) in spec.items("volumeLifecycleModes").iter().filter_map(Value::as_str).enumerate() {
        if !matches!(mode, "Persistent" | "Ephemeral") {
            errors.push(FieldError::not_supported(
                &path.child("volumeLifecycleModes").index(index),
                mode,
                &["Persistent", "Ephemeral"],
            ));
        }
    }
    errors
}

/// ValidateCSIDriverUpdate.
pub(super) fn driver_update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = driver(new, context);
    for (key, path) in [
        ("attachRequired", "spec.attachedRequired"),
        ("fsGroupPolicy", "spec.fsGroupPolicy"),
        ("volumeLifecycleModes", "spec.volumeLifecycleModes"),
    ] {
        let own = Path::new(path);
        check::immutable(&mut errors, new.at("spec").at(key), old.at("spec").at(key), &own);
    }
    errors
}

/// ValidateCSIStorageCapacity.
pub(super) fn capacity(capacity: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    check::label_selector(&mut errors, capacity.at("nodeTopology"), &Path::new("nodeTopology"));
    check::each(
        &mut errors,
        &Path::new("storageClassName"),
        capacity.text("storageClassName"),
        names::is_dns1123_subdomain(capacity.text("storageClassName")),
    );
    for key in ["capacity", "maximumVolumeSize"] {
        if let Some(amount) = quantity(capacity.at(key))
            && amount.signum() < 0
        {
            errors.push(FieldError::invalid(&Path::new(key), amount.to_string(), check::NEGATIVE));
        }
    }
    errors
}

/// ValidateCSIStorageCapacityUpdate.
pub(super) fn capacity_update(new: &Value, old: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    for key in ["nodeTopology", "storageClassName"] {
        check::immutable(&mut errors, new.at(key), old.at(key), &Path::new(key));
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;
    use crate::registry::storage::STORAGE_CLASSES;

    #[test]
    fn classes() {
        let context =
            Context { resource: &STORAGE_CLASSES, namespace: "", user: "", groups: &[], subresource: None, now: "" };
        let mut object = json!({"reclaimPolicy": "Recycle"});
        (STORAGE_CLASSES.default)(&mut object);
        assert_eq!(object["volumeBindingMode"], "Immediate");
        assert_eq!(
            texts(&class(&object, &context)),
            [
                "provisioner: Required value",
                r#"reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain""#,
            ]
        );
        assert_eq!(
            texts(&class_update(&json!({"provisioner": "a"}), &json!({"provisioner": "b"}), &context)),
            ["provisioner: Forbidden: updates to provisioner are forbidden."]
        );
    }
}
