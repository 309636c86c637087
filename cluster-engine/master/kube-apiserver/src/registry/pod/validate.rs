//! Validation of pods, of what may change in them, and of their subresources.

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use crate::registry::check::{self, Errors};
use crate::registry::diff::diff;
use crate::registry::quota_math::qos_class;
use crate::registry::template::{PodName, only_pods, pod_annotations, pod_spec, template, tolerations};
use crate::registry::value::{Read as _, annotation, items_mut, restore, same};
use crate::row::{Context, Subresource};

const MIRROR: &str = "kubernetes.io/config.mirror";

fn metadata_and_spec(errors: &mut Errors, pod: &Value) {
    pod_annotations(errors, pod, &Path::new("metadata.annotations"));
    let path = Path::new("spec");
    pod_spec(errors, pod.at("spec"), &path, PodName::Pod(pod.text("metadata.name")));
    only_pods(errors, pod.at("spec"), &path);
}

/// ValidatePodCreate.
pub(super) fn create(pod: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    metadata_and_spec(&mut errors, pod);
    let path = Path::new("spec");
    if !pod.items("spec.ephemeralContainers").is_empty() {
        errors.push(FieldError::forbidden(&path.child("ephemeralContainers"), "cannot be set on create"));
    }
    if !pod.text("spec.nodeName").is_empty() && !pod.items("spec.schedulingGates").is_empty() {
        errors.push(FieldError::forbidden(
            &path.child("nodeName"),
            "cannot be set until all schedulingGates have been cleared",
        ));
    }
    errors
}

fn annotation_updates(errors: &mut Errors, new: &Value, old: &Value) {
    let path = Path::new("metadata.annotations").key(MIRROR);
    match (annotation(old, MIRROR), annotation(new, MIRROR)) {
        (Some(before), after) if after != Some(before) => {
            errors.push(FieldError::forbidden(&path, "may not remove or update mirror pod annotation"));
        }
        (None, Some(_)) => errors.push(FieldError::forbidden(&path, "may not add mirror pod annotation")),
        _ => {}
    }
}

/// ValidatePodUpdate.
pub(super) fn update(new: &Value, old: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    metadata_and_spec(&mut errors, new);
    annotation_updates(&mut errors, new, old);
    let path = Path::new("spec");
    let (spec, before) = (new.at("spec"), old.at("spec"));
    for list in ["containers", "initContainers"] {
        let path = path.child(list);
        if spec.items(list).len() != before.items(list).len() {
            errors.push(FieldError::forbidden(&path, "pod updates may not add or remove containers"));
            return errors;
        }
        for (index, container) in spec.items(list).iter().enumerate() {
            let path = path.index(index);
            check::required(&mut errors, container, &path, "image");
            let image = container.text("image");
            if image.trim() != image {
                errors.push(FieldError::invalid(
                    &path.child("image"),
                    image,
                    "must not have leading or trailing whitespace",
                ));
            }
        }
    }
    if !deadline(&mut errors, spec, before, &path) {
        return errors;
    }
    only_added_tolerations(&mut errors, spec, before, &path.child("tolerations"));
    let gates = before.items("schedulingGates");
    for (index, gate) in spec.items("schedulingGates").iter().enumerate() {
        if !gates.iter().any(|known| known.text("name") == gate.text("name")) {
            errors.push(FieldError::forbidden(
                &path.child("schedulingGates").index(index).child("name"),
                format!("only deletion is allowed, but found new scheduling gate '{}'", gate.text("name")),
            ));
        }
    }
    if !same(spec, before) {
        immutable_rest(&mut errors, spec, before, &path);
    }
    errors
}

fn deadline(errors: &mut Errors, spec: &Value, before: &Value, path: &Path) -> bool {
    let path = path.child("activeDeadlineSeconds");
    match (spec.int("activeDeadlineSeconds"), before.int("activeDeadlineSeconds")) {
        (Some(now), _) if !(0..=i64::from(i32::MAX)).contains(&now) => {
            errors.push(FieldError::invalid(&path, now, names::inclusive_range_error(0, i64::from(i32::MAX))));
            return false;
        }
        (Some(now), Some(was)) if was < now => {
            errors.push(FieldError::invalid(&path, now, "must be less than or equal to previous value"));
            return false;
        }
        (None, Some(_)) => {
            errors.push(FieldError::invalid(
                &path,
                Value::Null,
                "must not update from a positive integer to nil value",
            ));
        }
        _ => {}
    }
    true
}

