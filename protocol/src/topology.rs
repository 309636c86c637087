//! What a cluster consists of, as far as the diagram shows it.
//!
//! [`Topology::upsert`] and [`Topology::remove`] apply the deltas of the event stream; both sides use them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod delta;
mod health;

pub use health::PodHealth;

/// All objects of a session's cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Topology {
    /// Nodes, the master first, workers by name.
    pub nodes: Vec<Node>,
    /// Namespaces.
    pub namespaces: Vec<Namespace>,
    /// Deployments.
    pub deployments: Vec<Deployment>,
    /// ReplicaSets.
    pub replica_sets: Vec<ReplicaSet>,
    /// Pods, mirror pods of the control plane included.
    pub pods: Vec<Pod>,
    /// StatefulSets.
    pub stateful_sets: Vec<Workload>,
    /// DaemonSets.
    pub daemon_sets: Vec<Workload>,
    /// Jobs.
    pub jobs: Vec<Workload>,
    /// Services.
    pub services: Vec<Service>,
    /// Ingresses.
    pub ingresses: Vec<Ingress>,
}

/// One object of any kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Object {
    /// A node.
    Node(Node),
    /// A namespace.
    Namespace(Namespace),
    /// A Deployment.
    Deployment(Deployment),
    /// A ReplicaSet.
    ReplicaSet(ReplicaSet),
    /// A pod.
    Pod(Pod),
    /// A StatefulSet.
    StatefulSet(Workload),
    /// A DaemonSet.
    DaemonSet(Workload),
    /// A Job.
    Job(Workload),
    /// A Service.
    Service(Service),
    /// An Ingress.
    Ingress(Ingress),
}

/// Kind of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the Kubernetes kind of the same name")]
pub enum ObjectKind {
    Node,
    Namespace,
    Deployment,
    ReplicaSet,
    Pod,
    StatefulSet,
    DaemonSet,
    Job,
    Service,
    Ingress,
}

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its namespace, empty for cluster-wide kinds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What a node is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeRole {
    /// Runs the control plane.
    Master,
    /// Runs pods.
    #[default]
    Worker,
}

/// How a node is: the cluster's view, overruled by the engine's where the engine stopped it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeState {
    /// Started, not registered or not Ready for the first time yet.
    #[default]
    Starting,
    /// Condition Ready is True.
    Ready,
    /// Condition Ready is False or Unknown.
    NotReady,
    /// Switched off by the learner.
    Stopped,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Name.
    pub name: String,
    /// What it is for.
    pub role: NodeRole,
    /// Internal address.
    pub ip: String,
    /// How it is.
    pub state: NodeState,
    /// Whether it is cordoned (`spec.unschedulable`).
    pub unschedulable: bool,
    /// Pod address range, once assigned.
    pub pod_cidr: Option<String>,
    /// Components on it, control plane first: `etcd`, `kube-apiserver`, `kube-controller-manager`, `kube-scheduler`
    /// (master), `kubelet`, `kube-proxy`.
    pub components: Vec<Component>,
    /// CPU used by all its processes, in thousandths of a core.
    pub cpu_millis: Option<u32>,
    /// Memory held by all its processes (PSS), in bytes.
    pub memory_bytes: Option<u64>,
}

/// How a component is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ComponentState {
    /// Coming up.
    #[default]
    Starting,
    /// Runs and is ready.
    Running,
    /// Restarting again and again, or not ready.
    Failing,
    /// Not there.
    Stopped,
}

/// A process of the control plane or of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Component {
    /// Upstream's name, such as `kube-apiserver`.
    pub name: String,
    /// How it is.
    pub state: ComponentState,
    /// Restarts seen.
    pub restarts: u32,
    /// Memory it holds (PSS), in bytes.
    pub memory_bytes: Option<u64>,
}

/// A namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// Name.
    pub name: String,
    /// Whether it is being deleted.
    pub terminating: bool,
}

