//! Conversion of HorizontalPodAutoscalers between `v2` and `v1`, where most of v2 hides in annotations.

use serde_json::{Value, json};

use crate::registry::value::{Read as _, child, default, default_text, remove};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

fn is_cpu(metric: &Value) -> bool {
    metric.text("type") == "Resource" && metric.text("resource.name") == "cpu"
}

fn annotate(object: &mut Value, key: &str, value: &Value) {
    if let Some(annotations) = child(object, "metadata").and_then(|metadata| child(metadata, "annotations")) {
        annotations[key] = Value::String(value.to_string());
    }
}

fn take_annotation(object: &mut Value, key: &str) -> Option<Value> {
    let annotations = object.get_mut("metadata")?.get_mut("annotations")?.as_object_mut()?;
    let value = annotations.remove(key)?;
    if annotations.is_empty() {
        remove(&mut object["metadata"], "annotations");
    }
    serde_json::from_str(value.as_str()?).ok()
}

/// SetDefaults_HorizontalPodAutoscaler of `v2`.
pub(super) fn default_v2(object: &mut Value) {
    if let Some(spec) = child(object, "spec") {
        default(spec, "minReplicas", 1);
        if spec.items("metrics").is_empty() {
            spec["metrics"] = json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]);
        }
        if spec.has("behavior") {
            behavior(&mut spec["behavior"]);
        }
    }
    if let Some(status) = child(object, "status") {
        default(status, "desiredReplicas", 0);
    }
}

/// Rules that are given get the rest of upstream's default rules.
fn behavior(behavior: &mut Value) {
    let up = json!([{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]);
    let down = json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]);
    for (key, policies, window) in [("scaleUp", up, Some(0)), ("scaleDown", down, None)] {
        if let Some(rules) = child(behavior, key) {
            if let Some(window) = window {
                default(rules, "stabilizationWindowSeconds", window);
            }
            default_text(rules, "selectPolicy", "Max");
            if rules.items("policies").is_empty() {
                rules["policies"] = policies;
            }
        }
    }
}

/// From `v2` to `v1`: the CPU target becomes a field, the rest annotations.
pub(super) fn to_v1(object: &mut Value) {
    let metrics = object.items("spec.metrics").to_vec();
    if let Some(spec) = child(object, "spec") {
        remove(spec, "metrics");
    }
    let cpu = metrics.iter().position(|metric| is_cpu(metric) && metric.has("resource.target.averageUtilization"));
    let rest: Vec<&Value> =
        metrics.iter().enumerate().filter(|(index, _)| Some(*index) != cpu).map(|(_, metric)| metric).collect();
    if let Some(index) = cpu {
        object["spec"]["targetCPUUtilizationPercentage"] =
            metrics[index].at("resource.target.averageUtilization").clone();
    }
    if !rest.is_empty() {
        let rest: Vec<Value> = rest.into_iter().map(|metric| metric_v1(metric, "target")).collect();
        annotate(object, METRICS, &Value::Array(rest));
    }
    if object.has("spec.behavior") {
        let behavior = object["spec"]["behavior"].take();
        annotate(object, BEHAVIOR, &behavior);
        remove(&mut object["spec"], "behavior");
    }
    if let Some(status) = child(object, "status") {
        let current = status.items("currentMetrics").to_vec();
        let conditions = status.items("conditions").to_vec();
        remove(status, "currentMetrics");
        remove(status, "conditions");
        if let Some(cpu) =
            current.iter().find(|metric| is_cpu(metric) && metric.has("resource.current.averageUtilization"))
        {
            status["currentCPUUtilizationPercentage"] = cpu.at("resource.current.averageUtilization").clone();
        }
        default(status, "currentReplicas", 0);
        default(status, "desiredReplicas", 0);
        if !current.is_empty() {
            let current: Vec<Value> = current.iter().map(|metric| metric_v1(metric, "current")).collect();
            annotate(object, CURRENT_METRICS, &Value::Array(current));
        }
        if !conditions.is_empty() {
            annotate(object, CONDITIONS, &Value::Array(conditions));
        }
    }
}

/// A metric of `v2` in the words of `v1`'s annotation.
fn metric_v1(metric: &Value, side: &str) -> Value {
    let (names, average, value): (&str, &str, &str) = if side == "target" {
        ("targetAverageUtilization", "targetAverageValue", "targetValue")
    } else {
        ("currentAverageUtilization", "currentAverageValue", "currentValue")
    };
    let mut flat = json!({ "type": metric.text("type") });
    for key in ["resource", "containerResource", "pods", "object", "external"] {
        let source = metric.at(key);
        if source.is_null() {
            continue;
        }
        let mut out = json!({});
        for (from, to) in [
            ("name", "name"),
            ("container", "container"),
            ("metric.name", "metricName"),
            ("metric.selector", "selector"),
        ] {
            if source.has(from) {
                let to = if key == "external" && to == "selector" { "metricSelector" } else { to };
                out[to] = source.at(from).clone();
            }
        }
        if source.has("describedObject") {
            out["target"] = source.at("describedObject").clone();
        }
        let amounts = source.at(side);
        for (from, to) in [("averageUtilization", names), ("averageValue", average), ("value", value)] {
            if amounts.has(from) {
                let to = if key == "object" && from == "averageValue" { "averageValue" } else { to };
                out[to] = amounts.at(from).clone();
            }
        }
        flat[key] = out;
    }
    flat
}

