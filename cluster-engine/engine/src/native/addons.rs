//! What is inside every cluster beside the control plane: the cluster DNS, the ingress controller, the provisioner of
//! local volumes, the resource metrics API, and rights.
//!
//! As kubeadm does, the engine creates these objects through the API server once it answers.

mod dns;
mod ingress;
mod local_path;
mod metrics;
mod objects;

pub use dns::cluster_dns;
pub use ingress::ingress_controller;
pub use local_path::local_path;
pub use metrics::metrics_server;
pub use objects::Addon;

use objects::{cluster_role, cluster_role_binding, role, role_binding};
use serde_json::json;

/// The namespace of all that is here.
const NAMESPACE: &str = "kube-system";

/// What the network must see: every kubelet which node has which pods' addresses, every kube-proxy what network policies
/// are about. Upstream's network add-ons bring the same rights with them, since a node's own rights end at its own Node.
pub fn pod_network() -> Vec<Addon> {
    let nodes = json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}]);
    let policies = json!([
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["list", "watch"]},
    ]);
    let group = |kind: &str, name: &str| json!({"apiGroup": objects::RBAC, "kind": kind, "name": name});
    let unlabelled = json!({});
    let granted = |name: &str, rules, subject| {
        [cluster_role(name, &unlabelled, rules), cluster_role_binding(name, &unlabelled, name, &subject)]
    };
    let mut addons = Vec::from(granted("drydock:pod-network", nodes, group("Group", "system:nodes")));
    addons.extend(granted("drydock:network-policy", policies, group("User", "system:kube-proxy")));
    addons
}

/// What the controller manager may do to start add-ons that wait for the first object of a kind.
pub fn activation() -> Vec<Addon> {
    let account = "addon-activation-controller";
    let name = format!("system:controller:{account}");
    let waiting = ["ingress-controller", "local-path-provisioner"];
    let rules = json!([
        {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": waiting, "verbs": ["get", "patch"]},
        {"apiGroups": [""], "resources": ["services"], "resourceNames": waiting, "verbs": ["patch"]},
    ]);
    let unlabelled = json!({});
    vec![role(&name, &unlabelled, rules), role_binding(&name, &unlabelled, &name, account)]
}
