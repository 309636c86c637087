//! Which volume a claim gets, and what becomes of a volume whose claim is gone
//! (upstream: `pkg/controller/volume/persistentvolume`).

use std::sync::Arc;

use drydock_api::quantity::Quantity;
use drydock_api::selector::Selector;
use drydock_client::{EventType, Object, ObjectReference};

use crate::kinds::{BIND_COMPLETED, BOUND_BY_CONTROLLER, Claim, PROVISIONED_BY, SELECTED_NODE, StorageClass, Volume};

/// An event to record: its type, reason and message.
pub(super) type Told = (EventType, &'static str, String);

/// What is to be done about a claim.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ForClaim {
    /// It waits.
    Pending,
    /// It gets the default class, and is looked at again then.
    SetClass(String),
    /// Whoever makes volumes is told that one is wanted.
    AskProvisioner(String),
    /// It and the volume belong together.
    Bind(Arc<Volume>),
    /// Its volume is gone or somebody else's.
    Lost,
}

/// What is known besides the claim.
pub(super) struct World<'a> {
    pub(super) volumes: &'a [Arc<Volume>],
    pub(super) classes: &'a [Arc<StorageClass>],
    /// Names of pods that mount the claim and have no node yet.
    pub(super) waiting_pods: &'a [String],
}

fn mode(mode: &Option<String>) -> &str {
    mode.as_deref().unwrap_or("Filesystem")
}

fn size(volume: &Volume) -> Quantity {
    volume.spec.capacity.get("storage").and_then(|text| Quantity::parse(text).ok()).unwrap_or_default()
}

fn wanted_size(claim: &Claim) -> Quantity {
    claim.spec.resources.requests.get("storage").and_then(|text| Quantity::parse(text).ok()).unwrap_or_default()
}

fn has_modes(claim: &Claim, volume: &Volume) -> bool {
    claim.spec.access_modes.iter().all(|mode| volume.spec.access_modes.contains(mode))
}

/// What is to be done about a claim, and what is to be said of it.
pub(super) fn for_claim(claim: &Claim, world: &World<'_>) -> (ForClaim, Option<Told>) {
    if claim.metadata.annotations.contains_key(BIND_COMPLETED) { bound(claim, world) } else { unbound(claim, world) }
}

fn unbound(claim: &Claim, world: &World<'_>) -> (ForClaim, Option<Told>) {
    if !claim.spec.volume_name.is_empty() {
        return asked_for(claim, world);
    }
    let class = world.classes.iter().find(|class| class.name() == claim.class());
    let is_delayed =
        class.is_some_and(|class| class.waits()) && !claim.metadata.annotations.contains_key(SELECTED_NODE);
    if let Some(volume) = best_match(claim, world.volumes, is_delayed) {
        return (ForClaim::Bind(volume), None);
    }
    if !claim.has_class()
        && let Some(class) = newest_default(world.classes)
    {
        return (ForClaim::SetClass(class.name().to_owned()), None);
    }
    if is_delayed {
        let told = match world.waiting_pods {
            [] => ("WaitForFirstConsumer", "waiting for first consumer to be created before binding".to_owned()),
            [one] => ("WaitForPodScheduled", format!("waiting for pod {one} to be scheduled")),
            many => ("WaitForPodScheduled", format!("waiting for pods {} to be scheduled", many.join(","))),
        };
        return (ForClaim::Pending, Some((EventType::Normal, told.0, told.1)));
    }
    if claim.class().is_empty() {
        let message = "no persistent volumes available for this claim and no storage class is set";
        return (ForClaim::Pending, Some((EventType::Normal, "FailedBinding", message.to_owned())));
    }
    let failed = |message: String| (ForClaim::Pending, Some((EventType::Warning, "ProvisioningFailed", message)));
    let Some(class) = class else {
        return failed(format!("storageclass.storage.k8s.io {:?} not found", claim.class()));
    };
    // What is ours by name has been taken out of the controller manager upstream; no plugin of that name is left.
    if class.provisioner.starts_with("kubernetes.io/") {
        return failed(format!("no volume plugin matched name: {}", class.provisioner));
    }
    let message = format!(
        "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.",
        class.provisioner
    );
    (ForClaim::AskProvisioner(class.provisioner.clone()), Some((EventType::Normal, "ExternalProvisioning", message)))
}

