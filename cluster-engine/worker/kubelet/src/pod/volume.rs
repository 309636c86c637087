//! Volumes of a pod.

use drydock_api::quantity::Quantity;
use serde::Deserialize;

use super::{FieldRef, ResourceFieldRef};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) empty_dir: Option<EmptyDir>,
    pub(crate) host_path: Option<HostPath>,
    pub(crate) config_map: Option<ConfigMapVolume>,
    pub(crate) secret: Option<SecretVolume>,
    #[serde(rename = "downwardAPI")]
    pub(crate) downward_api: Option<DownwardVolume>,
    pub(crate) projected: Option<ProjectedVolume>,
    pub(crate) persistent_volume_claim: Option<ClaimVolume>,
    pub(crate) ephemeral: Option<EphemeralVolume>,
    pub(crate) image: Option<ImageVolume>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct EmptyDir {
    pub(crate) medium: String,
    pub(crate) size_limit: Option<Quantity>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HostPath {
    pub(crate) path: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct KeyToPath {
    pub(crate) key: String,
    pub(crate) path: String,
    pub(crate) mode: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ConfigMapVolume {
    pub(crate) name: String,
    pub(crate) items: Vec<KeyToPath>,
    pub(crate) default_mode: Option<u32>,
    pub(crate) optional: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SecretVolume {
    pub(crate) secret_name: String,
    pub(crate) items: Vec<KeyToPath>,
    pub(crate) default_mode: Option<u32>,
    pub(crate) optional: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DownwardVolume {
    pub(crate) items: Vec<DownwardItem>,
    pub(crate) default_mode: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DownwardItem {
    pub(crate) path: String,
    pub(crate) field_ref: Option<FieldRef>,
    pub(crate) resource_field_ref: Option<ResourceFieldRef>,
    pub(crate) mode: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ProjectedVolume {
    pub(crate) sources: Vec<Projection>,
    pub(crate) default_mode: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Projection {
    pub(crate) config_map: Option<ConfigMapVolume>,
    /// Here the secret is named by `name`, as the config map is.
    pub(crate) secret: Option<ConfigMapVolume>,
    #[serde(rename = "downwardAPI")]
    pub(crate) downward_api: Option<DownwardVolume>,
    pub(crate) service_account_token: Option<TokenProjection>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TokenProjection {
    pub(crate) audience: String,
    pub(crate) expiration_seconds: Option<i64>,
    pub(crate) path: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClaimVolume {
    pub(crate) claim_name: String,
    pub(crate) read_only: bool,
}

/// Only its presence matters: the claim is named after pod and volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct EphemeralVolume {}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ImageVolume {
    pub(crate) reference: String,
    pub(crate) pull_policy: String,
}
