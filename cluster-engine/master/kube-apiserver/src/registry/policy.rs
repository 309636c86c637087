//! `poddisruptionbudgets`.

use drydock_api::field::{FieldError, Path};
use serde_json::Value;

use super::check::{self, Errors};
use super::print::number;
use super::value::{Read as _, child, default};
use crate::row::{Column, Context, Resource, Subresource};

pub(super) static DISRUPTION_BUDGETS: Resource = Resource {
    group: "policy",
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    singular: "poddisruptionbudget",
    short_names: &["pdb"],
    subresources: &[Subresource::Status],
    columns: &[
        Column::NAME,
        Column::string("Min Available", |budget, _| int_or_percent(budget, "spec.minAvailable"))
            .describe("The minimum number of pods that must be available."),
        Column::string("Max Unavailable", |budget, _| int_or_percent(budget, "spec.maxUnavailable"))
            .describe("The maximum number of pods that may be unavailable."),
        Column::integer("Allowed Disruptions", |budget, _| number(budget, "status.disruptionsAllowed"))
            .describe("Calculated number of pods that may be disrupted at this time."),
        Column::AGE,
    ],
    default: fill,
    prepare_create: |budget, _| fill(budget),
    validate,
    validate_update: |new, _, context| validate(new, context),
    generation: true,
    unconditional_update: false,
    storage: "/registry/poddisruptionbudgets",
    ..Resource::BASE
};

fn fill(budget: &mut Value) {
    child(budget, "spec");
    if let Some(status) = child(budget, "status") {
        for counter in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
            default(status, counter, 0);
        }
    }
}

fn int_or_percent(budget: &Value, path: &str) -> Value {
    match budget.at(path) {
        Value::String(percent) => Value::String(percent.clone()),
        Value::Number(number) => Value::String(number.to_string()),
        _ => Value::from("N/A"),
    }
}

/// ValidatePodDisruptionBudgetSpec.
fn validate(budget: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = budget.at("spec");
    let path = Path::new("spec");
    if spec.has("minAvailable") && spec.has("maxUnavailable") {
        errors.push(FieldError::invalid(&path, spec.clone(), "minAvailable and maxUnavailable cannot be both set"));
    }
    for key in ["minAvailable", "maxUnavailable"] {
        check::int_or_percent(&mut errors, spec.at(key), &path.child(key));
        check::at_most_all(&mut errors, spec.at(key), &path.child(key));
    }
    check::label_selector(&mut errors, spec.at("selector"), &path.child("selector"));
    check::maybe_one_of(&mut errors, spec, &path, "unhealthyPodEvictionPolicy", &["AlwaysAllow", "IfHealthyBudget"]);
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn budgets() {
        let context =
            Context { resource: &DISRUPTION_BUDGETS, namespace: "", user: "", groups: &[], subresource: None, now: "" };
        let budget = json!({"spec": {"minAvailable": "120%", "maxUnavailable": -1}});
        assert_eq!(
            check::texts(&validate(&budget, &context)),
            [
                r#"spec: Invalid value: {"maxUnavailable":-1,"minAvailable":"120%"}: minAvailable and maxUnavailable cannot be both set"#,
                r#"spec.minAvailable: Invalid value: "120%": must not be greater than 100%"#,
                "spec.maxUnavailable: Invalid value: -1: must be greater than or equal to 0",
            ]
        );
        assert_eq!(int_or_percent(&budget, "spec.minAvailable"), "120%");
        assert_eq!(int_or_percent(&json!({}), "spec.minAvailable"), "N/A");
    }
}
