//! The Node authorizer: a kubelet may touch what the pods on its node need, and nothing else.
//!
//! Upstream keeps a graph from nodes over pods to what they use; here the pods of the node are read from the watch cache when
//! the question comes, which for the few pods of a node costs less than the graph.

use std::sync::Arc;

use drydock_api::meta;
use serde_json::Value;

use super::{Attributes, Authorize, Decision, Lookup};

const NODES_GROUP: &str = "system:nodes";
const PREFIX: &str = "system:node:";

pub(super) struct NodeAuthorizer {
    lookup: Arc<dyn Lookup>,
}

impl NodeAuthorizer {
    pub(super) fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self { lookup }
    }

    /// Whether some pod on the node fits.
    fn any_pod(&self, node: &str, fits: impl Fn(&Value) -> bool) -> bool {
        let mut found = false;
        self.lookup.each("/registry/pods", &mut |bytes| {
            // A cheap look at the text spares parsing the pods of other nodes.
            let mentions = bytes.windows(node.len()).any(|window| window == node.as_bytes());
            if !found && mentions {
                let pod: Value = serde_json::from_slice(bytes).unwrap_or_default();
                found = pod.pointer("/spec/nodeName").and_then(Value::as_str) == Some(node) && fits(&pod);
            }
        });
        found
    }

    fn pod_uses(&self, node: &str, namespace: &str, name: &str, uses: fn(&Value, &str) -> bool) -> bool {
        self.any_pod(node, |pod| meta::namespace(pod) == namespace && uses(pod, name))
    }

    /// Whether a claim of a pod on the node is bound to the volume.
    fn volume(&self, node: &str, volume: &str) -> bool {
        self.any_pod(node, |pod| {
            claims(pod).any(|claim| {
                let claim = self.lookup.object("/registry/persistentvolumeclaims", meta::namespace(pod), &claim);
                let claim: Value = claim.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
                claim.pointer("/spec/volumeName").and_then(Value::as_str) == Some(volume)
            })
        })
    }
}

impl Authorize for NodeAuthorizer {
    fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        let node = attributes.user.name.strip_prefix(PREFIX).filter(|_| attributes.user.in_group(NODES_GROUP));
        let Some(node) = node else { return Decision::NoOpinion(String::new()) };
        let unknown = || Decision::NoOpinion(format!("no relationship found between node '{node}' and this object"));
        let allow = |yes: bool| if yes { Decision::Allow(String::new()) } else { unknown() };
        let reads = matches!(attributes.verb, "get" | "list" | "watch");
        let plain = attributes.subresource.is_empty();
        let (namespace, name) = (attributes.namespace, attributes.name);
        match (attributes.group, attributes.resource) {
            ("", "secrets") if reads && plain => {
                allow(!name.is_empty() && self.pod_uses(node, namespace, name, uses_secret))
            }
            ("", "configmaps") if reads && plain => {
                allow(!name.is_empty() && self.pod_uses(node, namespace, name, uses_config_map))
            }
            ("", "persistentvolumeclaims") => {
                let verb = matches!(
                    (attributes.verb, attributes.subresource),
                    ("get", "") | ("get" | "update" | "patch", "status")
                );
                allow(verb && self.pod_uses(node, namespace, name, |pod, name| claims(pod).any(|claim| claim == name)))
            }
            ("", "persistentvolumes") if attributes.verb == "get" && plain => allow(self.volume(node, name)),
            ("", "serviceaccounts") => {
                let token = attributes.verb == "create" && attributes.subresource == "token";
                let get = attributes.verb == "get" && plain;
                allow((token || get) && self.pod_uses(node, namespace, name, uses_account))
            }
            ("coordination.k8s.io", "leases") => {
                let verb = matches!(attributes.verb, "get" | "create" | "update" | "patch" | "delete");
                allow(
                    verb && namespace == "kube-node-lease"
                        && (name == node || attributes.verb == "create" && name.is_empty()),
                )
            }
            ("storage.k8s.io", "csinodes") => {
                let verb = matches!(attributes.verb, "get" | "create" | "update" | "patch" | "delete");
                allow(verb && plain && (name == node || attributes.verb == "create" && name.is_empty()))
            }
            ("storage.k8s.io", "volumeattachments") => {
                allow(attributes.verb == "get" && plain && self.attached(node, name))
            }
            ("", "nodes") if plain => match attributes.verb {
                "create" => Decision::Allow(String::new()),
                "get" | "update" | "patch" | "list" | "watch" => {
                    allow(name == node || name.is_empty() && attributes.verb == "get")
                }
                _ => unknown(),
            },
            ("", "nodes") => allow(
                attributes.subresource == "status"
                    && name == node
                    && matches!(attributes.verb, "get" | "update" | "patch"),
            ),
            ("", "pods") if reads && plain => allow(
                name.is_empty()
                    || self.any_pod(node, |pod| meta::namespace(pod) == namespace && meta::name(pod) == name)
                    || self.free(namespace, name),
            ),
            ("", "pods") => {
                let verb = matches!(
                    (attributes.verb, attributes.subresource),
                    ("create" | "delete", "") | ("update" | "patch", "status") | ("create", "eviction")
                );
                allow(verb)
            }
            ("", "services") | ("node.k8s.io", "runtimeclasses") | ("storage.k8s.io", "csidrivers") => {
                allow(reads && plain)
            }
            ("", "events") | ("events.k8s.io", "events") => {
                allow(matches!(attributes.verb, "create" | "update" | "patch"))
            }
            ("authentication.k8s.io", "tokenreviews")
            | ("authorization.k8s.io", "subjectaccessreviews" | "localsubjectaccessreviews") => {
                allow(attributes.verb == "create")
            }
            ("certificates.k8s.io", "certificatesigningrequests") => {
                allow(plain && matches!(attributes.verb, "create" | "get" | "list" | "watch"))
            }
            _ => Decision::NoOpinion(String::new()),
        }
    }
}

