//! What is inside every cluster beside the control plane: the cluster DNS, the ingress controller, the provisioner of
//! local volumes, the resource metrics API, and rights.
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

/// What the network must see: every kubelet which node has which pods' addresses, every kube-proxy what network policies
/// are about. Upstream's network add-ons bring the same rights with them, since a node's own rights end at its own Node.
pub fn pod_network() -> Vec<Addon> {
    let nodes = json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}]);
    let policies = json!([
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["list", "watch"]},
    ]);
    let group = |kind: &str, name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
    let mut addons = Vec::from(granted("drydock:pod-network", &nodes, &group("Group", "system:nodes")));
    addons.extend(granted("drydock:network-policy", &policies, &group("User", "system:kube-proxy")));
    addons
}

/// A ClusterRole and its binding to one subject.
fn granted(name: &str, rules: &Value, subject: &Value) -> [Addon; 2] {
    let role = Addon {
        collection: "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        object: json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules,
        }),
    };
    let binding = Addon {
        collection: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        object: json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [subject],
        }),
    };
    [role, binding]
}

/// What the controller manager may do to start add-ons that wait for the first object of a kind.
pub fn activation() -> Vec<Addon> {
    let account = "addon-activation-controller";
    let metadata = json!({"name": format!("system:controller:{account}"), "namespace": "kube-system"});
    let waiting = ["ingress-controller", "local-path-provisioner"];
    vec![
        Addon {
            collection: "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles",
            object: json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata,
                "rules": [
                    {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": waiting, "verbs": ["get", "patch"]},
                    {"apiGroups": [""], "resources": ["services"], "resourceNames": waiting, "verbs": ["patch"]},
                ],
            }),
        },
        Addon {
            collection: "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings",
            object: json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata,
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": metadata["name"]},
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "kube-system"}],
            }),
        },
    ]
}

/// The ingress controller. Its Deployment has no replicas and its Service no load balancer until the controller manager
/// sees the first Ingress and gives it both; so a session without one runs no process for it.
pub fn ingress_controller() -> Vec<Addon> {
    let name = "ingress-controller";
    let labels = json!({"app.kubernetes.io/name": name});
    let metadata = || json!({"name": name, "namespace": "kube-system", "labels": labels});
    let account = json!({"kind": "ServiceAccount", "name": name, "namespace": "kube-system"});
    let rules = json!([
        {"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingressclasses"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["patch", "update"]},
    ]);
    let mut addons = vec![Addon {
        collection: "/api/v1/namespaces/kube-system/serviceaccounts",
        object: json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata()}),
    }];
    addons.extend(granted("system:ingress-controller", &rules, &account));
    addons.extend([
        Addon {
            collection: "/apis/networking.k8s.io/v1/ingressclasses",
            object: json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
                "metadata": {"name": "drydock", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
                "spec": {"controller": "drydock/ingress"},
            }),
        },
        Addon {
            collection: "/api/v1/namespaces/kube-system/services",
            object: json!({
                "apiVersion": "v1", "kind": "Service", "metadata": metadata(),
                "spec": {
                    "selector": labels,
                    "ports": [
                        {"name": "http", "port": 80, "targetPort": "http"},
                        {"name": "https", "port": 443, "targetPort": "https"},
                    ],
                },
            }),
        },
        Addon {
            collection: "/apis/apps/v1/namespaces/kube-system/deployments",
            object: json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {
                    "name": name, "namespace": "kube-system", "labels": labels,
                    "annotations": {"drydock/started-by": "ingresses.networking.k8s.io"},
                },
                "spec": {
                    "replicas": 0,
                    "selector": {"matchLabels": labels},
                    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                    "template": {"metadata": {"labels": labels}, "spec": ingress_pod(name)},
                },
            }),
        },
    ]);
    addons
}

fn ingress_pod(name: &str) -> Value {
    let probe = |seconds: u32, failures: u32| {
        json!({
            "httpGet": {"path": "/healthz", "port": 10254}, "periodSeconds": seconds, "failureThreshold": failures,
        })
    };
    json!({
        "serviceAccountName": name,
        "priorityClassName": "system-cluster-critical",
        "containers": [{
            "name": name,
            "image": NODE_IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "command": [name],
            "ports": [{"name": "http", "containerPort": 8080}, {"name": "https", "containerPort": 8443}],
            "resources": {"requests": {"cpu": "10m", "memory": "8Mi"}, "limits": {"memory": "128Mi"}},
            "startupProbe": probe(1, 60),
            "readinessProbe": probe(10, 3),
            "livenessProbe": probe(20, 5),
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": true,
                "runAsNonRoot": true,
                "runAsUser": 65532,
            },
        }],
    })
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
                                // Every second until it answers, seldom from then on.
                                "startupProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1, "failureThreshold": 60},
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
