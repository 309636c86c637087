//! Validation of StatefulSets.

use drydock_api::field::{FieldError, Path};
use serde_json::Value;

use crate::registry::check::{self, Errors, int_or_percent_value};
use crate::registry::value::{Read as _, restore, same};
use crate::registry::workload;
use crate::row::Context;

/// ValidateStatefulSet.
pub(super) fn create(stateful_set: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = stateful_set.at("spec");
    let path = Path::new("spec");
    match spec.text("podManagementPolicy") {
        "" => errors.push(FieldError::required(&path.child("podManagementPolicy"), "")),
        "OrderedReady" | "Parallel" => {}
        other => errors.push(FieldError::invalid(
            &path.child("podManagementPolicy"),
            other,
            "must be 'OrderedReady' or 'Parallel'",
        )),
    }
    strategy(&mut errors, spec.at("updateStrategy"), &path.child("updateStrategy"));
    let retention = spec.at("persistentVolumeClaimRetentionPolicy");
    let path_retention = path.child("persistentVolumeClaimRetentionPolicy");
    for key in ["whenDeleted", "whenScaled"] {
        check::maybe_one_of(&mut errors, retention, &path_retention, key, &["Retain", "Delete"]);
    }
    check::not_negative(&mut errors, spec, &path, "replicas");
    check::not_negative(&mut errors, spec, &path, "minReadySeconds");
    if spec.has("ordinals") {
        check::not_negative(&mut errors, spec.at("ordinals"), &path.child("ordinals"), "start");
    }
    check::not_negative(&mut errors, spec, &path, "revisionHistoryLimit");
    if !spec.text("serviceName").is_empty() {
        check::dns_subdomain(&mut errors, &path.child("serviceName"), spec.text("serviceName"));
    }
    workload::selector(&mut errors, spec, &path, "statefulset");
    workload::template(&mut errors, spec, &path, "StatefulSet");
    errors
}

fn strategy(errors: &mut Errors, strategy: &Value, path: &Path) {
    let rolling = strategy.at("rollingUpdate");
    let path_rolling = path.child("rollingUpdate");
    match strategy.text("type") {
        "" => errors.push(FieldError::required(path, "")),
        "OnDelete" => {
            if !rolling.is_null() {
                errors.push(FieldError::invalid(
                    &path_rolling,
                    rolling.clone(),
                    "only allowed for updateStrategy 'RollingUpdate'",
                ));
            }
        }
        "RollingUpdate" => {
            check::not_negative(errors, rolling, &path_rolling, "partition");
            let unavailable = rolling.at("maxUnavailable");
            if !unavailable.is_null() {
                let path = path_rolling.child("maxUnavailable");
                check::int_or_percent(errors, unavailable, &path);
                if int_or_percent_value(unavailable) == 0 {
                    errors.push(FieldError::invalid(&path, unavailable.clone(), "cannot be 0"));
                }
                check::at_most_all(errors, unavailable, &path);
            }
        }
        _ => errors.push(FieldError::invalid(path, strategy.clone(), "must be 'RollingUpdate' or 'OnDelete'")),
    }
}

/// ValidateStatefulSetUpdate: most of the spec is fixed.
pub(super) fn update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = create(new, context);
    let mut copy = new.at("spec").clone();
    for key in [
        "replicas",
        "template",
        "updateStrategy",
        "minReadySeconds",
        "ordinals",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
    ] {
        restore(&mut copy, old.at("spec"), key);
    }
    if !same(&copy, old.at("spec")) {
        errors.push(FieldError::forbidden(
            &Path::new("spec"),
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
             'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
    errors
}

/// ValidateStatefulSetStatusUpdate.
pub(super) fn status(new: &Value, _: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let all =
        ["replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas", "observedGeneration"];
    workload::counters(
        &mut errors,
        new.at("status"),
        &all,
        &["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"],
    );
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;
    use crate::registry::statefulset::STATEFUL_SETS;

    #[test]
    fn defaults_and_fixed_fields() {
        let context =
            Context { resource: &STATEFUL_SETS, namespace: "", user: "", groups: &[], subresource: None, now: "" };
        let mut old = json!({"spec": {"serviceName": "web", "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "d", "mountPath": "/d"}]}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}}]}});
        (STATEFUL_SETS.default)(&mut old);
        assert_eq!(old["spec"]["podManagementPolicy"], "OrderedReady");
        assert_eq!(old["spec"]["updateStrategy"], json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}));
        assert_eq!(old["spec"]["volumeClaimTemplates"][0]["status"], json!({"phase": "Pending"}));
        assert_eq!(old["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"], "1Gi");
        assert_eq!(texts(&create(&old, &context)), [""; 0]);
        let mut new = old.clone();
        new["spec"]["replicas"] = json!(3);
        assert_eq!(texts(&update(&new, &old, &context)), [""; 0]);
        new["spec"]["serviceName"] = json!("other");
        assert_eq!(
            texts(&update(&new, &old, &context)),
            [
                "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
            ]
        );
    }
}
