//! NodeRestriction: a kubelet writes its own node and the pods bound to it, and no labels or taints of others' concern.

use drydock_api::{Status, go_quote, meta};
use serde_json::Value;

use super::{Attempt, Operation};

const MIRROR: &str = "kubernetes.io/config.mirror";
/// Labels that a kubelet may set on its own node, besides those of its two prefixes.
const KUBELET_LABELS: [&str; 10] = [
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/instance-type",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
];

/// Checks a write of a kubelet.
///
/// # Errors
/// 403 in upstream's words.
pub(super) fn check(attempt: &Attempt<'_>, object: Option<&Value>) -> Result<(), Status> {
    let user = &attempt.exchange.user;
    let Some(node) = user.name.strip_prefix("system:node:").filter(|_| user.in_group("system:nodes")) else {
        return Ok(());
    };
    let refusal = match (attempt.row.group, attempt.row.plural) {
        ("", "pods") => pod(attempt, node, object),
        ("", "nodes") => own_node(attempt, node, object),
        ("coordination.k8s.io", "leases") => lease(attempt, node, object),
        ("storage.k8s.io", "csinodes") => {
            let name = attempt.shown_name(object);
            (name != node).then(|| {
                format!("can only access CSINode with the same name as the requesting node {}", go_quote(node))
            })
        }
        ("", "serviceaccounts") => token(attempt, node, object),
        _ => None,
    };
    match refusal {
        None => Ok(()),
        Some(why) => Err(attempt.forbidden(attempt.shown_name(object), why)),
    }
}

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or("")
}

fn pod(attempt: &Attempt<'_>, node: &str, object: Option<&Value>) -> Option<String> {
    let quoted = go_quote(node);
    let bound = |pod: Option<&Value>| pod.is_some_and(|pod| text(pod, "/spec/nodeName") == node);
    match (attempt.operation, attempt.subresource_name()) {
        (Operation::Create, "") => mirror(node, object?),
        (Operation::Delete, "") => (!bound(attempt.old))
            .then(|| format!("node {quoted} can only delete pods with spec.nodeName set to itself")),
        (Operation::Update, "status") => {
            if !bound(attempt.old) {
                return Some(format!(
                    "node {quoted} can only update pod status for pods with spec.nodeName set to itself"
                ));
            }
            (attempt.old.map(meta::labels) != object.map(meta::labels))
                .then(|| format!("node {quoted} cannot update labels through pod status"))
        }
        (Operation::Create, "eviction") => {
            let pod = attempt.server.object("/registry/pods", attempt.namespace, attempt.name);
            (!bound(pod.as_ref()))
                .then(|| format!("node {quoted} can only evict pods with spec.nodeName set to itself"))
        }
        (operation, sub) => Some(format!(
            "unexpected operation {} on pods{}{sub}",
            operation.name(),
            if sub.is_empty() { "" } else { "/" }
        )),
    }
}

fn mirror(node: &str, pod: &Value) -> Option<String> {
    let quoted = go_quote(node);
    if meta::annotation(pod, MIRROR).is_none() {
        return Some(format!(
            "pod does not have {} annotation, node {quoted} can only create mirror pods",
            go_quote(MIRROR)
        ));
    }
    if text(pod, "/spec/nodeName") != node {
        return Some(format!("node {quoted} can only create pods with spec.nodeName set to itself"));
    }
    let owners = meta::owner_references(pod);
    if owners.len() > 1 {
        return Some(format!("node {quoted} can only create pods with a single owner reference set to itself"));
    }
    if let Some(owner) = owners.first()
        && (owner.api_version != "v1" || owner.kind != "Node" || owner.name != node)
    {
        return Some(format!("node {quoted} can only create pods with an owner reference set to itself"));
    }
    if !text(pod, "/spec/serviceAccountName").is_empty() {
        return Some(format!("node {quoted} can not create pods that reference a service account"));
    }
    let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array);
    for volume in volumes.into_iter().flatten() {
        for (key, word) in
            [("secret", "secrets"), ("configMap", "configmaps"), ("persistentVolumeClaim", "persistentvolumeclaims")]
        {
            if volume.get(key).is_some() {
                return Some(format!("node {quoted} can not create pods that reference {word}"));
            }
        }
    }
    None
}

