//! Which objects are the learner's own, and what of them they wrote themselves: not what the cluster added.

use serde_json::{Map, Value, json};

/// Groups that hold nothing that anybody would apply elsewhere.
pub(super) const IS_OF_MACHINES: [&str; 7] = [
    "authentication.k8s.io",
    "authorization.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "metrics.k8s.io",
];

/// Kinds that controllers and nodes write.
pub(super) const IS_MADE_BY_CONTROLLERS: [&str; 15] = [
    "Event",
    "Endpoints",
    "EndpointSlice",
    "Node",
    "ComponentStatus",
    "ControllerRevision",
    "CSINode",
    "CSIStorageCapacity",
    "VolumeAttachment",
    "APIService",
    "CertificateSigningRequest",
    "IPAddress",
    "ServiceCIDR",
    "ResourceSlice",
    "Lease",
];

/// Objects that every cluster of ours has.
const OF_THE_CLUSTER: [(&str, &str); 12] = [
    ("Namespace", "default"),
    ("ServiceAccount", "default"),
    ("ConfigMap", "kube-root-ca.crt"),
    ("Service", "kubernetes"),
    ("StorageClass", "local-path"),
    ("IngressClass", "drydock"),
    ("ClusterRole", "local-path-provisioner"),
    ("ClusterRoleBinding", "local-path-provisioner"),
    ("ClusterRole", "ingress-controller"),
    ("ClusterRoleBinding", "ingress-controller"),
    ("ClusterRole", "drydock-ingress"),
    ("ClusterRoleBinding", "drydock-ingress"),
];

/// Annotations that tools and controllers write for themselves.
const ANNOTATIONS: [&str; 8] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/selected-node",
];

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn is_of_system(name: &str) -> bool {
    ["kube-", "system:", "system-", "drydock:"].iter().any(|prefix| name.starts_with(prefix))
}

/// Whether the learner made it.
pub(super) fn is_own(kind: &str, object: &Value) -> bool {
    let (name, namespace) = (text(object, "/metadata/name"), text(object, "/metadata/namespace"));
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let made_by_other = owners.is_some_and(|owners| owners.iter().any(|owner| owner["controller"] == true));
    let label = |label: &str| object["metadata"]["labels"].get(label).is_some();
    let cluster_wide = namespace.is_empty();
    !(made_by_other
        || namespace.starts_with("kube-")
        || cluster_wide && is_of_system(name)
        || OF_THE_CLUSTER.contains(&(kind, name))
        || object["metadata"].get("deletionTimestamp").is_some()
        || label("kubernetes.io/bootstrapping")
        || label("kubernetes.io/cluster-service")
        || cluster_wide && (label("k8s-app") || label("addonmanager.kubernetes.io/mode"))
        || kind == "Secret" && text(object, "/type") == "kubernetes.io/service-account-token"
        || kind == "PersistentVolume"
            && !text(object, "/metadata/annotations/pv.kubernetes.io~1provisioned-by").is_empty())
}

/// Leaves what can be applied to another cluster.
pub(super) fn clean(object: &mut Value) {
    let kind = text(object, "/kind").to_owned();
    let Some(all) = object.as_object_mut() else { return };
    all.remove("status");
    if let Some(metadata) = all.get_mut("metadata").and_then(Value::as_object_mut) {
        for key in
            ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "generateName"]
        {
            metadata.remove(key);
        }
        // What they name has another identity elsewhere.
        metadata.remove("ownerReferences");
        metadata.remove("finalizers");
        clean_map(metadata, "annotations", |key| ANNOTATIONS.contains(&key));
        if kind == "Namespace" {
            clean_map(metadata, "labels", |key| key == "kubernetes.io/metadata.name");
        }
        if kind == "Job" {
            clean_map(metadata, "labels", is_of_job);
        }
    }
    // Of custom resources nobody here knows what is a default.
    let version = all.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let known =
        !version.split('/').next().unwrap_or_default().contains('.') || version.starts_with("networking.k8s.io/");
    if let Some(spec) = all.get_mut("spec").filter(|_| known) {
        drop_defaults(spec, &defaults());
    }
    let Some(spec) = all.get_mut("spec").and_then(Value::as_object_mut) else { return };
    match kind.as_str() {
        "Service" => {
            // A Service without an address has none on purpose.
            if spec.get("clusterIP").and_then(Value::as_str) != Some("None") {
                spec.remove("clusterIP");
                spec.remove("clusterIPs");
            }
            spec.remove("healthCheckNodePort");
        }
        "Namespace" => {
            all.remove("spec");
            return;
        }
        "PersistentVolumeClaim" => {
            spec.remove("volumeName");
        }
        "PersistentVolume" => {
            spec.remove("claimRef");
        }
        "Job" if spec.get("manualSelector") != Some(&Value::Bool(true)) => {
            spec.remove("selector");
            if let Some(metadata) = spec.get_mut("template").and_then(|it| it["metadata"].as_object_mut()) {
                clean_map(metadata, "labels", is_of_job);
            }
        }
        "Pod" => clean_pod(spec),
        _ => {}
    }
    for path in ["/spec/template/metadata", "/spec/jobTemplate/spec/template/metadata", "/spec/jobTemplate/metadata"] {
        if let Some(metadata) = object.pointer_mut(path).and_then(Value::as_object_mut) {
            metadata.remove("creationTimestamp");
        }
    }
}