fn only_added_tolerations(errors: &mut Errors, spec: &Value, before: &Value, path: &Path) {
    for old in before.items("tolerations") {
        let kept = spec.items("tolerations").iter().any(|new| {
            let mut old = old.clone();
            restore(&mut old, new, "tolerationSeconds");
            same(&old, new)
        });
        if !kept {
            errors.push(FieldError::forbidden(
                path,
                "existing toleration can not be modified except its tolerationSeconds",
            ));
            return;
        }
    }
    tolerations(errors, spec.items("tolerations"), path);
}

/// Everything else must be as before, but for what upstream lists in its message.
fn immutable_rest(errors: &mut Errors, spec: &Value, before: &Value, path: &Path) {
    let mut munged = spec.clone();
    for list in ["containers", "initContainers"] {
        for (container, old) in items_mut(&mut munged, list).iter_mut().zip(before.items(list)) {
            restore(container, old, "image");
        }
    }
    for key in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        restore(&mut munged, before, key);
    }
    if before.int("terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0)
        && munged.int("terminationGracePeriodSeconds") == Some(1)
    {
        restore(&mut munged, before, "terminationGracePeriodSeconds");
    }
    if !before.items("schedulingGates").is_empty() {
        gated(errors, &mut munged, before, path);
    }
    if !same(&munged, before) {
        errors.push(FieldError::forbidden(
            path,
            format!(
                "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
                 `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
                 `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n{}",
                diff("core.PodSpec", before, &munged)
            ),
        ));
    }
}

/// A pod that waits behind gates may still narrow where it runs.
fn gated(errors: &mut Errors, munged: &mut Value, before: &Value, path: &Path) {
    let selector = before.at("nodeSelector");
    if !same(munged.at("nodeSelector"), selector) {
        let kept = selector
            .strings("")
            .iter()
            .all(|(key, value)| munged.at("nodeSelector").get(*key).and_then(Value::as_str) == Some(value));
        if !kept {
            errors.push(FieldError::invalid(
                &path.child("nodeSelector"),
                munged.at("nodeSelector").clone(),
                "only additions are allowed (no mutations or deletions)",
            ));
        }
        restore(munged, before, "nodeSelector");
    }
    let affinity = before.at("affinity.nodeAffinity");
    if !same(munged.at("affinity.nodeAffinity"), affinity) {
        const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
        let old_terms = affinity.items(REQUIRED);
        let new_terms = munged.at("affinity.nodeAffinity").items(REQUIRED);
        let own = path.child("affinity.nodeAffinity").child(REQUIRED);
        if !old_terms.is_empty() && old_terms.len() != new_terms.len() {
            errors.push(FieldError::invalid(
                &own,
                munged.at("affinity.nodeAffinity").at(REQUIRED).clone(),
                "no additions/deletions to non-empty NodeSelectorTerms list are allowed",
            ));
        } else {
            for (index, (old, new)) in old_terms.iter().zip(new_terms).enumerate() {
                for key in ["matchExpressions", "matchFields"] {
                    if !old.items(key).iter().all(|requirement| new.items(key).contains(requirement)) {
                        errors.push(FieldError::invalid(
                            &own.index(index),
                            new.clone(),
                            "only additions are allowed (no mutations or deletions)",
                        ));
                    }
                }
            }
        }
        let mut restored = munged.at("affinity").clone();
        if restored.is_object() {
            restore(&mut restored, before.at("affinity"), "nodeAffinity");
            munged["affinity"] = restored;
        } else {
            restore(munged, before, "affinity");
        }
    }
}

/// Validation of writes through subresources.
pub(super) fn subresource(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    match context.subresource {
        Some(Subresource::Status) => status(new, old),
        Some(Subresource::EphemeralContainers) => ephemeral(new, old),
        Some(Subresource::Resize) => resize(new, old),
        _ => Errors::new(),
    }
}

