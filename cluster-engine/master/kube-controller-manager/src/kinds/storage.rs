//! Claims, volumes and storage classes.

use drydock_api::meta::{LabelSelector, ObjectMeta, null_as_default};
use drydock_client::object;
use drydock_client::types::{Resources, StringMap};
use serde::{Deserialize, Serialize};

/// The claim's binding was started by the controller, not asked for by hand.
pub(crate) const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// The claim's binding is through.
pub(crate) const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// Who made a volume, and who is to remove it.
pub(crate) const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// The node that the scheduler chose for a claim's first pod.
pub(crate) const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// A claim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Claim {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: ClaimSpec,
    pub(crate) status: ClaimStatus,
}

object!(Claim, "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced, Claim::slim);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClaimSpec {
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) access_modes: Vec<String>,
    pub(crate) resources: Resources,
    pub(crate) selector: Option<LabelSelector>,
    pub(crate) storage_class_name: Option<String>,
    pub(crate) volume_mode: Option<String>,
    pub(crate) volume_name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClaimStatus {
    pub(crate) phase: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) access_modes: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) capacity: StringMap,
}

impl Claim {
    fn slim(&mut self) {
        self.metadata.annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }

    /// Its class, from the field or the old annotation; empty for none.
    pub(crate) fn class(&self) -> &str {
        let old = self.metadata.annotations.get("volume.beta.kubernetes.io/storage-class");
        old.or(self.spec.storage_class_name.as_ref()).map_or("", String::as_str)
    }

    /// Whether it says anything about its class; the empty class counts as an answer.
    pub(crate) fn has_class(&self) -> bool {
        self.spec.storage_class_name.is_some()
            || self.metadata.annotations.contains_key("volume.beta.kubernetes.io/storage-class")
    }
}

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Volume {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: VolumeSpec,
    pub(crate) status: VolumeStatus,
}

object!(Volume, "", "v1", "PersistentVolume", "persistentvolumes", cluster, Volume::slim);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct VolumeSpec {
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) capacity: StringMap,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) access_modes: Vec<String>,
    pub(crate) claim_ref: Option<ClaimRef>,
    pub(crate) storage_class_name: String,
    pub(crate) volume_mode: Option<String>,
    pub(crate) persistent_volume_reclaim_policy: String,
    pub(crate) host_path: Option<VolumePath>,
}

/// A directory on a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct VolumePath {
    pub(crate) path: String,
}

/// The claim that a volume belongs to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ClaimRef {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct VolumeStatus {
    pub(crate) phase: String,
    pub(crate) message: String,
}

impl Volume {
    fn slim(&mut self) {
        self.metadata.annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }

    /// Its class; empty for none.
    pub(crate) fn class(&self) -> &str {
        let old = self.metadata.annotations.get("volume.beta.kubernetes.io/storage-class");
        old.map_or(self.spec.storage_class_name.as_str(), String::as_str)
    }

    /// Whether the volume is this claim's, or set aside for it by name (upstream: `IsVolumeBoundToClaim`).
    pub(crate) fn is_for(&self, claim: &Claim) -> bool {
        self.spec.claim_ref.as_ref().is_some_and(|held| {
            held.namespace == claim.metadata.namespace
                && held.name == claim.metadata.name
                && (held.uid.is_empty() || held.uid == claim.metadata.uid)
        })
    }
}

/// A storage class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct StorageClass {
    pub(crate) metadata: ObjectMeta,
    pub(crate) provisioner: String,
    pub(crate) volume_binding_mode: Option<String>,
}

object!(StorageClass, "storage.k8s.io", "v1", "StorageClass", "storageclasses", cluster);

impl StorageClass {
    /// Whether claims without a class get this one.
    pub(crate) fn is_default(&self) -> bool {
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
            .iter()
            .any(|key| self.metadata.annotations.get(*key).is_some_and(|value| value == "true"))
    }

    /// Whether its claims wait for a pod.
    pub(crate) fn waits(&self) -> bool {
        self.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer")
    }
}
