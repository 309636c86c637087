//! The cluster DNS.

use serde_json::json;

use super::super::{CLUSTER_DOMAIN, DNS_SERVICE_IP, NODE_IMAGE};
use super::objects::{
    Addon, Workload, account, cluster_role, cluster_role_binding, one_more_first, service, service_account, tolerations,
};

/// The objects of the cluster DNS, in the order in which they are created.
pub fn cluster_dns() -> Vec<Addon> {
    let name = "cluster-dns";
    let right = "system:cluster-dns";
    let labels = json!({"k8s-app": "kube-dns", "kubernetes.io/name": "ClusterDNS"});
    let selector = json!({"k8s-app": "kube-dns"});
    let unlabelled = json!({});
    let rules = json!([
        {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]);
    let pod = json!({
        "serviceAccountName": name,
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "tolerations": tolerations(),
        "containers": [{
            "name": name,
            "image": NODE_IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "command": [name, format!("--domain={CLUSTER_DOMAIN}"), "--listen=:53"],
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
    });
    let ports = json!([
        {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "targetPort": 53, "protocol": "TCP"},
    ]);
    let workload =
        Workload { name, labels: &labels, selector: &selector, started_by: None, strategy: one_more_first(), pod };
    vec![
        service_account(name, &labels),
        cluster_role(right, &unlabelled, rules),
        cluster_role_binding(right, &unlabelled, right, &account(name)),
        service(
            "kube-dns",
            &labels,
            json!({"clusterIP": DNS_SERVICE_IP.to_string(), "selector": selector, "ports": ports}),
        ),
        workload.deployment(),
    ]
}
