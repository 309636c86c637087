//! Observed objects to the diagram's objects: pure.

use std::collections::BTreeMap;

use drydock_engine::host::{HostNode, NodeRole as HostRole, NodeState as HostState};
use drydock_engine::native;
use drydock_protocol::{
    Component, ComponentState, Deployment, Endpoint, Ingress, IngressRoute, Namespace, Node, NodeRole, NodeState,
    Object, ObjectKey, OwnerRef, Pod, ReplicaSet, Service, ServicePort, Workload,
};
use serde_json::Value;

use super::pod_state::{containers, pod_state};
use super::raw::{Observed, controller, list, number, text};

/// What the engine knows of a node that the cluster does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Thousandths of a CPU.
    pub(crate) cpu_millis: u32,
    /// Bytes (PSS).
    pub(crate) memory_bytes: u64,
}

/// All objects of the diagram.
pub(super) fn objects(
    observed: &Observed,
    host: &[HostNode],
    usage: &BTreeMap<String, Usage>,
) -> BTreeMap<ObjectKey, Object> {
    let nodes = host.iter().filter(|node| native::is_kubernetes_node(node.role)).map(|host| {
        let registered = observed.nodes.iter().find(|node| text(&node.value, "/metadata/name") == host.name);
        Object::Node(node(host, registered.map(|node| &node.value), observed, usage.get(&host.name)))
    });
    let namespaces = observed.namespaces.iter().map(|it| {
        Object::Namespace(Namespace {
            name: name(&it.value),
            terminating: text(&it.value, "/status/phase") == "Terminating",
        })
    });
    let deployments = observed.deployments.iter().map(|it| Object::Deployment(deployment(&it.value)));
    let replica_sets = observed.replica_sets.iter().map(|it| Object::ReplicaSet(replica_set(&it.value)));
    let pods = observed.pods.iter().map(|it| Object::Pod(pod(&it.value, observed)));
    let stateful_sets = observed.stateful_sets.iter().map(|it| {
        Object::StatefulSet(workload(&it.value, number(&it.value, "/spec/replicas"), "/status/readyReplicas"))
    });
    let daemon_sets = observed.daemon_sets.iter().map(|it| {
        let wanted = number(&it.value, "/status/desiredNumberScheduled");
        Object::DaemonSet(workload(&it.value, wanted, "/status/numberReady"))
    });
    let jobs = observed.jobs.iter().map(|it| {
        let wanted = it.value.pointer("/spec/completions").map_or(1, |_| number(&it.value, "/spec/completions"));
        Object::Job(workload(&it.value, wanted, "/status/succeeded"))
    });
    let services = observed.services.iter().map(|it| Object::Service(service(&it.value, observed)));
    let ingresses = observed.ingresses.iter().map(|it| Object::Ingress(ingress(&it.value)));
    nodes
        .chain(namespaces)
        .chain(deployments)
        .chain(replica_sets)
        .chain(pods)
        .chain(stateful_sets)
        .chain(daemon_sets)
        .chain(jobs)
        .chain(services)
        .chain(ingresses)
        .map(|object| (object.key(), object))
        .collect()
}

/// What changed from `old` to `new`: objects to show and keys to remove.
pub(super) fn difference(
    old: &BTreeMap<ObjectKey, Object>,
    new: &BTreeMap<ObjectKey, Object>,
) -> (Vec<Object>, Vec<ObjectKey>) {
    let changed = new.iter().filter(|(key, object)| old.get(key) != Some(object)).map(|(_, object)| object.clone());
    let gone = old.keys().filter(|key| !new.contains_key(key)).cloned();
    (changed.collect(), gone.collect())
}

fn name(value: &Value) -> String {
    text(value, "/metadata/name").to_owned()
}