/// A claim that names its volume.
fn asked_for(claim: &Claim, world: &World<'_>) -> (ForClaim, Option<Told>) {
    let name = &claim.spec.volume_name;
    let Some(volume) = world.volumes.iter().find(|volume| volume.name() == *name) else {
        return (ForClaim::Pending, None);
    };
    match &volume.spec.claim_ref {
        None => match mismatch(volume, claim) {
            Some(why) => {
                let message = format!("Cannot bind to requested volume {name:?}: {why}");
                (ForClaim::Pending, Some((EventType::Warning, "VolumeMismatch", message)))
            }
            None => (ForClaim::Bind(volume.clone()), None),
        },
        Some(_) if volume.is_for(claim) => (ForClaim::Bind(volume.clone()), None),
        Some(_) => {
            let message = format!("volume {name:?} already bound to a different claim.");
            (ForClaim::Pending, Some((EventType::Warning, "FailedBinding", message)))
        }
    }
}

/// Why a volume that a claim names cannot be its (upstream: `checkVolumeSatisfyClaim`).
fn mismatch(volume: &Volume, claim: &Claim) -> Option<&'static str> {
    if size(volume) < wanted_size(claim) {
        Some("requested PV is too small")
    } else if volume.class() != claim.class() {
        Some("storageClassName does not match")
    } else if mode(&volume.spec.volume_mode) != mode(&claim.spec.volume_mode) {
        Some("incompatible volumeMode")
    } else if !has_modes(claim, volume) {
        Some("incompatible accessMode")
    } else {
        None
    }
}

fn bound(claim: &Claim, world: &World<'_>) -> (ForClaim, Option<Told>) {
    let lost =
        |reason: &'static str, message: &str| (ForClaim::Lost, Some((EventType::Warning, reason, message.to_owned())));
    if claim.spec.volume_name.is_empty() {
        return lost("ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!");
    }
    let Some(volume) = world.volumes.iter().find(|volume| volume.name() == claim.spec.volume_name) else {
        return lost("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!");
    };
    match &volume.spec.claim_ref {
        None => (ForClaim::Bind(volume.clone()), None),
        Some(held) if held.uid == claim.metadata.uid => (ForClaim::Bind(volume.clone()), None),
        Some(_) => lost("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly"),
    }
}

fn newest_default(classes: &[Arc<StorageClass>]) -> Option<&Arc<StorageClass>> {
    classes.iter().filter(|class| class.is_default()).max_by(|a, b| {
        let by_age = a.metadata.creation_timestamp.cmp(&b.metadata.creation_timestamp);
        by_age.then_with(|| b.name().cmp(a.name()))
    })
}

/// The volume that was set aside for the claim, or the smallest that does (upstream: `FindMatchingVolume`).
fn best_match(claim: &Claim, volumes: &[Arc<Volume>], is_delayed: bool) -> Option<Arc<Volume>> {
    let selector = claim.spec.selector.as_ref().map(|selector| Selector::from_typed(Some(selector)));
    let mut best: Option<&Arc<Volume>> = None;
    for volume in volumes {
        let is_ours = volume.is_for(claim);
        let is_possible = (volume.spec.claim_ref.is_none() || is_ours)
            && size(volume) >= wanted_size(claim)
            && mode(&volume.spec.volume_mode) == mode(&claim.spec.volume_mode)
            && !volume.metadata.is_deleting()
            && has_modes(claim, volume);
        if !is_possible {
            continue;
        }
        if is_ours {
            return Some(volume.clone());
        }
        let is_selected = match &selector {
            None => true,
            Some(Ok(selector)) => selector.matches_map(&volume.metadata.labels),
            Some(Err(_)) => false,
        };
        // A claim that waits for its pod is matched by the scheduler, which knows the node.
        let is_free = !is_delayed && volume.status.phase == "Available" && volume.class() == claim.class();
        if is_free && is_selected && best.is_none_or(|best| size(volume) < size(best)) {
            best = Some(volume);
        }
    }
    best.cloned()
}

/// What is to be done about a volume.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ForVolume {
    /// Only its phase is to be this.
    Phase(&'static str),
    /// Its claim is to be looked at.
    Claim,
    /// Its claim went elsewhere: it is free again.
    Unbind,
    /// Its claim is gone: it is released (unless it failed already) and its policy applies.
    Reclaim(Reclaim),
}

