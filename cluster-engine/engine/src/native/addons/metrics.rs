//! The resource metrics API, served by an API server of its own behind the aggregation layer.

use serde_json::json;

use super::{Addon, NODE_IMAGE, cluster_role, cluster_role_binding, confined, service_account, tolerations};

const NAME: &str = "metrics-server";

/// The objects of the resource metrics API, in the order in which they are created.
pub fn metrics_server() -> Vec<Addon> {
    let labels = json!({"k8s-app": NAME});
    let aggregated = json!({
        "k8s-app": NAME,
        "rbac.authorization.k8s.io/aggregate-to-admin": "true",
        "rbac.authorization.k8s.io/aggregate-to-edit": "true",
        "rbac.authorization.k8s.io/aggregate-to-view": "true",
    });
    vec![
        service_account(NAME, &labels),
        cluster_role(
            "system:aggregated-metrics-reader",
            &aggregated,
            json!([{"apiGroups": ["metrics.k8s.io"], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]}]),
        ),
        cluster_role(
            "system:metrics-server",
            &labels,
            json!([
                {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
                {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
            ]),
        ),
        Addon {
            collection: "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings",
            object: json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": "metrics-server-auth-reader", "namespace": "kube-system", "labels": labels},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io", "kind": "Role",
                    "name": "extension-apiserver-authentication-reader",
                },
                "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": "kube-system"}],
            }),
        },
        cluster_role_binding("metrics-server:system:auth-delegator", &labels, "system:auth-delegator", NAME),
        cluster_role_binding("system:metrics-server", &labels, "system:metrics-server", NAME),
        Addon {
            collection: "/api/v1/namespaces/kube-system/services",
            object: json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"name": NAME, "namespace": "kube-system", "labels": labels},
                "spec": {
                    "selector": labels,
                    "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": "https"}],
                },
            }),
        },
        Addon {
            collection: "/apis/apps/v1/namespaces/kube-system/deployments",
            object: json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": NAME, "namespace": "kube-system", "labels": labels},
                "spec": {
                    "replicas": 1,
                    "selector": {"matchLabels": labels},
                    "strategy": {"rollingUpdate": {"maxUnavailable": 0}},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {
                            "serviceAccountName": NAME,
                            "priorityClassName": "system-cluster-critical",
                            "tolerations": tolerations(),
                            "containers": [{
                                "name": NAME,
                                "image": NODE_IMAGE,
                                "imagePullPolicy": "IfNotPresent",
                                // Kubelets make their serving certificates themselves.
                                "command": ["drydock-node", "metrics-server", "--secure-port=10250", "--kubelet-insecure-tls"],
                                "ports": [{"name": "https", "containerPort": 10250, "protocol": "TCP"}],
                                "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}, "limits": {"memory": "64Mi"}},
                                "livenessProbe": {
                                    "httpGet": {"path": "/livez", "port": "https", "scheme": "HTTPS"},
                                    "failureThreshold": 3, "periodSeconds": 30,
                                },
                                "startupProbe": {
                                    "httpGet": {"path": "/readyz", "port": "https", "scheme": "HTTPS"},
                                    "failureThreshold": 60, "periodSeconds": 1,
                                },
                                "readinessProbe": {
                                    "httpGet": {"path": "/readyz", "port": "https", "scheme": "HTTPS"},
                                    "failureThreshold": 3, "periodSeconds": 10,
                                },
                                "securityContext": confined(),
                            }],
                        },
                    },
                },
            }),
        },
        Addon {
            collection: "/apis/apiregistration.k8s.io/v1/apiservices",
            object: json!({
                "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                "metadata": {"name": "v1beta1.metrics.k8s.io", "labels": labels},
                "spec": {
                    "group": "metrics.k8s.io",
                    "version": "v1beta1",
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "insecureSkipTLSVerify": true,
                    "service": {"name": NAME, "namespace": "kube-system"},
                },
            }),
        },
    ]
}
