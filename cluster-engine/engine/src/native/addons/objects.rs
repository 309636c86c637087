//! The shapes that the objects of add-ons have in common.

use serde_json::{Value, json};

use super::NAMESPACE;

/// The API group of rights.
pub(super) const RBAC: &str = "rbac.authorization.k8s.io";

/// One object to create: the collection's path and the object.
pub struct Addon {
    /// e.g. `/api/v1/namespaces/kube-system/services`.
    pub collection: &'static str,
    /// The object.
    pub object: Value,
}

/// Metadata; an object without labels has none, rather than an empty map.
fn metadata(name: &str, namespace: Option<&str>, labels: &Value) -> Value {
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    if labels.as_object().is_some_and(|labels| !labels.is_empty()) {
        metadata["labels"] = labels.clone();
    }
    metadata
}

pub(super) fn service_account(name: &str, labels: &Value) -> Addon {
    Addon {
        collection: "/api/v1/namespaces/kube-system/serviceaccounts",
        object: json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(name, Some(NAMESPACE), labels)}),
    }
}

/// A service account of kube-system as the subject of a binding.
pub(super) fn account(name: &str) -> Value {
    json!({"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE})
}

pub(super) fn cluster_role(name: &str, labels: &Value, rules: Value) -> Addon {
    Addon {
        collection: "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        object: json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": metadata(name, None, labels), "rules": rules,
        }),
    }
}

/// Binds a ClusterRole to one subject.
pub(super) fn cluster_role_binding(name: &str, labels: &Value, role: &str, subject: &Value) -> Addon {
    Addon {
        collection: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        object: json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": metadata(name, None, labels),
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [subject],
        }),
    }
}

/// Rights in kube-system alone.
pub(super) fn role(name: &str, labels: &Value, rules: Value) -> Addon {
    Addon {
        collection: "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles",
        object: json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": metadata(name, Some(NAMESPACE), labels), "rules": rules,
        }),
    }
}

/// Binds a Role of kube-system to a service account there.
pub(super) fn role_binding(name: &str, labels: &Value, role: &str, subject: &str) -> Addon {
    Addon {
        collection: "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings",
        object: json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": metadata(name, Some(NAMESPACE), labels),
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": role},
            "subjects": [account(subject)],
        }),
    }
}

pub(super) fn service(name: &str, labels: &Value, spec: Value) -> Addon {
    Addon {
        collection: "/api/v1/namespaces/kube-system/services",
        object: json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata(name, Some(NAMESPACE), labels), "spec": spec,
        }),
    }
}

/// A Deployment of one kind of pod, which `selector` finds. `started_by` names the kind of object whose first one starts
/// it; until then it has no replicas.
pub(super) struct Workload<'a> {
    pub(super) name: &'a str,
    pub(super) labels: &'a Value,
    pub(super) selector: &'a Value,
    pub(super) started_by: Option<&'a str>,
    pub(super) strategy: Value,
    pub(super) pod: Value,
}

impl Workload<'_> {
    pub(super) fn deployment(self) -> Addon {
        let mut metadata = metadata(self.name, Some(NAMESPACE), self.labels);
        if let Some(kind) = self.started_by {
            metadata["annotations"] = json!({"drydock/started-by": kind});
        }
        Addon {
            collection: "/apis/apps/v1/namespaces/kube-system/deployments",
            object: json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
                "spec": {
                    "replicas": u8::from(self.started_by.is_none()),
                    "selector": {"matchLabels": self.selector},
                    "strategy": self.strategy,
                    "template": {"metadata": {"labels": self.selector}, "spec": self.pod},
                },
            }),
        }
    }
}

/// Never fewer than there are: the new pod comes before the old one goes.
pub(super) fn one_more_first() -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}})
}

/// What the tolerations of every addon are: it may run on the control plane's node.
pub(super) fn tolerations() -> Value {
    json!([
        {"key": "CriticalAddonsOnly", "operator": "Exists"},
        {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
    ])
}

/// What an addon's container must not do.
pub(super) fn confined() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": true,
    })
}