/// One link of an owner chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnerRef {
    /// Kind, such as `ReplicaSet`.
    pub kind: String,
    /// Name in the same namespace.
    pub name: String,
}

/// A container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Name.
    pub name: String,
    /// Image as written in the pod's spec.
    pub image: String,
    /// Whether it is an init container.
    pub init: bool,
    /// Whether it is ready.
    pub ready: bool,
    /// `Running`, `Completed`, or the reason of waiting or termination as kubectl shows it.
    pub state: String,
    /// Restarts.
    pub restarts: u32,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID: a pod of the same name that is created anew is another one.
    pub uid: String,
    /// Node it is bound to.
    pub node: Option<String>,
    /// Its address.
    pub ip: Option<String>,
    /// The STATUS column of `kubectl get pods`: `Running`, `ContainerCreating`, `CrashLoopBackOff`, `Terminating` …
    pub state: String,
    /// Whether condition Ready is True.
    pub ready: bool,
    /// Restarts of all its containers.
    pub restarts: u32,
    /// Containers, init containers first.
    pub containers: Vec<Container>,
    /// Who controls it, nearest first: ReplicaSet, then Deployment.
    pub owners: Vec<OwnerRef>,
    /// Whether it mirrors a static pod.
    pub mirror: bool,
    /// PersistentVolumeClaims that it mounts.
    pub claims: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `metadata.creationTimestamp`.
    pub created_millis: u64,
}

/// A ReplicaSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReplicaSet {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Deployment that controls it.
    pub deployment: Option<String>,
    /// Replicas wanted.
    pub replicas: u32,
    /// Replicas ready.
    pub ready: u32,
    /// Revision of its Deployment, 0 when it has none.
    pub revision: u32,
}

/// A Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Replicas wanted.
    pub replicas: u32,
    /// Replicas of the newest template.
    pub updated: u32,
    /// Replicas ready.
    pub ready: u32,
    /// Replicas available.
    pub available: u32,
    /// Revision, 0 before the first roll-out.
    pub revision: u32,
    /// Images of its template.
    pub images: Vec<String>,
}

/// A StatefulSet, DaemonSet or Job: what makes pods and is not a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Workload {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Pods wanted: replicas, one a node, or completions.
    pub replicas: u32,
    /// Pods ready, or completed.
    pub ready: u32,
    /// Images of its template.
    pub images: Vec<String>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServicePort {
    /// Name, empty for a single port.
    pub name: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// Port of the Service.
    pub port: u16,
    /// Port or port name on the pods.
    pub target_port: String,
    /// Port on every node, for type NodePort.
    pub node_port: Option<u16>,
}

/// A backend of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// Address.
    pub ip: String,
    /// Pod behind it, in the Service's namespace.
    pub pod: Option<String>,
    /// Node of the pod.
    pub node: Option<String>,
    /// Whether it receives traffic.
    pub ready: bool,
}

/// A Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    pub r#type: String,
    /// Cluster address; `None` for headless and ExternalName ones.
    pub cluster_ip: Option<String>,
    /// Addresses of its load balancer, once it has some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Ports.
    pub ports: Vec<ServicePort>,
    /// Selector.
    pub selector: BTreeMap<String, String>,
    /// Backends from its EndpointSlices.
    pub endpoints: Vec<Endpoint>,
}

/// An Ingress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ingress {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Its class, once it has one.
    pub class: Option<String>,
    /// Its ways, in order; the default backend is the last, with neither host nor path.
    pub routes: Vec<IngressRoute>,
    /// Hosts with a certificate.
    pub tls: Vec<String>,
    /// Where its controller can be reached.
    pub addresses: Vec<String>,
}

/// A way through an Ingress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IngressRoute {
    /// Host, empty for all.
    pub host: String,
    /// Path, empty for all.
    pub path: String,
    /// Service in the Ingress's namespace.
    pub service: String,
    /// Its port or port name.
    pub port: String,
}
