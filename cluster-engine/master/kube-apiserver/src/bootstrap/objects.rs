//! The objects themselves.

use serde_json::{Value, json};

use crate::server::Server;

/// The four namespaces that upstream makes.
pub(super) fn namespaces() -> Vec<Value> {
    ["default", "kube-node-lease", "kube-public", "kube-system"]
        .map(|name| {
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
        })
        .into()
}

/// The two classes of system pods.
pub(super) fn priority_classes() -> Vec<Value> {
    [
        ("system-cluster-critical", 2_000_000_000, "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."),
        ("system-node-critical", 2_000_001_000, "Used for system critical pods that must not be moved from their current node."),
    ]
    .map(|(name, value, description)| {
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value, "description": description})
    })
    .into()
}

/// The `kubernetes` Service and where it leads, and the range its address is from.
pub(super) fn service(server: &Server) -> Vec<Value> {
    let address = server.addresses.first().to_string();
    let port = server.options.secure_port;
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    let mut all = vec![
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
            "spec": {"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
                "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]},
            "status": {"loadBalancer": {}}}),
        crate::addresses::object(&address, "default", "kubernetes"),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "kubernetes"},
            "spec": {"cidrs": [server.addresses.cidr.to_string()]},
            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "", "lastTransitionTime": drydock_api::time::now_rfc3339(), "message": "Kubernetes default Service CIDR is ready"}]}}),
    ];
    if let Some(own) = server.options.advertise_address {
        all.push(json!({"apiVersion": "v1", "kind": "Endpoints",
            "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
            "subsets": [{"addresses": [{"ip": own.to_string()}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}]}));
        all.push(json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": if own.is_ipv4() { "IPv4" } else { "IPv6" },
            "endpoints": [{"addresses": [own.to_string()], "conditions": {"ready": true}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}));
    }
    all
}

/// What extension API servers need to know whom to trust.
pub(super) fn authentication(server: &Server) -> Vec<Value> {
    let options = &server.options;
    let read = |path: &Option<std::path::PathBuf>| path.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
    let mut data = serde_json::Map::new();
    if let Some(ca) = read(&options.client_ca_file) {
        data.insert("client-ca-file".to_owned(), ca.into());
    }
    if let Some(ca) = read(&options.requestheader_client_ca_file) {
        let list = |values: &[String]| Value::String(json!(values).to_string());
        data.insert("requestheader-client-ca-file".to_owned(), ca.into());
        data.insert("requestheader-allowed-names".to_owned(), list(&options.requestheader_allowed_names));
        data.insert("requestheader-username-headers".to_owned(), list(&options.requestheader_username_headers));
        data.insert("requestheader-group-headers".to_owned(), list(&options.requestheader_group_headers));
        data.insert("requestheader-extra-headers-prefix".to_owned(), list(&options.requestheader_extra_headers_prefix));
    }
    let metadata = json!({"name": "extension-apiserver-authentication", "namespace": "kube-system"});
    vec![json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})]
}

/// `existing` with the content of `wanted`, if it differs.
pub(super) fn refreshed(existing: &Value, wanted: &Value) -> Option<Value> {
    let mut merged = existing.clone();
    for (key, value) in wanted.as_object()? {
        if key != "metadata" {
            merged[key.as_str()] = value.clone();
        }
    }
    (merged != *existing).then_some(merged)
}
