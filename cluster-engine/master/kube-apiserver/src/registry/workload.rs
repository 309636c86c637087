//! What the workload kinds share: selectors, templates, statuses (`pkg/apis/apps/validation`).

use drydock_api::field::{FieldError, Path};
use drydock_api::selector::Selector;
use serde_json::Value;

use super::check::{self, Errors};
use super::template::selected_template;
use super::value::{Read as _, restore};
use crate::row::{Context, Subresource};

/// A selector that must be there and not be empty. `kind` is the word in upstream's text.
pub(super) fn selector(errors: &mut Errors, spec: &Value, path: &Path, kind: &str) {
    let selector = spec.at("selector");
    let path = path.child("selector");
    if selector.is_null() {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    check::label_selector(errors, selector, &path);
    if selector.entries("matchLabels").is_empty() && selector.items("matchExpressions").is_empty() {
        errors.push(FieldError::invalid(&path, selector.clone(), format!("empty selector is invalid for {kind}")));
    }
}

/// The template against the selector of a workload whose pods always restart.
pub(super) fn template(errors: &mut Errors, spec: &Value, path: &Path, kind: &str) {
    match Selector::from_label_selector(spec.at("selector")) {
        Ok(selector) => selected_template(errors, spec, path, Some(&selector), kind),
        Err(_) => errors.push(FieldError::invalid(
            &path.child("selector"),
            spec.at("selector").clone(),
            "invalid label selector",
        )),
    }
}

/// The selector of a workload may not change.
pub(super) fn same_selector(errors: &mut Errors, new: &Value, old: &Value) {
    check::immutable(errors, new.at("spec.selector"), old.at("spec.selector"), &Path::new("spec.selector"));
}

/// Counters of a status: none negative, and those in `within` at most `replicas`.
pub(super) fn counters(errors: &mut Errors, status: &Value, all: &[&str], within: &[&str]) {
    let path = Path::new("status");
    for key in all {
        check::not_negative(errors, status, &path, key);
    }
    let number = |key: &str| status.int(key).unwrap_or(0);
    for key in within {
        if number(key) > number("replicas") {
            errors.push(FieldError::invalid(&path.child(key), number(key), "cannot be greater than status.replicas"));
        }
    }
    if within.contains(&"availableReplicas")
        && within.contains(&"readyReplicas")
        && number("availableReplicas") > number("readyReplicas")
    {
        errors.push(FieldError::invalid(
            &path.child("availableReplicas"),
            number("availableReplicas"),
            "cannot be greater than readyReplicas",
        ));
    }
}

/// PrepareForUpdate of the main resource of a kind with a status.
pub(super) fn keep_status(new: &mut Value, old: &Value, _: &Context<'_>) {
    restore(new, old, "status");
}

/// PrepareForUpdate of `/status`: the spec stays, and so do the labels where upstream says so.
pub(super) fn keep_spec(new: &mut Value, old: &Value, context: &Context<'_>) {
    if context.subresource == Some(Subresource::Status) {
        restore(new, old, "spec");
    }
}

/// Warnings about the pod template at `path` when the object is new or its generation changes.
pub(super) fn template_warnings(new: &Value, old: Option<&Value>, path: &str) -> Vec<String> {
    match old {
        Some(old) if new.int("metadata.generation") == old.int("metadata.generation") => Vec::new(),
        _ => super::template::warnings::pod(new.at(path), &Path::new(path)),
    }
}

/// The same, with a word about names that make odd names of pods.
pub(super) fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut warnings = name_warnings(new, old, "Pod names and hostnames");
    warnings.extend(template_warnings(new, old, "spec.template"));
    warnings
}

/// Warns of a new object's name that is no DNS label, though it is `used` where it should be one.
pub(super) fn name_warnings(new: &Value, old: Option<&Value>, used: &str) -> Vec<String> {
    let messages = drydock_api::names::is_dns1123_label(new.text("metadata.name"));
    if old.is_some() || messages.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "metadata.name: this is used in {used}, which can result in surprising behavior; a DNS label is recommended: [{}]",
        messages.join(" ")
    )]
}
