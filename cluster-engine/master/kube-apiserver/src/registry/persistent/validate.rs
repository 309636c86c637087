//! Validation of PersistentVolumes and their claims.

use drydock_api::field::{FieldError, Path};
use serde_json::Value;

use crate::registry::check::{self, Errors};
use crate::registry::diff::diff;
use crate::registry::template::{csi_driver, one_source, resources};
use crate::registry::value::{Read as _, annotation, quantity, restore, same};
use crate::row::Context;

const ACCESS_MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const VOLUME_MODES: &[&str] = &["Block", "Filesystem"];
/// Sources of a PersistentVolume.
const SOURCES: &[&str] = &[
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

fn access_modes(errors: &mut Errors, spec: &Value, path: &Path) {
    let path = path.child("accessModes");
    let modes: Vec<&str> = spec.items("accessModes").iter().filter_map(Value::as_str).collect();
    if modes.is_empty() {
        errors.push(FieldError::required(&path, "at least 1 access mode is required"));
    }
    for mode in &modes {
        if !ACCESS_MODES.contains(mode) {
            errors.push(FieldError::not_supported(&path, *mode, ACCESS_MODES));
        }
    }
    let single = modes.contains(&"ReadWriteOncePod");
    if single && modes.iter().any(|mode| *mode != "ReadWriteOncePod" && ACCESS_MODES.contains(mode)) {
        errors.push(FieldError::forbidden(&path, "may not use ReadWriteOncePod with other access modes"));
    }
}

fn storage(errors: &mut Errors, value: Option<&Value>, path: &Path) {
    match value {
        None => errors.push(FieldError::required(path, "")),
        Some(value) => {
            if let Some(amount) = quantity(value)
                && amount.signum() <= 0
            {
                errors.push(FieldError::invalid(path, amount.to_string(), check::NOT_POSITIVE));
            }
        }
    }
}

fn data_source(errors: &mut Errors, source: &Value, path: &Path) {
    check::required(errors, source, path, "name");
    check::required(errors, source, path, "kind");
    let group = source.text("apiGroup");
    if group.is_empty() && source.text("kind") != "PersistentVolumeClaim" {
        errors.push(FieldError::invalid(
            path,
            source.text("kind"),
            "must be 'PersistentVolumeClaim' when referencing the default apiGroup",
        ));
    }
    if !group.is_empty() {
        check::dns_subdomain(errors, &path.child("apiGroup"), group);
    }
    if !source.text("namespace").is_empty() {
        check::dns_label(errors, &path.child("namespace"), source.text("namespace"));
    }
}

/// ValidatePersistentVolumeClaimSpec.
pub(in crate::registry) fn claim_spec(errors: &mut Errors, spec: &Value, path: &Path) {
    if spec.items("accessModes").is_empty() {
        let path = path.child("accessModes");
        errors.push(FieldError::required(&path, "at least 1 access mode is required"));
    }
    check::label_selector(errors, spec.at("selector"), &path.child("selector"));
    if !spec.items("accessModes").is_empty() {
        access_modes(errors, spec, path);
    }
    storage(errors, spec.at("resources.requests").get("storage"), &path.child("resources").key("storage"));
    for key in ["storageClassName", "volumeAttributesClassName"] {
        if !spec.text(key).is_empty() {
            check::dns_subdomain(errors, &path.child(key), spec.text(key));
        }
    }
    check::maybe_one_of(errors, spec, path, "volumeMode", VOLUME_MODES);
    for key in ["dataSource", "dataSourceRef"] {
        if spec.has(key) {
            data_source(errors, spec.at(key), &path.child(key));
        }
    }
    if spec.has("dataSource") && spec.has("dataSourceRef") {
        let own = path.child("dataSource").to_string();
        if !spec.text("dataSourceRef.namespace").is_empty() {
            errors.push(FieldError::invalid(
                path,
                own,
                "may not be specified when dataSourceRef.namespace is specified",
            ));
        } else if !same(spec.at("dataSource"), spec.at("dataSourceRef")) {
            errors.push(FieldError::invalid(path, own, "must match dataSourceRef"));
        }
    }
}

/// ValidatePersistentVolumeClaim.
pub(super) fn claim(object: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    claim_spec(&mut errors, object.at("spec"), &Path::new("spec"));
    errors
}

/// ValidatePersistentVolumeClaimUpdate.
pub(super) fn claim_update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
    let mut errors = claim(new, context);
    let mut copy = new.at("spec").clone();
    let mut before = old.at("spec").clone();
    if before.text("volumeName").is_empty() {
        restore(&mut before, &copy, "volumeName");
    }
    if annotation(new, CLASS) != annotation(old, CLASS) {
        errors.push(FieldError::invalid(
            &Path::new("metadata").child("annotations").child(CLASS),
            annotation(new, CLASS).unwrap_or(""),
            check::IMMUTABLE,
        ));
    }
    if !before.has("storageClassName")
        && annotation(old, CLASS).is_none_or(|class| class == copy.text("storageClassName"))
    {
        restore(&mut copy, &before, "storageClassName");
    }
    if new.text("status.phase") == "Bound" {
        if copy.has("resources.requests")
            && let Some(storage) = before.at("resources.requests").get("storage")
        {
            copy["resources"]["requests"]["storage"] = storage.clone();
        }
        if copy.has("volumeAttributesClassName") {
            restore(&mut copy, &before, "volumeAttributesClassName");
        }
    }
    if !same(&copy, &before) {
        errors.push(FieldError::forbidden(
            &Path::new("spec"),
            format!(
                "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{}",
                diff("core.PersistentVolumeClaimSpec", &before, &copy)
            ),
        ));
    }
    let size = |object: &Value, path: &str| object.at(path).get("storage").and_then(quantity);
    let (now, was) = (size(new, "spec.resources.requests"), size(old, "spec.resources.requests"));
    if now < was && now <= Some(size(old, "status.capacity").unwrap_or_default()) {
        errors.push(FieldError::forbidden(
            &Path::new("spec.resources.requests.storage"),
            "field can not be less than status.capacity",
        ));
    }
    check::immutable(&mut errors, new.at("spec.volumeMode"), old.at("spec.volumeMode"), &Path::new("volumeMode"));
    if old.has("spec.volumeAttributesClassName") && new.text("spec.volumeAttributesClassName").is_empty() {
        let what = if new.has("spec.volumeAttributesClassName") { "an empty string" } else { "nil" };
        errors.push(FieldError::forbidden(
            &Path::new("spec.volumeAttributesClassName"),
            format!("update from non-nil value to {what} is forbidden"),
        ));
    }
    errors
}

