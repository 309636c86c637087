//! Horizontal pod autoscalers and the metrics they read.

use drydock_api::meta::{ObjectMeta, null_as_default};
use drydock_api::quantity::Quantity;
use drydock_client::object;
use drydock_client::types::{Condition, ObjectRef, StringMap};
use serde::{Deserialize, Serialize};

use super::is_zero_i64;

/// A horizontal pod autoscaler.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Autoscaler {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: AutoscalerSpec,
    pub(crate) status: AutoscalerStatus,
}

object!(Autoscaler, "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", namespaced);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AutoscalerSpec {
    pub(crate) scale_target_ref: ObjectRef,
    pub(crate) min_replicas: Option<i32>,
    pub(crate) max_replicas: i32,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) metrics: Vec<MetricSpec>,
    pub(crate) behavior: Option<Behavior>,
}

/// What is measured, and what it should be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MetricSpec {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) resource: Option<ResourceMetric>,
    pub(crate) container_resource: Option<ResourceMetric>,
}

/// cpu or memory of pods, or of one container in each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ResourceMetric {
    pub(crate) name: String,
    pub(crate) container: String,
    pub(crate) target: MetricTarget,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MetricTarget {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) average_value: Option<Quantity>,
    pub(crate) average_utilization: Option<i32>,
}

/// How fast it may go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Behavior {
    pub(crate) scale_up: Option<ScalingRules>,
    pub(crate) scale_down: Option<ScalingRules>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ScalingRules {
    pub(crate) stabilization_window_seconds: Option<i64>,
    pub(crate) select_policy: Option<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) policies: Vec<ScalingPolicy>,
    pub(crate) tolerance: Option<Quantity>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ScalingPolicy {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) value: i32,
    pub(crate) period_seconds: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AutoscalerStatus {
    #[serde(skip_serializing_if = "is_zero_i64")]
    pub(crate) observed_generation: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_scale_time: Option<String>,
    pub(crate) current_replicas: i32,
    pub(crate) desired_replicas: i32,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) current_metrics: Vec<MetricStatus>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub(crate) conditions: Vec<Condition>,
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MetricStatus {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resource: Option<ResourceMetricStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) container_resource: Option<ResourceMetricStatus>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ResourceMetricStatus {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) container: String,
    pub(crate) current: MetricValue,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MetricValue {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) average_value: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) average_utilization: Option<i32>,
}

/// What a pod uses, as metrics.k8s.io serves it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PodMetrics {
    pub(crate) metadata: ObjectMeta,
    pub(crate) timestamp: Option<String>,
    /// A Go duration such as `15s`.
    pub(crate) window: String,
    pub(crate) containers: Vec<ContainerMetrics>,
}

object!(PodMetrics, "metrics.k8s.io", "v1beta1", "PodMetrics", "pods", namespaced);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ContainerMetrics {
    pub(crate) name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) usage: StringMap,
}
