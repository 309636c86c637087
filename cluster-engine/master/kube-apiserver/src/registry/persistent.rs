//! `persistentvolumes` and `persistentvolumeclaims`.

mod validate;

use drydock_api::field::Path;
use serde_json::{Value, json};

use super::print::{access_modes, amount, text, text_or};
use super::template::{defaults, warnings};
use super::value::{Read as _, annotation, at_mut, canonical_quantities, child, default, default_text, remove};
use crate::row::{Column, Context, Resource, Subresource};

const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

pub(super) static VOLUMES: Resource = Resource {
    kind: "PersistentVolume",
    plural: "persistentvolumes",
    singular: "persistentvolume",
    short_names: &["pv"],
    namespaced: false,
    subresources: &[Subresource::Status],
    columns: &[
        Column::NAME,
        Column::string("Capacity", |volume, _| Value::String(amount(volume, "spec.capacity.storage"))),
        Column::string("Access Modes", |volume, _| Value::String(access_modes(volume, "spec.accessModes"))),
        Column::string("Reclaim Policy", |volume, _| text(volume, "spec.persistentVolumeReclaimPolicy")),
        Column::string("Status", |volume, _| phase(volume)),
        Column::string("Claim", |volume, _| Value::String(claim(volume))),
        Column::string("StorageClass", |volume, _| class(volume)).describe("StorageClass of the pv"),
        Column::string("VolumeAttributesClass", |volume, _| {
            text_or(volume, "spec.volumeAttributesClassName", "<unset>")
        })
        .describe("VolumeAttributesClass of the pv"),
        Column::string("Reason", |volume, _| text(volume, "status.reason")),
        Column::AGE,
        Column::string("VolumeMode", |volume, _| text_or(volume, "spec.volumeMode", "<unset>")).wide(),
    ],
    default: default_volume,
    prepare_create: |volume, context| {
        volume["status"] = json!({ "phase": "Pending", "lastPhaseTransitionTime": context.now });
    },
    prepare_subresource: phase_time,
    validate: validate::volume,
    validate_update: validate::volume_update,
    warnings: |volume, _| volume_warnings(volume),
    storage: "/registry/persistentvolumes",
    ..Resource::BASE
};

/// PrepareForUpdate of `/status`: when the phase changes, so does the time of its change.
fn phase_time(new: &mut Value, old: &Value, context: &Context<'_>) {
    let time = "lastPhaseTransitionTime";
    if new.text("status.phase") != old.text("status.phase")
        && let Some(status) = child(new, "status")
        && status.at(time) == old.at("status").at(time)
    {
        status[time] = context.now.into();
    }
}

