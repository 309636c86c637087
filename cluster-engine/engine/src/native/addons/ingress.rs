//! The ingress controller.

use serde_json::{Value, json};

use super::super::NODE_IMAGE;
use super::objects::{
    Addon, Workload, account, cluster_role, cluster_role_binding, confined, one_more_first, service, service_account,
};

/// The objects of the ingress controller. Its Deployment has no replicas and its Service no load balancer until the
/// controller manager sees the first Ingress and gives it both; so a session without one runs no process for it.
pub fn ingress_controller() -> Vec<Addon> {
    let name = "ingress-controller";
    let right = "system:ingress-controller";
    let labels = json!({"app.kubernetes.io/name": name});
    let unlabelled = json!({});
    let rules = json!([
        {"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingressclasses"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["patch", "update"]},
    ]);
    let class = Addon {
        collection: "/apis/networking.k8s.io/v1/ingressclasses",
        object: json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": {"name": "drydock", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
            "spec": {"controller": "drydock/ingress"},
        }),
    };
    let ports = json!([
        {"name": "http", "port": 80, "targetPort": "http"},
        {"name": "https", "port": 443, "targetPort": "https"},
    ]);
    let workload = Workload {
        name,
        labels: &labels,
        selector: &labels,
        started_by: Some("ingresses.networking.k8s.io"),
        strategy: one_more_first(),
        pod: ingress_pod(name),
    };
    vec![
        service_account(name, &labels),
        cluster_role(right, &unlabelled, rules),
        cluster_role_binding(right, &unlabelled, right, &account(name)),
        class,
        service(name, &labels, json!({"selector": labels, "ports": ports})),
        workload.deployment(),
    ]
}

fn ingress_pod(name: &str) -> Value {
    let probe = |seconds: u32, failures: u32| {
        json!({
            "httpGet": {"path": "/healthz", "port": 10254}, "periodSeconds": seconds, "failureThreshold": failures,
        })
    };
    let mut security = confined();
    security["runAsNonRoot"] = true.into();
    security["runAsUser"] = 65532.into();
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
            "securityContext": security,
        }],
    })
}