/// ValidatePersistentVolume.
pub(super) fn volume(object: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = object.at("spec");
    let path = Path::new("spec");
    access_modes(&mut errors, spec, &path);
    if spec.entries("capacity").is_empty() {
        errors.push(FieldError::required(&path.child("capacity"), ""));
    } else {
        let capacity = path.child("capacity");
        if spec.at("capacity").get("storage").is_none() || spec.entries("capacity").len() > 1 {
            errors.push(FieldError::not_supported(&capacity, spec.at("capacity").clone(), &["storage"]));
        }
        for (name, value) in spec.entries("capacity") {
            storage(&mut errors, Some(value), &capacity.key(name));
            resources::amount(&mut errors, &capacity.key(name), name, value);
        }
    }
    check::maybe_one_of(&mut errors, spec, &path, "persistentVolumeReclaimPolicy", &["Delete", "Recycle", "Retain"]);
    let affinity = spec.at("nodeAffinity");
    if !affinity.is_null() {
        let path = path.child("nodeAffinity");
        if affinity.has("required") {
            check::node_selector(&mut errors, affinity.at("required"), &path.child("required"));
        } else {
            errors.push(FieldError::required(&path.child("required"), "must specify required node constraints"));
        }
    }
    sources(&mut errors, spec, &path);
    if spec.text("hostPath.path").trim_end_matches('/').is_empty()
        && spec.has("hostPath")
        && spec.text("persistentVolumeReclaimPolicy") == "Recycle"
    {
        errors.push(FieldError::forbidden(
            &path.child("persistentVolumeReclaimPolicy"),
            "may not be 'recycle' for a hostPath mount of '/'",
        ));
    }
    if !spec.text("storageClassName").is_empty() {
        check::dns_subdomain(&mut errors, &path.child("storageClassName"), spec.text("storageClassName"));
    }
    check::maybe_one_of(&mut errors, spec, &path, "volumeMode", VOLUME_MODES);
    if let Some(class) = spec.at("volumeAttributesClassName").as_str() {
        let own = path.child("volumeAttributesClassName");
        if class.is_empty() {
            errors.push(FieldError::required(&own, "an empty string is disallowed"));
        } else {
            check::dns_subdomain(&mut errors, &own, class);
        }
        if !spec.has("csi") {
            errors.push(FieldError::required(
                &path.child("csi"),
                "has to be specified when using volumeAttributesClassName",
            ));
        }
    }
    errors
}

fn sources(errors: &mut Errors, spec: &Value, path: &Path) {
    let mut count = 0;
    for key in SOURCES {
        if !spec.has(key) {
            continue;
        }
        count += 1;
        let own = path.child(key);
        if count > 1 {
            errors.push(FieldError::forbidden(&own, "may not specify more than 1 volume type"));
            continue;
        }
        match *key {
            "local" => {
                if check::required(errors, spec.at("local"), &own, "path") {
                    check::no_backsteps(errors, &own.child("path"), spec.text("local.path"));
                }
                if !spec.has("nodeAffinity") {
                    errors
                        .push(FieldError::required(&path.child("nodeAffinity"), "Local volume requires node affinity"));
                }
            }
            "csi" => {
                csi_driver(errors, spec.text("csi.driver"), &own.child("driver"));
                check::required(errors, spec.at("csi"), &own, "volumeHandle");
            }
            kind => one_source(errors, kind, spec.at(kind), &own),
        }
    }
    if count == 0 {
        errors.push(FieldError::required(path, "must specify a volume type"));
    }
}