fn class_warning(object: &Value) -> Vec<String> {
    let key = CLASS_ANNOTATION;
    annotation(object, key)
        .map(|_| {
            format!(r#"metadata.annotations[{key}]: deprecated since v1.8; use "storageClassName" attribute instead"#)
        })
        .into_iter()
        .collect()
}

/// GetWarningsForPersistentVolume.
fn volume_warnings(volume: &Value) -> Vec<String> {
    let mut warnings = class_warning(volume);
    if volume.text("spec.persistentVolumeReclaimPolicy") == "Recycle" {
        warnings.push("spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.".to_owned());
    }
    let path = Path::new("spec.nodeAffinity.required.nodeSelectorTerms");
    for (index, term) in volume.items(path.as_str()).iter().enumerate() {
        warnings::node_selector_term(&mut warnings, term, &path.index(index));
    }
    for (source, text) in warnings::VOLUMES {
        if volume.at("spec").has(source) {
            warnings.push(format!("spec.{source}: {text}"));
        }
    }
    let path = Path::new("spec.capacity");
    warnings::fraction(&mut warnings, volume.at("spec.capacity"), &path, "storage");
    warnings
}

pub(super) static CLAIMS: Resource = Resource {
    kind: "PersistentVolumeClaim",
    plural: "persistentvolumeclaims",
    singular: "persistentvolumeclaim",
    short_names: &["pvc"],
    subresources: &[Subresource::Status],
    columns: &[
        Column::NAME,
        Column::string("Status", |claim, _| phase(claim)),
        Column::string("Volume", |claim, _| text(claim, "spec.volumeName")),
        Column::string("Capacity", |claim, _| {
            Value::String(if bound(claim) { amount(claim, "status.capacity.storage") } else { String::new() })
        }),
        Column::string("Access Modes", |claim, _| {
            Value::String(if bound(claim) { access_modes(claim, "status.accessModes") } else { String::new() })
        }),
        Column::string("StorageClass", |claim, _| class(claim)).describe("StorageClass of the pvc"),
        Column::string("VolumeAttributesClass", |claim, _| text_or(claim, "spec.volumeAttributesClassName", "<unset>"))
            .describe("VolumeAttributesClass of the pvc"),
        Column::AGE,
        Column::string("VolumeMode", |claim, _| text_or(claim, "spec.volumeMode", "<unset>")).wide(),
    ],
    default: default_claim,
    prepare_create: |claim, _| claim["status"] = json!({ "phase": "Pending" }),
    validate: validate::claim,
    validate_update: validate::claim_update,
    warnings: |claim, _| {
        let mut warnings = class_warning(claim);
        let path = Path::new("spec.resources.requests");
        warnings::fraction(&mut warnings, claim.at(path.as_str()), &path, "storage");
        warnings
    },
    storage: "/registry/persistentvolumeclaims",
    ..Resource::BASE
};

pub(super) use validate::claim_spec;

/// SetDefaults_PersistentVolume.
fn default_volume(volume: &mut Value) {
    if let Some(status) = child(volume, "status") {
        default_text(status, "phase", "Pending");
    }
    if let Some(spec) = child(volume, "spec") {
        default_text(spec, "persistentVolumeReclaimPolicy", "Retain");
        default(spec, "volumeMode", "Filesystem");
        if let Some(source) = at_mut(spec, "hostPath") {
            default(source, "type", "");
        }
        defaults::volume_sources(spec);
        if let Some(capacity) = at_mut(spec, "capacity") {
            canonical_quantities(capacity);
        }
    }
}

/// SetDefaults_PersistentVolumeClaim.
pub(super) fn default_claim(claim: &mut Value) {
    if let Some(status) = child(claim, "status") {
        default_text(status, "phase", "Pending");
        if let Some(capacity) = at_mut(status, "capacity") {
            canonical_quantities(capacity);
        }
    }
    if let Some(spec) = child(claim, "spec") {
        default(spec, "volumeMode", "Filesystem");
        if let Some(resources) = child(spec, "resources") {
            defaults::resource_lists(resources);
        }
        data_sources(spec);
    }
}

/// `dataSource` and `dataSourceRef` name the same thing unless a namespace is given.
fn data_sources(spec: &mut Value) {
    if spec.has("dataSource") && !spec.has("dataSourceRef") {
        spec["dataSourceRef"] = spec.at("dataSource").clone();
    } else if spec.has("dataSourceRef") && !spec.has("dataSource") && spec.text("dataSourceRef.namespace").is_empty() {
        let reference = spec.at("dataSourceRef");
        let claim = reference.text("kind") == "PersistentVolumeClaim" && reference.text("apiGroup").is_empty();
        let snapshot =
            reference.text("kind") == "VolumeSnapshot" && reference.text("apiGroup") == "snapshot.storage.k8s.io";
        if claim || snapshot {
            spec["dataSource"] = reference.clone();
        }
    }
}

fn phase(object: &Value) -> Value {
    if object.has("metadata.deletionTimestamp") { Value::from("Terminating") } else { text(object, "status.phase") }
}

fn bound(claim: &Value) -> bool {
    !claim.text("spec.volumeName").is_empty()
}

fn claim(volume: &Value) -> String {
    if volume.has("spec.claimRef") {
        format!("{}/{}", volume.text("spec.claimRef.namespace"), volume.text("spec.claimRef.name"))
    } else {
        String::new()
    }
}

fn class(object: &Value) -> Value {
    Value::from(annotation(object, CLASS_ANNOTATION).unwrap_or_else(|| object.text("spec.storageClassName")))
}
