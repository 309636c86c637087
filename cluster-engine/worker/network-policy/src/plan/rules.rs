//! One rule of a policy as the conditions under which a packet is allowed.

use drydock_api::meta::LabelSelector;
use drydock_client::types::IntOrString;
use drydock_nftables::ruleset::{Prefix, Protocol, Rule, Statement};

use super::{Direction, Planner};
use crate::objects::{IpBlock, Pod, PolicyRule, Port};

/// Which pods a peer means.
pub(super) struct Selectors<'a> {
    /// None means all.
    pub(super) pods: Option<&'a LabelSelector>,
    /// None means the policy's namespace.
    pub(super) namespaces: Option<&'a LabelSelector>,
}

/// The other side of a connection.
enum Other<'a> {
    Anybody,
    Pods(Selectors<'a>),
    Block(&'a IpBlock),
}

impl Planner<'_> {
    /// Any of the answers allows a packet to or from `pod`.
    pub(super) fn conditions(
        &mut self,
        rule: &PolicyRule,
        pod: &Pod,
        direction: Direction,
        namespace: &str,
    ) -> Vec<Rule> {
        let mut all = Vec::new();
        for other in others(rule) {
            if rule.ports.is_empty() {
                all.extend(self.other(&other, direction, namespace));
                continue;
            }
            for port in &rule.ports {
                let Some(protocol) = Protocol::parse(port.protocol.as_deref().unwrap_or_default()) else { continue };
                if let (Direction::Egress, Some(IntOrString::String(name))) = (direction, &port.port) {
                    // What the name means is up to each pod at the other end.
                    all.extend(self.named_port(&other, namespace, name, protocol));
                    continue;
                }
                let Some(conditions) = self.other(&other, direction, namespace) else { continue };
                for ports in ports(port, protocol, pod) {
                    all.push(conditions.iter().cloned().chain(ports).collect());
                }
            }
        }
        all
    }

    /// None if nobody can be meant.
    fn other(&mut self, other: &Other<'_>, direction: Direction, namespace: &str) -> Option<Rule> {
        match other {
            Other::Anybody => Some(Vec::new()),
            Other::Pods(selectors) => {
                let set = self.addresses(selectors, namespace)?;
                Some(vec![match direction {
                    Direction::Ingress => Statement::SourceIn(set),
                    Direction::Egress => Statement::DestinationIn(set),
                }])
            }
            Other::Block(block) => {
                let condition = |prefix, is| match direction {
                    Direction::Ingress => Statement::Source { prefix, is },
                    Direction::Egress => Statement::Destination { prefix, is },
                };
                let mut conditions = vec![condition(Prefix::parse(&block.cidr)?, true)];
                // A block of IPv6 addresses means nobody here, an exception of them excepts nobody.
                let except = block.except.iter().filter_map(|except| Prefix::parse(except));
                conditions.extend(except.map(|prefix| condition(prefix, false)));
                Some(conditions)
            }
        }
    }

    fn named_port(&mut self, other: &Other<'_>, namespace: &str, name: &str, protocol: Protocol) -> Option<Rule> {
        let everywhere = LabelSelector::default();
        let anybody = Selectors { pods: None, namespaces: Some(&everywhere) };
        let selectors = match other {
            Other::Anybody => &anybody,
            Other::Pods(selectors) => selectors,
            // Addresses have no ports with names.
            Other::Block(_) => return None,
        };
        let set = self.endpoints(selectors, namespace, name, protocol)?;
        Some(vec![Statement::EndpointIn(set)])
    }
}

fn others(rule: &PolicyRule) -> Vec<Other<'_>> {
    if rule.peers.is_empty() {
        return vec![Other::Anybody];
    }
    rule.peers
        .iter()
        .filter_map(|peer| match (&peer.ip_block, &peer.pod_selector, &peer.namespace_selector) {
            (Some(block), _, _) => Some(Other::Block(block)),
            (None, None, None) => None,
            (None, pods, namespaces) => {
                Some(Other::Pods(Selectors { pods: pods.as_ref(), namespaces: namespaces.as_ref() }))
            }
        })
        .collect()
}

/// The destination's ports; any of the answers will do. A name means the ports of `pod` that are called so.
fn ports(port: &Port, protocol: Protocol, pod: &Pod) -> Vec<Rule> {
    let of_protocol = Statement::Protocol(protocol);
    let range = |first, last| vec![of_protocol.clone(), Statement::DestinationPort { first, last }];
    match &port.port {
        None => vec![vec![of_protocol]],
        Some(IntOrString::Int(number)) => {
            let last = port.end_port.unwrap_or(*number);
            match (u16::try_from(*number), u16::try_from(last)) {
                (Ok(first), Ok(last)) if first <= last => vec![range(first, last)],
                _ => Vec::new(),
            }
        }
        Some(IntOrString::String(name)) => numbers(pod, name, protocol).map(|number| range(number, number)).collect(),
    }
}

/// The numbers of a pod's ports with this name.
pub(super) fn numbers<'a>(pod: &'a Pod, name: &'a str, protocol: Protocol) -> impl Iterator<Item = u16> + 'a {
    pod.named_ports()
        .filter(move |port| port.name == name && Protocol::parse(&port.protocol) == Some(protocol))
        .filter_map(|port| u16::try_from(port.container_port).ok())
}
