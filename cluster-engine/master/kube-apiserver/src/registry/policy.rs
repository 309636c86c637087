//! `poddisruptionbudgets`.

use serde_json::Value;

use super::print::number;
use super::value::{Read as _, child, default};
use crate::row::{Column, Resource, Subresource};

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
    default: |budget| {
        child(budget, "spec");
        if let Some(status) = child(budget, "status") {
            for counter in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
                default(status, counter, 0);
            }
        }
    },
    generation: true,
    unconditional_update: false,
    storage: "/registry/poddisruptionbudgets",
    ..Resource::BASE
};

fn int_or_percent(budget: &Value, path: &str) -> Value {
    match budget.at(path) {
        Value::String(percent) => Value::String(percent.clone()),
        Value::Number(number) => Value::String(number.to_string()),
        _ => Value::from("N/A"),
    }
}
