//! Claims, volumes and storage classes, as far as scheduling reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use drydock_api::meta::{LabelSelector, ObjectMeta, null_as_default};
use drydock_api::quantity::Quantity;
use drydock_client::object;
use drydock_client::types::{NodeSelector, Pod, Resources, StringMap};
use serde::{Deserialize, Serialize};

/// The node that the scheduler chose for a claim that waits for its first consumer.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// A persistent volume claim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Claim {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: ClaimSpec,
    /// What is.
    pub status: ClaimStatus,
}

object!(Claim, "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced);

/// A claim's wanted state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// How it is to be used.
    #[serde(deserialize_with = "null_as_default")]
    pub access_modes: Vec<String>,
    /// How large.
    pub resources: Resources,
    /// Which volumes.
    pub selector: Option<LabelSelector>,
    /// From which class; `Some("")` means from none.
    pub storage_class_name: Option<String>,
    /// `Filesystem` (default) or `Block`.
    pub volume_mode: Option<String>,
    /// The volume it is bound to.
    pub volume_name: String,
}

/// A claim's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimStatus {
    /// `Pending`, `Bound` or `Lost`.
    pub phase: String,
}

/// A persistent volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// What it is.
    pub spec: VolumeSpec,
    /// What is.
    pub status: ClaimStatus,
}

object!(Volume, "", "v1", "PersistentVolume", "persistentvolumes", cluster);

/// What a volume is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSpec {
    /// Its size.
    #[serde(deserialize_with = "null_as_default")]
    pub capacity: StringMap,
    /// How it may be used.
    #[serde(deserialize_with = "null_as_default")]
    pub access_modes: Vec<String>,
    /// The claim it belongs to.
    pub claim_ref: Option<ClaimRef>,
    /// Its class.
    pub storage_class_name: String,
    /// `Filesystem` (default) or `Block`.
    pub volume_mode: Option<String>,
    /// From which nodes it can be reached.
    pub node_affinity: Option<VolumeNodeAffinity>,
}

/// The claim a volume belongs to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// From which nodes a volume can be reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeNodeAffinity {
    /// Must hold.
    pub required: Option<NodeSelector>,
}

/// A storage class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageClass {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// Who makes volumes; `kubernetes.io/no-provisioner` for nobody.
    pub provisioner: String,
    /// `Immediate` (default) or `WaitForFirstConsumer`.
    pub volume_binding_mode: Option<String>,
}

object!(StorageClass, "storage.k8s.io", "v1", "StorageClass", "storageclasses", cluster);

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Volumes {
    /// Claims by namespace and name.
    pub claims: BTreeMap<(String, String), Arc<Claim>>,
    /// Volumes by name.
    pub volumes: BTreeMap<String, Arc<Volume>>,
    /// Classes by name.
    pub classes: BTreeMap<String, Arc<StorageClass>>,
}

impl Volumes {
    /// A claim.
    pub fn claim(&self, namespace: &str, name: &str) -> Option<&Arc<Claim>> {
        self.claims.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// Whether the claim waits for its first pod.
    pub fn waits_for_consumer(&self, claim: &Claim) -> bool {
        let class = claim.spec.storage_class_name.as_ref().and_then(|name| self.classes.get(name));
        class.is_some_and(|class| class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"))
    }

    /// Whether somebody makes volumes for the claim.
    pub fn is_provisioned(&self, claim: &Claim) -> bool {
        let class = claim.spec.storage_class_name.as_ref().and_then(|name| self.classes.get(name));
        class.is_some_and(|class| !class.provisioner.is_empty() && class.provisioner != "kubernetes.io/no-provisioner")
    }

    /// Free volumes that would do for the claim, the smallest first.
    pub fn candidates<'a>(&'a self, claim: &'a Claim) -> Vec<&'a Arc<Volume>> {
        let wanted = claim.spec.resources.requests.get("storage").and_then(|text| Quantity::parse(text).ok());
        let mut found: Vec<(i64, &Arc<Volume>)> = self
            .volumes
            .values()
            .filter(|volume| fits(volume, claim))
            .filter_map(|volume| {
                let size = Quantity::parse(volume.spec.capacity.get("storage")?).ok()?;
                wanted.is_none_or(|wanted| size >= wanted).then_some((size.value(), volume))
            })
            .collect();
        found.sort_by_key(|(size, volume)| (volume.spec.claim_ref.is_none(), *size));
        found.into_iter().map(|(_, volume)| volume).collect()
    }
}

fn fits(volume: &Volume, claim: &Claim) -> bool {
    let is_free = match &volume.spec.claim_ref {
        // Reserved for this very claim by hand.
        Some(claimed) => {
            claimed.namespace == claim.metadata.namespace
                && claimed.name == claim.metadata.name
                && (claimed.uid.is_empty() || claimed.uid == claim.metadata.uid)
        }
        None => matches!(volume.status.phase.as_str(), "" | "Available" | "Pending"),
    };
    let mode = |mode: &Option<String>| mode.clone().unwrap_or_else(|| "Filesystem".to_owned());
    let selector = match &claim.spec.selector {
        None => true,
        Some(selector) => drydock_api::selector::Selector::from_typed(Some(selector))
            .is_ok_and(|selector| selector.matches_map(&volume.metadata.labels)),
    };
    is_free
        && !volume.metadata.is_deleting()
        && volume.spec.storage_class_name == claim.spec.storage_class_name.clone().unwrap_or_default()
        && mode(&volume.spec.volume_mode) == mode(&claim.spec.volume_mode)
        && claim.spec.access_modes.iter().all(|wanted| volume.spec.access_modes.contains(wanted))
        && selector
}

/// The names of the claims that a pod mounts.
pub fn claims_of(pod: &Pod) -> impl Iterator<Item = (String, bool)> + '_ {
    pod.spec.volumes.iter().filter_map(|volume| {
        if let Some(claim) = &volume.persistent_volume_claim {
            return Some((claim.claim_name.clone(), false));
        }
        volume.ephemeral.as_ref().map(|_| (format!("{}-{}", pod.metadata.name, volume.name), true))
    })
}
