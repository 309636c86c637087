//! The provisioner of local volumes and the cluster's default StorageClass. Its Deployment has no replicas until the
//! controller manager sees the first claim.

use serde_json::json;

use super::super::NODE_IMAGE;
use super::objects::{
    Addon, Workload, account, cluster_role, cluster_role_binding, confined, role, role_binding, service_account,
    tolerations,
};

const NAME: &str = "local-path-provisioner";

/// The objects of the provisioner, in the order in which they are created.
pub fn local_path() -> Vec<Addon> {
    let labels = json!({"app": NAME});
    let pod = json!({
        "serviceAccountName": NAME,
        "priorityClassName": "system-cluster-critical",
        "tolerations": tolerations(),
        "containers": [{
            "name": NAME,
            "image": NODE_IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "command": ["drydock-node", "local-path", format!("--helper-image={NODE_IMAGE}")],
            "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}, "limits": {"memory": "64Mi"}},
            "securityContext": confined(),
        }],
    });
    let workload = Workload {
        name: NAME,
        labels: &labels,
        selector: &labels,
        started_by: Some("persistentvolumeclaims"),
        strategy: json!({"type": "Recreate"}),
        pod,
    };
    vec![
        service_account(NAME, &labels),
        cluster_role(
            NAME,
            &labels,
            json!([
                {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]},
                {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["get", "list", "watch", "update"]},
                {"apiGroups": [""], "resources": ["persistentvolumes"], "verbs": ["get", "list", "watch", "create", "update", "delete"]},
                {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": ["get", "list", "watch"]},
                {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch", "update"]},
            ]),
        ),
        cluster_role_binding(NAME, &labels, NAME, &account(NAME)),
        role(
            NAME,
            &labels,
            json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "create", "delete"]}]),
        ),
        role_binding(NAME, &labels, NAME, NAME),
        Addon {
            collection: "/apis/storage.k8s.io/v1/storageclasses",
            object: json!({
                "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
                "metadata": {
                    "name": "local-path",
                    "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
                },
                "provisioner": "drydock.dev/local-path",
                "reclaimPolicy": "Delete",
                "volumeBindingMode": "WaitForFirstConsumer",
            }),
        },
        workload.deployment(),
    ]
}
