//! The objects that the provisioner reads.

use drydock_api::meta::{ObjectMeta, null_as_default};
use drydock_client::object;
use drydock_client::types::{Resources, StringMap};
use serde::Deserialize;

/// A claim.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Claim {
    /// Metadata; of the annotations only those that matter here.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: ClaimSpec,
}

object!(Claim, "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced, Claim::slim);

impl Claim {
    fn slim(&mut self) {
        self.metadata.labels.clear();
        self.metadata.annotations.retain(|key, _| key.starts_with("volume."));
    }
}

/// A claim's wanted state.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// How it is to be used.
    #[serde(deserialize_with = "null_as_default")]
    pub access_modes: Vec<String>,
    /// How large.
    pub resources: Resources,
    /// From which class.
    pub storage_class_name: Option<String>,
    /// `Filesystem` (default) or `Block`.
    pub volume_mode: Option<String>,
    /// A selector; nothing that is made can match one.
    pub selector: Option<serde::de::IgnoredAny>,
    /// The volume it is bound to.
    pub volume_name: String,
}

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// Metadata; of the annotations only who made it.
    pub metadata: ObjectMeta,
    /// What it is.
    pub spec: VolumeSpec,
    /// What is.
    pub status: VolumeStatus,
}

object!(Volume, "", "v1", "PersistentVolume", "persistentvolumes", cluster, Volume::slim);

impl Volume {
    fn slim(&mut self) {
        self.metadata.labels.clear();
        self.metadata.annotations.retain(|key, _| key == crate::plan::PROVISIONED_BY || key == crate::plan::NODE);
    }
}

/// What a volume is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSpec {
    /// `Delete` or `Retain`.
    pub persistent_volume_reclaim_policy: String,
    /// Where it is on its node.
    pub host_path: Option<HostPath>,
}

/// A directory on a node.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct HostPath {
    /// Its path.
    pub path: String,
}

/// A volume's state.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct VolumeStatus {
    /// `Available`, `Bound`, `Released` or `Failed`.
    pub phase: String,
}

/// A storage class.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageClass {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// Who makes its volumes.
    pub provisioner: String,
    /// What becomes of them.
    pub reclaim_policy: Option<String>,
    /// How they are mounted.
    #[serde(deserialize_with = "null_as_default")]
    pub mount_options: Vec<String>,
    /// What the provisioner is told.
    #[serde(deserialize_with = "null_as_default")]
    pub parameters: StringMap,
    /// `Immediate` or `WaitForFirstConsumer`.
    pub volume_binding_mode: Option<String>,
}

object!(StorageClass, "storage.k8s.io", "v1", "StorageClass", "storageclasses", cluster);

/// A helper pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Helper {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// What is.
    pub status: VolumeStatus,
}

object!(Helper, "", "v1", "Pod", "pods", namespaced);
