//! Validation of Deployments and ControllerRevisions.

use drydock_api::field::{FieldError, Path};
use serde_json::Value;

use crate::registry::check::{self, Errors, int_or_percent_value};
use crate::registry::value::Read as _;
use crate::registry::workload;
use crate::row::Context;

/// ValidateDeployment.
pub(super) fn create(deployment: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = deployment.at("spec");
    let path = Path::new("spec");
    check::not_negative(&mut errors, spec, &path, "replicas");
    workload::selector(&mut errors, spec, &path, "deployment");
    workload::template(&mut errors, spec, &path, "ReplicaSet");
    strategy(&mut errors, spec.at("strategy"), &path.child("strategy"));
    check::not_negative(&mut errors, spec, &path, "minReadySeconds");
    check::not_negative(&mut errors, spec, &path, "revisionHistoryLimit");
    if let Some(deadline) = spec.int("progressDeadlineSeconds") {
        check::not_negative(&mut errors, spec, &path, "progressDeadlineSeconds");
        if deadline <= spec.int("minReadySeconds").unwrap_or(0) {
            errors.push(FieldError::invalid(
                &path.child("progressDeadlineSeconds"),
                deadline,
                "must be greater than minReadySeconds",
            ));
        }
    }
    errors
}

fn strategy(errors: &mut Errors, strategy: &Value, path: &Path) {
    let rolling = strategy.at("rollingUpdate");
    let rolling_path = path.child("rollingUpdate");
    match strategy.text("type") {
        "Recreate" => {
            if !rolling.is_null() {
                errors.push(FieldError::forbidden(
                    &rolling_path,
                    "may not be specified when strategy `type` is 'Recreate'",
                ));
            }
        }
        "RollingUpdate" if rolling.is_null() => {
            errors.push(FieldError::required(&rolling_path, "this should be defaulted and never be nil"));
        }
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
            let path = rolling_path.child("maxUnavailable");
            check::int_or_percent(errors, unavailable, &path);
            check::int_or_percent(errors, surge, &rolling_path.child("maxSurge"));
            if int_or_percent_value(unavailable) == 0 && int_or_percent_value(surge) == 0 {
                errors.push(FieldError::invalid(&path, unavailable.clone(), "may not be 0 when `maxSurge` is 0"));
            }
            check::at_most_all(errors, unavailable, &path);
        }
        other => {
            errors.push(FieldError::not_supported(&path.child("type"), other, &["Recreate", "RollingUpdate"]));
        }
    }
}

/// ValidateDeploymentUpdate.
pub(super) fn update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = create(new, context);
    workload::same_selector(&mut errors, new, old);
    errors
}

/// ValidateDeploymentStatusUpdate.
pub(super) fn status(new: &Value, old: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let all = [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
    ];
    workload::counters(&mut errors, new.at("status"), &all, &["updatedReplicas", "readyReplicas", "availableReplicas"]);
    let collisions = |object: &Value| object.int("status.collisionCount");
    if let Some(before) = collisions(old)
        && collisions(new).is_none_or(|now| now < before)
    {
        errors.push(FieldError::invalid(
            &Path::new("status.collisionCount"),
            new.at("status.collisionCount").clone(),
            "cannot be decremented",
        ));
    }
    errors
}

/// ValidateControllerRevision.
pub(super) fn revision(revision: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    if !revision.has("data") {
        errors.push(FieldError::required(&Path::new("data"), "data is mandatory"));
    }
    check::not_negative(&mut errors, revision, &Path::root(), "revision");
    errors
}

/// ValidateControllerRevisionUpdate.
pub(super) fn revision_update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = revision(new, context);
    check::immutable(&mut errors, new.at("data"), old.at("data"), &Path::new("data"));
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;
    use crate::registry::deployment::DEPLOYMENTS;

    fn context() -> Context<'static> {
        Context { resource: &DEPLOYMENTS, namespace: "default", user: "u", groups: &[], subresource: None, now: "" }
    }

    fn deployment(spec: Value) -> Value {
        let mut object = json!({"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
        for (key, value) in spec.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        (DEPLOYMENTS.default)(&mut object);
        object
    }

    #[track_caller]
    fn check(spec: Value, expected: &[&str]) {
        assert_eq!(texts(&create(&deployment(spec), &context())), expected);
    }

    #[test]
    fn defaults() {
        let object = deployment(json!({}));
        assert_eq!(object["spec"]["replicas"], 1);
        assert_eq!(object["spec"]["revisionHistoryLimit"], 10);
        assert_eq!(object["spec"]["progressDeadlineSeconds"], 600);
        assert_eq!(
            object["spec"]["strategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})
        );
        assert_eq!(
            deployment(json!({"strategy": {"type": "Recreate"}}))["spec"]["strategy"],
            json!({"type": "Recreate"})
        );
    }

    #[test]
    fn creation() {
        check(json!({}), &[]);
        check(
            json!({"replicas": -1, "selector": {"matchLabels": {"app": "b"}}, "minReadySeconds": 600}),
            &[
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
                r#"spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`"#,
                "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
            ],
        );
        check(json!({"selector": {}}), &["spec.selector: Invalid value: {}: empty selector is invalid for deployment"]);
        check(
            json!({"strategy": {"type": "Recreate", "rollingUpdate": {}}}),
            &["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
        );
        check(
            json!({"strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": "0%"}}}),
            &["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"],
        );
    }

    #[test]
    fn selectors_do_not_change() {
        let old = deployment(json!({}));
        let new = deployment(
            json!({"selector": {"matchLabels": {"app": "a", "x": "y"}}, "template": {"metadata": {"labels": {"app": "a", "x": "y"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}),
        );
        assert_eq!(
            texts(&update(&new, &old, &context())),
            [r#"spec.selector: Invalid value: {"matchLabels":{"app":"a","x":"y"}}: field is immutable"#]
        );
    }
}