fn own_node(attempt: &Attempt<'_>, node: &str, object: Option<&Value>) -> Option<String> {
    let (quoted, name) = (go_quote(node), attempt.shown_name(object));
    if name != node {
        return Some(format!("node {quoted} is not allowed to modify node {}", go_quote(name)));
    }
    let object = object?;
    let taints = |node: &Value| node.pointer("/spec/taints").cloned().unwrap_or_default();
    match attempt.operation {
        Operation::Create => forbidden_labels(object, None)
            .map(|labels| format!("node {quoted} is not allowed to set the following labels: {labels}")),
        Operation::Update => {
            let old = attempt.old?;
            if taints(old) != taints(object) {
                return Some(format!("node {quoted} is not allowed to modify taints"));
            }
            if meta::owner_references(old).len() != meta::owner_references(object).len() {
                return Some(format!("node {quoted} is not allowed to modify ownerReferences"));
            }
            forbidden_labels(object, Some(old)).map(|labels| format!("is not allowed to modify labels: {labels}"))
        }
        _ => None,
    }
}

/// Changed labels of `kubernetes.io` that are not the kubelet's to set.
fn forbidden_labels(node: &Value, old: Option<&Value>) -> Option<String> {
    let value =
        |object: Option<&Value>, key: &str| object.and_then(|object| meta::label(object, key)).map(str::to_owned);
    let mut keys: Vec<&str> = [Some(node), old]
        .into_iter()
        .flatten()
        .flat_map(|object| meta::labels(object).into_iter().flatten())
        .map(|(key, _)| key.as_str())
        .filter(|key| value(Some(node), key) != value(old, key))
        .filter(|key| {
            let domain = key.split_once('/').map_or("", |(domain, _)| domain);
            let own = |base: &str| domain == base || domain.ends_with(&format!(".{base}"));
            let kubelets = ["kubelet.kubernetes.io", "node.kubernetes.io"].iter().any(|base| own(base));
            let restricted = own("node-restriction.kubernetes.io");
            restricted
                || ((own("kubernetes.io") || own("k8s.io"))
                    && !kubelets
                    && !KUBELET_LABELS.contains(key)
                    && *key != "beta.kubernetes.io/arch")
        })
        .collect();
    keys.sort_unstable();
    keys.dedup();
    (!keys.is_empty()).then(|| keys.join(", "))
}

fn lease(attempt: &Attempt<'_>, node: &str, object: Option<&Value>) -> Option<String> {
    if attempt.namespace != "kube-node-lease" {
        return Some("can only access leases in the \"kube-node-lease\" system namespace".to_owned());
    }
    (attempt.shown_name(object) != node)
        .then(|| format!("can only access node lease with the same name as the requesting node {}", go_quote(node)))
}

fn token(attempt: &Attempt<'_>, node: &str, object: Option<&Value>) -> Option<String> {
    if attempt.subresource_name() != "token" {
        return None;
    }
    let reference = object?.pointer("/spec/boundObjectRef").cloned().unwrap_or_default();
    if reference["kind"] != "Pod" {
        return Some("node requested token not bound to a pod".to_owned());
    }
    let (name, uid) = (reference["name"].as_str().unwrap_or(""), reference["uid"].as_str().unwrap_or(""));
    if uid.is_empty() {
        return Some("node requested token with a pod binding without a uid".to_owned());
    }
    let pod = attempt.server.object("/registry/pods", attempt.namespace, name);
    let Some(pod) = pod else { return Some(format!("pod {} not found", go_quote(name))) };
    if meta::uid(&pod) != uid {
        return Some(format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            meta::uid(&pod)
        ));
    }
    (text(&pod, "/spec/nodeName") != node)
        .then(|| "node requested token bound to a pod scheduled on a different node".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_kubelet_makes_mirrors_only() {
        let pod = json!({"metadata": {"annotations": {MIRROR: "x"}}, "spec": {"nodeName": "a"}});
        assert_eq!(mirror("a", &pod), None);
        assert!(mirror("b", &pod).is_some_and(|why| why.contains("spec.nodeName set to itself")));
        assert!(mirror("a", &json!({"spec": {"nodeName": "a"}})).is_some_and(|why| why.contains("mirror pods")));
    }

    #[test]
    fn labels_of_others_stay() {
        let node =
            json!({"metadata": {"labels": {"kubernetes.io/hostname": "a", "x": "y", "node.kubernetes.io/z": "1"}}});
        assert_eq!(forbidden_labels(&node, None), None);
        let node = json!({"metadata": {"labels": {"node-role.kubernetes.io/master": "", "node-restriction.kubernetes.io/a": "b"}}});
        assert_eq!(
            forbidden_labels(&node, None).as_deref(),
            Some("node-restriction.kubernetes.io/a, node-role.kubernetes.io/master")
        );
        assert_eq!(forbidden_labels(&node, Some(&node)), None);
    }
}
