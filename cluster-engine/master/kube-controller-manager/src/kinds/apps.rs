//! Deployments, replica sets and their kin.

use drydock_api::meta::{LabelSelector, ObjectMeta, null_as_default};
use drydock_api::selector::Selector;
use drydock_client::types::StringMap;
use drydock_client::types::{Condition, IntOrString};
use drydock_client::{Object, object};
use serde::{Deserialize, Serialize};

use super::Raw;

/// A deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Deployment {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: DeploymentSpec,
    pub(crate) status: DeploymentStatus,
}

object!(Deployment, "apps", "v1", "Deployment", "deployments", namespaced);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeploymentSpec {
    pub(crate) replicas: Option<i32>,
    pub(crate) selector: LabelSelector,
    pub(crate) template: Raw,
    pub(crate) strategy: DeploymentStrategy,
    pub(crate) min_ready_seconds: i32,
    pub(crate) revision_history_limit: Option<i32>,
    pub(crate) paused: bool,
    pub(crate) progress_deadline_seconds: Option<i32>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeploymentStrategy {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) rolling_update: Option<RollingUpdate>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RollingUpdate {
    pub(crate) max_unavailable: Option<IntOrString>,
    pub(crate) max_surge: Option<IntOrString>,
    /// Stateful sets: pods from this ordinal on are updated.
    pub(crate) partition: Option<i32>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeploymentStatus {
    #[serde(skip_serializing_if = "is_zero_i64")]
    pub(crate) observed_generation: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) replicas: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) updated_replicas: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) ready_replicas: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) available_replicas: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) unavailable_replicas: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) terminating_replicas: Option<i32>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub(crate) conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) collision_count: Option<i32>,
}

/// A replica set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ReplicaSet {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: ReplicaSetSpec,
    pub(crate) status: ReplicaSetStatus,
}

object!(ReplicaSet, "apps", "v1", "ReplicaSet", "replicasets", namespaced);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ReplicaSetSpec {
    pub(crate) replicas: Option<i32>,
    pub(crate) selector: LabelSelector,
    pub(crate) template: Raw,
    pub(crate) min_ready_seconds: i32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ReplicaSetStatus {
    pub(crate) replicas: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) fully_labeled_replicas: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) ready_replicas: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) available_replicas: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) terminating_replicas: Option<i32>,
    #[serde(skip_serializing_if = "is_zero_i64")]
    pub(crate) observed_generation: i64,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub(crate) conditions: Vec<Condition>,
}

impl ReplicaSet {
    /// How many replicas are wanted.
    pub(crate) fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }
}

impl Deployment {
    /// How many replicas are wanted.
    pub(crate) fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }
}

pub(crate) fn is_zero(number: &i32) -> bool {
    *number == 0
}

pub(crate) fn is_zero_i64(number: &i64) -> bool {
    *number == 0
}

/// What replica sets and replication controllers have in common.
pub(crate) trait Replicated: Object {
    /// The service account of its controller, and the source of its events.
    const ACCOUNT: &'static str;
    /// Which pods; `None` if the selector cannot be read.
    fn selector(&self) -> Option<Selector>;
    /// How many are wanted.
    fn replicas(&self) -> i32;
    /// What they look like.
    fn template(&self) -> &Raw;
    /// How long a pod must be ready to count as available.
    fn min_ready_seconds(&self) -> i32;
    /// What is.
    fn status(&self) -> &ReplicaSetStatus;
}

impl Replicated for ReplicaSet {
    const ACCOUNT: &'static str = "replicaset-controller";
    fn selector(&self) -> Option<Selector> {
        Selector::from_typed(Some(&self.spec.selector)).ok()
    }
    fn replicas(&self) -> i32 {
        self.replicas()
    }
    fn template(&self) -> &Raw {
        &self.spec.template
    }
    fn min_ready_seconds(&self) -> i32 {
        self.spec.min_ready_seconds
    }
    fn status(&self) -> &ReplicaSetStatus {
        &self.status
    }
}

