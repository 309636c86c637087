//! What there is to say about a thing of the picture, from what the picture knows of it: pure.

use drydock_protocol::{
    ComponentState, Ingress, Node, NodeRole, NodeState, ObjectKey, ObjectKind, Pod, PodHealth, Port, Topology, Workload,
};

use crate::diagram::looks::ready_containers;
use crate::diagram::{group_id, maker, pod_id};
use crate::format;
use crate::parts::faults::is_off;
use crate::parts::picture::Thing;
use crate::parts::ports;
use crate::text::Texts;

/// What the panel shows.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Sheet {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) rows: Vec<(&'static str, Vec<String>)>,
    /// Names of commands and the commands.
    pub(super) commands: Vec<(&'static str, String)>,
    /// The object behind it: kind, namespace, name.
    pub(super) object: Option<(String, String, String)>,
    /// The pod whose log can be read, with its containers.
    pub(super) log: Option<(String, String, Vec<String>)>,
    /// A node: its name, role and whether it is off.
    pub(super) node: Option<(String, NodeRole, bool)>,
    /// A component with its node.
    pub(super) component: Option<(String, String)>,
    /// Pods of a group: identity, name and state.
    pub(super) pods: Vec<(String, String, String)>,
    /// What of it opens in a browser.
    pub(super) ports: Vec<Port>,
}

/// Pods of a group that are listed.
const LISTED: usize = 100;

