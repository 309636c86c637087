//! `daemonsets`.

mod validate;

use serde_json::Value;

use super::print::{container_images, container_names, labels, number, selector};
use super::template;
use super::value::{Read as _, child, default as set, default_text};
use crate::row::{Column, Resource, Subresource};

const CONTAINERS: &str = "spec.template.spec.containers";

pub(super) static DAEMON_SETS: Resource = Resource {
    group: "apps",
    kind: "DaemonSet",
    plural: "daemonsets",
    singular: "daemonset",
    short_names: &["ds"],
    categories: &["all"],
    subresources: &[Subresource::Status],
    columns: &[
        Column::NAME,
        Column::integer("Desired", |object, _| number(object, "status.desiredNumberScheduled")),
        Column::integer("Current", |object, _| number(object, "status.currentNumberScheduled")),
        Column::integer("Ready", |object, _| number(object, "status.numberReady")),
        Column::integer("Up-to-date", |object, _| number(object, "status.updatedNumberScheduled")),
        Column::integer("Available", |object, _| number(object, "status.numberAvailable")),
        Column::string("Node Selector", |object, _| labels(object, "spec.template.spec.nodeSelector")),
        Column::AGE,
        Column::string("Containers", |object, _| container_names(object, CONTAINERS)).wide(),
        Column::string("Images", |object, _| container_images(object, CONTAINERS)).wide(),
        Column::string("Selector", |object, _| selector(object, "spec.selector")).wide(),
    ],
    default,
    validate: validate::create,
    validate_update: validate::update,
    validate_subresource: validate::status,
    generation: true,
    storage: "/registry/daemonsets",
    ..Resource::BASE
};

/// SetDefaults_DaemonSet.
fn default(daemon_set: &mut Value) {
    if let Some(spec) = child(daemon_set, "spec") {
        set(spec, "revisionHistoryLimit", 10);
        template::defaults::template(spec, "template");
        if let Some(strategy) = child(spec, "updateStrategy") {
            default_text(strategy, "type", "RollingUpdate");
            if strategy.text("type") == "RollingUpdate"
                && let Some(rolling) = child(strategy, "rollingUpdate")
            {
                set(rolling, "maxUnavailable", 1);
                set(rolling, "maxSurge", 0);
            }
        }
    }
    if let Some(status) = child(daemon_set, "status") {
        for counter in ["currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"] {
            set(status, counter, 0);
        }
    }
}
