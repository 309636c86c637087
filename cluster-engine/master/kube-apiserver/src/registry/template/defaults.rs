//! Defaults of pod specs and templates (`pkg/apis/core/v1/defaults.go`).

use serde_json::{Value, json};

use crate::registry::value::{
    Read as _, at_mut, canonical_quantities, child, default, default_int, default_text, items_mut,
};

/// The three lists of containers of a pod spec.
pub(in crate::registry) const CONTAINER_LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Defaults the template at `key` of `owner`: metadata and spec.
pub(in crate::registry) fn template(owner: &mut Value, key: &str) {
    if let Some(template) = child(owner, key) {
        child(template, "metadata");
        if let Some(spec) = child(template, "spec") {
            pod_spec(spec);
        }
    }
}

/// Defaults a pod spec as part of a template.
pub(in crate::registry) fn pod_spec(spec: &mut Value) {
    default_text(spec, "dnsPolicy", "ClusterFirst");
    default_text(spec, "restartPolicy", "Always");
    default_text(spec, "schedulerName", "default-scheduler");
    default(spec, "terminationGracePeriodSeconds", 30);
    child(spec, "securityContext");
    service_account_alias(spec);
    for volume in items_mut(spec, "volumes") {
        self::volume(volume);
    }
    for list in CONTAINER_LISTS {
        for container in items_mut(spec, list) {
            self::container(container);
        }
    }
    if let Some(resources) = at_mut(spec, "resources") {
        resource_lists(resources);
    }
    if let Some(overhead) = at_mut(spec, "overhead") {
        canonical_quantities(overhead);
    }
}

/// What only pods get, not templates.
pub(in crate::registry) fn pod(spec: &mut Value) {
    for list in ["containers", "initContainers"] {
        for container in items_mut(spec, list) {
            requests_from_limits(container);
        }
    }
    if spec.has("resources") {
        pod_requests(spec);
    }
    default(spec, "enableServiceLinks", true);
    if spec.flag("hostNetwork") {
        for list in ["containers", "initContainers"] {
            for container in items_mut(spec, list) {
                for port in items_mut(container, "ports") {
                    if port.int("hostPort").unwrap_or(0) == 0 {
                        port["hostPort"] = port.at("containerPort").clone();
                    }
                }
            }
        }
    }
}

/// `serviceAccount` is the old name of `serviceAccountName`; both are always written.
fn service_account_alias(spec: &mut Value) {
    let name = match spec.text("serviceAccountName") {
        "" => spec.text("serviceAccount"),
        name => name,
    }
    .to_owned();
    if !name.is_empty() {
        spec["serviceAccountName"] = json!(name);
        spec["serviceAccount"] = json!(name);
    }
}

fn container(container: &mut Value) {
    let image = container.text("image").to_owned();
    default_text(container, "imagePullPolicy", pull_policy(&image));
    default_text(container, "terminationMessagePath", "/dev/termination-log");
    default_text(container, "terminationMessagePolicy", "File");
    if let Some(resources) = child(container, "resources") {
        resource_lists(resources);
    }
    for port in items_mut(container, "ports") {
        default_text(port, "protocol", "TCP");
    }
    for env in items_mut(container, "env") {
        if let Some(field) = at_mut(env, "valueFrom.fieldRef") {
            default_text(field, "apiVersion", "v1");
        }
        if let Some(resource) = at_mut(env, "valueFrom.resourceFieldRef") {
            default(resource, "divisor", "0");
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = at_mut(container, name) {
            self::probe(probe);
        }
    }
    for handler in ["lifecycle.postStart.httpGet", "lifecycle.preStop.httpGet"] {
        if let Some(action) = at_mut(container, handler) {
            http_get(action);
        }
    }
}

fn probe(probe: &mut Value) {
    default_int(probe, "timeoutSeconds", 1);
    default_int(probe, "periodSeconds", 10);
    default_int(probe, "successThreshold", 1);
    default_int(probe, "failureThreshold", 3);
    if let Some(action) = at_mut(probe, "httpGet") {
        http_get(action);
    }
    if let Some(action) = at_mut(probe, "grpc") {
        default(action, "service", "");
    }
}

fn http_get(action: &mut Value) {
    default_text(action, "path", "/");
    default_text(action, "scheme", "HTTP");
}

/// `Always` for images without a tag or with `latest`, else `IfNotPresent`.
pub(in crate::registry) fn pull_policy(image: &str) -> &'static str {
    if image.contains('@') {
        return "IfNotPresent";
    }
    let last = image.rsplit('/').next().unwrap_or("");
    match last.split_once(':') {
        Some((_, tag)) if tag != "latest" => "IfNotPresent",
        // A reference that does not parse gives no tag.
        _ if image.is_empty() || last.chars().any(|c| c.is_ascii_uppercase()) => "IfNotPresent",
        _ => "Always",
    }
}

/// Canonical quantities of limits and requests.
pub(in crate::registry) fn resource_lists(resources: &mut Value) {
    for key in ["limits", "requests"] {
        if let Some(list) = at_mut(resources, key) {
            canonical_quantities(list);
        }
    }
}

fn requests_from_limits(container: &mut Value) {
    let limits: Vec<(String, Value)> =
        container.entries("resources.limits").into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
    if limits.is_empty() {
        return;
    }
    if let Some(requests) = child(container, "resources").and_then(|resources| child(resources, "requests")) {
        for (key, value) in limits {
            default(requests, &key, value);
        }
    }
}

