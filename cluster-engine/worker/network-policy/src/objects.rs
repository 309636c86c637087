//! What policies are made of, as far as it is read here.

use std::net::Ipv4Addr;

use drydock_api::meta::{LabelSelector, ObjectMeta, null_as_default};
use drydock_client::object;
use drydock_client::types::IntOrString;
use serde::Deserialize;

/// A NetworkPolicy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NetworkPolicy {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: PolicySpec,
}

object!(NetworkPolicy, "networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", namespaced);

/// For which pods, and what they may do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicySpec {
    /// Pods of the policy's namespace; empty means all of them.
    #[serde(deserialize_with = "null_as_default")]
    pub pod_selector: LabelSelector,
    /// `Ingress`, `Egress`; the API server fills it in.
    #[serde(deserialize_with = "null_as_default")]
    pub policy_types: Vec<String>,
    /// Who may connect to the pods.
    #[serde(deserialize_with = "null_as_default")]
    pub ingress: Vec<PolicyRule>,
    /// Where the pods may connect to.
    #[serde(deserialize_with = "null_as_default")]
    pub egress: Vec<PolicyRule>,
}

/// What is allowed: any of the peers on any of the ports; none of either means all.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PolicyRule {
    /// The other side; `from` in ingress rules, `to` in egress rules.
    #[serde(alias = "from", alias = "to", deserialize_with = "null_as_default")]
    pub peers: Vec<Peer>,
    /// The destination's ports.
    #[serde(deserialize_with = "null_as_default")]
    pub ports: Vec<Port>,
}

/// The other side of a connection.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Peer {
    /// Pods of the policy's namespace, or of those that `namespace_selector` selects.
    pub pod_selector: Option<LabelSelector>,
    /// Namespaces.
    pub namespace_selector: Option<LabelSelector>,
    /// Addresses.
    pub ip_block: Option<IpBlock>,
}

/// Addresses without some of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IpBlock {
    /// A network such as `10.0.0.0/8`.
    pub cidr: String,
    /// Networks inside it that are not meant.
    #[serde(deserialize_with = "null_as_default")]
    pub except: Vec<String>,
}

/// Ports of the destination.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Port {
    /// `TCP` (also if unset), `UDP` or `SCTP`.
    pub protocol: Option<String>,
    /// A number, or the name of a container's port; unset means all.
    pub port: Option<IntOrString>,
    /// The last of a range that begins with `port`.
    pub end_port: Option<i32>,
}

/// A pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// Where it runs and which ports have names.
    pub spec: PodSpec,
    /// Its address.
    pub status: PodStatus,
}

object!(Pod, "", "v1", "Pod", "pods", namespaced, trim);

/// The part of a pod's spec that matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// The node.
    pub node_name: String,
    /// Shares the node's addresses: no policy is about it.
    pub host_network: bool,
    /// Containers.
    #[serde(deserialize_with = "null_as_default")]
    pub containers: Vec<Container>,
    /// Containers that begin before, sidecars among them.
    #[serde(deserialize_with = "null_as_default")]
    pub init_containers: Vec<Container>,
}

/// A container's ports.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Ports.
    #[serde(deserialize_with = "null_as_default")]
    pub ports: Vec<ContainerPort>,
}

/// A port.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// Its name, perhaps empty.
    pub name: String,
    /// Its number.
    pub container_port: i32,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
}

/// The part of a pod's status that matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Succeeded` and `Failed` have no address any more.
    pub phase: String,
    /// Its address.
    #[serde(rename = "podIP")]
    pub pod_ip: String,
}

fn trim(pod: &mut Pod) {
    pod.metadata.annotations.clear();
    pod.metadata.owner_references = Vec::new();
    pod.metadata.finalizers = Vec::new();
    for container in pod.spec.containers.iter_mut().chain(&mut pod.spec.init_containers) {
        container.ports.retain(|port| !port.name.is_empty());
    }
    pod.spec.containers.retain(|container| !container.ports.is_empty());
    pod.spec.init_containers.retain(|container| !container.ports.is_empty());
}

impl Pod {
    /// The address that is its own; none before it has one, after its end, and on the host's network.
    pub fn address(&self) -> Option<Ipv4Addr> {
        let over = matches!(self.status.phase.as_str(), "Succeeded" | "Failed");
        (!over && !self.spec.host_network).then(|| self.status.pod_ip.parse().ok()).flatten()
    }

    /// All ports that have a name.
    pub fn named_ports(&self) -> impl Iterator<Item = &ContainerPort> {
        let containers = self.spec.containers.iter().chain(&self.spec.init_containers);
        containers.flat_map(|container| &container.ports).filter(|port| !port.name.is_empty())
    }
}
