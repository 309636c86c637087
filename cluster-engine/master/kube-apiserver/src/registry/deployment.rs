//! `deployments` and `controllerrevisions`.

mod validate;

use serde_json::Value;

use super::print::{container_images, container_names, number, selector_text};
use super::template;
use super::value::{Read as _, child, default as set, default_text, restore, same};
use super::workload;
use crate::row::{Column, Context, Resource, Subresource};

const CONTAINERS: &str = "spec.template.spec.containers";

pub(super) static DEPLOYMENTS: Resource = Resource {
    group: "apps",
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    short_names: &["deploy"],
    categories: &["all"],
    subresources: &[
        Subresource::Scale { spec: "spec.replicas", status: "status.replicas", selector: "spec.selector" },
        Subresource::Status,
    ],
    columns: &[
        Column::NAME,
        Column::string("Ready", |object, _| Value::String(ready_of_desired(object)))
            .describe("Number of the pod with ready state"),
        Column::string("Up-to-date", |object, _| number(object, "status.updatedReplicas")),
        Column::string("Available", |object, _| number(object, "status.availableReplicas")),
        Column::AGE,
        Column::string("Containers", |object, _| container_names(object, CONTAINERS)).wide(),
        Column::string("Images", |object, _| container_images(object, CONTAINERS)).wide(),
        Column::string("Selector", |object, _| Value::String(selector_text(object.at("spec.selector")))).wide(),
    ],
    default,
    prepare_update,
    prepare_subresource,
    validate: validate::create,
    validate_update: validate::update,
    validate_subresource: validate::status,
    warnings: workload::warnings,
    generation: true,
    storage: "/registry/deployments",
    ..Resource::BASE
};

pub(super) static CONTROLLER_REVISIONS: Resource = Resource {
    group: "apps",
    kind: "ControllerRevision",
    plural: "controllerrevisions",
    singular: "controllerrevision",
    columns: &[
        Column::NAME,
        Column::string("Controller", |object, _| Value::String(controller(object)))
            .describe("Controller of the object"),
        Column::string("Revision", |object, _| number(object, "revision")),
        Column::AGE,
    ],
    validate: validate::revision,
    validate_update: validate::revision_update,
    storage: "/registry/controllerrevisions",
    ..Resource::BASE
};

/// SetDefaults_Deployment.
fn default(deployment: &mut Value) {
    let Some(spec) = child(deployment, "spec") else { return };
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "progressDeadlineSeconds", 600);
    template::defaults::template(spec, "template");
    if let Some(strategy) = child(spec, "strategy") {
        default_text(strategy, "type", "RollingUpdate");
        if strategy.text("type") == "RollingUpdate"
            && let Some(rolling) = child(strategy, "rollingUpdate")
        {
            set(rolling, "maxUnavailable", "25%");
            set(rolling, "maxSurge", "25%");
        }
    }
    child(deployment, "status");
}

/// PrepareForUpdate: the controller copies annotations to ReplicaSets, so that a change of them is a new generation too.
fn prepare_update(new: &mut Value, old: &Value, _: &Context<'_>) {
    if !same(new.at("metadata.annotations"), old.at("metadata.annotations")) {
        new["metadata"]["generation"] = (old.int("metadata.generation").unwrap_or(0) + 1).into();
    }
}

/// PrepareForUpdate of `/status`: labels stay; annotations are how the controller tells the revision.
fn prepare_subresource(new: &mut Value, old: &Value, context: &Context<'_>) {
    if context.subresource == Some(Subresource::Status)
        && let Some(metadata) = child(new, "metadata")
    {
        restore(metadata, old.at("metadata"), "labels");
    }
}

/// `2/3` of a workload.
pub(super) fn ready_of_desired(object: &Value) -> String {
    format!("{}/{}", object.int("status.readyReplicas").unwrap_or(0), object.int("spec.replicas").unwrap_or(0))
}

/// `statefulset.apps/web`, the controlling owner.
fn controller(object: &Value) -> String {
    let Some(owner) = object.items("metadata.ownerReferences").iter().find(|owner| owner.flag("controller")) else {
        return "<none>".to_owned();
    };
    let kind = owner.text("kind").to_lowercase();
    match owner.text("apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", owner.text("name")),
        None => format!("{kind}/{}", owner.text("name")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn annotations_are_a_new_generation() {
        let context = Context {
            resource: &DEPLOYMENTS,
            namespace: "default",
            user: "u",
            groups: &[],
            subresource: None,
            now: "",
        };
        let old = json!({"metadata": {"generation": 3, "annotations": {"a": "b"}}});
        let mut new = json!({"metadata": {"generation": 3, "annotations": {"a": "c"}}});
        prepare_update(&mut new, &old, &context);
        assert_eq!(new["metadata"]["generation"], 4);
        let mut new = json!({"metadata": {"generation": 3, "labels": {"x": "y"}, "annotations": {"a": "b"}}});
        prepare_update(&mut new, &old, &context);
        assert_eq!(new["metadata"]["generation"], 3);
    }
}
