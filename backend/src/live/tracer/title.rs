//! What a person's request was, in kubectl's words: `expose service web`.

use super::{AuditEvent, ObjectRef};

/// The command. kubectl puts its name into the field manager; where it has none, the request itself says enough.
pub(super) fn command(event: &AuditEvent, object: &ObjectRef) -> String {
    let manager = event.parameter("fieldManager").unwrap_or_default();
    match (event.verb.as_str(), object.subresource.as_str(), manager) {
        ("delete" | "deletecollection", ..) => "delete",
        (_, "scale", _) => "scale",
        (_, "eviction", _) => "evict",
        (_, _, "kubectl-client-side-apply") => "apply",
        // Server-side apply has no name of its own.
        ("patch", _, "kubectl") => "apply",
        (verb, _, manager) => manager.strip_prefix("kubectl-").unwrap_or(match manager {
            "helm" => "helm",
            _ => verb,
        }),
    }
    // It comes from a log that a learner can write to by what they ask.
    .chars()
    .take(24)
    .collect()
}

/// The command with what it was about.
pub(super) fn title(command: &str, object: &ObjectRef) -> String {
    let mut title = format!("{command} {}", singular(&object.resource));
    if !object.name.is_empty() {
        title.push(' ');
        title.push_str(&object.name);
    }
    title
}

/// A resource as one says it of one object.
fn singular(resource: &str) -> &str {
    match resource {
        "endpoints" => resource,
        _ if resource.ends_with("sses") => &resource[..resource.len() - 2],
        "networkpolicies" => "networkpolicy",
        "priorityclasses" => "priorityclass",
        _ => resource.strip_suffix('s').unwrap_or(resource),
    }
}