fn status(new: &Value, old: &Value) -> Errors {
    let mut errors = Errors::new();
    annotation_updates(&mut errors, new, old);
    for (index, condition) in new.items("status.conditions").iter().enumerate() {
        let kind = condition.text("type");
        if !matches!(kind, "PodScheduled" | "Ready" | "Initialized") {
            check::qualified_name(&mut errors, &Path::new("metadata.conditions").index(index).child("Type"), kind);
        }
    }
    let path = Path::new("status");
    if new.text("spec.nodeName") != old.text("spec.nodeName") {
        errors.push(FieldError::forbidden(&path.child("nodeName"), "may not be changed directly"));
    }
    let nominated = new.text("status.nominatedNodeName");
    if nominated != old.text("status.nominatedNodeName") && !nominated.is_empty() {
        check::dns_subdomain(&mut errors, &path.child("nominatedNodeName"), nominated);
    }
    check::immutable(&mut errors, new.at("status.qosClass"), old.at("status.qosClass"), &path.child("qosClass"));
    let policy = old.text("spec.restartPolicy");
    for (list, policy) in
        [("containerStatuses", policy), ("initContainerStatuses", policy), ("ephemeralContainerStatuses", "Never")]
    {
        transitions(&mut errors, new, old, list, policy);
    }
    for (plural, single) in [("podIPs", "podIP"), ("hostIPs", "hostIP")] {
        let own = path.child(plural);
        let list = new.at("status").items(plural);
        if plural == "hostIPs"
            && let Some(first) = list.first()
            && new.at("status").text(single) != first.text("ip")
        {
            errors.push(FieldError::invalid(&own.index(0).child("ip"), first.text("ip"), "must be equal to `hostIP`"));
        }
        for (index, entry) in list.iter().enumerate() {
            check::ip(&mut errors, &own.index(index), entry.text("ip"));
        }
        let families = |six: bool| list.iter().filter(|entry| entry.text("ip").contains(':') == six).count();
        if families(true) > 1 || families(false) > 1 {
            errors.push(FieldError::invalid(
                &own,
                new.at("status").at(plural).clone(),
                "may specify no more than one IP for each IP family",
            ));
        }
    }
    errors
}

/// Whether a restart rule is about this exit code.
fn matches_exit(rule: &Value, code: i64) -> bool {
    let codes = rule.at("exitCodes");
    let listed = codes.items("values").iter().any(|value| value.as_i64() == Some(code));
    match codes.text("operator") {
        "In" => listed,
        "NotIn" => !listed,
        _ => false,
    }
}

/// A container that ended for good may not come back.
fn transitions(errors: &mut Errors, new: &Value, old: &Value, list: &str, policy: &str) {
    let containers = || ["containers", "initContainers"].iter().flat_map(|list| old.at("spec").items(list));
    let rules = |container: &Value| container.items("restartPolicyRules").to_vec();
    let restarts_all =
        |container: &Value| rules(container).iter().any(|it| it.text("action") == "RestartAllContainers");
    if policy == "Always" || list != "ephemeralContainerStatuses" && containers().any(restarts_all) {
        return;
    }
    for (index, before) in old.at("status").items(list).iter().enumerate() {
        let ended = before.at("state.terminated");
        let name = before.text("name");
        let own = containers().find(|container| container.text("name") == name);
        let own_policy = own.map_or("", |container| container.text("restartPolicy"));
        let code = ended.int("exitCode").unwrap_or(0);
        let failed = code != 0;
        let ruled = own.is_some_and(|container| rules(container).iter().any(|rule| matches_exit(rule, code)));
        let policy = if own_policy.is_empty() { policy } else { own_policy };
        if ended.is_null() || policy == "Always" || ruled || failed && policy == "OnFailure" {
            continue;
        }
        let back = new
            .at("status")
            .items(list)
            .iter()
            .any(|after| after.text("name") == name && !after.has("state.terminated"));
        if back {
            errors.push(FieldError::forbidden(
                &Path::new("status").child(list).index(index).child("state"),
                "may not be transitioned to non-terminated state",
            ));
        }
    }
}

fn ephemeral(new: &Value, old: &Value) -> Errors {
    let mut errors = Errors::new();
    if annotation(old, MIRROR).is_some() {
        return vec![FieldError::forbidden(&Path::root(), "static pods do not support ephemeral containers")];
    }
    metadata_and_spec(&mut errors, new);
    let path = Path::new("spec.ephemeralContainers");
    for before in old.items("spec.ephemeralContainers") {
        let name = before.text("name");
        let quoted = drydock_api::go_quote(name);
        match new.items("spec.ephemeralContainers").iter().find(|container| container.text("name") == name) {
            None => errors.push(FieldError::forbidden(
                &path,
                format!("existing ephemeral containers {quoted} may not be removed\n"),
            )),
            Some(after) if !same(before, after) => errors.push(FieldError::forbidden(
                &path,
                format!(
                    "existing ephemeral containers {quoted} may not be changed\n{}",
                    diff("core.EphemeralContainer", before, after)
                ),
            )),
            Some(_) => {}
        }
    }
    errors
}

