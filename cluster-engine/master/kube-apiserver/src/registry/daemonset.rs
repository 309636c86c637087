//! `daemonsets`.

mod validate;

use serde_json::{Value, json};

use super::print::{container_images, container_names, labels, number, selector};
use super::template;
use super::value::{Read as _, annotation, child, default as set, default_text, same};
use super::workload;
use crate::row::{Column, Context, Resource, Subresource};

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
    prepare_create,
    prepare_update,
    validate: validate::create,
    validate_update: validate::update,
    validate_subresource: validate::status,
    warnings: |object, old| workload::template_warnings(object, old, "spec.template"),
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

/// The template's own generation, which `apps/v1` shows as an annotation only.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

fn prepare_create(daemon_set: &mut Value, _: &Context<'_>) {
    default(daemon_set);
    let generation = template_generation(daemon_set).max(1);
    set_template_generation(daemon_set, generation);
}

fn prepare_update(new: &mut Value, old: &Value, _: &Context<'_>) {
    let changed = !same(new.at("spec.template"), old.at("spec.template"));
    let generation = template_generation(old) + i64::from(changed);
    set_template_generation(new, generation.max(1));
}

fn template_generation(daemon_set: &Value) -> i64 {
    annotation(daemon_set, TEMPLATE_GENERATION).and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn set_template_generation(daemon_set: &mut Value, generation: i64) {
    if let Some(annotations) = child(daemon_set, "metadata").and_then(|metadata| child(metadata, "annotations")) {
        annotations[TEMPLATE_GENERATION] = json!(generation.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_its_own_generation() {
        let context = Context {
            resource: &DAEMON_SETS,
            namespace: "",
            user: "",
            groups: &[],
            subresource: None,
            now: "2026-01-01T00:00:00Z",
        };
        let mut old = json!({"metadata": {"name": "a"}, "spec": {"template": {"spec": {}}}});
        prepare_create(&mut old, &context);
        assert_eq!(annotation(&old, TEMPLATE_GENERATION), Some("1"));
        let mut new = old.clone();
        new["metadata"]["annotations"] = json!({});
        prepare_update(&mut new, &old, &context);
        assert_eq!(annotation(&new, TEMPLATE_GENERATION), Some("1"));
        new["spec"]["template"]["spec"]["hostPID"] = json!(true);
        prepare_update(&mut new, &old, &context);
        assert_eq!(annotation(&new, TEMPLATE_GENERATION), Some("2"));
    }
}