/// What becomes of a released volume.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reclaim {
    /// It stays, or its provisioner removes it.
    Leave,
    /// The object goes.
    Delete,
    /// Nobody can remove it.
    Fail(Told),
}

/// What is to be done about a volume; `claim` is the one of the name that the volume refers to.
pub(super) fn for_volume(volume: &Volume, claim: Option<&Claim>) -> ForVolume {
    let Some(held) = &volume.spec.claim_ref else { return ForVolume::Phase("Available") };
    if held.uid.is_empty() {
        // Set aside by hand; the claim may want to know.
        return if volume.status.phase == "Available" && claim.is_some() {
            ForVolume::Claim
        } else {
            ForVolume::Phase("Available")
        };
    }
    let claim = claim.filter(|claim| claim.metadata.uid == held.uid);
    match claim {
        None => ForVolume::Reclaim(reclaim(volume)),
        Some(claim) if claim.spec.volume_name.is_empty() => ForVolume::Claim,
        Some(claim) if claim.spec.volume_name == volume.metadata.name => ForVolume::Phase("Bound"),
        Some(_) => {
            let is_provisioned = volume.metadata.annotations.contains_key(PROVISIONED_BY);
            if is_provisioned && volume.spec.persistent_volume_reclaim_policy == "Delete" {
                ForVolume::Reclaim(reclaim(volume))
            } else {
                ForVolume::Unbind
            }
        }
    }
}

fn reclaim(volume: &Volume) -> Reclaim {
    let fail = |reason: &'static str, message: String| Reclaim::Fail((EventType::Warning, reason, message));
    match volume.spec.persistent_volume_reclaim_policy.as_str() {
        "Delete" => {
            if volume.metadata.annotations.contains_key(PROVISIONED_BY) || volume.metadata.is_deleting() {
                return Reclaim::Leave;
            }
            match &volume.spec.host_path {
                // As upstream: directories below /tmp are nobody's to keep, and on some node this does not see.
                Some(at) if at.path.starts_with("/tmp/") && at.path.len() > 5 => Reclaim::Delete,
                Some(at) => fail(
                    "VolumeFailedDelete",
                    format!("host_path deleter only supports /tmp/.+ but received provided {}", at.path),
                ),
                None => fail(
                    "VolumeFailedDelete",
                    format!(
                        "error getting deleter volume plugin for volume {:?}: no deletable volume plugin matched",
                        volume.metadata.name
                    ),
                ),
            }
        }
        "Recycle" => fail("VolumeFailedRecycle", "No recycler plugin found for the volume!".to_owned()),
        _ => Reclaim::Leave,
    }
}

/// Writes into a volume whose it is, and by whom that was decided; whether that changed it.
pub(super) fn claim_for(body: &mut serde_json::Value, claim: &Claim) -> bool {
    let held = body.pointer("/spec/claimRef").filter(|held| !held.is_null()).cloned();
    let by_hand = held.is_some();
    let is_done = held.as_ref().and_then(|held| held.get("uid")).is_some_and(|uid| uid == claim.metadata.uid.as_str());
    if is_done {
        return false;
    }
    body["spec"]["claimRef"] = serde_json::json!(ObjectReference::of(claim));
    if !by_hand {
        body["metadata"]["annotations"][BOUND_BY_CONTROLLER] = "yes".into();
    }
    true
}

/// Writes into a claim which volume is its; whether that changed it.
pub(super) fn give_to(body: &mut serde_json::Value, volume: &Volume) -> bool {
    let mut changed = false;
    if body.pointer("/spec/volumeName").and_then(serde_json::Value::as_str) != Some(volume.name()) {
        body["spec"]["volumeName"] = volume.name().into();
        body["metadata"]["annotations"][BOUND_BY_CONTROLLER] = "yes".into();
        changed = true;
    }
    if body["metadata"]["annotations"][BIND_COMPLETED].is_null() {
        body["metadata"]["annotations"][BIND_COMPLETED] = "yes".into();
        changed = true;
    }
    changed
}

#[cfg(test)]
#[path = "properties.rs"]
mod properties;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