/// A replication controller.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ReplicationController {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: ReplicationControllerSpec,
    pub(crate) status: ReplicaSetStatus,
}

object!(ReplicationController, "", "v1", "ReplicationController", "replicationcontrollers", namespaced);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ReplicationControllerSpec {
    pub(crate) replicas: Option<i32>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) selector: StringMap,
    pub(crate) template: Raw,
    pub(crate) min_ready_seconds: i32,
}

impl Replicated for ReplicationController {
    const ACCOUNT: &'static str = "replication-controller";
    fn selector(&self) -> Option<Selector> {
        let pairs = self.spec.selector.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        (!self.spec.selector.is_empty()).then(|| Selector::from_pairs(pairs))
    }
    fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }
    fn template(&self) -> &Raw {
        &self.spec.template
    }
    fn min_ready_seconds(&self) -> i32 {
        self.spec.min_ready_seconds
    }
    fn status(&self) -> &ReplicaSetStatus {
        &self.status
    }
}

/// A daemon set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DaemonSet {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: DaemonSetSpec,
    pub(crate) status: DaemonSetStatus,
}

object!(DaemonSet, "apps", "v1", "DaemonSet", "daemonsets", namespaced);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DaemonSetSpec {
    pub(crate) selector: LabelSelector,
    pub(crate) template: Raw,
    pub(crate) update_strategy: DeploymentStrategy,
    pub(crate) min_ready_seconds: i32,
    pub(crate) revision_history_limit: Option<i32>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DaemonSetStatus {
    pub(crate) current_number_scheduled: i32,
    pub(crate) number_misscheduled: i32,
    pub(crate) desired_number_scheduled: i32,
    pub(crate) number_ready: i32,
    #[serde(skip_serializing_if = "is_zero_i64")]
    pub(crate) observed_generation: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) updated_number_scheduled: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) number_available: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) number_unavailable: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) collision_count: Option<i32>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub(crate) conditions: Vec<Condition>,
}

/// A stateful set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StatefulSet {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: StatefulSetSpec,
    pub(crate) status: StatefulSetStatus,
}

object!(StatefulSet, "apps", "v1", "StatefulSet", "statefulsets", namespaced);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct StatefulSetSpec {
    pub(crate) replicas: Option<i32>,
    pub(crate) selector: LabelSelector,
    pub(crate) template: Raw,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) volume_claim_templates: Vec<Raw>,
    pub(crate) service_name: String,
    pub(crate) pod_management_policy: String,
    pub(crate) update_strategy: DeploymentStrategy,
    pub(crate) revision_history_limit: Option<i32>,
    pub(crate) min_ready_seconds: i32,
    pub(crate) ordinals: Option<Ordinals>,
    pub(crate) persistent_volume_claim_retention_policy: Option<ClaimRetention>,
}

/// Where a stateful set begins to count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ordinals {
    pub(crate) start: i32,
}

/// What becomes of claims: `Retain` or `Delete`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClaimRetention {
    pub(crate) when_deleted: String,
    pub(crate) when_scaled: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct StatefulSetStatus {
    #[serde(skip_serializing_if = "is_zero_i64")]
    pub(crate) observed_generation: i64,
    pub(crate) replicas: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) ready_replicas: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) current_replicas: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) updated_replicas: i32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) current_revision: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) update_revision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) collision_count: Option<i32>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub(crate) conditions: Vec<Condition>,
    pub(crate) available_replicas: i32,
}

impl StatefulSet {
    /// How many replicas are wanted.
    pub(crate) fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }
}

/// A remembered template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ControllerRevision {
    pub(crate) metadata: ObjectMeta,
    pub(crate) data: Raw,
    pub(crate) revision: i64,
}

object!(ControllerRevision, "apps", "v1", "ControllerRevision", "controllerrevisions", namespaced);
