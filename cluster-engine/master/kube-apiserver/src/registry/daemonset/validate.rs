//! Validation of DaemonSets.

use drydock_api::field::{FieldError, Path};
use drydock_api::selector::Selector;
use serde_json::Value;

use crate::registry::check::{self, Errors, int_or_percent_value};
use crate::registry::template::selected_template;
use crate::registry::value::Read as _;
use crate::registry::workload;
use crate::row::Context;

/// ValidateDaemonSet.
pub(super) fn create(daemon_set: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = daemon_set.at("spec");
    let path = Path::new("spec");
    let selector = spec.at("selector");
    check::label_selector(&mut errors, selector, &path.child("selector"));
    let empty = selector.entries("matchLabels").is_empty() && selector.items("matchExpressions").is_empty();
    if !selector.is_null() && empty {
        errors.push(FieldError::invalid(
            &path.child("selector"),
            selector.clone(),
            "empty selector is invalid for daemonset",
        ));
    }
    let parsed = Selector::from_label_selector(selector).ok();
    selected_template(&mut errors, spec, &path, parsed.as_ref(), "DaemonSet");
    check::not_negative(&mut errors, spec, &path, "minReadySeconds");
    strategy(&mut errors, spec.at("updateStrategy"), &path.child("updateStrategy"));
    check::not_negative(&mut errors, spec, &path, "revisionHistoryLimit");
    errors
}

fn strategy(errors: &mut Errors, strategy: &Value, path: &Path) {
    let rolling = strategy.at("rollingUpdate");
    let path_rolling = path.child("rollingUpdate");
    match strategy.text("type") {
        "OnDelete" => {}
        "RollingUpdate" if rolling.is_null() => errors.push(FieldError::required(&path_rolling, "")),
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
            let (path_unavailable, path_surge) = (path_rolling.child("maxUnavailable"), path_rolling.child("maxSurge"));
            check::int_or_percent(errors, unavailable, &path_unavailable);
            check::int_or_percent(errors, surge, &path_surge);
            match (int_or_percent_value(unavailable) != 0, int_or_percent_value(surge) != 0) {
                (false, false) => {
                    errors.push(FieldError::required(&path_unavailable, "cannot be 0 when maxSurge is 0"));
                }
                (true, true) => errors.push(FieldError::invalid(
                    &path_surge,
                    surge.clone(),
                    "may not be set when maxUnavailable is non-zero",
                )),
                _ => {}
            }
            check::at_most_all(errors, unavailable, &path_unavailable);
            check::at_most_all(errors, surge, &path_surge);
        }
        other => errors.push(FieldError::not_supported(&path.child("type"), other, &["RollingUpdate", "OnDelete"])),
    }
}

/// ValidateDaemonSetUpdate.
pub(super) fn update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = create(new, context);
    workload::same_selector(&mut errors, new, old);
    errors
}

/// ValidateDaemonSetStatusUpdate.
pub(super) fn status(new: &Value, _: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let all = [
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
    ];
    workload::counters(&mut errors, new.at("status"), &all, &[]);
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;
    use crate::registry::daemonset::DAEMON_SETS;

    #[test]
    fn defaults_and_strategies() {
        let context =
            Context { resource: &DAEMON_SETS, namespace: "", user: "", groups: &[], subresource: None, now: "" };
        let mut object = json!({"spec": {"selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
        (DAEMON_SETS.default)(&mut object);
        assert_eq!(
            object["spec"]["updateStrategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}})
        );
        assert_eq!(texts(&create(&object, &context)), [""; 0]);
        object["spec"]["updateStrategy"]["rollingUpdate"]["maxSurge"] = json!("10%");
        object["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
        assert_eq!(
            texts(&create(&object, &context)),
            [
                r#"spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always""#,
                r#"spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: "10%": may not be set when maxUnavailable is non-zero"#,
            ]
        );
    }
}
