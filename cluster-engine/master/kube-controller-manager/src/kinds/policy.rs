//! Disruption budgets.

use std::collections::BTreeMap;

use drydock_api::meta::{LabelSelector, ObjectMeta, null_as_default};
use drydock_client::object;
use drydock_client::types::IntOrString;
use serde::{Deserialize, Serialize};

use super::is_zero_i64;

/// A disruption budget.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DisruptionBudget {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: DisruptionBudgetSpec,
    pub(crate) status: DisruptionBudgetStatus,
}

object!(DisruptionBudget, "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", namespaced);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DisruptionBudgetSpec {
    pub(crate) min_available: Option<IntOrString>,
    pub(crate) max_unavailable: Option<IntOrString>,
    pub(crate) selector: Option<LabelSelector>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DisruptionBudgetStatus {
    #[serde(skip_serializing_if = "is_zero_i64")]
    pub(crate) observed_generation: i64,
    /// Pods that were evicted and are not gone yet, with the time of the eviction.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub(crate) disrupted_pods: BTreeMap<String, String>,
    pub(crate) disruptions_allowed: i32,
    pub(crate) current_healthy: i32,
    pub(crate) desired_healthy: i32,
    pub(crate) expected_pods: i32,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub(crate) conditions: Vec<MetaCondition>,
}

/// A condition as meta/v1 has it; all fields but the generation must be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MetaCondition {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: String,
    #[serde(skip_serializing_if = "is_zero_i64")]
    pub(crate) observed_generation: i64,
    pub(crate) last_transition_time: String,
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl MetaCondition {
    /// Sets a condition; the time of the transition stays while the status does (upstream: `SetStatusCondition`).
    pub(crate) fn set(conditions: &mut Vec<MetaCondition>, mut new: MetaCondition) {
        match conditions.iter_mut().find(|condition| condition.kind == new.kind) {
            Some(old) => {
                if old.status == new.status {
                    new.last_transition_time.clone_from(&old.last_transition_time);
                }
                *old = new;
            }
            None => conditions.push(new),
        }
    }
}