fn namespace(value: &Value) -> String {
    text(value, "/metadata/namespace").to_owned()
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn labels(value: &Value, pointer: &str) -> BTreeMap<String, String> {
    let map = value.pointer(pointer).and_then(Value::as_object);
    map.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn revision(value: &Value) -> u32 {
    let annotations = value.pointer("/metadata/annotations").and_then(|it| it.get("deployment.kubernetes.io/revision"));
    annotations.and_then(Value::as_str).and_then(|revision| revision.parse().ok()).unwrap_or_default()
}

fn node(host: &HostNode, registered: Option<&Value>, observed: &Observed, usage: Option<&Usage>) -> Node {
    let value = registered.unwrap_or(&Value::Null);
    let ready = list(value, "/status/conditions").iter().find(|it| text(it, "/type") == "Ready");
    let state = match (host.state, ready.map(|it| text(it, "/status"))) {
        (HostState::Stopped, _) => NodeState::Stopped,
        (_, Some("True")) => NodeState::Ready,
        (_, Some(_)) => NodeState::NotReady,
        (_, None) => NodeState::Starting,
    };
    let is_master = host.role == HostRole::ControlPlane;
    let mut wanted = Vec::new();
    if is_master {
        wanted.extend(["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]);
    }
    wanted.push("kube-proxy");
    let mut components: Vec<_> = wanted.iter().map(|name| component(name, host, state, observed)).collect();
    let kubelet = match state {
        NodeState::Starting => ComponentState::Starting,
        NodeState::Ready => ComponentState::Running,
        NodeState::NotReady => ComponentState::Failing,
        NodeState::Stopped => ComponentState::Stopped,
    };
    let position = components.len() - 1;
    components.insert(position, Component { name: "kubelet".to_owned(), state: kubelet, ..Component::default() });
    Node {
        name: host.name.clone(),
        role: if is_master { NodeRole::Master } else { NodeRole::Worker },
        ip: host.ip.to_string(),
        state,
        unschedulable: value.pointer("/spec/unschedulable").and_then(Value::as_bool).unwrap_or(false),
        pod_cidr: some(text(value, "/spec/podCIDR")),
        components,
        cpu_millis: usage.map(|usage| usage.cpu_millis),
        memory_bytes: usage.map(|usage| usage.memory_bytes),
    }
}

/// A component runs as a static pod: its mirror pod tells how it is.
fn component(component: &str, host: &HostNode, node: NodeState, observed: &Observed) -> Component {
    let mirror = format!("{component}-{}", host.name);
    let pod = observed
        .pods
        .iter()
        .map(|pod| &pod.value)
        .find(|pod| text(pod, "/metadata/name") == mirror && text(pod, "/metadata/namespace") == "kube-system");
    let state = match pod {
        _ if node == NodeState::Stopped => ComponentState::Stopped,
        None if node == NodeState::Starting => ComponentState::Starting,
        None => ComponentState::Stopped,
        Some(pod) => match pod_state(pod).as_str() {
            "Running" => ComponentState::Running,
            "Pending" | "ContainerCreating" => ComponentState::Starting,
            "Terminating" | "Completed" => ComponentState::Stopped,
            _ => ComponentState::Failing,
        },
    };
    let restarts =
        pod.map_or(0, |pod| list(pod, "/status/containerStatuses").iter().map(|it| number(it, "/restartCount")).sum());
    Component { name: component.to_owned(), state, restarts, memory_bytes: None }
}

/// Images of a template, in order.
fn images(value: &Value) -> impl Iterator<Item = String> {
    list(value, "/spec/template/spec/containers").iter().map(|it| text(it, "/image").to_owned())
}

fn workload(value: &Value, wanted: u32, ready: &str) -> Workload {
    Workload {
        namespace: namespace(value),
        name: name(value),
        replicas: wanted,
        ready: number(value, ready),
        images: images(value).collect(),
    }
}

fn ingress(value: &Value) -> Ingress {
    let route = |host: &str, path: &str, backend: &Value| {
        let service = text(backend, "/service/name");
        let port = match text(backend, "/service/port/name") {
            "" => number(backend, "/service/port/number").to_string(),
            name => name.to_owned(),
        };
        let (host, path, service) = (host.to_owned(), path.to_owned(), service.to_owned());
        (!service.is_empty()).then_some(IngressRoute { host, path, service, port })
    };
    let mut routes = Vec::new();
    for rule in list(value, "/spec/rules") {
        for path in list(rule, "/http/paths") {
            let backend = path.get("backend").unwrap_or(&Value::Null);
            routes.extend(route(text(rule, "/host"), text(path, "/path"), backend));
        }
    }
    routes.extend(value.pointer("/spec/defaultBackend").and_then(|backend| route("", "", backend)));
    Ingress {
        namespace: namespace(value),
        name: name(value),
        class: some(text(value, "/spec/ingressClassName")),
        routes,
        tls: list(value, "/spec/tls")
            .iter()
            .flat_map(|it| list(it, "/hosts"))
            .filter_map(|it| it.as_str().map(str::to_owned))
            .collect(),
        addresses: balanced(value),
    }
}

/// Where a load balancer can be reached.
fn balanced(value: &Value) -> Vec<String> {
    let addresses = list(value, "/status/loadBalancer/ingress").iter().map(|it| match text(it, "/ip") {
        "" => text(it, "/hostname").to_owned(),
        ip => ip.to_owned(),
    });
    addresses.collect()
}

fn deployment(value: &Value) -> Deployment {
    Deployment {
        namespace: namespace(value),
        name: name(value),
        replicas: number(value, "/spec/replicas"),
        updated: number(value, "/status/updatedReplicas"),
        ready: number(value, "/status/readyReplicas"),
        available: number(value, "/status/availableReplicas"),
        revision: revision(value),
        images: images(value).collect(),
    }
}

fn replica_set(value: &Value) -> ReplicaSet {
    ReplicaSet {
        namespace: namespace(value),
        name: name(value),
        deployment: controller(value).filter(|(kind, _)| *kind == "Deployment").map(|(_, name)| name.to_owned()),
        replicas: number(value, "/spec/replicas"),
        ready: number(value, "/status/readyReplicas"),
        revision: revision(value),
    }
}

fn pod(value: &Value, observed: &Observed) -> Pod {
    let containers = containers(value);
    let ready = list(value, "/status/conditions")
        .iter()
        .any(|it| text(it, "/type") == "Ready" && text(it, "/status") == "True");
    let created = text(value, "/metadata/creationTimestamp");
    Pod {
        namespace: namespace(value),
        name: name(value),
        uid: text(value, "/metadata/uid").to_owned(),
        node: some(text(value, "/spec/nodeName")),
        ip: some(text(value, "/status/podIP")),
        state: pod_state(value),
        ready,
        restarts: containers.iter().map(|container| container.restarts).sum(),
        containers,
        owners: owners(value, observed),
        mirror: value
            .pointer("/metadata/annotations")
            .is_some_and(|it| it.get("kubernetes.io/config.mirror").is_some()),
        claims: list(value, "/spec/volumes")
            .iter()
            .map(|volume| text(volume, "/persistentVolumeClaim/claimName"))
            .filter(|claim| !claim.is_empty())
            .map(str::to_owned)
            .collect(),
        labels: labels(value, "/metadata/labels"),
        created_millis: super::audit::millis(created).unwrap_or_default(),
    }
}

/// Nearest first: the pod's controller, and the Deployment behind a ReplicaSet.
fn owners(pod: &Value, observed: &Observed) -> Vec<OwnerRef> {
    let Some((kind, owner)) = controller(pod) else { return Vec::new() };
    let mut owners = vec![OwnerRef { kind: kind.to_owned(), name: owner.to_owned() }];
    if kind == "ReplicaSet" {
        let replica_set = observed.replica_sets.iter().map(|it| &it.value).find(|it| {
            text(it, "/metadata/name") == owner && text(it, "/metadata/namespace") == text(pod, "/metadata/namespace")
        });
        owners.extend(
            replica_set
                .and_then(controller)
                .map(|(kind, name)| OwnerRef { kind: kind.to_owned(), name: name.to_owned() }),
        );
    }
    owners
}

fn service(value: &Value, observed: &Observed) -> Service {
    let (service_name, service_namespace) = (name(value), namespace(value));
    let cluster_ip = text(value, "/spec/clusterIP");
    let ports = list(value, "/spec/ports").iter().map(|port| ServicePort {
        name: text(port, "/name").to_owned(),
        protocol: text(port, "/protocol").to_owned(),
        port: u16::try_from(number(port, "/port")).unwrap_or_default(),
        target_port: match port.get("targetPort") {
            Some(Value::String(name)) => name.clone(),
            Some(number) => number.to_string(),
            None => String::new(),
        },
        node_port: u16::try_from(number(port, "/nodePort")).ok().filter(|port| *port != 0),
    });
    let slices = observed.slices.iter().map(|slice| &slice.value).filter(|slice| {
        text(slice, "/metadata/namespace") == service_namespace
            && slice
                .pointer("/metadata/labels")
                .and_then(|it| it.get("kubernetes.io/service-name"))
                .and_then(Value::as_str)
                == Some(service_name.as_str())
    });
    let mut endpoints: Vec<_> = slices
        .flat_map(|slice| list(slice, "/endpoints"))
        .map(|endpoint| Endpoint {
            ip: text(endpoint, "/addresses/0").to_owned(),
            pod: some(text(endpoint, "/targetRef/name")),
            node: some(text(endpoint, "/nodeName")),
            ready: endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true),
        })
        .collect();
    endpoints.sort_by(|one, other| (&one.pod, &one.ip).cmp(&(&other.pod, &other.ip)));
    Service {
        namespace: service_namespace,
        name: service_name,
        r#type: text(value, "/spec/type").to_owned(),
        cluster_ip: some(cluster_ip).filter(|ip| ip != "None"),
        addresses: balanced(value),
        ports: ports.collect(),
        selector: labels(value, "/spec/selector"),
        endpoints,
    }
}

#[cfg(test)]
mod tests;
