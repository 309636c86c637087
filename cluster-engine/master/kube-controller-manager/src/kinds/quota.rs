//! Resource quotas.

use drydock_api::meta::{ObjectMeta, null_as_default};
use drydock_client::object;
use drydock_client::types::StringMap;
use serde::{Deserialize, Serialize};

/// A resource quota.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Quota {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: QuotaSpec,
    pub(crate) status: QuotaStatus,
}

object!(Quota, "", "v1", "ResourceQuota", "resourcequotas", namespaced);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct QuotaSpec {
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) hard: StringMap,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) scopes: Vec<String>,
    pub(crate) scope_selector: Option<ScopeSelector>,
}

/// Which objects a quota is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ScopeSelector {
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) match_expressions: Vec<ScopeTerm>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ScopeTerm {
    pub(crate) scope_name: String,
    pub(crate) operator: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) values: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct QuotaStatus {
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) hard: StringMap,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) used: StringMap,
}
