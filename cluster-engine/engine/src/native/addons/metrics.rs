//! The resource metrics API, served by an API server of its own behind the aggregation layer.

use serde_json::json;

use super::super::NODE_IMAGE;
use super::objects::{
    Addon, Workload, account, cluster_role, cluster_role_binding, confined, role_binding, service, service_account,
    tolerations,
};

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
    let probe = |path: &str, failures: u32, period: u32| {
        json!({
            "httpGet": {"path": path, "port": "https", "scheme": "HTTPS"},
            "failureThreshold": failures, "periodSeconds": period,
        })
    };
    let pod = json!({
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
            "livenessProbe": probe("/livez", 3, 30),
            "startupProbe": probe("/readyz", 60, 1),
            "readinessProbe": probe("/readyz", 3, 10),
            "securityContext": confined(),
        }],
    });
    let ports = json!([{"name": "https", "port": 443, "protocol": "TCP", "targetPort": "https"}]);
    let workload = Workload {
        name: NAME,
        labels: &labels,
        selector: &labels,
        started_by: None,
        strategy: json!({"rollingUpdate": {"maxUnavailable": 0}}),
        pod,
    };
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
        role_binding("metrics-server-auth-reader", &labels, "extension-apiserver-authentication-reader", NAME),
        cluster_role_binding("metrics-server:system:auth-delegator", &labels, "system:auth-delegator", &account(NAME)),
        cluster_role_binding("system:metrics-server", &labels, "system:metrics-server", &account(NAME)),
        service(NAME, &labels, json!({"selector": labels, "ports": ports})),
        workload.deployment(),
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
