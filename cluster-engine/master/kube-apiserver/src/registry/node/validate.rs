//! Validation of Nodes.

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use crate::registry::check::{self, Errors};
use crate::registry::template::{resources, taint_effect};
use crate::registry::value::Read as _;
use crate::row::Context;

fn taints(errors: &mut Errors, node: &Value) {
    let path = Path::new("metadata.taints");
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (index, taint) in node.items("spec.taints").iter().enumerate() {
        let path = path.index(index);
        check::label_name(errors, &path.child("key"), taint.text("key"));
        let messages = names::is_label_value(taint.text("value"));
        if !messages.is_empty() {
            errors.push(FieldError::invalid(&path.child("value"), taint.text("value"), messages.join(";")));
        }
        taint_effect(errors, taint.text("effect"), &path.child("effect"));
        let key = (taint.text("key"), taint.text("effect"));
        if seen.contains(&key) {
            let mut error = FieldError::duplicate(&path, taint.clone());
            error.detail = "taints must be unique by key and effect pair".to_owned();
            errors.push(error);
        }
        seen.push(key);
    }
}

fn amounts(errors: &mut Errors, node: &Value) {
    for key in ["capacity", "allocatable"] {
        for (name, value) in node.at("status").entries(key) {
            resources::amount(errors, &Path::new("status").child(key).child(name), name, value);
        }
    }
}

/// ValidateNode.
pub(super) fn create(node: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    taints(&mut errors, node);
    amounts(&mut errors, node);
    let ranges: Vec<&str> = node.items("spec.podCIDRs").iter().filter_map(Value::as_str).collect();
    let path = Path::new("spec.podCIDRs");
    for (index, range) in ranges.iter().enumerate() {
        check::cidr(&mut errors, &path.index(index), range);
    }
    if ranges.len() > 1 {
        let six = ranges.iter().filter(|range| range.contains(':')).count();
        if ranges.len() > 2 || six != 1 {
            errors.push(FieldError::invalid(
                &path,
                node.at("spec.podCIDRs").clone(),
                "may specify no more than one CIDR for each IP family",
            ));
        }
        for (index, range) in ranges.iter().enumerate() {
            if ranges[..index].contains(range) {
                errors.push(FieldError::duplicate(&path.index(index), *range));
            }
        }
    }
    errors
}

/// ValidateNodeUpdate.
pub(super) fn update(new: &Value, old: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    amounts(&mut errors, new);
    let addresses = new.items("status.addresses");
    for (index, address) in addresses.iter().enumerate() {
        if addresses[..index].contains(address) {
            errors.push(FieldError::duplicate(&Path::new("status.addresses").index(index), address.clone()));
        }
    }
    let before = old.items("spec.podCIDRs");
    if !before.is_empty() && before != new.items("spec.podCIDRs") {
        errors.push(FieldError::forbidden(
            &Path::new("spec.podCIDRs"),
            "node updates may not change podCIDR except from \"\" to valid",
        ));
    }
    let provider = old.text("spec.providerID");
    if !provider.is_empty() && provider != new.text("spec.providerID") {
        errors.push(FieldError::forbidden(
            &Path::new("spec.providerID"),
            "node updates may not change providerID except from \"\" to valid",
        ));
    }
    taints(&mut errors, new);
    errors
}

/// ValidateRuntimeClass.
pub(super) fn runtime_class(class: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let path = Path::new("handler");
    check::each(&mut errors, &path, class.text("handler"), names::is_dns1123_label(class.text("handler")));
    for (name, value) in class.entries("overhead.podFixed") {
        let path = Path::new("overhead.podFixed").key(name);
        resources::container_resource_name(&mut errors, &path, name);
        resources::amount(&mut errors, &path, name, value);
    }
    check::labels(&mut errors, class.at("scheduling.nodeSelector"), &Path::new("scheduling.nodeSelector"));
    crate::registry::template::tolerations(
        &mut errors,
        class.items("scheduling.tolerations"),
        &Path::new("scheduling.tolerations"),
    );
    errors
}

/// ValidateRuntimeClassUpdate.
pub(super) fn runtime_class_update(new: &Value, old: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    check::immutable(&mut errors, new.at("handler"), old.at("handler"), &Path::new("handler"));
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;
    use crate::registry::node::NODES;

    #[test]
    fn nodes() {
        let context = Context { resource: &NODES, namespace: "", user: "", groups: &[], subresource: None, now: "" };
        let node = json!({"spec": {"taints": [{"key": "a", "effect": "X"}, {"key": "b", "effect": "NoSchedule"}, {"key": "b", "effect": "NoSchedule"}], "podCIDRs": ["x"]}});
        assert_eq!(
            texts(&create(&node, &context)),
            [
                r#"metadata.taints[0].effect: Unsupported value: "X": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute""#,
                r#"metadata.taints[2]: Duplicate value: {"effect":"NoSchedule","key":"b"}: taints must be unique by key and effect pair"#,
                r#"spec.podCIDRs[0]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"#,
            ]
        );
        let old = json!({"spec": {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"]}});
        let new = json!({"spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24"]}});
        assert_eq!(
            texts(&update(&new, &old, &context)),
            [r#"spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid"#]
        );
    }
}
