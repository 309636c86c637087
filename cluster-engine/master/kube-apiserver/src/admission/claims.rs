//! StorageObjectInUseProtection and PersistentVolumeClaimResize: what is in use stays, and grows only where it can.

use drydock_api::quantity::Quantity;
use drydock_api::{Status, meta};
use serde_json::{Value, json};

use super::Attempt;

/// A new claim or volume is kept until nobody uses it; the controller manager takes the finalizer away.
pub(super) fn protect(attempt: &Attempt<'_>, object: &mut Value) {
    let finalizer = match (attempt.row.group, attempt.row.plural) {
        ("", "persistentvolumeclaims") => "kubernetes.io/pvc-protection",
        ("", "persistentvolumes") => "kubernetes.io/pv-protection",
        _ => return,
    };
    if meta::finalizers(object).contains(&finalizer) || !object["metadata"].is_object() {
        return;
    }
    match object["metadata"]["finalizers"].as_array_mut() {
        Some(list) => list.push(finalizer.into()),
        None => object["metadata"]["finalizers"] = json!([finalizer]),
    }
}

/// A claim may grow only when it is bound and its class allows it.
///
/// # Errors
/// 403 in upstream's words.
pub(super) fn check_resize(attempt: &Attempt<'_>, claim: Option<&Value>) -> Result<(), Status> {
    let (Some(claim), Some(old)) = (claim, attempt.old) else { return Ok(()) };
    if size(claim) <= size(old) {
        return Ok(());
    }
    let name = meta::name(claim);
    if old.pointer("/status/phase").and_then(Value::as_str) != Some("Bound") {
        return Err(attempt.forbidden(name, "Only bound persistent volume claims can be expanded"));
    }
    let class = meta::annotation(claim, "volume.beta.kubernetes.io/storage-class")
        .or_else(|| claim.pointer("/spec/storageClassName").and_then(Value::as_str))
        .filter(|class| !class.is_empty())
        .and_then(|class| attempt.server.object("/registry/storageclasses", "", class));
    if class.is_some_and(|class| class["allowVolumeExpansion"] == true) {
        return Ok(());
    }
    Err(attempt.forbidden(
        name,
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
    ))
}

fn size(claim: &Value) -> Quantity {
    claim
        .pointer("/spec/resources/requests/storage")
        .and_then(|value| Quantity::from_value(value).ok())
        .unwrap_or(Quantity::ZERO)
}