impl NodeAuthorizer {
    /// A pod that is gone may be asked for, so that the kubelet learns it.
    fn free(&self, namespace: &str, name: &str) -> bool {
        self.lookup.object("/registry/pods", namespace, name).is_none()
    }

    fn attached(&self, node: &str, name: &str) -> bool {
        let bytes = self.lookup.object("/registry/volumeattachments", "", name);
        let attachment: Value = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        attachment.pointer("/spec/nodeName").and_then(Value::as_str) == Some(node)
    }
}

fn uses_account(pod: &Value, name: &str) -> bool {
    pod.pointer("/spec/serviceAccountName").and_then(Value::as_str) == Some(name)
}

fn uses_secret(pod: &Value, name: &str) -> bool {
    let is = |value: &Value, path: &str| value.pointer(path).and_then(Value::as_str) == Some(name);
    items(pod, "/spec/imagePullSecrets").any(|reference| is(reference, "/name"))
        || volumes(pod).any(|volume| {
            is(volume, "/secret/secretName")
                || [
                    "azureFile/secretName",
                    "cephfs/secretRef/name",
                    "csi/nodePublishSecretRef/name",
                    "flexVolume/secretRef/name",
                    "iscsi/secretRef/name",
                    "rbd/secretRef/name",
                    "scaleIO/secretRef/name",
                    "storageos/secretRef/name",
                ]
                .iter()
                .any(|path| is(volume, &format!("/{path}")))
        })
        || sources(pod).any(|source| is(source, "/secret/name"))
        || environment(pod, "secretRef", "secretKeyRef", name)
}

fn uses_config_map(pod: &Value, name: &str) -> bool {
    let is = |value: &Value, path: &str| value.pointer(path).and_then(Value::as_str) == Some(name);
    volumes(pod).any(|volume| is(volume, "/configMap/name"))
        || sources(pod).any(|source| is(source, "/configMap/name"))
        || environment(pod, "configMapRef", "configMapKeyRef", name)
}

fn claims(pod: &Value) -> impl Iterator<Item = String> {
    volumes(pod).filter_map(|volume| {
        if let Some(name) = volume.pointer("/persistentVolumeClaim/claimName").and_then(Value::as_str) {
            return Some(name.to_owned());
        }
        volume.get("ephemeral")?;
        Some(format!("{}-{}", meta::name(pod), volume.get("name")?.as_str()?))
    })
}

fn items<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

fn volumes(pod: &Value) -> impl Iterator<Item = &Value> {
    items(pod, "/spec/volumes")
}

fn sources(pod: &Value) -> impl Iterator<Item = &Value> {
    volumes(pod).flat_map(|volume| items(volume, "/projected/sources"))
}

fn environment(pod: &Value, from: &str, key: &str, name: &str) -> bool {
    let named = |value: &Value, path: String| value.pointer(&path).and_then(Value::as_str) == Some(name);
    ["containers", "initContainers", "ephemeralContainers"]
        .iter()
        .flat_map(|list| items(pod, &format!("/spec/{list}")).collect::<Vec<_>>())
        .any(|container| {
            items(container, "/envFrom").any(|source| named(source, format!("/{from}/name")))
                || items(container, "/env").any(|variable| named(variable, format!("/valueFrom/{key}/name")))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::UserInfo;
    use bytes::Bytes;
    use serde_json::json;

    struct OnePod(Value);

    impl Lookup for OnePod {
        fn version(&self, _: &str) -> i64 {
            1
        }
        fn each(&self, storage: &str, visit: &mut dyn FnMut(&[u8])) {
            if storage == "/registry/pods" {
                visit(self.0.to_string().as_bytes());
            }
        }
        fn object(&self, _: &str, _: &str, name: &str) -> Option<Bytes> {
            (name == "p").then(|| Bytes::from(self.0.to_string()))
        }
    }

    #[track_caller]
    fn check(verb: &str, group: &str, resource: &str, name: &str, expected: bool) {
        let pod = json!({"metadata": {"name": "p", "namespace": "a"}, "spec": {"nodeName": "n1", "serviceAccountName": "default", "containers": [{"envFrom": [{"configMapRef": {"name": "c"}}]}], "volumes": [{"secret": {"secretName": "s"}}]}});
        let authorizer = NodeAuthorizer::new(Arc::new(OnePod(pod)));
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let namespace = if resource == "leases" { "kube-node-lease" } else { "a" };
        for (user, expected) in
            [("system:node:n1", expected), ("system:node:n2", expected && matches!(resource, "events" | "services"))]
        {
            let user = UserInfo::new(user, &[NODES_GROUP]);
            let question = Attributes { user: &user, verb, group, resource, subresource, name, namespace, path: "" };
            assert_eq!(
                matches!(authorizer.authorize(&question), Decision::Allow(_)),
                expected,
                "{} {verb} {resource}/{name}",
                user.name
            );
        }
    }

    #[test]
    fn a_kubelet_reaches_what_its_pods_use() {
        check("get", "", "secrets", "s", true);
        check("get", "", "secrets", "t", false);
        check("list", "", "secrets", "", false);
        check("get", "", "configmaps", "c", true);
        check("create", "", "serviceaccounts/token", "default", true);
        check("create", "", "serviceaccounts/token", "admin", false);
        check("patch", "", "nodes/status", "n1", true);
        check("delete", "", "nodes", "n1", false);
        check("update", "coordination.k8s.io", "leases", "n1", true);
        check("create", "", "events", "", true);
        check("list", "", "services", "", true);
        check("list", "apps", "deployments", "", false);
    }
}
