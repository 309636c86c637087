//! Pod templates, shared by pods and all workloads: defaults, validation and what may change.

mod containers;
pub(super) mod defaults;
mod env;
mod handlers;
pub(super) mod resources;
mod scheduling;
mod security;
mod spec;
#[cfg(test)]
mod tests;
mod volumes;
pub(super) mod warnings;

use drydock_api::field::{FieldError, Path};
use drydock_api::selector::Selector;
use serde_json::Value;

pub(super) use scheduling::{taint_effect, tolerations};
pub(super) use spec::{PodName, only_pods, pod_spec};
pub(super) use volumes::{csi_driver, one_source};

use super::check::{self, Errors};
use super::value::{Read as _, annotation};

/// A PodTemplateSpec.
pub(super) fn template(errors: &mut Errors, template: &Value, path: &Path) {
    template_metadata(errors, template, path);
    pod_spec(errors, template.at("spec"), &path.child("spec"), PodName::Template);
    if !template.items("spec.ephemeralContainers").is_empty() {
        errors.push(FieldError::forbidden(
            &path.child("spec.ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        ));
    }
}

fn template_metadata(errors: &mut Errors, template: &Value, path: &Path) {
    check::labels(errors, template.at("metadata.labels"), &path.child("labels"));
    check::annotations(errors, template.at("metadata.annotations"), &path.child("annotations"));
    pod_annotations(errors, template, &path.child("annotations"));
}

/// The template of a workload whose pods run for ever: its labels match the selector and it always restarts.
/// `kind` is for the one text that names it.
pub(super) fn selected_template(
    errors: &mut Errors,
    workload: &Value,
    path: &Path,
    selector: Option<&Selector>,
    kind: &str,
) {
    let spec = workload.at("template");
    let path = path.child("template");
    let labels = spec.strings("metadata.labels");
    if let Some(selector) = selector
        && !selector.is_everything()
        && !selector.matches(labels.into_iter())
    {
        errors.push(FieldError::invalid(
            &path.child("metadata.labels"),
            spec.at("metadata.labels").clone(),
            "`selector` does not match template `labels`",
        ));
    }
    if kind == "StatefulSet" {
        // As upstream: its pods mount claims that the template itself does not name; their specs are checked when they are made.
        template_metadata(errors, spec, &path);
    } else {
        template(errors, spec, &path);
    }
    if spec.text("spec.restartPolicy") != "Always" {
        errors.push(FieldError::not_supported(
            &path.child("spec.restartPolicy"),
            spec.text("spec.restartPolicy"),
            &["Always"],
        ));
    }
    if spec.has("spec.activeDeadlineSeconds") {
        errors.push(FieldError::forbidden(
            &path.child("spec.activeDeadlineSeconds"),
            format!("activeDeadlineSeconds in {kind} is not Supported"),
        ));
    }
}

/// Annotations that mean something for pods.
pub(super) fn pod_annotations(errors: &mut Errors, holder: &Value, path: &Path) {
    const MIRROR: &str = "kubernetes.io/config.mirror";
    const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    if let Some(value) = annotation(holder, MIRROR)
        && holder.text("spec.nodeName").is_empty()
    {
        errors.push(FieldError::invalid(
            &path.key(MIRROR),
            value,
            "must set spec.nodeName if mirror pod annotation is set",
        ));
    }
    if let Some(value) = annotation(holder, COST) {
        let plain = value.starts_with(|c: char| c == '-' || ('1'..='9').contains(&c)) || value == "0";
        if !plain || value.parse::<i32>().is_err() {
            errors.push(FieldError::invalid(&path.key(COST), value, "must be a 32bit integer"));
        }
    }
}
