//! What runs inside every cluster beside the control plane: the cluster DNS, the provisioner of local volumes and the
//! resource metrics API.
//!
//! As kubeadm does, the engine creates these objects through the API server once it answers.

mod local_path;
mod metrics;

pub use local_path::local_path;
pub use metrics::metrics_server;

use serde_json::{Value, json};

use super::{CLUSTER_DOMAIN, DNS_SERVICE_IP, NODE_IMAGE};

/// One object to create: the collection's path and the object.
pub struct Addon {
    /// e.g. `/api/v1/namespaces/kube-system/services`.
    pub collection: &'static str,
    /// The object.
    pub object: Value,
}

/// What every kubelet's pod network must see: which node has which pods' addresses. Upstream's network add-ons bring the
/// same right with them, since a node's own rights end at its own Node.
pub fn pod_network() -> Vec<Addon> {
    let name = "drydock:pod-network";
    vec![
        Addon {
            collection: "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            object: json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
                "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}],
            }),
        },
        Addon {
            collection: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            object: json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}],
            }),
        },
    ]
}

/// The objects of the cluster DNS, in the order in which they are created.
pub fn cluster_dns() -> Vec<Addon> {
    let labels = json!({"k8s-app": "kube-dns", "kubernetes.io/name": "ClusterDNS"});
    let metadata = |name: &str| json!({"name": name, "namespace": "kube-system", "labels": labels});
    vec![
        Addon {
            collection: "/api/v1/namespaces/kube-system/serviceaccounts",
            object: json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("cluster-dns")}),
        },
        Addon {
            collection: "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            object: json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                "metadata": {"name": "system:cluster-dns"},
                "rules": [
                    {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]},
                    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
                ],
            }),
        },
        Addon {
            collection: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            object: json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": {"name": "system:cluster-dns"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:cluster-dns"},
                "subjects": [{"kind": "ServiceAccount", "name": "cluster-dns", "namespace": "kube-system"}],
            }),
        },
        Addon {
            collection: "/api/v1/namespaces/kube-system/services",
            object: json!({
                "apiVersion": "v1", "kind": "Service", "metadata": metadata("kube-dns"),
                "spec": {
                    "clusterIP": DNS_SERVICE_IP.to_string(),
                    "selector": {"k8s-app": "kube-dns"},
                    "ports": [
                        {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
                        {"name": "dns-tcp", "port": 53, "targetPort": 53, "protocol": "TCP"},
                    ],
                },
            }),
        },
        Addon {
            collection: "/apis/apps/v1/namespaces/kube-system/deployments",
            object: json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata("cluster-dns"),
                "spec": {
                    "replicas": 1,
                    "selector": {"matchLabels": {"k8s-app": "kube-dns"}},
                    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                    "template": {
                        "metadata": {"labels": {"k8s-app": "kube-dns"}},
                        "spec": {
                            "serviceAccountName": "cluster-dns",
                            "priorityClassName": "system-cluster-critical",
                            "dnsPolicy": "Default",
                            "tolerations": [
                                {"key": "CriticalAddonsOnly", "operator": "Exists"},
                                {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
                            ],
                            "containers": [{
                                "name": "cluster-dns",
                                "image": NODE_IMAGE,
                                "imagePullPolicy": "IfNotPresent",
                                "command": ["cluster-dns", format!("--domain={CLUSTER_DOMAIN}"), "--listen=:53"],
                                "ports": [
                                    {"name": "dns", "containerPort": 53, "protocol": "UDP"},
                                    {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
                                ],
                                "resources": {"requests": {"cpu": "10m", "memory": "8Mi"}, "limits": {"memory": "64Mi"}},
                                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 10},
                                "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 20, "failureThreshold": 5},
                                "securityContext": {
                                    "allowPrivilegeEscalation": false,
                                    "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
                                    "readOnlyRootFilesystem": true,
                                },
                            }],
                        },
                    },
                },
            }),
        },
    ]
}

/// What the tolerations of every addon are: it may run on the control plane's node.
fn tolerations() -> Value {
    json!([
        {"key": "CriticalAddonsOnly", "operator": "Exists"},
        {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
    ])
}

/// What an addon's container must not do.
fn confined() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": true,
    })
}

fn service_account(name: &str, labels: &Value) -> Addon {
    Addon {
        collection: "/api/v1/namespaces/kube-system/serviceaccounts",
        object: json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": "kube-system", "labels": labels},
        }),
    }
}

fn cluster_role(name: &str, labels: &Value, rules: Value) -> Addon {
    Addon {
        collection: "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        object: json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": name, "labels": labels}, "rules": rules,
        }),
    }
}

/// Binds a ClusterRole to a service account of kube-system.
fn cluster_role_binding(name: &str, labels: &Value, role: &str, account: &str) -> Addon {
    Addon {
        collection: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        object: json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": name, "labels": labels},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "kube-system"}],
        }),
    }
}
