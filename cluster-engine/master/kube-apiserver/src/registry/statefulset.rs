//! `statefulsets`.

mod validate;

use drydock_api::field::Path;
use serde_json::Value;

use super::deployment::ready_of_desired;
use super::persistent;
use super::print::{container_images, container_names};
use super::template;
use super::value::{Read as _, child, default as set, default_text, items_mut};
use super::workload;
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
    prepare_create: |object, _| default(object),
    validate: validate::create,
    validate_update: validate::update,
    validate_subresource: validate::status,
    warnings,
    generation: true,
    storage: "/registry/statefulsets",
    ..Resource::BASE
};

fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut warnings = workload::template_warnings(new, old, "spec.template");
    if old.is_none_or(|old| new.int("metadata.generation") != old.int("metadata.generation")) {
        let path = Path::new("spec.volumeClaimTemplates");
        for (index, claim) in new.items("spec.volumeClaimTemplates").iter().enumerate() {
            let path = path.index(index).child("spec.resources.requests");
            template::warnings::fraction(&mut warnings, claim.at("spec.resources.requests"), &path, "storage");
        }
        if new.int("spec.revisionHistoryLimit").is_some_and(|limit| limit < 0) {
            warnings.push("spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended".to_owned());
        }
    }
    warnings
}

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
