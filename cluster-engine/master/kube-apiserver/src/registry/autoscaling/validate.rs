//! Validation of HorizontalPodAutoscalers, in the form of `v2`.

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use crate::registry::check::{self, Errors};
use crate::registry::value::{Read as _, quantity};
use crate::row::Context;

/// ValidateHorizontalPodAutoscalerSpec.
pub(super) fn v2(object: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = object.at("spec");
    let path = Path::new("spec");
    let (min, max) = (spec.int("minReplicas"), spec.int("maxReplicas").unwrap_or(0));
    if let Some(min) = min
        && min < 1
    {
        errors.push(FieldError::invalid(&path.child("minReplicas"), min, "must be greater than or equal to 1"));
    }
    if max < 1 {
        errors.push(FieldError::invalid(&path.child("maxReplicas"), max, "must be greater than 0"));
    }
    if let Some(min) = min
        && max < min
    {
        let message = "must be greater than or equal to `minReplicas`";
        errors.push(FieldError::invalid(&path.child("maxReplicas"), max, message));
    }
    reference(&mut errors, spec.at("scaleTargetRef"), &path.child("scaleTargetRef"));
    for (index, metric) in spec.items("metrics").iter().enumerate() {
        self::metric(&mut errors, metric, &path.child("metrics").index(index));
    }
    for (key, limit) in [("scaleUp", 3600), ("scaleDown", 3600)] {
        let rules = spec.at("behavior").at(key);
        if !rules.is_null() {
            behavior(&mut errors, rules, &path.child("behavior").child(key), limit);
        }
    }
    errors
}

fn reference(errors: &mut Errors, reference: &Value, path: &Path) {
    for key in ["kind", "name"] {
        if check::required(errors, reference, path, key) {
            let text = reference.text(key);
            check::each(errors, &path.child(key), text, names::is_path_segment_name(text));
        }
    }
}

fn metric(errors: &mut Errors, metric: &Value, path: &Path) {
    const TYPES: &[&str] = &["ContainerResource", "External", "Object", "Pods", "Resource"];
    let kind = metric.text("type");
    if kind.is_empty() {
        errors.push(FieldError::required(&path.child("type"), "must specify a metric source type"));
    }
    if !TYPES.contains(&kind) {
        errors.push(FieldError::not_supported(&path.child("type"), kind, TYPES));
    }
    let sources = [
        ("object", "Object"),
        ("external", "External"),
        ("pods", "Pods"),
        ("resource", "Resource"),
        ("containerResource", "ContainerResource"),
    ];
    let mut count = 0;
    for (key, _) in sources {
        if !metric.has(key) {
            continue;
        }
        count += 1;
        let (source, path) = (metric.at(key), path.child(key));
        if count > 1 {
            errors.push(FieldError::forbidden(&path, "must populate the given metric source only"));
            continue;
        }
        match key {
            "resource" | "containerResource" => {
                if source.text("name").is_empty() {
                    errors.push(FieldError::required(&path.child("name"), "must specify a resource name"));
                }
                if key == "containerResource" && source.text("container").is_empty() {
                    errors.push(FieldError::required(&path.child("container"), "must specify a container"));
                }
                target(errors, source.at("target"), &path.child("target"));
                let own = source.at("target");
                match (own.has("averageUtilization"), own.has("averageValue")) {
                    (false, false) => errors.push(FieldError::required(
                        &path.child("target").child("averageUtilization"),
                        "must set either a target raw value or a target utilization",
                    )),
                    (true, true) => errors.push(FieldError::forbidden(
                        &path.child("target").child("averageValue"),
                        "may not set both a target raw value and a target utilization",
                    )),
                    _ => {}
                }
            }
            _ => {
                if source.text("metric.name").is_empty() {
                    errors
                        .push(FieldError::required(&path.child("metric").child("name"), "must specify a metric name"));
                }
                check::label_selector(errors, source.at("metric.selector"), &path.child("metric").child("selector"));
                if key == "object" {
                    reference(errors, source.at("describedObject"), &path.child("describedObject"));
                }
                target(errors, source.at("target"), &path.child("target"));
                let own = source.at("target");
                if key == "pods" {
                    if !own.has("averageValue") {
                        errors.push(FieldError::required(
                            &path.child("target").child("averageValue"),
                            "must specify a positive target averageValue",
                        ));
                    }
                } else if !own.has("value") && !own.has("averageValue") {
                    errors.push(FieldError::required(
                        &path.child("target").child("averageValue"),
                        "must set either a target value for metric or a per-pod target",
                    ));
                }
            }
        }
    }
    let wanted = sources.iter().find(|(_, name)| *name == kind).map(|(key, _)| *key);
    if let Some(key) = wanted
        && !metric.has(key)
    {
        errors.push(FieldError::required(&path.child(key), "must populate information for the given metric source"));
    }
}

