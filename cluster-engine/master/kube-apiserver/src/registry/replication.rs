//! `replicationcontrollers` and `replicasets`.

use super::print::{container_images, container_names, labels, number, selector};
use crate::row::{Column, Resource, Subresource};

const CONTAINERS: &str = "spec.template.spec.containers";

pub(super) static CONTROLLERS: Resource = Resource {
    kind: "ReplicationController",
    plural: "replicationcontrollers",
    singular: "replicationcontroller",
    short_names: &["rc"],
    categories: &["all"],
    subresources: &[
        Subresource::Scale { spec: "spec.replicas", status: "status.replicas", selector: "spec.selector" },
        Subresource::Status,
    ],
    columns: &[
        Column::NAME,
        Column::integer("Desired", |object, _| number(object, "spec.replicas")),
        Column::integer("Current", |object, _| number(object, "status.replicas")),
        Column::integer("Ready", |object, _| number(object, "status.readyReplicas")),
        Column::AGE,
        Column::string("Containers", |object, _| container_names(object, CONTAINERS)).wide(),
        Column::string("Images", |object, _| container_images(object, CONTAINERS)).wide(),
        Column::string("Selector", |object, _| labels(object, "spec.selector")).wide(),
    ],
    fields: &[("status.replicas", |object| number(object, "status.replicas").to_string())],
    generation: true,
    orphan_by_default: true,
    storage: "/registry/controllers",
    ..Resource::BASE
};

pub(super) static REPLICA_SETS: Resource = Resource {
    group: "apps",
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    categories: &["all"],
    subresources: &[
        Subresource::Scale { spec: "spec.replicas", status: "status.replicas", selector: "spec.selector" },
        Subresource::Status,
    ],
    columns: &[
        Column::NAME,
        Column::integer("Desired", |object, _| number(object, "spec.replicas")),
        Column::integer("Current", |object, _| number(object, "status.replicas")),
        Column::integer("Ready", |object, _| number(object, "status.readyReplicas")),
        Column::AGE,
        Column::string("Containers", |object, _| container_names(object, CONTAINERS)).wide(),
        Column::string("Images", |object, _| container_images(object, CONTAINERS)).wide(),
        Column::string("Selector", |object, _| selector(object, "spec.selector")).wide(),
    ],
    fields: &[("status.replicas", |object| number(object, "status.replicas").to_string())],
    generation: true,
    storage: "/registry/replicasets",
    ..Resource::BASE
};