/// What the API server writes where nobody said anything.
fn defaults() -> [(&'static str, Value); 16] {
    let quarters = json!({"maxSurge": "25%", "maxUnavailable": "25%"});
    [
        ("terminationMessagePath", json!("/dev/termination-log")),
        ("terminationMessagePolicy", json!("File")),
        ("schedulerName", json!("default-scheduler")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("progressDeadlineSeconds", json!(600)),
        ("revisionHistoryLimit", json!(10)),
        ("strategy", json!({"type": "RollingUpdate", "rollingUpdate": quarters})),
        ("resources", json!({})),
        ("securityContext", json!({})),
        ("sessionAffinity", json!("None")),
        ("internalTrafficPolicy", json!("Cluster")),
        ("ipFamilyPolicy", json!("SingleStack")),
        ("ipFamilies", json!(["IPv4"])),
        ("preemptionPolicy", json!("PreemptLowerPriority")),
    ]
}

/// Removes what would be the same without being said.
fn drop_defaults(value: &mut Value, defaults: &[(&str, Value)]) {
    match value {
        Value::Object(map) => {
            map.retain(|key, value| !defaults.iter().any(|(name, default)| name == key && default == value));
            map.values_mut().for_each(|value| drop_defaults(value, defaults));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| drop_defaults(value, defaults)),
        _ => {}
    }
}

fn is_of_job(label: &str) -> bool {
    matches!(label, "controller-uid" | "job-name") || label.starts_with("batch.kubernetes.io/")
}

/// Removes some keys of a map, and the map when nothing is left.
fn clean_map(parent: &mut Map<String, Value>, name: &str, unwanted: impl Fn(&str) -> bool) {
    let Some(map) = parent.get_mut(name).and_then(Value::as_object_mut) else { return };
    map.retain(|key, _| !unwanted(key));
    if map.is_empty() {
        parent.remove(name);
    }
}

/// A pod of nobody: where it ran, and what the service account's admission added, belong to the old cluster.
fn clean_pod(spec: &mut Map<String, Value>) {
    spec.remove("nodeName");
    let is_token = |value: &Value| text(value, "/name").starts_with("kube-api-access-");
    let drop_tokens = |value: Option<&mut Value>| {
        if let Some(list) = value.and_then(Value::as_array_mut) {
            list.retain(|it| !is_token(it));
        }
    };
    drop_tokens(spec.get_mut("volumes"));
    if let Some(tolerations) = spec.get_mut("tolerations").and_then(Value::as_array_mut) {
        tolerations.retain(|it| {
            !(it.get("tolerationSeconds").is_some()
                && matches!(text(it, "/key"), "node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable"))
        });
    }
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            drop_tokens(container.get_mut("volumeMounts"));
            if let Some(container) = container.as_object_mut() {
                container.retain(|key, value| key != "volumeMounts" || value != &Value::Array(Vec::new()));
            }
        }
    }
    spec.retain(|key, value| !matches!(key.as_str(), "volumes" | "tolerations") || value != &Value::Array(Vec::new()));
}

