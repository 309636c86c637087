//! `nodes` and `runtimeclasses`.

mod validate;

use serde_json::Value;

use super::print::{condition, or_none, text, text_or};
use super::value::{Read as _, at_mut, canonical_quantities, child, default};
use crate::row::{Column, Resource, Subresource};

pub(super) static NODES: Resource = Resource {
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    namespaced: false,
    subresources: &[Subresource::Proxy, Subresource::Status],
    columns: &[
        Column::NAME,
        Column::string("Status", |node, _| Value::String(status(node))).describe("The status of the node"),
        Column::string("Roles", |node, _| or_none(roles(node).join(","))).describe("The roles of the node"),
        Column::AGE,
        Column::string("Version", |node, _| text(node, "status.nodeInfo.kubeletVersion")),
        Column::string("Internal-IP", |node, _| address(node, "InternalIP")).wide(),
        Column::string("External-IP", |node, _| address(node, "ExternalIP")).wide(),
        Column::string("OS-Image", |node, _| text_or(node, "status.nodeInfo.osImage", "<unknown>")).wide(),
        Column::string("Kernel-Version", |node, _| text_or(node, "status.nodeInfo.kernelVersion", "<unknown>")).wide(),
        Column::string("Container-Runtime", |node, _| {
            text_or(node, "status.nodeInfo.containerRuntimeVersion", "<unknown>")
        })
        .wide(),
    ],
    fields: &[("spec.unschedulable", |node| node.flag("spec.unschedulable").to_string())],
    default: default_node,
    prepare_update: super::workload::keep_status,
    validate: validate::create,
    validate_update: validate::update,
    validate_subresource: validate::update,
    warnings: |node, _| {
        let mut warnings = Vec::new();
        if !node.text("spec.externalID").is_empty() {
            warnings.push("spec.externalID: this field is deprecated, and is unused by Kubernetes".to_owned());
        }
        if node.has("spec.configSource") {
            warnings.push("spec.configSource: the feature NodeDynamicKubeletConfig has been removed".to_owned());
        }
        warnings
    },
    // The kubelet registers itself with its status.
    status_on_create: true,
    storage: "/registry/minions",
    ..Resource::BASE
};

pub(super) static RUNTIME_CLASSES: Resource = Resource {
    group: "node.k8s.io",
    kind: "RuntimeClass",
    plural: "runtimeclasses",
    singular: "runtimeclass",
    namespaced: false,
    columns: &[Column::NAME, Column::string("Handler", |object, _| text(object, "handler")), Column::AGE],
    validate: validate::runtime_class,
    validate_update: validate::runtime_class_update,
    warnings: |object, _| {
        let labels = object.entries("scheduling.nodeSelector").into_iter();
        labels
            .filter_map(|(key, _)| {
                super::template::warnings::node_label(key).map(|text| format!("scheduling.nodeSelector[{key}]: {text}"))
            })
            .collect()
    },
    unconditional_update: false,
    storage: "/registry/runtimeclasses",
    ..Resource::BASE
};

/// What `status.nodeInfo` always has.
const NODE_INFO: &[&str] = &[
    "architecture",
    "bootID",
    "containerRuntimeVersion",
    "kernelVersion",
    "kubeProxyVersion",
    "kubeletVersion",
    "machineID",
    "operatingSystem",
    "osImage",
    "systemUUID",
];

/// SetDefaults_NodeStatus, and the two forms of a pod range.
fn default_node(node: &mut Value) {
    if let Some(spec) = child(node, "spec") {
        let first = spec.items("podCIDRs").first().cloned();
        match first {
            None if !spec.text("podCIDR").is_empty() => {
                spec["podCIDRs"] = Value::Array(vec![spec.at("podCIDR").clone()])
            }
            Some(first) if spec.text("podCIDR").is_empty() => spec["podCIDR"] = first,
            _ => {}
        }
    }
    if let Some(status) = child(node, "status") {
        if let Some(endpoint) =
            child(status, "daemonEndpoints").and_then(|endpoints| child(endpoints, "kubeletEndpoint"))
        {
            default(endpoint, "Port", 0);
        }
        if let Some(info) = child(status, "nodeInfo") {
            for key in NODE_INFO {
                default(info, key, "");
            }
        }
        for list in ["capacity", "allocatable"] {
            if let Some(list) = at_mut(status, list) {
                canonical_quantities(list);
            }
        }
        if !status.has("allocatable") && status.has("capacity") {
            status["allocatable"] = status.at("capacity").clone();
        }
    }
}

fn status(node: &Value) -> String {
    let ready = match condition(node, "Ready") {
        "" => "Unknown",
        "True" => "Ready",
        _ => "NotReady",
    };
    if node.flag("spec.unschedulable") { format!("{ready},SchedulingDisabled") } else { ready.to_owned() }
}

fn roles(node: &Value) -> Vec<&str> {
    let mut roles: Vec<&str> = node
        .strings("metadata.labels")
        .into_iter()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None => (key == "kubernetes.io/role").then_some(value),
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    roles
}

fn address(node: &Value, kind: &str) -> Value {
    let found = node.items("status.addresses").iter().find(|address| address.text("type") == kind);
    Value::from(found.map_or("<none>", |address| address.text("address")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells() {
        let node = json!({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "edge", "node-role.kubernetes.io/": ""}},
            "spec": {"unschedulable": true},
            "status": {"conditions": [{"type": "Ready", "status": "Unknown"}], "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}});
        assert_eq!(status(&node), "NotReady,SchedulingDisabled");
        assert_eq!(roles(&node), ["control-plane", "edge"]);
        assert_eq!(address(&node, "InternalIP"), "10.0.0.1");
        assert_eq!(address(&node, "ExternalIP"), "<none>");
        assert_eq!(status(&json!({})), "Unknown");
    }
}
