//! `statefulsets`.

use serde_json::Value;

use super::deployment::ready_of_desired;
use super::print::{container_images, container_names};
use crate::row::{Column, Resource, Subresource};

const CONTAINERS: &str = "spec.template.spec.containers";

pub(super) static STATEFUL_SETS: Resource = Resource {
    group: "apps",
    kind: "StatefulSet",
    plural: "statefulsets",
    singular: "statefulset",
    short_names: &["sts"],
    categories: &["all"],
    subresources: &[
        Subresource::Scale { spec: "spec.replicas", status: "status.replicas", selector: "spec.selector" },
        Subresource::Status,
    ],
    columns: &[
        Column::NAME,
        Column::string("Ready", |object, _| Value::String(ready_of_desired(object)))
            .describe("Number of the pod with ready state"),
        Column::AGE,
        Column::string("Containers", |object, _| container_names(object, CONTAINERS)).wide(),
        Column::string("Images", |object, _| container_images(object, CONTAINERS)).wide(),
    ],
    generation: true,
    storage: "/registry/statefulsets",
    ..Resource::BASE
};