/// What others need comes first: definitions, namespaces, accounts and configuration, then what uses them.
pub(super) fn order(object: &Value) -> (usize, String, String, String) {
    const FIRST: [&str; 16] = [
        "CustomResourceDefinition",
        "Namespace",
        "PriorityClass",
        "StorageClass",
        "IngressClass",
        "ResourceQuota",
        "LimitRange",
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "Secret",
        "ConfigMap",
        "PersistentVolume",
        "PersistentVolumeClaim",
    ];
    let kind = text(object, "/kind");
    let rank = FIRST.iter().position(|first| *first == kind).unwrap_or(FIRST.len());
    let owned = |pointer| text(object, pointer).to_owned();
    (rank, owned("/metadata/namespace"), kind.to_owned(), owned("/metadata/name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, object: Value, own: bool) {
        assert_eq!(is_own(kind, &object), own, "{kind} {object}");
    }

    #[test]
    fn what_is_the_learners_own() {
        let named = |namespace: &str, name: &str| json!({"metadata": {"namespace": namespace, "name": name}});
        check("Deployment", named("default", "web"), true);
        check("Deployment", named("kube-system", "coredns"), false);
        check("Namespace", named("", "shop"), true);
        for name in ["default", "kube-system", "kube-node-lease"] {
            check("Namespace", named("", name), false);
        }
        check("ServiceAccount", named("shop", "default"), false);
        check("ServiceAccount", named("shop", "builder"), true);
        check("ConfigMap", named("shop", "kube-root-ca.crt"), false);
        check("ConfigMap", named("shop", "kube-like"), true);
        check("ClusterRole", named("", "system:node"), false);
        check("ClusterRole", named("", "reader"), true);
        check("PriorityClass", named("", "system-node-critical"), false);
        check(
            "ClusterRole",
            json!({"metadata": {"name": "admin", "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}}),
            false,
        );
        let owned =
            json!({"metadata": {"namespace": "default", "name": "web-1", "ownerReferences": [{"controller": true}]}});
        check("Pod", owned, false);
        check("Secret", json!({"metadata": {"name": "a"}, "type": "kubernetes.io/service-account-token"}), false);
        check("Pod", json!({"metadata": {"name": "a", "namespace": "b", "deletionTimestamp": "now"}}), false);
    }

    #[test]
    fn what_the_cluster_added_goes() {
        let mut service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "namespace": "default", "uid": "u", "resourceVersion": "7", "annotations":
                {"kubectl.kubernetes.io/last-applied-configuration": "{}"}, "labels": {"app": "web"}},
            "spec": {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"], "ports": [{"port": 80}]},
            "status": {"loadBalancer": {}},
        });
        clean(&mut service);
        let metadata = json!({"name": "web", "namespace": "default", "labels": {"app": "web"}});
        let wanted =
            json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}});
        assert_eq!(service, wanted);
        let mut deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
            "replicas": 2, "revisionHistoryLimit": 10, "template": {"spec": {"restartPolicy": "Always",
            "containers": [{"name": "c", "resources": {}, "imagePullPolicy": "IfNotPresent"}]}},
        }});
        clean(&mut deployment);
        let container = json!({"name": "c", "imagePullPolicy": "IfNotPresent"});
        let wanted = json!({"replicas": 2, "template": {"spec": {"containers": [container]}}});
        assert_eq!(deployment["spec"], wanted);
        let mut custom = json!({"apiVersion": "shop.example/v1", "kind": "Till", "spec": {"resources": {}}});
        clean(&mut custom);
        assert_eq!(custom["spec"], json!({"resources": {}}), "of those nobody knows the defaults");
        let mut headless =
            json!({"kind": "Service", "metadata": {}, "spec": {"clusterIP": "None", "clusterIPs": ["None"]}});
        clean(&mut headless);
        assert_eq!(headless["spec"]["clusterIP"], "None");
        let mut pod = json!({"kind": "Pod", "metadata": {"name": "a"}, "spec": {
            "nodeName": "worker-1", "volumes": [{"name": "kube-api-access-x"}],
            "containers": [{"name": "c", "volumeMounts": [{"name": "kube-api-access-x"}, {"name": "own"}]}],
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "tolerationSeconds": 300}],
        }});
        clean(&mut pod);
        assert_eq!(pod["spec"], json!({"containers": [{"name": "c", "volumeMounts": [{"name": "own"}]}]}));
        let mut job = json!({"kind": "Job", "metadata": {"name": "j", "labels": {"job-name": "j", "a": "b"}}, "spec": {
            "selector": {}, "template": {"metadata": {"labels": {"controller-uid": "u"}}, "spec": {}},
        }});
        clean(&mut job);
        assert_eq!(job["metadata"]["labels"], json!({"a": "b"}));
        assert_eq!(job["spec"], json!({"template": {"metadata": {}, "spec": {}}}));
        let mut namespace = json!({"kind": "Namespace", "metadata": {"name": "n", "labels":
            {"kubernetes.io/metadata.name": "n"}}, "spec": {"finalizers": ["kubernetes"]}});
        clean(&mut namespace);
        assert_eq!(namespace, json!({"kind": "Namespace", "metadata": {"name": "n"}}));
    }

    #[test]
    fn what_is_needed_comes_first() {
        let object = |kind: &str, name: &str| json!({"kind": kind, "metadata": {"name": name}});
        let mut all = [object("Deployment", "a"), object("ConfigMap", "b"), object("Namespace", "z")];
        all.sort_by_key(order);
        assert_eq!(all.map(|it| text(&it, "/kind").to_owned()), ["Namespace", "ConfigMap", "Deployment"]);
    }
}