/// A row, unless there is nothing to say.
fn row(rows: &mut Vec<(&'static str, Vec<String>)>, name: &'static str, values: impl IntoIterator<Item = String>) {
    let values: Vec<String> = values.into_iter().filter(|it| !it.is_empty()).collect();
    if !values.is_empty() {
        rows.push((name, values));
    }
}

/// The sheet of a thing; none when it is gone.
pub(super) fn sheet(thing: &Thing, topology: &Topology, words: &Texts) -> Option<Sheet> {
    match thing {
        Thing::Pod(id) => pod_sheet(id, topology, words),
        Thing::Node(name) => Some(node_sheet(topology.nodes.iter().find(|it| it.name == *name)?, words)),
        Thing::Component(node, name) => component_sheet(node, name, topology, words),
        Thing::Group(id) => group_sheet(id, topology, words),
        Thing::Object(key) => match key.kind {
            ObjectKind::Service => service_sheet(key, topology, words),
            ObjectKind::Ingress => {
                let found = topology.ingresses.iter().find(|it| it.key() == *key)?;
                Some(Sheet { ports: ports::of(key, topology), ..ingress_sheet(found, words) })
            }
            ObjectKind::StatefulSet => workload_sheet(key, &topology.stateful_sets, words),
            ObjectKind::DaemonSet => workload_sheet(key, &topology.daemon_sets, words),
            ObjectKind::Job => workload_sheet(key, &topology.jobs, words),
            _ => deployment_sheet(key, topology, words),
        },
    }
}

fn deployment_sheet(key: &ObjectKey, topology: &Topology, words: &Texts) -> Option<Sheet> {
    let it = topology.deployments.iter().find(|it| it.key() == *key)?;
    let mut rows = Vec::new();
    row(&mut rows, words.d_namespace, [it.namespace.clone()]);
    row(&mut rows, words.d_replicas, [(words.ready_of)(it.ready as usize, it.replicas as usize)]);
    let sets = topology
        .replica_sets
        .iter()
        .filter(|set| set.deployment.as_deref() == Some(&it.name) && set.namespace == it.namespace && set.replicas > 0);
    row(&mut rows, "ReplicaSets", sets.map(|it| format!("{} · {}/{}", it.name, it.ready, it.replicas)));
    row(&mut rows, words.d_images, it.images.clone());
    Some(object("Deployment", &it.namespace, &it.name, rows, words))
}

fn service_sheet(key: &ObjectKey, topology: &Topology, words: &Texts) -> Option<Sheet> {
    let it = topology.services.iter().find(|it| it.key() == *key)?;
    let mut rows = Vec::new();
    row(&mut rows, words.d_namespace, [it.namespace.clone()]);
    row(&mut rows, words.d_kind, [it.r#type.clone()]);
    row(&mut rows, words.d_ip, it.cluster_ip.clone());
    row(
        &mut rows,
        words.d_ports,
        it.ports.iter().map(|it| {
            let node_port = it.node_port.map(|it| format!(" · NodePort {it}")).unwrap_or_default();
            format!("{} → {}/{}{node_port}", it.port, it.target_port, it.protocol)
        }),
    );
    row(&mut rows, words.d_selector, it.selector.iter().map(|(key, value)| format!("{key}={value}")));
    row(
        &mut rows,
        words.d_endpoints,
        it.endpoints.iter().map(|it| {
            let state = if it.ready { String::new() } else { format!(" · {}", words.not_ready) };
            format!("{}{state}", it.pod.clone().unwrap_or_else(|| it.ip.clone()))
        }),
    );
    Some(Sheet { ports: ports::of(key, topology), ..object("Service", &it.namespace, &it.name, rows, words) })
}

fn workload_sheet(key: &ObjectKey, list: &[Workload], words: &Texts) -> Option<Sheet> {
    let it = list.iter().find(|it| it.name == key.name && it.namespace == key.namespace)?;
    let kind = format!("{:?}", key.kind);
    let mut rows = Vec::new();
    row(&mut rows, words.d_namespace, [it.namespace.clone()]);
    row(&mut rows, words.d_replicas, [(words.ready_of)(it.ready as usize, it.replicas as usize)]);
    row(&mut rows, words.d_images, it.images.clone());
    Some(object(&kind, &it.namespace, &it.name, rows, words))
}

fn ingress_sheet(it: &Ingress, words: &Texts) -> Sheet {
    let mut rows = Vec::new();
    row(&mut rows, words.d_namespace, [it.namespace.clone()]);
    row(&mut rows, words.scene.d_class, it.class.clone());
    row(&mut rows, words.scene.d_address, it.addresses.clone());
    row(
        &mut rows,
        words.scene.d_hosts,
        it.routes.iter().map(|it| {
            let host = if it.host.is_empty() { "*" } else { it.host.as_str() };
            format!("{host}{} → {}:{}", it.path, it.service, it.port)
        }),
    );
    row(&mut rows, "TLS", it.tls.clone());
    object("Ingress", &it.namespace, &it.name, rows, words)
}

fn group_sheet(id: &str, topology: &Topology, words: &Texts) -> Option<Sheet> {
    let pods = || topology.pods.iter().filter(|it| group_id(it) == id && !it.mirror);
    let first = pods().next()?;
    let (kind, name) = maker(first);
    let mut rows = Vec::new();
    row(&mut rows, words.d_namespace, [first.namespace.clone()]);
    row(&mut rows, words.d_node, first.node.clone());
    row(&mut rows, words.d_owner, (!kind.is_empty()).then(|| format!("{kind} {name}")));
    let ready = pods().filter(|it| it.ready).count();
    row(&mut rows, words.d_state, [(words.scene.pods_ready)(ready, pods().count())]);
    // Those in trouble first: there may be more than are listed.
    let mut listed: Vec<&Pod> = pods().collect();
    listed.sort_by_key(|it| match it.health() {
        PodHealth::Failing => 0,
        PodHealth::NotReady => 1,
        PodHealth::Progressing => 2,
        PodHealth::Ready | PodHealth::Completed => 3,
    });
    Some(Sheet {
        kind: words.scene.pods.to_owned(),
        name: if name.is_empty() { words.scene.by_hand.to_owned() } else { name.to_owned() },
        rows,
        pods: listed.into_iter().take(LISTED).map(|it| (pod_id(it), it.name.clone(), it.state.clone())).collect(),
        ..Sheet::default()
    })
}

/// A sheet with YAML and events behind it.
fn object(kind: &str, namespace: &str, name: &str, rows: Vec<(&'static str, Vec<String>)>, words: &Texts) -> Sheet {
    let place = if namespace.is_empty() { String::new() } else { format!(" -n {namespace}") };
    Sheet {
        kind: kind.to_owned(),
        name: name.to_owned(),
        rows,
        commands: vec![(words.describe, format!("kubectl describe {} {name}{place}", kind.to_lowercase()))],
        object: Some((kind.to_owned(), namespace.to_owned(), name.to_owned())),
        ..Sheet::default()
    }
}

fn pod_sheet(id: &str, topology: &Topology, words: &Texts) -> Option<Sheet> {
    let it = topology.pods.iter().find(|it| pod_id(it) == id)?;
    let (ready, all) = ready_containers(it);
    let mut rows = Vec::new();
    row(&mut rows, words.d_namespace, [it.namespace.clone()]);
    row(&mut rows, words.d_state, [format!("{} · {}", it.state, (words.ready_of)(ready, all))]);
    row(&mut rows, words.d_ip, it.ip.clone());
    row(&mut rows, words.d_node, it.node.clone());
    row(&mut rows, words.d_owner, it.owners.iter().map(|it| format!("{} {}", it.kind, it.name)));
    row(
        &mut rows,
        words.d_containers,
        it.containers.iter().map(|it| format!("{} · {} · {}", it.name, it.image, it.state)),
    );
    row(&mut rows, words.d_restarts, [it.restarts.to_string()]);
    row(&mut rows, words.d_labels, it.labels.iter().map(|(key, value)| format!("{key}={value}")));
    row(&mut rows, words.scene.d_claims, it.claims.clone());
    let containers = it.containers.iter().filter(|it| !it.init).chain(it.containers.iter().filter(|it| it.init));
    let mut sheet = object("Pod", &it.namespace, &it.name, rows, words);
    sheet.log = Some((it.namespace.clone(), it.name.clone(), containers.map(|it| it.name.clone()).collect()));
    Some(sheet)
}

fn node_sheet(it: &Node, words: &Texts) -> Sheet {
    let state = match it.state {
        NodeState::Ready => "Ready",
        NodeState::NotReady => "NotReady",
        NodeState::Starting => words.starting,
        NodeState::Stopped => words.stopped,
    };
    let mut rows = Vec::new();
    row(
        &mut rows,
        words.d_state,
        [state.to_owned(), if it.unschedulable { words.cordoned.to_owned() } else { String::new() }],
    );
    row(&mut rows, words.d_ip, [it.ip.clone()]);
    row(&mut rows, words.d_cidr, it.pod_cidr.clone());
    row(&mut rows, "CPU", it.cpu_millis.map(format::cpu));
    row(&mut rows, words.d_memory, it.memory_bytes.map(format::bytes));
    row(&mut rows, words.d_components, it.components.iter().map(|it| it.name.clone()));
    let sheet = object("Node", "", &it.name, rows, words);
    Sheet { kind: words.d_node.to_owned(), node: Some((it.name.clone(), it.role, is_off(it))), ..sheet }
}

fn component_sheet(node: &str, name: &str, topology: &Topology, words: &Texts) -> Option<Sheet> {
    let node = topology.nodes.iter().find(|it| it.name == node || (node.is_empty() && it.role == NodeRole::Master))?;
    let it = node.components.iter().find(|it| it.name == name)?;
    let state = match it.state {
        ComponentState::Running => words.running,
        ComponentState::Starting => words.starting,
        ComponentState::Failing => words.failing,
        ComponentState::Stopped => words.stopped,
    };
    let mut rows = Vec::new();
    row(&mut rows, words.d_state, [state.to_owned()]);
    row(&mut rows, words.d_node, [node.name.clone()]);
    row(&mut rows, words.d_memory, it.memory_bytes.map(format::bytes));
    row(&mut rows, words.d_restarts, [it.restarts.to_string()]);
    let component = Some((node.name.clone(), name.to_owned()));
    // The kubelet is the node's first process; all others are static pods.
    if name == "kubelet" {
        let kind = words.d_components.to_owned();
        return Some(Sheet { kind, name: name.to_owned(), rows, component, ..Sheet::default() });
    }
    let pod = format!("{name}-{}", node.name);
    let log = Some(("kube-system".to_owned(), pod.clone(), vec![name.to_owned()]));
    let sheet = object("Pod", "kube-system", &pod, rows, words);
    Some(Sheet { kind: words.d_components.to_owned(), name: name.to_owned(), log, component, ..sheet })
}