/// ValidatePersistentVolumeUpdate.
pub(super) fn volume_update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = volume(new, context);
    let only_sources = |object: &Value| -> Value {
        SOURCES
            .iter()
            .filter(|key| object.at("spec").has(key))
            .map(|key| ((*key).to_owned(), object.at("spec").at(key).clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let (mut now, was) = (only_sources(new), only_sources(old));
    if now.has("csi.controllerExpandSecretRef") && was.has("csi") && !was.has("csi.controllerExpandSecretRef") {
        super::remove(&mut now["csi"], "controllerExpandSecretRef");
    }
    if !same(&now, &was) {
        errors.push(FieldError::forbidden(
            &Path::new("spec.persistentvolumesource"),
            format!(
                "spec.persistentvolumesource is immutable after creation\n{}",
                diff("core.PersistentVolumeSource", &was, &now)
            ),
        ));
    }
    check::immutable(&mut errors, new.at("spec.volumeMode"), old.at("spec.volumeMode"), &Path::new("volumeMode"));
    if old.has("spec.nodeAffinity") {
        check::immutable(
            &mut errors,
            new.at("spec.nodeAffinity"),
            old.at("spec.nodeAffinity"),
            &Path::new("nodeAffinity"),
        );
    }
    if old.has("spec.volumeAttributesClassName") && !new.has("spec.volumeAttributesClassName") {
        errors.push(FieldError::forbidden(
            &Path::new("spec.volumeAttributesClassName"),
            "update from non-nil value to nil is forbidden",
        ));
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;
    use crate::registry::persistent::{CLAIMS, VOLUMES};

    fn context(resource: &'static crate::row::Resource) -> Context<'static> {
        Context { resource, namespace: "", user: "", groups: &[], subresource: None, now: "" }
    }

    #[test]
    fn claims() {
        #[track_caller]
        fn check(spec: Value, expected: &[&str]) {
            assert_eq!(texts(&claim(&json!({ "spec": spec }), &context(&CLAIMS))), expected);
        }
        check(json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}), &[]);
        check(
            json!({}),
            &[
                "spec.accessModes: Required value: at least 1 access mode is required",
                "spec.resources[storage]: Required value",
            ],
        );
        check(
            json!({"accessModes": ["RWO"], "resources": {"requests": {"storage": "0"}}, "volumeMode": "x"}),
            &[
                r#"spec.accessModes: Unsupported value: "RWO": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod""#,
                r#"spec.resources[storage]: Invalid value: "0": must be greater than zero"#,
                r#"spec.volumeMode: Unsupported value: "x": supported values: "Block", "Filesystem""#,
            ],
        );
    }

    #[test]
    fn a_bound_claim_may_only_grow() {
        let old = json!({"spec": {"accessModes": ["ReadWriteOnce"], "volumeName": "v", "resources": {"requests": {"storage": "2Gi"}}},
            "status": {"phase": "Bound", "capacity": {"storage": "2Gi"}}});
        let mut new = old.clone();
        new["spec"]["resources"]["requests"]["storage"] = json!("3Gi");
        assert_eq!(texts(&claim_update(&new, &old, &context(&CLAIMS))), [""; 0]);
        new["spec"]["resources"]["requests"]["storage"] = json!("1Gi");
        assert_eq!(
            texts(&claim_update(&new, &old, &context(&CLAIMS))),
            ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]
        );
        new = old.clone();
        new["spec"]["volumeName"] = json!("w");
        let found = texts(&claim_update(&new, &old, &context(&CLAIMS)));
        assert!(found[0].starts_with("spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n"), "{found:?}");
    }

    #[test]
    fn volumes() {
        #[track_caller]
        fn check(spec: Value, expected: &[&str]) {
            assert_eq!(texts(&volume(&json!({ "spec": spec }), &context(&VOLUMES))), expected);
        }
        check(
            json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/data"}}),
            &[],
        );
        check(
            json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "local": {"path": "/a/../b"}, "csi": {"driver": "d"}}),
            &[
                r#"spec.local.path: Invalid value: "/a/../b": must not contain '..'"#,
                "spec.nodeAffinity: Required value: Local volume requires node affinity",
                "spec.csi: Forbidden: may not specify more than 1 volume type",
            ],
        );
        check(
            json!({"accessModes": ["ReadWriteOnce"]}),
            &["spec.capacity: Required value", "spec: Required value: must specify a volume type"],
        );
    }
}
