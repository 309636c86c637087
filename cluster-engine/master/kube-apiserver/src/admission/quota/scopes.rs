//! Scopes: which pods and claims a quota is about.

use serde_json::Value;

use super::usage::{Evaluator, Kind};
use crate::registry::{Read as _, qos_class};

/// Whether an object falls under every scope of a quota.
pub(super) fn matches(evaluator: &Evaluator, quota: &Value, object: &Value) -> bool {
    let plain = quota.items("spec.scopes").iter().filter_map(Value::as_str).map(|scope| (scope, "Exists", Vec::new()));
    let selected = quota.items("spec.scopeSelector.matchExpressions").iter().map(|term| {
        let values = term.items("values").iter().filter_map(Value::as_str).collect();
        (term.text("scopeName"), term.text("operator"), values)
    });
    plain.chain(selected).all(|(scope, operator, values)| matches_one(evaluator.kind, scope, operator, &values, object))
}

fn matches_one(kind: Kind, scope: &str, operator: &str, values: &[&str], object: &Value) -> bool {
    let spec = object.at("spec");
    match (kind, scope) {
        (Kind::Pod, "Terminating") => terminating(spec),
        (Kind::Pod, "NotTerminating") => !terminating(spec),
        (Kind::Pod, "BestEffort") => qos_class(spec) == "BestEffort",
        (Kind::Pod, "NotBestEffort") => qos_class(spec) != "BestEffort",
        (Kind::Pod, "PriorityClass") => named(spec.text("priorityClassName"), operator, values),
        (Kind::Pod, "CrossNamespacePodAffinity") => crosses_namespaces(spec),
        (Kind::Claim, "VolumeAttributesClass") => {
            let names = [
                spec.text("volumeAttributesClassName"),
                object.text("status.currentVolumeAttributesClassName"),
                object.text("status.modifyVolumeStatus.targetVolumeAttributesClassName"),
            ];
            let given: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
            if given.is_empty() {
                return named("", operator, values);
            }
            given.into_iter().any(|name| named(name, operator, values))
        }
        _ => false,
    }
}

fn terminating(spec: &Value) -> bool {
    spec.int("activeDeadlineSeconds").is_some_and(|seconds| seconds >= 0)
}

fn named(name: &str, operator: &str, values: &[&str]) -> bool {
    match operator {
        "In" => !name.is_empty() && values.contains(&name),
        "NotIn" => !values.contains(&name),
        "DoesNotExist" => name.is_empty(),
        _ => !name.is_empty(),
    }
}

fn crosses_namespaces(spec: &Value) -> bool {
    let crosses = |term: &Value| !term.items("namespaces").is_empty() || term.has("namespaceSelector");
    ["affinity.podAffinity", "affinity.podAntiAffinity"].iter().any(|kind| {
        let affinity = spec.at(kind);
        affinity.items("requiredDuringSchedulingIgnoredDuringExecution").iter().any(crosses)
            || affinity
                .items("preferredDuringSchedulingIgnoredDuringExecution")
                .iter()
                .any(|weighted| crosses(weighted.at("podAffinityTerm")))
    })
}
