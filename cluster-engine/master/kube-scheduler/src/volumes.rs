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
    /// The driver that makes it reachable, if it is one of the container storage interface.
    pub csi: Option<CsiVolume>,
}

/// A volume of a CSI driver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CsiVolume {
    /// The driver.
    pub driver: String,
    /// What the driver calls it.
    pub volume_handle: String,
}

/// What CSI drivers say of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CsiNode {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// The drivers.
    pub spec: CsiNodeSpec,
}

object!(CsiNode, "storage.k8s.io", "v1", "CSINode", "csinodes", cluster);

/// The drivers of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CsiNodeSpec {
    /// The drivers.
    #[serde(deserialize_with = "null_as_default")]
    pub drivers: Vec<CsiDriverOfNode>,
}

/// A driver on a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CsiDriverOfNode {
    /// Its name.
    pub name: String,
    /// How much it can do there.
    pub allocatable: Option<CsiAllocatable>,
}

/// How much a driver can do on a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CsiAllocatable {
    /// How many volumes; as many as are wanted if unset.
    pub count: Option<i64>,
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
    /// What CSI drivers say of nodes, by node.
    pub csi_nodes: BTreeMap<String, Arc<CsiNode>>,
}

impl Volumes {
    /// A claim.
    pub fn claim(&self, namespace: &str, name: &str) -> Option<&Arc<Claim>> {
        self.claims.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// The CSI volume of a claim as (driver, handle); for a claim whose volume is to be made the class's provisioner and
    /// the claim's own name stand for them.
    pub fn csi_of(&self, claim: &Claim) -> Option<(String, String)> {
        if let Some(volume) = self.volumes.get(&claim.spec.volume_name) {
            return volume.spec.csi.as_ref().map(|csi| (csi.driver.clone(), csi.volume_handle.clone()));
        }
        let class = self.classes.get(claim.spec.storage_class_name.as_ref()?)?;
        Some((class.provisioner.clone(), format!("{}/{}", claim.metadata.namespace, claim.metadata.name)))
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
        if found.iter().any(|(_, volume)| is_reserved(volume, claim)) {
            // No other will do.
            found.retain(|(_, volume)| is_reserved(volume, claim));
        }
        // Of volumes that do, the one that can do least else.
        found.sort_by_key(|(size, volume)| (volume.spec.access_modes.len(), *size));
        found.into_iter().map(|(_, volume)| volume).collect()
    }
}

/// Whether the volume was set aside for the claim, by hand or by a binding that is under way; its class and labels do
/// not matter then (upstream: `FindMatchingVolume`).
fn is_reserved(volume: &Volume, claim: &Claim) -> bool {
    volume.spec.claim_ref.as_ref().is_some_and(|held| {
        held.namespace == claim.metadata.namespace
            && held.name == claim.metadata.name
            && (held.uid.is_empty() || held.uid == claim.metadata.uid)
    })
}

fn fits(volume: &Volume, claim: &Claim) -> bool {
    let mode = |mode: &Option<String>| mode.clone().unwrap_or_else(|| "Filesystem".to_owned());
    let is_selected = || match &claim.spec.selector {
        None => true,
        Some(selector) => drydock_api::selector::Selector::from_typed(Some(selector))
            .is_ok_and(|selector| selector.matches_map(&volume.metadata.labels)),
    };
    let is_free = || {
        volume.spec.claim_ref.is_none()
            && matches!(volume.status.phase.as_str(), "" | "Available" | "Pending")
            && volume.spec.storage_class_name == claim.spec.storage_class_name.clone().unwrap_or_default()
            && is_selected()
    };
    (is_reserved(volume, claim) || is_free())
        && !volume.metadata.is_deleting()
        && mode(&volume.spec.volume_mode) == mode(&claim.spec.volume_mode)
        && claim.spec.access_modes.iter().all(|wanted| volume.spec.access_modes.contains(wanted))
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

#[cfg(test)]
mod tests {
    use crate::testing::{claim, node, snapshot, volume};

    #[test]
    fn a_reserved_volume_needs_no_class_and_no_other_will_do() {
        let mut cluster = snapshot(vec![node("a")], vec![]);
        claim(&mut cluster, "data", "slow", None);
        volume(&mut cluster, "small", "slow", "1Gi", None);
        volume(&mut cluster, "other-class", "fast", "2Gi", None);
        let names = |cluster: &crate::snapshot::Snapshot| -> Vec<String> {
            let claim = cluster.volumes.claim("default", "data").unwrap();
            cluster.volumes.candidates(claim).iter().map(|volume| volume.metadata.name.clone()).collect()
        };
        assert_eq!(names(&cluster), ["small"]);
        let reserved = std::sync::Arc::make_mut(cluster.volumes.volumes.get_mut("other-class").unwrap());
        reserved.spec.claim_ref =
            Some(super::ClaimRef { namespace: "default".into(), name: "data".into(), uid: String::new() });
        assert_eq!(names(&cluster), ["other-class"]);
    }
}
