//! Pods, as scheduler, controllers, proxy and DNS see them.

use drydock_api::meta::{LabelSelector, ObjectMeta, null_as_default};
use serde::{Deserialize, Serialize};

use super::StringMap;
use crate::object;

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Metadata; of the annotations only those that a controller reads are kept.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: PodSpec,
    /// What is.
    pub status: PodStatus,
}

object!(Pod, "", "v1", "Pod", "pods", namespaced, Pod::drop_unread_annotations);

/// A pod's wanted state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// The node the pod is bound to; empty while it is not.
    pub node_name: String,
    /// Who is to bind it.
    pub scheduler_name: String,
    /// The priority its class stands for.
    pub priority: Option<i32>,
    /// The priority class.
    pub priority_class_name: String,
    /// `PreemptLowerPriority` or `Never`.
    pub preemption_policy: Option<String>,
    /// The pod uses its node's network.
    pub host_network: bool,
    /// Host name, if not the pod's.
    pub hostname: String,
    /// Name of the headless service that gives the pod a DNS name.
    pub subdomain: String,
    /// Labels the node must have.
    #[serde(deserialize_with = "null_as_default")]
    pub node_selector: StringMap,
    /// Rules about nodes and other pods.
    pub affinity: Option<Box<Affinity>>,
    /// Taints that the pod bears.
    #[serde(deserialize_with = "null_as_default")]
    pub tolerations: Vec<Toleration>,
    /// How pods spread.
    #[serde(deserialize_with = "null_as_default")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Containers.
    #[serde(deserialize_with = "null_as_default")]
    pub containers: Vec<Container>,
    /// Init containers and sidecars.
    #[serde(deserialize_with = "null_as_default")]
    pub init_containers: Vec<Container>,
    /// What the sandbox itself needs.
    #[serde(deserialize_with = "null_as_default")]
    pub overhead: StringMap,
    /// Requests and limits of the pod as a whole.
    pub resources: Option<Box<Resources>>,
    /// Reasons not to schedule the pod yet.
    #[serde(deserialize_with = "null_as_default")]
    pub scheduling_gates: Vec<SchedulingGate>,
    /// Volumes that concern scheduling.
    #[serde(deserialize_with = "null_as_default")]
    pub volumes: Vec<Volume>,
    /// `Always`, `OnFailure` or `Never`.
    pub restart_policy: String,
    /// Seconds to end gracefully.
    pub termination_grace_period_seconds: Option<i64>,
    /// Seconds the pod may be active.
    pub active_deadline_seconds: Option<i64>,
    /// The service account.
    pub service_account_name: String,
    /// Conditions that count for readiness besides the containers'.
    #[serde(deserialize_with = "null_as_default")]
    pub readiness_gates: Vec<ReadinessGate>,
}

/// A condition that must be true for the pod to be ready.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReadinessGate {
    /// The condition's type.
    pub condition_type: String,
}

/// A reason not to schedule a pod yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedulingGate {
    /// Its name.
    pub name: String,
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Its ports.
    #[serde(deserialize_with = "null_as_default")]
    pub ports: Vec<ContainerPort>,
    /// What it needs and may use.
    pub resources: Resources,
    /// `Always` makes an init container a sidecar.
    pub restart_policy: Option<String>,
}

/// A container's port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// Its name.
    pub name: String,
    /// Its number.
    pub container_port: i32,
    /// The node's port it occupies; 0 for none.
    pub host_port: i32,
    /// The node's address it occupies.
    #[serde(rename = "hostIP")]
    pub host_ip: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
}

/// Requests and limits, as quantities.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// What is set aside.
    #[serde(deserialize_with = "null_as_default")]
    pub requests: StringMap,
    /// What may be used at most.
    #[serde(deserialize_with = "null_as_default")]
    pub limits: StringMap,
}

/// A toleration of taints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Toleration {
    /// The taint's key; empty with `Exists` means all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// `Exists`, `Equal` (the default), `Lt` or `Gt`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub operator: String,
    /// The taint's value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// The taint's effect; empty means all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub effect: String,
    /// How long a NoExecute taint is borne; for ever if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<i64>,
}

/// Rules about nodes and other pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Affinity {
    /// Which nodes.
    pub node_affinity: Option<NodeAffinity>,
    /// Near which pods.
    pub pod_affinity: Option<PodAffinity>,
    /// Away from which pods.
    pub pod_anti_affinity: Option<PodAffinity>,
}

/// Which nodes a pod wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeAffinity {
    /// Must hold.
    pub required_during_scheduling_ignored_during_execution: Option<NodeSelector>,
    /// Should hold.
    #[serde(deserialize_with = "null_as_default")]
    pub preferred_during_scheduling_ignored_during_execution: Vec<PreferredSchedulingTerm>,
}

/// A wish with its weight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PreferredSchedulingTerm {
    /// 1 to 100.
    pub weight: i32,
    /// The wish.
    pub preference: NodeSelectorTerm,
}

/// Nodes that match any of the terms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelector {
    /// The terms.
    #[serde(deserialize_with = "null_as_default")]
    pub node_selector_terms: Vec<NodeSelectorTerm>,
}

/// Nodes that match all requirements.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelectorTerm {
    /// About labels.
    #[serde(deserialize_with = "null_as_default")]
    pub match_expressions: Vec<NodeSelectorRequirement>,
    /// About fields (`metadata.name`).
    #[serde(deserialize_with = "null_as_default")]
    pub match_fields: Vec<NodeSelectorRequirement>,
}

/// One requirement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeSelectorRequirement {
    /// The label or field.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt`, `Lt`.
    pub operator: String,
    /// Values.
    #[serde(deserialize_with = "null_as_default")]
    pub values: Vec<String>,
}

