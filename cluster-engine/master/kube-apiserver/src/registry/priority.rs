//! `priorityclasses`.

use drydock_api::field::{FieldError, Path};
use serde_json::Value;

use super::check::{self, Errors};
use super::print::{number, text};
use super::value::{Read as _, default};
use crate::row::{Column, Context, Resource};

pub(super) static PRIORITY_CLASSES: Resource = Resource {
    group: "scheduling.k8s.io",
    kind: "PriorityClass",
    plural: "priorityclasses",
    singular: "priorityclass",
    short_names: &["pc"],
    namespaced: false,
    columns: &[
        Column::NAME,
        Column::integer("Value", |class, _| number(class, "value")),
        Column {
            kind: "boolean",
            ..Column::string("Global-Default", |class, _| Value::Bool(class.flag("globalDefault")))
        },
        Column::AGE,
        Column::string("PreemptionPolicy", |class, _| text(class, "preemptionPolicy")),
    ],
    default: |class| {
        default(class, "preemptionPolicy", "PreemptLowerPriority");
        default(class, "value", 0);
    },
    validate,
    validate_update,
    generation: true,
    storage: "/registry/priorityclasses",
    ..Resource::BASE
};

/// The classes that upstream makes itself.
const SYSTEM: &[(&str, i64)] = &[("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];
const HIGHEST: i64 = 1_000_000_000;

/// ValidatePriorityClass.
fn validate(class: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let name = class.text("metadata.name");
    let value = class.int("value").unwrap_or(0);
    if name.starts_with("system-") {
        let problem = match SYSTEM.iter().find(|(known, _)| *known == name) {
            None => Some(format!("{name} is not a known system priority class")),
            Some((_, wanted)) if *wanted != value => Some(format!("value of {name} PriorityClass must be {wanted}")),
            Some(_) if class.flag("globalDefault") => {
                Some(format!("globalDefault of {name} PriorityClass must be false"))
            }
            Some(_) => None,
        };
        if let Some(problem) = problem {
            errors.push(FieldError::forbidden(
                &Path::new("metadata.name"),
                format!(
                    "priority class names with 'system-' prefix are reserved for system use only. error: {problem}"
                ),
            ));
        }
    } else if value > HIGHEST {
        errors.push(FieldError::forbidden(
            &Path::new("value"),
            format!("maximum allowed value of a user defined priority is {HIGHEST}"),
        ));
    }
    check::one_of(&mut errors, class, &Path::root(), "preemptionPolicy", &["PreemptLowerPriority", "Never"]);
    errors
}

/// ValidatePriorityClassUpdate.
fn validate_update(new: &Value, old: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    if new.int("value") != old.int("value") {
        errors.push(FieldError::forbidden(&Path::new("value"), "may not be changed in an update."));
    }
    let path = Path::new("preemptionPolicy");
    check::immutable(&mut errors, new.at("preemptionPolicy"), old.at("preemptionPolicy"), &path);
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn classes() {
        let context =
            Context { resource: &PRIORITY_CLASSES, namespace: "", user: "", groups: &[], subresource: None, now: "" };
        let mut class = json!({"metadata": {"name": "system-mine"}, "value": 1});
        (PRIORITY_CLASSES.default)(&mut class);
        assert_eq!(
            check::texts(&validate(&class, &context)),
            [
                "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-mine is not a known system priority class"
            ]
        );
        class["metadata"]["name"] = json!("a");
        class["value"] = json!(2_000_000_000);
        assert_eq!(
            check::texts(&validate(&class, &context)),
            ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]
        );
    }
}
