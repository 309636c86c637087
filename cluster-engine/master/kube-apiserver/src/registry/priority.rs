//! `priorityclasses`.

use serde_json::Value;

use super::print::{number, text};
use super::value::{Read as _, default};
use crate::row::{Column, Resource};

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
    generation: true,
    storage: "/registry/priorityclasses",
    ..Resource::BASE
};
