//! `statefulsets`.

mod validate;

use serde_json::Value;

use super::deployment::ready_of_desired;
use super::persistent;
use super::print::{container_images, container_names};
use super::template;
use super::value::{Read as _, child, default as set, default_text, items_mut};
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
    default,
    validate: validate::create,
    validate_update: validate::update,
    validate_subresource: validate::status,
    generation: true,
    storage: "/registry/statefulsets",
    ..Resource::BASE
};

/// SetDefaults_StatefulSet.
fn default(stateful_set: &mut Value) {
    if let Some(spec) = child(stateful_set, "spec") {
        default_text(spec, "podManagementPolicy", "OrderedReady");
        set(spec, "replicas", 1);
        set(spec, "revisionHistoryLimit", 10);
        set(spec, "serviceName", "");
        template::defaults::template(spec, "template");
        if let Some(strategy) = child(spec, "updateStrategy") {
            default_text(strategy, "type", "RollingUpdate");
            if strategy.text("type") == "RollingUpdate"
                && let Some(rolling) = child(strategy, "rollingUpdate")
            {
                set(rolling, "partition", 0);
            }
        }
        if let Some(retention) = child(spec, "persistentVolumeClaimRetentionPolicy") {
            default_text(retention, "whenDeleted", "Retain");
            default_text(retention, "whenScaled", "Retain");
        }
        for claim in items_mut(spec, "volumeClaimTemplates") {
            claim["apiVersion"] = Value::from("v1");
            claim["kind"] = Value::from("PersistentVolumeClaim");
            persistent::default_claim(claim);
        }
    }
    if let Some(status) = child(stateful_set, "status") {
        set(status, "replicas", 0);
        set(status, "availableReplicas", 0);
    }
}
