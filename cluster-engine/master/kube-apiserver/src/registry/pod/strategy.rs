//! What the server itself writes into pods (`pkg/registry/core/pod/strategy.go`).

use serde_json::{Value, json};

use crate::registry::quota_math::qos_class;
use crate::registry::template::defaults;
use crate::registry::value::{Read as _, at_mut, child, default as default_value, items_mut, restore, same};
use crate::row::{Context, Subresource};

/// SetDefaults of a pod.
pub(super) fn default(pod: &mut Value) {
    if let Some(spec) = child(pod, "spec") {
        defaults::pod_spec(spec);
        defaults::pod(spec);
    }
    if let Some(status) = child(pod, "status") {
        addresses(status, "podIP", "podIPs");
        addresses(status, "hostIP", "hostIPs");
        for list in ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"] {
            items_mut(status, list).iter_mut().for_each(container_status);
        }
    }
}

/// Fields of a container's status that are no pointers upstream are always written.
fn container_status(status: &mut Value) {
    for key in ["image", "imageID"] {
        default_value(status, key, "");
    }
    default_value(status, "ready", false);
    default_value(status, "restartCount", 0);
    for key in ["lastState", "state"] {
        child(status, key);
    }
}

/// Keeps the single address and the list of addresses the same, as conversion does upstream.
fn addresses(status: &mut Value, single: &str, plural: &str) {
    let first = status.items(plural).first().map(|entry| entry.text("ip").to_owned());
    let own = status.text(single).to_owned();
    match first {
        None if !own.is_empty() => status[plural] = json!([{ "ip": own }]),
        Some(first) if own.is_empty() => status[single] = json!(first),
        Some(first) if first != own => status[plural] = json!([{ "ip": own }]),
        _ => {}
    }
}

/// PrepareForCreate.
pub(super) fn prepare_create(pod: &mut Value, context: &Context<'_>) {
    let class = qos_class(pod.at("spec"));
    pod["status"] = json!({ "phase": "Pending", "qosClass": class });
    if !pod.items("spec.schedulingGates").is_empty() {
        pod["status"]["conditions"] = json!([{
            "type": "PodScheduled",
            "status": "False",
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
            "lastProbeTime": null,
            "lastTransitionTime": context.now,
        }]);
    }
    let labels = pod.at("metadata.labels").clone();
    if let Some(spec) = at_mut(pod, "spec") {
        match_label_keys(spec, &labels);
    }
}

/// Turns `matchLabelKeys` and `mismatchLabelKeys` of pod affinity terms into requirements of their selectors.
fn match_label_keys(spec: &mut Value, labels: &Value) {
    for kind in ["podAffinity", "podAntiAffinity"] {
        for term in items_mut(spec, &format!("affinity.{kind}.requiredDuringSchedulingIgnoredDuringExecution")) {
            merge_keys(term, labels);
        }
        for weighted in items_mut(spec, &format!("affinity.{kind}.preferredDuringSchedulingIgnoredDuringExecution")) {
            if let Some(term) = at_mut(weighted, "podAffinityTerm") {
                merge_keys(term, labels);
            }
        }
    }
}

fn merge_keys(term: &mut Value, labels: &Value) {
    if !term.has("labelSelector") {
        return;
    }
    let mut added = Vec::new();
    for (field, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        for key in term.items(field).iter().filter_map(Value::as_str) {
            if let Some(value) = labels.get(key) {
                added.push(json!({ "key": key, "operator": operator, "values": [value] }));
            }
        }
    }
    if added.is_empty() {
        return;
    }
    let mut expressions = term.items("labelSelector.matchExpressions").to_vec();
    expressions.extend(added);
    term["labelSelector"]["matchExpressions"] = Value::Array(expressions);
}

/// PrepareForUpdate of the pod itself: its status stays.
pub(super) fn prepare_update(new: &mut Value, old: &Value, _: &Context<'_>) {
    restore(new, old, "status");
}

/// PrepareForUpdate of status, ephemeral containers and resize.
pub(super) fn prepare_subresource(new: &mut Value, old: &Value, context: &Context<'_>) {
    match context.subresource {
        Some(Subresource::Status) => {
            restore(new, old, "spec");
            if let Some(metadata) = at_mut(new, "metadata") {
                restore(metadata, old.at("metadata"), "deletionTimestamp");
                restore(metadata, old.at("metadata"), "ownerReferences");
            }
            if let Some(status) = child(new, "status") {
                if status.text("qosClass").is_empty() {
                    restore(status, old.at("status"), "qosClass");
                }
                transition_times(status, old.at("status"));
            }
        }
        Some(Subresource::EphemeralContainers) => {
            let containers = new.at("spec.ephemeralContainers").clone();
            let labels = new.at("metadata.managedFields").clone();
            let version = new.at("metadata.resourceVersion").clone();
            *new = old.clone();
            if !containers.is_null() {
                new["spec"]["ephemeralContainers"] = containers;
            }
            if !version.is_null() {
                new["metadata"]["resourceVersion"] = version;
            }
            if !labels.is_null() {
                new["metadata"]["managedFields"] = labels;
            }
        }
        Some(Subresource::Resize) => {
            restore(new, old, "status");
        }
        _ => {}
    }
}

/// A condition that did not change keeps its time; one without a time is left alone.
fn transition_times(status: &mut Value, old: &Value) {
    for condition in items_mut(status, "conditions") {
        let kind = condition.text("type").to_owned();
        if let Some(before) = old.items("conditions").iter().find(|condition| condition.text("type") == kind)
            && same(condition.at("status"), before.at("status"))
            && condition.text("lastTransitionTime").is_empty()
        {
            restore(condition, before, "lastTransitionTime");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::pod::PODS;

    fn context(subresource: Option<Subresource>) -> Context<'static> {
        Context {
            resource: &PODS,
            namespace: "default",
            user: "u",
            groups: &[],
            subresource,
            now: "2026-01-01T00:00:00Z",
        }
    }

    #[test]
    fn creation_sets_the_status() {
        let mut pod = json!({"spec": {"containers": [{}], "schedulingGates": [{"name": "g"}]}});
        prepare_create(&mut pod, &context(None));
        assert_eq!(pod["status"]["phase"], "Pending");
        assert_eq!(pod["status"]["qosClass"], "BestEffort");
        assert_eq!(pod["status"]["conditions"][0]["reason"], "SchedulingGated");
    }

    #[test]
    fn label_keys_become_requirements() {
        let mut pod = json!({"metadata": {"labels": {"h": "1"}}, "spec": {"affinity": {"podAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {}, "matchLabelKeys": ["h", "none"]}]}}}});
        prepare_create(&mut pod, &context(None));
        assert_eq!(
            pod["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]["labelSelector"],
            json!({"matchExpressions": [{"key": "h", "operator": "In", "values": ["1"]}]})
        );
    }

    #[test]
    fn addresses_follow_each_other() {
        let mut pod = json!({"spec": {}, "status": {"podIP": "10.0.0.1"}});
        default(&mut pod);
        assert_eq!(pod["status"]["podIPs"], json!([{"ip": "10.0.0.1"}]));
    }

    #[test]
    fn status_writes_keep_the_spec() {
        let old = json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n"}, "status": {"qosClass": "Burstable"}});
        let mut new = json!({"metadata": {"name": "a"}, "spec": {"nodeName": "x"}, "status": {"phase": "Running"}});
        prepare_subresource(&mut new, &old, &context(Some(Subresource::Status)));
        assert_eq!(new["spec"], old["spec"]);
        assert_eq!(new["status"], json!({"phase": "Running", "qosClass": "Burstable"}));
    }
}
