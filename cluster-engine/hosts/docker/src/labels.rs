//! What the host writes on everything it makes, and how it reads its sessions back from that alone.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use drydock_engine::host::{HostNode, HostSession, NodeRole, NodeState, SessionNetwork};

/// Which data folder's server made it.
pub(crate) const INSTANCE: &str = "drydock.instance";
/// The session it is part of.
pub(crate) const SESSION: &str = "drydock.session";
/// The node it is; absent on a session's gateway.
pub(crate) const NODE: &str = "drydock.node";
/// What the node is for.
const ROLE: &str = "drydock.role";
/// The node's address.
const IP: &str = "drydock.ip";
/// When it was made, in milliseconds since the Unix epoch.
const CREATED: &str = "drydock.created";
/// The first of the session's user ids; on gateways.
pub(crate) const FIRST_ID: &str = "drydock.first-id";
/// The engine's text; on gateways.
const NOTE: &str = "drydock.note";
/// Where the API server is published; on gateways.
const ENDPOINT: &str = "drydock.endpoint";
/// The session's own network, JSON; on gateways.
const NETWORK: &str = "drydock.network";

/// Labels as Docker takes them.
pub(crate) type Labels = HashMap<String, String>;

/// What everything of a session has.
pub(crate) fn common(instance: &str, session: &str) -> Labels {
    pairs(&[(INSTANCE, instance), (SESSION, session)])
}

/// A session's gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gateway {
    pub(crate) note: String,
    pub(crate) endpoint: SocketAddr,
    pub(crate) first_id: u32,
    /// JSON of a [`SessionNetwork`].
    pub(crate) network: String,
}

impl Gateway {
    /// Its labels beside the [`common`] ones.
    pub(crate) fn labels(&self) -> Labels {
        pairs(&[
            (NOTE, &self.note),
            (ENDPOINT, &self.endpoint.to_string()),
            (FIRST_ID, &self.first_id.to_string()),
            (NETWORK, &self.network),
        ])
    }

    fn read(labels: &Labels) -> Option<Gateway> {
        Some(Gateway {
            note: labels.get(NOTE)?.clone(),
            endpoint: labels.get(ENDPOINT)?.parse().ok()?,
            first_id: labels.get(FIRST_ID)?.parse().ok()?,
            network: labels.get(NETWORK)?.clone(),
        })
    }

    /// The session's own network.
    pub(crate) fn session_network(&self) -> Option<SessionNetwork> {
        serde_json::from_str(&self.network).ok()
    }
}

/// A node's labels beside the [`common`] ones.
pub(crate) fn node(name: &str, role: NodeRole, ip: Ipv4Addr, created_millis: u128) -> Labels {
    pairs(&[
        (NODE, name),
        (ROLE, role_text(role)),
        (IP, &ip.to_string()),
        // As many digits for all, so that they sort as text, too.
        (CREATED, &format!("{created_millis:016}")),
    ])
}

fn role_text(role: NodeRole) -> &'static str {
    match role {
        NodeRole::ControlPlane => "control-plane",
        NodeRole::Worker => "worker",
        NodeRole::Workstation => "workstation",
    }
}

fn role(text: &str) -> Option<NodeRole> {
    [NodeRole::ControlPlane, NodeRole::Worker, NodeRole::Workstation].into_iter().find(|role| role_text(*role) == text)
}

fn pairs(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A session as its containers tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) name: String,
    /// Absent when only remains are there.
    pub(crate) gateway: Option<(Container, Gateway)>,
    /// In the order of creation.
    pub(crate) nodes: Vec<Node>,
}

/// A container and whether it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) state: NodeState,
}

/// A node's container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) container: Container,
    pub(crate) name: String,
    role: NodeRole,
    ip: Ipv4Addr,
    created: String,
}

impl Session {
    /// For the engine; none where there is no gateway.
    pub(crate) fn describe(&self) -> Option<HostSession> {
        let (_, gateway) = self.gateway.as_ref()?;
        let nodes = self.nodes.iter().map(|node| HostNode {
            name: node.name.clone(),
            role: node.role,
            ip: node.ip,
            state: node.container.state,
        });
        Some(HostSession {
            name: self.name.clone(),
            note: gateway.note.clone(),
            endpoint: gateway.endpoint,
            nodes: nodes.collect(),
        })
    }
}

