//! Affinity, tolerations, spread constraints and gates.

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use crate::registry::check::{self, Errors};
use crate::registry::value::Read as _;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// `spec.affinity`.
pub(super) fn affinity(errors: &mut Errors, affinity: &Value, path: &Path) {
    let node = affinity.at("nodeAffinity");
    let node_path = path.child("nodeAffinity");
    if node.has(REQUIRED) {
        check::node_selector(errors, node.at(REQUIRED), &node_path.child(REQUIRED));
    }
    for (index, term) in node.items(PREFERRED).iter().enumerate() {
        let path = node_path.child(PREFERRED).index(index);
        weight(errors, term, &path);
        check::node_selector_term(errors, term.at("preference"), &path.child("preference"), false);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let (own, path) = (affinity.at(kind), path.child(kind));
        for (index, term) in own.items(REQUIRED).iter().enumerate() {
            pod_term(errors, term, &path.child(REQUIRED).index(index));
        }
        for (index, term) in own.items(PREFERRED).iter().enumerate() {
            let path = path.child(PREFERRED).index(index);
            weight(errors, term, &path);
            pod_term(errors, term.at("podAffinityTerm"), &path.child("podAffinityTerm"));
        }
    }
}

fn weight(errors: &mut Errors, term: &Value, path: &Path) {
    let weight = term.int("weight").unwrap_or(0);
    if !(1..=100).contains(&weight) {
        errors.push(FieldError::invalid(&path.child("weight"), weight, "must be in the range 1-100"));
    }
}

fn pod_term(errors: &mut Errors, term: &Value, path: &Path) {
    check::label_selector(errors, term.at("labelSelector"), &path.child("labelSelector"));
    check::label_selector(errors, term.at("namespaceSelector"), &path.child("namespaceSelector"));
    for name in term.items("namespaces").iter().filter_map(Value::as_str) {
        check::dns_label(errors, &path.child("namespace"), name);
    }
    check::label_keys(errors, term, path, "matchLabelKeys");
    check::label_keys(errors, term, path, "mismatchLabelKeys");
    let mismatch = term.items("mismatchLabelKeys");
    for (index, key) in term.items("matchLabelKeys").iter().enumerate() {
        if mismatch.contains(key) {
            errors.push(FieldError::invalid(
                &path.child("matchLabelKeys").index(index),
                key.clone(),
                "exists in both matchLabelKeys and mismatchLabelKeys",
            ));
        }
    }
    let topology = term.text("topologyKey");
    if topology.is_empty() {
        errors.push(FieldError::required(&path.child("topologyKey"), "can not be empty"));
    }
    check::label_name(errors, &path.child("topologyKey"), topology);
}

/// `spec.tolerations`.
pub(in crate::registry) fn tolerations(errors: &mut Errors, tolerations: &[Value], path: &Path) {
    for (index, toleration) in tolerations.iter().enumerate() {
        let path = path.index(index);
        let (key, operator, value) = (toleration.text("key"), toleration.text("operator"), toleration.text("value"));
        if !key.is_empty() {
            check::label_name(errors, &path.child("key"), key);
        }
        if key.is_empty() && operator != "Exists" {
            errors.push(FieldError::invalid(
                &path.child("operator"),
                operator,
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            ));
        }
        let effect = toleration.text("effect");
        if toleration.has("tolerationSeconds") && effect != "NoExecute" {
            errors.push(FieldError::invalid(
                &path.child("effect"),
                effect,
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            ));
        }
        match operator {
            "Equal" | "" => {
                let messages = names::is_label_value(value);
                if !messages.is_empty() {
                    errors.push(FieldError::invalid(&path.child("operator"), value, messages.join(";")));
                }
            }
            "Exists" => {
                if !value.is_empty() {
                    errors.push(FieldError::invalid(
                        &path.child("operator"),
                        value,
                        "value must be empty when `operator` is 'Exists'",
                    ));
                }
            }
            other => errors.push(FieldError::not_supported(&path.child("operator"), other, &["Equal", "Exists"])),
        }
        if !effect.is_empty() {
            taint_effect(errors, effect, &path.child("effect"));
        }
    }
}

/// An effect of a taint.
pub(in crate::registry) fn taint_effect(errors: &mut Errors, effect: &str, path: &Path) {
    const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
    if effect.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else if !EFFECTS.contains(&effect) {
        errors.push(FieldError::not_supported(path, effect, EFFECTS));
    }
}

/// `spec.topologySpreadConstraints`.
pub(super) fn spread(errors: &mut Errors, constraints: &[Value], path: &Path) {
    for (index, constraint) in constraints.iter().enumerate() {
        let path = path.index(index);
        let skew = constraint.int("maxSkew").unwrap_or(0);
        if skew <= 0 {
            errors.push(FieldError::invalid(&path.child("maxSkew"), skew, check::NOT_POSITIVE));
        }
        let topology = constraint.text("topologyKey");
        if topology.is_empty() {
            errors.push(FieldError::required(&path.child("topologyKey"), "can not be empty"));
        }
        let action = constraint.text("whenUnsatisfiable");
        if !matches!(action, "DoNotSchedule" | "ScheduleAnyway") {
            errors.push(FieldError::not_supported(
                &path.child("whenUnsatisfiable"),
                action,
                &["DoNotSchedule", "ScheduleAnyway"],
            ));
        }
        let repeated = constraints[index + 1..]
            .iter()
            .any(|other| other.text("topologyKey") == topology && other.text("whenUnsatisfiable") == action);
        if repeated {
            errors.push(FieldError::duplicate(
                &path.child("{topologyKey, whenUnsatisfiable}"),
                format!("{{{topology}, {action}}}"),
            ));
        }
        if let Some(domains) = constraint.int("minDomains") {
            if domains <= 0 {
                errors.push(FieldError::invalid(&path.child("minDomains"), domains, check::NOT_POSITIVE));
            }
            if action != "DoNotSchedule" {
                errors.push(FieldError::invalid(
                    &path.child("minDomains"),
                    domains,
                    format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"),
                ));
            }
        }
        for key in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            check::maybe_one_of(errors, constraint, &path, key, &["Honor", "Ignore"]);
        }
        check::label_keys(errors, constraint, &path, "matchLabelKeys");
        let selector = constraint.at("labelSelector");
        for (index, key) in constraint.items("matchLabelKeys").iter().filter_map(Value::as_str).enumerate() {
            let used = selector.at("matchLabels").get(key).is_some()
                || selector.items("matchExpressions").iter().any(|expression| expression.text("key") == key);
            if used {
                errors.push(FieldError::invalid(
                    &path.child("matchLabelKeys").index(index),
                    key,
                    "exists in both matchLabelKeys and labelSelector",
                ));
            }
        }
        check::label_selector(errors, selector, &path.child("labelSelector"));
    }
}

/// `spec.schedulingGates` and `spec.readinessGates`.
pub(super) fn gates(errors: &mut Errors, spec: &Value, path: &Path) {
    for (index, gate) in spec.items("readinessGates").iter().enumerate() {
        let path = path.child("readinessGates").index(index).child("conditionType");
        check::qualified_name(errors, &path, gate.text("conditionType"));
    }
    let mut seen = Vec::new();
    for (index, gate) in spec.items("schedulingGates").iter().enumerate() {
        let path = path.child("schedulingGates").index(index);
        let name = gate.text("name");
        check::qualified_name(errors, &path, name);
        if seen.contains(&name) {
            errors.push(FieldError::duplicate(&path, name));
        }
        seen.push(name);
    }
}
