//! Services and what they lead to.

use drydock_api::meta::{ObjectMeta, null_as_default};
use serde::{Deserialize, Serialize};

use super::{IntOrString, ObjectRef, StringMap};
use crate::object;

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: ServiceSpec,
    /// What is.
    pub status: ServiceStatus,
}

object!(Service, "", "v1", "Service", "services", namespaced);

/// A service's wanted state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its address, `None` for a headless service, empty for ExternalName.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: String,
    /// All its addresses.
    #[serde(rename = "clusterIPs", deserialize_with = "null_as_default")]
    pub cluster_ips: Vec<String>,
    /// Further addresses that lead to it.
    #[serde(rename = "externalIPs", deserialize_with = "null_as_default")]
    pub external_ips: Vec<String>,
    /// The name an ExternalName service stands for.
    pub external_name: String,
    /// Which pods; none if empty.
    #[serde(deserialize_with = "null_as_default")]
    pub selector: StringMap,
    /// Ports.
    #[serde(deserialize_with = "null_as_default")]
    pub ports: Vec<ServicePort>,
    /// `None` or `ClientIP`.
    pub session_affinity: String,
    /// How long a client stays with a pod.
    pub session_affinity_config: Option<SessionAffinityConfig>,
    /// `Cluster` or `Local`, for traffic from outside.
    pub external_traffic_policy: String,
    /// `Cluster` or `Local`, for traffic from inside.
    pub internal_traffic_policy: Option<String>,
    /// Preference among endpoints (`PreferSameZone`, `PreferSameNode`).
    pub traffic_distribution: Option<String>,
    /// The port that tells a load balancer whether this node has endpoints.
    pub health_check_node_port: i32,
    /// Who is to give it a load balancer; unset means whoever does so in this cluster.
    pub load_balancer_class: Option<String>,
    /// The address that its load balancer should have.
    #[serde(rename = "loadBalancerIP")]
    pub load_balancer_ip: String,
    /// Who may come through a load balancer.
    #[serde(deserialize_with = "null_as_default")]
    pub load_balancer_source_ranges: Vec<String>,
    /// Addresses of pods that are not ready count too.
    pub publish_not_ready_addresses: bool,
    /// `IPv4`, `IPv6`.
    #[serde(deserialize_with = "null_as_default")]
    pub ip_families: Vec<String>,
}

/// How long a client stays with a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionAffinityConfig {
    /// By its address.
    #[serde(rename = "clientIP")]
    pub client_ip: Option<ClientIpConfig>,
}

/// How long a client's address is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientIpConfig {
    /// Seconds.
    pub timeout_seconds: Option<i32>,
}

/// A service's port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// Its name; may be empty if it is the only one.
    pub name: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// Its number.
    pub port: i32,
    /// The pods' port, by number or name.
    pub target_port: IntOrString,
    /// The port on every node; 0 for none.
    pub node_port: i32,
    /// What is spoken on it.
    pub app_protocol: Option<String>,
}

/// A service's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceStatus {
    /// What a load balancer gave it.
    pub load_balancer: LoadBalancerStatus,
}

/// What a load balancer gave a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadBalancerStatus {
    /// Its entries.
    #[serde(deserialize_with = "null_as_default")]
    pub ingress: Vec<LoadBalancerIngress>,
}

/// An entry to a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LoadBalancerIngress {
    /// Its address.
    pub ip: String,
    /// Its host name.
    pub hostname: String,
    /// `VIP` (default) or `Proxy`.
    pub ip_mode: Option<String>,
}

impl Service {
    /// The annotation that names the node which answers for a load balancer's address.
    pub const ANNOUNCING_NODE: &str = "drydock/announcing-node";

    /// Whether it has no address of its own.
    pub fn is_headless(&self) -> bool {
        self.spec.cluster_ip == "None"
    }
}

/// Some of a service's endpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointSlice {
    /// Metadata; the label `kubernetes.io/service-name` names the service.
    pub metadata: ObjectMeta,
    /// `IPv4`, `IPv6` or `FQDN`.
    pub address_type: String,
    /// Endpoints.
    #[serde(deserialize_with = "null_as_default")]
    pub endpoints: Vec<Endpoint>,
    /// Ports, the same for all endpoints.
    #[serde(deserialize_with = "null_as_default")]
    pub ports: Vec<EndpointPort>,
}

object!(EndpointSlice, "discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", namespaced);

impl EndpointSlice {
    /// The service it belongs to.
    pub fn service_name(&self) -> Option<&str> {
        self.metadata.labels.get("kubernetes.io/service-name").map(String::as_str)
    }
}

/// One endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// Its addresses; they mean the same.
    #[serde(deserialize_with = "null_as_default")]
    pub addresses: Vec<String>,
    /// Its state.
    pub conditions: EndpointConditions,
    /// Its host name, for DNS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The pod behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_ref: Option<ObjectRef>,
    /// Its node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// Its zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Who should use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hints: Option<EndpointHints>,
}

/// An endpoint's state; unset means true for `ready` and `serving`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointConditions {
    /// Takes new connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// As ready, without regard to its being deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serving: Option<bool>,
    /// Is being deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminating: Option<bool>,
}

/// Who should use an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointHints {
    /// Clients in these zones.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub for_zones: Vec<NamedHint>,
    /// Clients on these nodes.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub for_nodes: Vec<NamedHint>,
}

/// A zone or node by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedHint {
    /// Its name.
    pub name: String,
}

/// A port of an endpoint slice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointPort {
    /// The service port's name.
    pub name: Option<String>,
    /// Its number; all ports if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// `TCP`, `UDP` or `SCTP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// What is spoken on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
}
