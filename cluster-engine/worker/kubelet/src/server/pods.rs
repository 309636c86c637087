//! `/pods`: the node's pods with all of their definition.
//!
//! The kubelet keeps of a pod only what it acts on; what else there is stands with the API server, and in the manifests
//! of static pods. Both are asked when somebody wants to see it. Without an API server the short form is shown.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::stats;
use crate::kubelet::Kubelet;
use crate::pod::{CONFIG_MIRROR, CONFIG_SOURCE};

/// The list, each pod with the status that this kubelet knows.
pub(super) async fn list(kubelet: &Kubelet) -> Value {
    let mut items = stats::pods(kubelet)["items"].take();
    let mut full = fetch(kubelet).await;
    for pod in items.as_array_mut().into_iter().flatten() {
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        let found = full.remove(uid).or_else(|| kubelet.pods.manifest(uid));
        if let Some(found) = found {
            complete(pod, found);
        }
    }
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
}

/// Gives a pod in short form all that its definition says; the status stays.
fn complete(pod: &mut Value, mut full: Value) {
    pod["spec"] = full["spec"].take();
    let short = pod["metadata"].take();
    pod["metadata"] = full["metadata"].take();
    if let Some(annotations) = pod.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(CONFIG_MIRROR);
    }
    // A static pod's manifest does not know who the kubelet takes it for.
    for key in ["name", "namespace", "uid", "annotations", "creationTimestamp"] {
        if !short[key].is_null() && (pod["metadata"][key].is_null() || key == "uid") {
            pod["metadata"][key] = short[key].clone();
        }
    }
}

/// The pods of this node that the API server knows, without mirrors, by uid.
async fn fetch(kubelet: &Kubelet) -> BTreeMap<String, Value> {
    let Some(api) = &kubelet.api else { return BTreeMap::new() };
    let path = format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{}", kubelet.node_name);
    let mut list: Value = match api.client.get(&path).await {
        Ok(list) => list,
        Err(error) => {
            tracing::debug!(%error, "the API server does not tell the pods' definitions");
            return BTreeMap::new();
        }
    };
    let Some(items) = list["items"].as_array_mut() else { return BTreeMap::new() };
    let own = items.drain(..).filter(|pod| pod["metadata"]["annotations"][CONFIG_MIRROR].is_null());
    own.filter_map(|mut pod| {
        let uid = pod["metadata"]["uid"].as_str()?.to_owned();
        if pod["metadata"]["annotations"].is_null() {
            pod["metadata"]["annotations"] = json!({});
        }
        pod["metadata"]["annotations"][CONFIG_SOURCE] = "api".into();
        Some((uid, pod))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_completed() {
        let mut pod = json!({"metadata": {"uid": "u", "name": "p"}, "spec": {}, "status": {"phase": "Running"}});
        let full = json!({"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {"dnsPolicy": "Default"}, "status": {"phase": "Pending"}});
        complete(&mut pod, full);
        let expected = json!({"metadata": {"uid": "u", "name": "p", "labels": {"a": "b"}}, "spec": {"dnsPolicy": "Default"}, "status": {"phase": "Running"}});
        assert_eq!(pod, expected);
    }
}
