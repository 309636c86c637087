//! Jobs and cron jobs.

use drydock_api::meta::{LabelSelector, ObjectMeta, null_as_default};
use drydock_client::object;
use drydock_client::types::{Condition, ObjectRef};
use serde::{Deserialize, Serialize};

use super::{Raw, is_zero};

/// A job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Job {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: JobSpec,
    pub(crate) status: JobStatus,
}

object!(Job, "batch", "v1", "Job", "jobs", namespaced);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct JobSpec {
    pub(crate) parallelism: Option<i32>,
    pub(crate) completions: Option<i32>,
    pub(crate) active_deadline_seconds: Option<i64>,
    pub(crate) backoff_limit: Option<i32>,
    pub(crate) backoff_limit_per_index: Option<i32>,
    pub(crate) max_failed_indexes: Option<i32>,
    pub(crate) pod_failure_policy: Option<PodFailurePolicy>,
    pub(crate) success_policy: Option<SuccessPolicy>,
    pub(crate) selector: Option<LabelSelector>,
    pub(crate) template: Raw,
    pub(crate) ttl_seconds_after_finished: Option<i64>,
    pub(crate) completion_mode: Option<String>,
    pub(crate) suspend: Option<bool>,
    pub(crate) managed_by: Option<String>,
    pub(crate) pod_replacement_policy: Option<String>,
}

/// What failed pods mean.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PodFailurePolicy {
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) rules: Vec<FailureRule>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct FailureRule {
    /// `FailJob`, `FailIndex`, `Ignore` or `Count`.
    pub(crate) action: String,
    pub(crate) on_exit_codes: Option<OnExitCodes>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) on_pod_conditions: Vec<OnPodCondition>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct OnExitCodes {
    pub(crate) container_name: Option<String>,
    /// `In` or `NotIn`.
    pub(crate) operator: String,
    pub(crate) values: Vec<i32>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct OnPodCondition {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: String,
}

/// Which indexes are enough.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SuccessPolicy {
    pub(crate) rules: Vec<SuccessRule>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SuccessRule {
    pub(crate) succeeded_indexes: Option<String>,
    pub(crate) succeeded_count: Option<i32>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct JobStatus {
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub(crate) conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) completion_time: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) active: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) succeeded: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) failed: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) terminating: Option<i32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) completed_indexes: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failed_indexes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uncounted_terminated_pods: Option<Uncounted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ready: Option<i32>,
}

/// Pods that ended and whose finalizer is about to be taken away; they are counted after that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Uncounted {
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub(crate) succeeded: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub(crate) failed: Vec<String>,
}

impl Job {
    /// The condition of this type, if it is true.
    pub(crate) fn is(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.kind == kind && condition.status == "True")
    }

    /// The condition that says that the job is over.
    pub(crate) fn finished(&self) -> Option<&Condition> {
        self.is("Complete").or_else(|| self.is("Failed"))
    }
}

/// A cron job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CronJob {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: CronJobSpec,
    pub(crate) status: CronJobStatus,
}

object!(CronJob, "batch", "v1", "CronJob", "cronjobs", namespaced);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CronJobSpec {
    pub(crate) schedule: String,
    pub(crate) time_zone: Option<String>,
    pub(crate) starting_deadline_seconds: Option<i64>,
    pub(crate) concurrency_policy: String,
    pub(crate) suspend: Option<bool>,
    pub(crate) job_template: Raw,
    pub(crate) successful_jobs_history_limit: Option<i32>,
    pub(crate) failed_jobs_history_limit: Option<i32>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CronJobStatus {
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub(crate) active: Vec<ObjectRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_schedule_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_successful_time: Option<String>,
}