/// Pod-level requests: from the containers' requests where all give one, else from the pod's limit.
fn pod_requests(spec: &mut Value) {
    let limits: Vec<(String, Value)> =
        spec.entries("resources.limits").into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
    for (key, limit) in limits {
        if spec.at("resources.requests").get(&key).is_some() {
            continue;
        }
        let sum = super::super::quota_math::container_requests(spec, &key);
        let value = sum.map_or(limit, |sum| Value::String(sum.to_string()));
        if let Some(requests) = child(spec, "resources").and_then(|resources| child(resources, "requests")) {
            requests[&key] = value;
        }
    }
}

fn volume(volume: &mut Value) {
    let has_source =
        volume.as_object().is_some_and(|map| map.iter().any(|(key, value)| key != "name" && !value.is_null()));
    if !has_source {
        volume["emptyDir"] = json!({});
    }
    for key in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = at_mut(volume, key) {
            default(source, "defaultMode", 0o644);
        }
    }
    if let Some(source) = at_mut(volume, "hostPath") {
        default(source, "type", "");
    }
    if let Some(image) = at_mut(volume, "image") {
        let policy = pull_policy(image.text("reference"));
        default_text(image, "pullPolicy", policy);
    }
    if let Some(directory) = at_mut(volume, "emptyDir")
        && let Some(limit) = crate::registry::value::quantity(directory.at("sizeLimit"))
    {
        directory["sizeLimit"] = Value::String(limit.to_string());
    }
    downward_items(volume, "downwardAPI.items");
    for source in items_mut(volume, "projected.sources") {
        if let Some(token) = at_mut(source, "serviceAccountToken") {
            default(token, "expirationSeconds", 3600);
        }
        if let Some(certificate) = at_mut(source, "podCertificate") {
            default(certificate, "maxExpirationSeconds", 86400);
        }
        downward_items(source, "downwardAPI.items");
    }
    if let Some(claim) = at_mut(volume, "ephemeral.volumeClaimTemplate.spec") {
        default(claim, "volumeMode", "Filesystem");
        if let Some(resources) = child(claim, "resources") {
            resource_lists(resources);
        }
    }
    volume_sources(volume);
}

fn downward_items(owner: &mut Value, path: &str) {
    for item in items_mut(owner, path) {
        if let Some(field) = at_mut(item, "fieldRef") {
            default_text(field, "apiVersion", "v1");
        }
        if let Some(resource) = at_mut(item, "resourceFieldRef") {
            default(resource, "divisor", "0");
        }
    }
}

/// Defaults of the old network volumes, the same in pods and PersistentVolumes.
pub(in crate::registry) fn volume_sources(owner: &mut Value) {
    if let Some(source) = at_mut(owner, "iscsi") {
        default_text(source, "iscsiInterface", "default");
    }
    if let Some(source) = at_mut(owner, "rbd") {
        default_text(source, "pool", "rbd");
        default_text(source, "user", "admin");
        default_text(source, "keyring", "/etc/ceph/keyring");
    }
    if let Some(source) = at_mut(owner, "azureDisk") {
        default(source, "cachingMode", "ReadWrite");
        default(source, "kind", "Shared");
        default(source, "fsType", "ext4");
        default(source, "readOnly", false);
    }
    if let Some(source) = at_mut(owner, "scaleIO") {
        default_text(source, "storageMode", "ThinProvisioned");
        default_text(source, "fsType", "xfs");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pull_policies() {
        for (image, policy) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.27", "IfNotPresent"),
            ("localhost:5000/nginx", "Always"),
            ("localhost:5000/nginx:1", "IfNotPresent"),
            ("nginx@sha256:0000000000000000000000000000000000000000000000000000000000000000", "IfNotPresent"),
            ("Nginx", "IfNotPresent"),
            ("", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }

    #[test]
    fn a_small_pod_spec_gets_upstreams_defaults() {
        let mut spec = json!({"containers": [{"name": "a", "image": "nginx:1", "ports": [{"containerPort": 80}],
                "livenessProbe": {"httpGet": {"port": 80}}, "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}}}],
            "volumes": [{"name": "v"}, {"name": "s", "secret": {"secretName": "x"}}],
            "serviceAccount": "robot"});
        pod_spec(&mut spec);
        assert_eq!(
            spec,
            json!({"containers": [{"name": "a", "image": "nginx:1", "ports": [{"containerPort": 80, "protocol": "TCP"}],
                    "livenessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10,
                        "successThreshold": 1, "failureThreshold": 3},
                    "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}, "imagePullPolicy": "IfNotPresent",
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}],
                "volumes": [{"name": "v", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "x", "defaultMode": 420}}],
                "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
                "terminationGracePeriodSeconds": 30, "securityContext": {}, "serviceAccount": "robot", "serviceAccountName": "robot"})
        );
        let once = spec.clone();
        pod_spec(&mut spec);
        assert_eq!(spec, once, "defaulting twice changes nothing");
    }

    #[test]
    fn pods_get_requests_links_and_host_ports() {
        let mut spec = json!({"hostNetwork": true, "containers": [{"ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}}]});
        pod(&mut spec);
        assert_eq!(spec["containers"][0]["resources"]["requests"], json!({"cpu": "500m", "memory": "1Gi"}));
        assert_eq!(spec["containers"][0]["ports"][0]["hostPort"], 80);
        assert_eq!(spec["enableServiceLinks"], true);
    }
}