/// A metric of `v1`'s annotation in the words of `v2`.
fn metric_v2(metric: &Value, side: &str) -> Value {
    let (utilization, average, value): (&str, &str, &str) = if side == "target" {
        ("targetAverageUtilization", "targetAverageValue", "targetValue")
    } else {
        ("currentAverageUtilization", "currentAverageValue", "currentValue")
    };
    let mut full = json!({ "type": metric.text("type") });
    for key in ["resource", "containerResource", "pods", "object", "external"] {
        let source = metric.at(key);
        if source.is_null() {
            continue;
        }
        let mut out = json!({});
        for name in ["name", "container"] {
            if source.has(name) {
                out[name] = source.at(name).clone();
            }
        }
        if source.has("metricName") {
            out["metric"] = json!({ "name": source.text("metricName") });
            let selector = if source.has("selector") { source.at("selector") } else { source.at("metricSelector") };
            if !selector.is_null() {
                out["metric"]["selector"] = selector.clone();
            }
        }
        if key == "object" && source.has("target") {
            out["describedObject"] = source.at("target").clone();
        }
        let mut amounts = json!({});
        for (from, to) in [
            (utilization, "averageUtilization"),
            (average, "averageValue"),
            ("averageValue", "averageValue"),
            (value, "value"),
        ] {
            if source.has(from) {
                amounts[to] = source.at(from).clone();
            }
        }
        if side == "target" {
            let kind = if amounts.has("averageUtilization") {
                "Utilization"
            } else if amounts.has("averageValue") {
                "AverageValue"
            } else {
                "Value"
            };
            amounts["type"] = json!(kind);
        }
        out[side] = amounts;
        full[key] = out;
    }
    full
}

/// From `v1` to `v2`.
pub(super) fn to_v2(object: &mut Value) {
    let mut metrics: Vec<Value> = Vec::new();
    if let Some(cpu) = object.int("spec.targetCPUUtilizationPercentage") {
        metrics.push(json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": cpu}}}));
    }
    if let Some(spec) = child(object, "spec") {
        remove(spec, "targetCPUUtilizationPercentage");
    }
    if let Some(Value::Array(rest)) = take_annotation(object, METRICS) {
        metrics.extend(rest.iter().map(|metric| metric_v2(metric, "target")));
    }
    if !metrics.is_empty() {
        object["spec"]["metrics"] = Value::Array(metrics);
    }
    if let Some(behavior) = take_annotation(object, BEHAVIOR) {
        object["spec"]["behavior"] = behavior;
    }
    let current = take_annotation(object, CURRENT_METRICS);
    let conditions = take_annotation(object, CONDITIONS);
    if let Some(status) = child(object, "status") {
        let cpu = status.int("currentCPUUtilizationPercentage");
        remove(status, "currentCPUUtilizationPercentage");
        match (current, cpu) {
            (Some(Value::Array(current)), _) => {
                status["currentMetrics"] =
                    Value::Array(current.iter().map(|metric| metric_v2(metric, "current")).collect());
            }
            (_, Some(cpu)) => {
                status["currentMetrics"] =
                    json!([{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": cpu}}}]);
            }
            _ => {}
        }
        if let Some(conditions) = conditions {
            status["conditions"] = conditions;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_a_field_and_the_rest_annotations() {
        let v2 = json!({"metadata": {"name": "a"}, "spec": {"maxReplicas": 3, "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}},
                {"type": "Pods", "pods": {"metric": {"name": "q"}, "target": {"type": "AverageValue", "averageValue": "5"}}}],
                "behavior": {"scaleUp": {"stabilizationWindowSeconds": 0}}},
            "status": {"currentReplicas": 1, "desiredReplicas": 2, "conditions": [{"type": "AbleToScale", "status": "True"}],
                "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 7, "averageValue": "7m"}}}]}});
        let mut v1 = v2.clone();
        to_v1(&mut v1);
        assert_eq!(v1["spec"]["targetCPUUtilizationPercentage"], 80);
        assert_eq!(v1["status"]["currentCPUUtilizationPercentage"], 7);
        assert!(v1["metadata"]["annotations"][METRICS].is_string());
        assert!(!v1.has("spec.metrics") && !v1.has("status.conditions"));
        to_v2(&mut v1);
        assert_eq!(v1, v2);
    }
}
