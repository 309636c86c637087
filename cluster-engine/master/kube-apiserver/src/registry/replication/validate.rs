//! Validation of ReplicaSets and ReplicationControllers.

use drydock_api::field::{FieldError, Path};
use drydock_api::selector::Selector;
use serde_json::Value;

use crate::registry::check::{self, Errors};
use crate::registry::template::selected_template;
use crate::registry::value::Read as _;
use crate::registry::workload;
use crate::row::Context;

const COUNTERS: &[&str] =
    &["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"];
const WITHIN: &[&str] = &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"];

/// ValidateReplicaSet.
pub(super) fn set(set: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = set.at("spec");
    let path = Path::new("spec");
    check::not_negative(&mut errors, spec, &path, "replicas");
    check::not_negative(&mut errors, spec, &path, "minReadySeconds");
    // Upstream's own text says deployment here.
    workload::selector(&mut errors, spec, &path, "deployment");
    workload::template(&mut errors, spec, &path, "ReplicaSet");
    errors
}

/// ValidateReplicaSetUpdate.
pub(super) fn set_update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = set(new, context);
    workload::same_selector(&mut errors, new, old);
    errors
}

/// ValidateReplicationController.
pub(super) fn controller(controller: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = controller.at("spec");
    let path = Path::new("spec");
    check::not_negative(&mut errors, spec, &path, "minReadySeconds");
    let pairs = spec.strings("selector");
    if pairs.is_empty() {
        errors.push(FieldError::required(&path.child("selector"), ""));
    }
    check::not_negative(&mut errors, spec, &path, "replicas");
    if spec.has("template") {
        let selector = Selector::from_pairs(pairs);
        selected_template(&mut errors, spec, &path, Some(&selector), "ReplicationController");
    } else {
        errors.push(FieldError::required(&path.child("template"), ""));
    }
    errors
}

/// ValidateReplicationControllerUpdate.
pub(super) fn controller_update(new: &Value, _: &Value, context: &Context<'_>) -> Errors {
    controller(new, context)
}

/// Status of either.
pub(super) fn status(new: &Value, _: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    workload::counters(&mut errors, new.at("status"), COUNTERS, WITHIN);
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;
    use crate::registry::replication::CONTROLLERS;

    #[test]
    fn controllers_take_selector_and_labels_from_the_template() {
        let mut object = json!({"spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
        (CONTROLLERS.default)(&mut object);
        assert_eq!(object["spec"]["selector"], json!({"a": "b"}));
        assert_eq!(object["metadata"]["labels"], json!({"a": "b"}));
        assert_eq!(object["spec"]["replicas"], 1);
        let context =
            Context { resource: &CONTROLLERS, namespace: "", user: "", groups: &[], subresource: None, now: "" };
        assert_eq!(texts(&controller(&object, &context)), [""; 0]);
        object["status"] = json!({"replicas": 1, "readyReplicas": 2});
        assert_eq!(
            texts(&status(&object, &object, &context)),
            ["status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"]
        );
    }
}