/// Near or away from which pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodAffinity {
    /// Must hold.
    #[serde(deserialize_with = "null_as_default")]
    pub required_during_scheduling_ignored_during_execution: Vec<PodAffinityTerm>,
    /// Should hold.
    #[serde(deserialize_with = "null_as_default")]
    pub preferred_during_scheduling_ignored_during_execution: Vec<WeightedPodAffinityTerm>,
}

/// A wish about pods with its weight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WeightedPodAffinityTerm {
    /// 1 to 100.
    pub weight: i32,
    /// The wish.
    pub pod_affinity_term: PodAffinityTerm,
}

/// Pods, and how near is near.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodAffinityTerm {
    /// Which pods; none if unset.
    pub label_selector: Option<LabelSelector>,
    /// In which namespaces.
    #[serde(deserialize_with = "null_as_default")]
    pub namespaces: Vec<String>,
    /// In namespaces with which labels; an empty selector means all.
    pub namespace_selector: Option<LabelSelector>,
    /// The node label whose equal values mean near.
    pub topology_key: String,
    /// Labels of the incoming pod that the others must share.
    #[serde(deserialize_with = "null_as_default")]
    pub match_label_keys: Vec<String>,
    /// Labels of the incoming pod that the others must not share.
    #[serde(deserialize_with = "null_as_default")]
    pub mismatch_label_keys: Vec<String>,
}

/// How pods spread over a topology.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopologySpreadConstraint {
    /// How uneven it may be.
    pub max_skew: i32,
    /// The node label.
    pub topology_key: String,
    /// `DoNotSchedule` or `ScheduleAnyway`.
    pub when_unsatisfiable: String,
    /// Which pods count.
    pub label_selector: Option<LabelSelector>,
    /// How many domains there must be.
    pub min_domains: Option<i32>,
    /// `Honor` (default) or `Ignore` the pod's node affinity when counting domains.
    pub node_affinity_policy: Option<String>,
    /// `Honor` or `Ignore` (default) node taints when counting domains.
    pub node_taints_policy: Option<String>,
    /// Labels of the incoming pod that the others must share.
    #[serde(deserialize_with = "null_as_default")]
    pub match_label_keys: Vec<String>,
}

/// A volume, as far as it concerns scheduling.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// The claim it mounts.
    pub persistent_volume_claim: Option<ClaimVolume>,
    /// A claim made for the pod, named `<pod>-<volume>`.
    pub ephemeral: Option<EphemeralVolume>,
}

/// A volume that mounts a claim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimVolume {
    /// The claim's name.
    pub claim_name: String,
}

/// A volume whose claim is made for the pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EphemeralVolume {
    /// The claim to make, as written.
    pub volume_claim_template: Option<serde_json::Value>,
}

/// A pod's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Why, in one word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// Conditions.
    #[serde(deserialize_with = "null_as_default")]
    pub conditions: Vec<Condition>,
    /// The pod's first address.
    #[serde(rename = "podIP")]
    pub pod_ip: String,
    /// All its addresses.
    #[serde(rename = "podIPs", deserialize_with = "null_as_default")]
    pub pod_ips: Vec<PodIp>,
    /// Its node's address.
    #[serde(rename = "hostIP")]
    pub host_ip: String,
    /// Where the scheduler is making room for it.
    pub nominated_node_name: String,
    /// When the kubelet took it over.
    pub start_time: Option<String>,
    /// Containers.
    #[serde(deserialize_with = "null_as_default")]
    pub container_statuses: Vec<ContainerStatus>,
    /// Init containers.
    #[serde(deserialize_with = "null_as_default")]
    pub init_container_statuses: Vec<ContainerStatus>,
}

/// An address of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodIp {
    /// The address.
    pub ip: String,
}

/// A container's state, as far as controllers read it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// Its name.
    pub name: String,
    /// Whether it is ready.
    pub ready: bool,
    /// How often it was restarted.
    pub restart_count: i32,
    /// Its present state.
    pub state: ContainerState,
}

/// What a container does now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// It ended.
    pub terminated: Option<Terminated>,
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// Its exit code.
    pub exit_code: i32,
    /// Why, in one word.
    pub reason: String,
    /// When.
    pub finished_at: Option<String>,
}

/// A condition of any kind of object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// When it was last looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_heartbeat_time: Option<String>,
    /// When it was last looked at (pods, jobs).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_probe_time: Option<String>,
    /// When it was last written (deployments).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<String>,
    /// When it last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
    /// Why, in one word.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Pod {
    /// The condition of this type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Whether the Ready condition is true.
    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|condition| condition.status == "True")
    }

    /// Whether all containers have ended for good.
    pub fn is_terminal(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// Neither ended nor being deleted (upstream: `IsPodActive`).
    pub fn is_active(&self) -> bool {
        !self.is_terminal() && !self.metadata.is_deleting()
    }

    /// The highest restart count of its containers.
    pub fn max_restarts(&self) -> i32 {
        self.status.container_statuses.iter().map(|status| status.restart_count).max().unwrap_or_default()
    }

    fn drop_unread_annotations(&mut self) {
        self.metadata.annotations.retain(|key, _| {
            matches!(
                key.as_str(),
                "controller.kubernetes.io/pod-deletion-cost"
                    | "batch.kubernetes.io/job-completion-index"
                    | "batch.kubernetes.io/job-index-failure-count"
                    | "batch.kubernetes.io/job-index-ignored-failure-count"
                    | "kubernetes.io/config.mirror"
            )
        });
    }
}
