//! Validation of Events.

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use crate::registry::check::{self, Errors};
use crate::registry::value::{Read as _, same};
use crate::row::Context;

/// Events of the old API: they stay where their object is.
pub(super) fn core(event: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    if event.text("eventTime").is_empty() {
        own_namespace(&mut errors, event, "involvedObject", true);
    } else {
        common(&mut errors, event, "involvedObject", "reportingComponent", "reportingComponent");
    }
    errors
}

/// The namespace of the event is that of its object, `default` for objects without one.
fn own_namespace(errors: &mut Errors, event: &Value, about: &str, old: bool) {
    let namespace = event.text("metadata.namespace");
    let object = event.at(about).text("namespace");
    let fits = object == namespace || object.is_empty() && matches!(namespace, "default" | "kube-system" | "");
    if !fits {
        errors.push(FieldError::invalid(
            &Path::new(about).child("namespace"),
            object,
            "does not match event.namespace",
        ));
    }
    if old && !namespace.is_empty() {
        check::each(errors, &Path::new("namespace"), namespace, names::is_dns1123_subdomain(namespace));
    }
}

fn common(errors: &mut Errors, event: &Value, about: &str, controller: &str, controller_path: &str) {
    own_namespace(errors, event, about, false);
    let root = Path::root();
    if check::required(errors, event, &root, controller) {
        check::qualified_name(errors, &Path::new(controller_path), event.text(controller));
    }
    for key in ["reportingInstance", "action", "reason"] {
        if check::required(errors, event, &root, key) && event.text(key).len() > 128 {
            errors.push(FieldError::invalid(&Path::new(key), "", "can have at most 128 characters"));
        }
    }
    let message = if about == "regarding" { "note" } else { "message" };
    if event.text(message).len() > 1024 {
        errors.push(FieldError::invalid(&Path::new(message), "", "can have at most 1024 characters"));
    }
    let kind = event.text("type");
    if !matches!(kind, "Normal" | "Warning") {
        errors.push(FieldError::invalid(&Path::new("type"), "", format!("has invalid value: {kind}")));
    }
    series(errors, event);
}

fn series(errors: &mut Errors, event: &Value) {
    if let Some(count) = event.int("series.count")
        && count < 2
    {
        errors.push(FieldError::invalid(&Path::new("series.count"), "", "should be at least 2"));
    }
    if event.has("series") && event.text("series.lastObservedTime").is_empty() {
        errors.push(FieldError::required(&Path::new("series.lastObservedTime"), ""));
    }
}

/// Events of `events.k8s.io/v1`.
pub(super) fn v1(event: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    if event.text("eventTime").is_empty() {
        errors.push(FieldError::required(&Path::new("eventTime"), ""));
    }
    common(&mut errors, event, "regarding", "reportingController", "reportingController");
    for (key, zero) in [("deprecatedFirstTimestamp", ""), ("deprecatedLastTimestamp", "")] {
        if event.text(key) != zero {
            errors.push(FieldError::invalid(&Path::new(key), "", "needs to be unset"));
        }
    }
    if event.int("deprecatedCount").unwrap_or(0) != 0 {
        errors.push(FieldError::invalid(&Path::new("deprecatedCount"), "", "needs to be unset"));
    }
    if event.entries("deprecatedSource").iter().any(|(_, value)| value.as_str().is_some_and(|text| !text.is_empty())) {
        errors.push(FieldError::invalid(&Path::new("deprecatedSource"), "", "needs to be unset"));
    }
    errors
}

/// Update of an old event.
pub(super) fn core_update(new: &Value, _: &Value, context: &Context<'_>) -> Errors {
    core(new, context)
}

/// Update of a new event: only the series goes on.
pub(super) fn v1_update(new: &Value, old: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    if !same(new.at("series"), old.at("series")) {
        series(&mut errors, new);
    }
    // Fields have the old API's names here, as upstream says them.
    for (key, name) in [
        ("regarding", "involvedObject"),
        ("reason", "reason"),
        ("note", "message"),
        ("deprecatedSource", "source"),
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
        ("type", "type"),
        ("eventTime", "eventTime"),
        ("action", "action"),
        ("related", "related"),
        ("reportingController", "reportingController"),
        ("reportingInstance", "reportingInstance"),
    ] {
        check::immutable(&mut errors, new.at(key), old.at(key), &Path::new(name));
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;
    use crate::registry::event::{CORE, EVENTS};

    #[test]
    fn events() {
        let context = |resource| Context { resource, namespace: "", user: "", groups: &[], subresource: None, now: "" };
        let old = json!({"metadata": {"namespace": "a"}, "involvedObject": {"namespace": "b"}});
        assert_eq!(
            texts(&core(&old, &context(&CORE))),
            [r#"involvedObject.namespace: Invalid value: "b": does not match event.namespace"#]
        );
        let new = json!({"metadata": {"namespace": "a"}, "regarding": {"namespace": "a"}, "eventTime": "2026-01-01T00:00:00.000000Z",
            "reportingController": "x", "reportingInstance": "y", "action": "z", "reason": "r", "type": "Odd"});
        assert_eq!(texts(&v1(&new, &context(&EVENTS))), [r#"type: Invalid value: "": has invalid value: Odd"#]);
    }
}