fn resize(new: &Value, old: &Value) -> Errors {
    let mut errors = Errors::new();
    metadata_and_spec(&mut errors, new);
    let whole = |why: &str| vec![FieldError::forbidden(&Path::root(), why)];
    if annotation(old, MIRROR).is_some() {
        return whole("static pods cannot be resized");
    }
    if old.text("spec.os.name") == "windows" {
        return whole("windows pods cannot be resized");
    }
    let path = Path::new("spec");
    let class = match old.text("status.qosClass") {
        "" => qos_class(old.at("spec")),
        class => class,
    };
    if class != qos_class(new.at("spec")) {
        errors.push(FieldError::invalid(
            &path,
            new.at("status.qosClass").clone(),
            "Pod QOS Class may not change as a result of resizing",
        ));
    }
    let mut copy = new.at("spec").clone();
    for list in ["initContainers", "containers"] {
        let before = old.at("spec").items(list);
        for (index, container) in items_mut(&mut copy, list).iter_mut().enumerate() {
            let Some(old) = before.get(index) else { continue };
            if list == "initContainers" && old.text("restartPolicy") != "Always" {
                if !same(container, old) {
                    errors
                        .push(FieldError::forbidden(&path, "resources for non-sidecar init containers are immutable"));
                }
                continue;
            }
            resize_container(&mut errors, container, old, &path.child(list).index(index).child("resources"));
            for side in ["limits", "requests"] {
                for name in ["cpu", "memory"] {
                    if let Some(amounts) = container.get_mut("resources").and_then(|resources| resources.get_mut(side))
                    {
                        restore(amounts, old.at("resources").at(side), name);
                    }
                }
            }
            restore(container, old, "resizePolicy");
            if !same(container, old) {
                let what = if list == "containers" {
                    "only cpu and memory resources are mutable"
                } else {
                    "only cpu and memory resources for sidecar containers are mutable"
                };
                errors.push(FieldError::forbidden(&path, what));
            }
        }
    }
    if errors.is_empty() {
        restore(&mut copy, old.at("spec"), "containers");
        restore(&mut copy, old.at("spec"), "initContainers");
        restore(&mut copy, old.at("spec"), "resources");
        if !same(&copy, old.at("spec")) {
            errors.push(FieldError::forbidden(&path, "only cpu and memory resources are mutable"));
        }
    }
    errors
}

fn resize_container(errors: &mut Errors, new: &Value, old: &Value, path: &Path) {
    for side in ["requests", "limits"] {
        let now = new.at("resources").at(side);
        if old.at("resources").entries(side).iter().any(|(name, _)| now.get(*name).is_none()) {
            errors.push(FieldError::forbidden(&path.child(side), format!("resource {side} cannot be removed")));
        }
    }
}

/// ValidatePodTemplate.
pub(super) fn template_create(object: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    template(&mut errors, object.at("template"), &Path::new("template"));
    errors
}

