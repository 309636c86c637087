//! `pods` and `podtemplates`.

mod cells;
mod strategy;
mod validate;

use drydock_api::field::Path;
use serde_json::Value;

use super::template::warnings;
use super::value::Read as _;
use super::{print, workload};
use crate::row::{Column, Resource, Subresource};

pub(super) static PODS: Resource = Resource {
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    subresources: &[
        Subresource::Attach,
        Subresource::Binding,
        Subresource::EphemeralContainers,
        Subresource::Eviction,
        Subresource::Exec,
        Subresource::Log,
        Subresource::PortForward,
        Subresource::Proxy,
        Subresource::Resize,
        Subresource::Status,
    ],
    columns: &[
        Column::NAME,
        Column::string("Ready", |pod, now| Value::String(cells::summary(pod, now).ready))
            .describe("The aggregate readiness state of this pod for accepting traffic."),
        Column::string("Status", |pod, now| Value::String(cells::summary(pod, now).status))
            .describe("The aggregate status of the containers in this pod."),
        Column::string("Restarts", |pod, now| Value::String(cells::summary(pod, now).restarts))
            .describe("The number of times the containers in this pod have been restarted and when the last container in this pod has restarted."),
        Column::AGE,
        Column::string("IP", |pod, _| print::or_none(cells::address(pod).to_owned())).wide(),
        Column::string("Node", |pod, _| print::text_or(pod, "spec.nodeName", "<none>")).wide(),
        Column::string("Nominated Node", |pod, _| print::text_or(pod, "status.nominatedNodeName", "<none>")).wide(),
        Column::string("Readiness Gates", |pod, _| Value::String(cells::readiness_gates(pod))).wide(),
    ],
    row_conditions: Some(cells::conditions),
    fields: &[
        ("spec.nodeName", |pod| pod.text("spec.nodeName").to_owned()),
        ("spec.restartPolicy", |pod| pod.text("spec.restartPolicy").to_owned()),
        ("spec.schedulerName", |pod| pod.text("spec.schedulerName").to_owned()),
        ("spec.serviceAccountName", |pod| pod.text("spec.serviceAccountName").to_owned()),
        ("spec.hostNetwork", |pod| pod.flag("spec.hostNetwork").to_string()),
        ("status.phase", |pod| pod.text("status.phase").to_owned()),
        ("status.podIP", |pod| cells::address(pod).to_owned()),
        ("status.nominatedNodeName", |pod| pod.text("status.nominatedNodeName").to_owned()),
        // The old name of spec.nodeName, which upstream still converts.
        ("spec.host", |pod| pod.text("spec.nodeName").to_owned()),
    ],
    default: strategy::default,
    prepare_create: strategy::prepare_create,
    prepare_update: strategy::prepare_update,
    prepare_subresource: strategy::prepare_subresource,
    validate: validate::create,
    validate_update: validate::update,
    validate_subresource: validate::subresource,
    warnings: |pod, old| match old {
        // People seldom write to pods; upstream does not look at updates.
        Some(_) => Vec::new(),
        None => {
            let mut warnings = workload::name_warnings(pod, old, "the Pod's hostname");
            warnings.extend(warnings::pod(pod, &Path::root()));
            warnings
        }
    },
    generation: true,
    storage: "/registry/pods",
    graceful: Some(grace),
    ..Resource::BASE
};

pub(super) static TEMPLATES: Resource = Resource {
    kind: "PodTemplate",
    plural: "podtemplates",
    singular: "podtemplate",
    columns: &[
        Column::NAME,
        Column::string("Containers", |object, _| print::container_names(object, "template.spec.containers"))
            .describe("Names of each container in the template."),
        Column::string("Images", |object, _| print::container_images(object, "template.spec.containers"))
            .describe("Images referenced by each container in the template."),
        Column::string("Pod Labels", |object, _| print::labels(object, "template.metadata.labels"))
            .describe("The labels for the pod template."),
    ],
    default: |object| super::template::defaults::template(object, "template"),
    validate: validate::template_create,
    validate_update: validate::template_update,
    warnings: |object, old| workload::template_warnings(object, old, "template"),
    generation: true,
    storage: "/registry/podtemplates",
    ..Resource::BASE
};

/// Upstream's CheckGracefulDelete: only a pod that runs on a node has time to stop.
fn grace(pod: &Value, requested: Option<i64>) -> i64 {
    let wanted = requested.or_else(|| pod.int("spec.terminationGracePeriodSeconds")).unwrap_or(0);
    let done = matches!(pod.text("status.phase"), "Failed" | "Succeeded");
    if pod.text("spec.nodeName").is_empty() || done {
        0
    } else if wanted < 0 {
        1
    } else {
        wanted
    }
}