/// Sorts containers into sessions, by name.
pub(crate) fn sessions(containers: Vec<ContainerSummary>) -> Vec<Session> {
    let mut sessions: BTreeMap<String, Session> = BTreeMap::new();
    for container in containers {
        let labels = container.labels.unwrap_or_default();
        let (Some(name), Some(id)) = (labels.get(SESSION), container.id) else { continue };
        let session = sessions.entry(name.clone()).or_insert_with(|| Session {
            name: name.clone(),
            gateway: None,
            nodes: Vec::new(),
        });
        let container = Container { id, state: state(container.state) };
        let Some(node) = labels.get(NODE) else {
            session.gateway = Gateway::read(&labels).map(|gateway| (container, gateway));
            continue;
        };
        let text = |label: &str| labels.get(label).map(String::as_str).unwrap_or_default();
        let (Some(role), Ok(ip)) = (role(text(ROLE)), text(IP).parse()) else { continue };
        session.nodes.push(Node { container, name: node.clone(), role, ip, created: text(CREATED).to_owned() });
    }
    let mut sessions: Vec<_> = sessions.into_values().collect();
    for session in &mut sessions {
        session.nodes.sort_by(|a, b| (&a.created, &a.name).cmp(&(&b.created, &b.name)));
    }
    sessions
}

fn state(state: Option<ContainerSummaryStateEnum>) -> NodeState {
    match state {
        Some(ContainerSummaryStateEnum::RUNNING | ContainerSummaryStateEnum::RESTARTING) => NodeState::Running,
        Some(ContainerSummaryStateEnum::PAUSED) => NodeState::Paused,
        _ => NodeState::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway() -> Gateway {
        let network = SessionNetwork {
            gateway: Ipv4Addr::new(10, 20, 0, 1),
            prefix: 24,
            api_server: ([10, 20, 0, 2], 6443).into(),
        };
        Gateway {
            note: "a note".to_owned(),
            endpoint: ([127, 0, 0, 1], 40_123).into(),
            first_id: 0x1000_0000,
            network: serde_json::to_string(&network).unwrap_or_default(),
        }
    }

    fn container(id: &str, state: ContainerSummaryStateEnum, session: &str, labels: Labels) -> ContainerSummary {
        let labels = common("i", session).into_iter().chain(labels).collect();
        ContainerSummary { id: Some(id.to_owned()), state: Some(state), labels: Some(labels), ..Default::default() }
    }

    #[test]
    fn sessions_are_read_back_from_labels() {
        use ContainerSummaryStateEnum::{EXITED, PAUSED, RUNNING};
        let ip = |last| Ipv4Addr::new(10, 20, 0, last);
        let found = sessions(vec![
            container("c", PAUSED, "lab", node("worker-2", NodeRole::Worker, ip(4), 20)),
            container("b", RUNNING, "lab", node("worker-1", NodeRole::Worker, ip(3), 20)),
            container("a", EXITED, "lab", node("master", NodeRole::ControlPlane, ip(2), 3)),
            container("g", RUNNING, "lab", gateway().labels()),
            container("x", RUNNING, "remains", node("master", NodeRole::ControlPlane, ip(2), 1)),
        ]);
        let [lab, remains] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(lab.gateway.as_ref().map(|(_, gateway)| gateway), Some(&gateway()));
        assert_eq!(
            lab.gateway.as_ref().and_then(|(_, gateway)| gateway.session_network()).map(|it| it.prefix),
            Some(24)
        );
        let described = lab.describe().expect("it has a gateway");
        let nodes: Vec<_> = described.nodes.iter().map(|node| (node.name.as_str(), node.role, node.state)).collect();
        assert_eq!(
            nodes,
            [
                ("master", NodeRole::ControlPlane, NodeState::Stopped),
                ("worker-1", NodeRole::Worker, NodeState::Running),
                ("worker-2", NodeRole::Worker, NodeState::Paused),
            ]
        );
        assert!(remains.describe().is_none() && remains.nodes.len() == 1);
    }
}
