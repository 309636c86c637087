//! `replicationcontrollers` and `replicasets`.

mod validate;

use serde_json::Value;

use super::print::{container_images, container_names, labels, number, selector};
use super::template;
use super::value::{Read as _, child, default};
use super::workload;
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
    default: default_controller,
    prepare_create: |object, _| default_controller(object),
    validate: validate::controller,
    validate_update: validate::controller_update,
    validate_subresource: validate::status,
    warnings: workload::warnings,
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
    default: default_set,
    prepare_create: |object, _| default_set(object),
    validate: validate::set,
    validate_update: validate::set_update,
    validate_subresource: validate::status,
    warnings: workload::warnings,
    generation: true,
    storage: "/registry/replicasets",
    ..Resource::BASE
};

/// SetDefaults_ReplicaSet.
fn default_set(set: &mut Value) {
    if let Some(spec) = child(set, "spec") {
        default(spec, "replicas", 1);
        template::defaults::template(spec, "template");
    }
    if let Some(status) = child(set, "status") {
        default(status, "replicas", 0);
    }
}

/// SetDefaults_ReplicationController: selector and labels come from the template's labels.
fn default_controller(controller: &mut Value) {
    let labels = controller.at("spec.template.metadata.labels").clone();
    if !labels.as_object().is_none_or(serde_json::Map::is_empty) {
        if controller.entries("spec.selector").is_empty() {
            controller["spec"]["selector"] = labels.clone();
        }
        if controller.entries("metadata.labels").is_empty()
            && let Some(metadata) = child(controller, "metadata")
        {
            metadata["labels"] = labels;
        }
    }
    if let Some(spec) = child(controller, "spec") {
        default(spec, "replicas", 1);
        if spec.has("template") {
            template::defaults::template(spec, "template");
        }
    }
    if let Some(status) = child(controller, "status") {
        default(status, "replicas", 0);
    }
}
