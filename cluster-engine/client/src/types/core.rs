//! Nodes, namespaces, config maps and the other small kinds of the core group.

use drydock_api::meta::{ObjectMeta, null_as_default};
use serde::{Deserialize, Serialize};

use super::pod::Condition;
use super::{StringMap, Toleration};
use crate::object;

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: NodeSpec,
    /// What is.
    pub status: NodeStatus,
}

object!(Node, "", "v1", "Node", "nodes", cluster);

/// A node's wanted state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSpec {
    /// The first of `pod_cidrs`.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: String,
    /// Where its pods' addresses come from.
    #[serde(rename = "podCIDRs", deserialize_with = "null_as_default")]
    pub pod_cidrs: Vec<String>,
    /// Cordoned.
    pub unschedulable: bool,
    /// Taints.
    #[serde(deserialize_with = "null_as_default")]
    pub taints: Vec<Taint>,
}

/// A taint of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
    /// When a NoExecute taint was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_added: Option<String>,
}

impl Taint {
    /// Whether `toleration` bears this taint (upstream: `ToleratesTaint`).
    pub fn is_tolerated_by(&self, toleration: &Toleration) -> bool {
        if !toleration.effect.is_empty() && toleration.effect != self.effect {
            return false;
        }
        if !toleration.key.is_empty() && toleration.key != self.key {
            return false;
        }
        let numbers = || Some((self.value.parse::<i64>().ok()?, toleration.value.parse::<i64>().ok()?));
        match toleration.operator.as_str() {
            "" | "Equal" => toleration.value == self.value,
            "Exists" => true,
            "Lt" => numbers().is_some_and(|(taint, borne)| taint < borne),
            "Gt" => numbers().is_some_and(|(taint, borne)| taint > borne),
            _ => false,
        }
    }

    /// Whether any of `tolerations` bears this taint.
    pub fn is_tolerated(&self, tolerations: &[Toleration]) -> bool {
        tolerations.iter().any(|toleration| self.is_tolerated_by(toleration))
    }
}

/// A node's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    /// What there is.
    #[serde(deserialize_with = "null_as_default")]
    pub capacity: StringMap,
    /// What pods may use of it.
    #[serde(deserialize_with = "null_as_default")]
    pub allocatable: StringMap,
    /// Conditions.
    #[serde(deserialize_with = "null_as_default")]
    pub conditions: Vec<Condition>,
    /// Addresses.
    #[serde(deserialize_with = "null_as_default")]
    pub addresses: Vec<NodeAddress>,
    /// Images it has.
    #[serde(deserialize_with = "null_as_default")]
    pub images: Vec<NodeImage>,
}

/// An address of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeAddress {
    /// `InternalIP`, `Hostname` …
    #[serde(rename = "type")]
    pub kind: String,
    /// The address.
    pub address: String,
}

/// An image that a node has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeImage {
    /// Its names.
    #[serde(deserialize_with = "null_as_default")]
    pub names: Vec<String>,
    /// Its size.
    pub size_bytes: i64,
}

impl Node {
    /// The condition of this type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Whether the Ready condition is true.
    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|condition| condition.status == "True")
    }

    /// Its first address of this type, such as `InternalIP`.
    pub fn address(&self, kind: &str) -> Option<&str> {
        self.status.addresses.iter().find(|address| address.kind == kind).map(|address| address.address.as_str())
    }
}

/// A namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: NamespaceSpec,
    /// What is.
    pub status: NamespaceStatus,
}

object!(Namespace, "", "v1", "Namespace", "namespaces", cluster);

/// A namespace's wanted state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamespaceSpec {
    /// What must happen before the namespace is gone.
    #[serde(deserialize_with = "null_as_default")]
    pub finalizers: Vec<String>,
}

/// A namespace's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamespaceStatus {
    /// `Active` or `Terminating`.
    pub phase: String,
    /// Conditions, while it is being deleted.
    #[serde(deserialize_with = "null_as_default")]
    pub conditions: Vec<Condition>,
}

/// A config map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfigMap {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// Texts by key.
    #[serde(deserialize_with = "null_as_default")]
    pub data: StringMap,
}

object!(ConfigMap, "", "v1", "ConfigMap", "configmaps", namespaced);

/// A service account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceAccount {
    /// Metadata.
    pub metadata: ObjectMeta,
}

object!(ServiceAccount, "", "v1", "ServiceAccount", "serviceaccounts", namespaced);

/// A lease: who holds something and since when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lease {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// The lease.
    pub spec: LeaseSpec,
}

object!(Lease, "coordination.k8s.io", "v1", "Lease", "leases", namespaced);

/// What a lease says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaseSpec {
    /// Who holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder_identity: Option<String>,
    /// For how long after a renewal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_duration_seconds: Option<i32>,
    /// When it was last renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew_time: Option<String>,
}