fn target(errors: &mut Errors, target: &Value, path: &Path) {
    const TYPES: &[&str] = &["AverageValue", "Utilization", "Value"];
    match target.text("type") {
        "" => errors.push(FieldError::required(&path.child("type"), "must specify a metric target type")),
        kind if !TYPES.contains(&kind) => errors.push(FieldError::invalid(
            &path.child("type"),
            kind,
            "must be either Utilization, Value, or AverageValue",
        )),
        _ => {}
    }
    if let Some(percent) = target.int("averageUtilization")
        && percent < 1
    {
        errors.push(FieldError::invalid(&path.child("averageUtilization"), percent, "must be greater than 0"));
    }
    for key in ["value", "averageValue"] {
        if let Some(amount) = quantity(target.at(key))
            && amount.signum() != 1
        {
            errors.push(FieldError::invalid(&path.child(key), amount.to_string(), "must be positive"));
        }
    }
}

fn behavior(errors: &mut Errors, rules: &Value, path: &Path, limit: i64) {
    if let Some(window) = rules.int("stabilizationWindowSeconds") {
        let path = path.child("stabilizationWindowSeconds");
        if window < 0 {
            errors.push(FieldError::invalid(&path, window, "must be greater than or equal to zero"));
        }
        if window > limit {
            errors.push(FieldError::invalid(&path, window, format!("must be less than or equal to {limit}")));
        }
    }
    check::maybe_one_of(errors, rules, path, "selectPolicy", &["Disabled", "Max", "Min"]);
    let policies = rules.items("policies");
    if policies.is_empty() {
        errors.push(FieldError::required(&path.child("policies"), "must specify at least one Policy"));
    }
    for (index, policy) in policies.iter().enumerate() {
        let path = path.child("policies").index(index);
        let kind = policy.text("type");
        if !matches!(kind, "Pods" | "Percent") {
            errors.push(FieldError::not_supported(&path.child("type"), kind, &["Percent", "Pods"]));
        }
        let (value, period) = (policy.int("value").unwrap_or(0), policy.int("periodSeconds").unwrap_or(0));
        if value <= 0 {
            errors.push(FieldError::invalid(&path.child("value"), value, "must be greater than zero"));
        }
        if period <= 0 {
            errors.push(FieldError::invalid(&path.child("periodSeconds"), period, "must be greater than zero"));
        }
        if period > 1800 {
            errors.push(FieldError::invalid(
                &path.child("periodSeconds"),
                period,
                "must be less than or equal to 1800",
            ));
        }
    }
}

/// ValidateHorizontalPodAutoscalerUpdate.
pub(super) fn v2_update(new: &Value, _: &Value, context: &Context<'_>) -> Errors {
    v2(new, context)
}

/// The same of `v1`.
pub(super) fn v1(object: &Value, context: &Context<'_>) -> Errors {
    let mut copy = object.clone();
    super::convert::to_v2(&mut copy);
    v2(&copy, context)
}

/// The same of `v1`.
pub(super) fn v1_update(new: &Value, _: &Value, context: &Context<'_>) -> Errors {
    v1(new, context)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::autoscaling::V2;
    use crate::registry::check::texts;

    #[test]
    fn specs() {
        let context = Context { resource: &V2, namespace: "", user: "", groups: &[], subresource: None, now: "" };
        let mut object = json!({"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "a"}}});
        (V2.default)(&mut object);
        assert_eq!(object["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 80);
        assert_eq!(texts(&v2(&object, &context)), [""; 0]);
        object["spec"]["minReplicas"] = json!(5);
        object["spec"]["scaleTargetRef"] = json!({});
        object["spec"]["metrics"] = json!([{"type": "Pods"}]);
        assert_eq!(
            texts(&v2(&object, &context)),
            [
                "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`",
                "spec.scaleTargetRef.kind: Required value",
                "spec.scaleTargetRef.name: Required value",
                "spec.metrics[0].pods: Required value: must populate information for the given metric source",
            ]
        );
    }
}