/// ValidatePodTemplateUpdate.
pub(super) fn template_update(new: &Value, _: &Value, context: &Context<'_>) -> Errors {
    template_create(new, context)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;
    use crate::registry::pod::{PODS, strategy};

    fn context(subresource: Option<Subresource>) -> Context<'static> {
        Context { resource: &PODS, namespace: "default", user: "u", groups: &[], subresource, now: "" }
    }

    fn pod() -> Value {
        let mut pod = json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}],
            "tolerations": [{"key": "k", "operator": "Exists"}]}});
        strategy::default(&mut pod);
        pod
    }

    #[test]
    fn a_plain_pod_is_valid() {
        assert_eq!(texts(&create(&pod(), &context(None))), [""; 0]);
    }

    #[test]
    fn creation() {
        let mut new = pod();
        new["spec"]["nodeName"] = json!("n");
        new["spec"]["schedulingGates"] = json!([{"name": "g"}]);
        assert_eq!(
            texts(&create(&new, &context(None))),
            ["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"]
        );
    }

    #[test]
    fn updates() {
        let old = pod();
        let mut new = old.clone();
        new["spec"]["containers"][0]["image"] = json!("other");
        new["spec"]["tolerations"] = json!([{"key": "k", "operator": "Exists"}, {"key": "l", "operator": "Exists"}]);
        assert_eq!(texts(&update(&new, &old, &context(None))), [""; 0]);
        new["spec"]["containers"][0]["command"] = json!(["sh"]);
        assert_eq!(
            texts(&update(&new, &old, &context(None))),
            [
                "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n  core.PodSpec{\n  \tContainers: {\n  \t\t{\n- \t\t\tCommand: nil,\n+ \t\t\tCommand: {\"sh\"},\n  \t\t\t... // 6 identical fields\n  \t\t},\n  \t},\n  \t... // 7 identical fields\n  }\n"
            ]
        );
        let mut new = old.clone();
        new["spec"]["tolerations"] = json!([]);
        assert_eq!(
            texts(&update(&new, &old, &context(None))),
            ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"]
        );
        let mut new = old.clone();
        new["spec"]["containers"] = json!([new["spec"]["containers"][0], {"name": "d", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File"}]);
        assert_eq!(
            texts(&update(&new, &old, &context(None))),
            ["spec.containers: Forbidden: pod updates may not add or remove containers"]
        );
    }

    #[test]
    fn statuses() {
        let mut old = pod();
        old["spec"]["restartPolicy"] = json!("Never");
        old["status"] = json!({"qosClass": "BestEffort", "containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 0}}}]});
        let mut new = old.clone();
        new["status"]["containerStatuses"][0]["state"] = json!({"running": {}});
        new["status"]["qosClass"] = json!("Guaranteed");
        new["status"]["podIPs"] = json!([{"ip": "x"}]);
        assert_eq!(
            texts(&subresource(&new, &old, &context(Some(Subresource::Status)))),
            [
                r#"status.qosClass: Invalid value: "Guaranteed": field is immutable"#,
                "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state",
                r#"status.podIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"#,
            ]
        );
    }

    #[test]
    fn restart_rules_let_ended_containers_come_back() {
        let mut old = pod();
        old["spec"]["restartPolicy"] = json!("Never");
        old["status"] = json!({"containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 42}}}]});
        let mut check = |action: &str, code: i64, refused: usize| {
            old["spec"]["containers"][0]["restartPolicy"] = json!("Never");
            old["spec"]["containers"][0]["restartPolicyRules"] =
                json!([{"action": action, "exitCodes": {"operator": "In", "values": [code]}}]);
            let mut new = old.clone();
            new["status"]["containerStatuses"][0]["state"] = json!({"running": {}});
            let found = texts(&subresource(&new, &old, &context(Some(Subresource::Status))));
            assert_eq!(found.len(), refused, "{action} {code}: {found:?}");
        };
        check("Restart", 42, 0);
        check("Restart", 43, 1);
        check("RestartAllContainers", 43, 0);
    }

    #[test]
    fn ephemeral_containers_may_only_be_added() {
        let old = pod();
        let debug = json!({"name": "debug", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File", "targetContainerName": "c"});
        let mut new = old.clone();
        new["spec"]["ephemeralContainers"] = json!([debug]);
        assert_eq!(texts(&subresource(&new, &old, &context(Some(Subresource::EphemeralContainers)))), [""; 0]);
        assert_eq!(
            texts(&subresource(&old, &new, &context(Some(Subresource::EphemeralContainers)))),
            ["spec.ephemeralContainers: Forbidden: existing ephemeral containers \"debug\" may not be removed\n"]
        );
    }

    #[test]
    fn resizing() {
        let mut old = pod();
        old["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}});
        let mut new = old.clone();
        new["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("150m");
        assert_eq!(texts(&subresource(&new, &old, &context(Some(Subresource::Resize)))), [""; 0]);
        new["spec"]["containers"][0]["resources"]["limits"] = json!({});
        assert_eq!(
            texts(&subresource(&new, &old, &context(Some(Subresource::Resize)))),
            ["spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed"]
        );
        let mut new = old.clone();
        new["spec"]["containers"][0]["image"] = json!("other");
        assert_eq!(
            texts(&subresource(&new, &old, &context(Some(Subresource::Resize)))),
            ["spec: Forbidden: only cpu and memory resources are mutable"]
        );
    }
}
