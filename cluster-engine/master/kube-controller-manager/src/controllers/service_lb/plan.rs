//! Which address a load balancer gets and which node answers for it. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use drydock_client::Object;
use drydock_client::types::{EndpointSlice, Node, Service};

/// The label of nodes that load balancers leave out while there are others.
const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// Addresses to give away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controllers) struct Range {
    first: u32,
    length: u32,
}

impl Range {
    /// The addresses that share `length` bits with `address`.
    pub(in crate::controllers) fn new(address: Ipv4Addr, length: u32) -> Range {
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
        Range { first: address.to_bits() & mask, length }
    }

    fn addresses(self) -> impl Iterator<Item = Ipv4Addr> {
        let count = 1_u32.checked_shl(32 - self.length).unwrap_or(u32::MAX);
        (0..count).map(move |offset| Ipv4Addr::from_bits(self.first + offset))
    }

    fn contains(self, address: Ipv4Addr) -> bool {
        Range::new(address, self.length) == self
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.first), self.length)
    }
}

/// What a service has or shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) address: Ipv4Addr,
    /// None if no node can answer.
    pub(super) node: Option<String>,
}

/// What a decision depends on beside the service.
pub(super) struct Facts<'a> {
    pub(super) range: Range,
    /// What other services have.
    pub(super) others: &'a [Assignment],
    pub(super) nodes: &'a [Arc<Node>],
    /// Of the service's namespace.
    pub(super) slices: &'a [Arc<EndpointSlice>],
}

/// Whether we are to give the service an address: others care for services with a class.
pub(super) fn is_ours(service: &Service) -> bool {
    service.spec.kind == "LoadBalancer" && service.spec.load_balancer_class.is_none() && !service.metadata.is_deleting()
}

/// What we gave the service; nothing if it was somebody else.
pub(super) fn assigned(service: &Service) -> Option<Assignment> {
    let node = service.metadata.annotations.get(Service::ANNOUNCING_NODE);
    let address = service.status.load_balancer.ingress.first()?.ip.parse().ok()?;
    Some(Assignment { address, node: Some(node?.clone()) })
}

/// Whether the node can answer at all.
fn can_announce(node: &Node) -> bool {
    let ready = node.status.conditions.iter().find(|condition| condition.kind == "Ready");
    ready.is_some_and(|condition| condition.status == "True") && !node.metadata.is_deleting()
}

/// What of a node a decision depends on.
pub(super) fn standing(node: &Node) -> (bool, bool) {
    (can_announce(node), node.metadata.labels.contains_key(EXCLUDE))
}

/// What the service shall have; none if no address is free.
pub(super) fn plan(service: &Service, facts: &Facts<'_>) -> Option<Assignment> {
    let current = assigned(service);
    let is_free = |address: &Ipv4Addr| facts.others.iter().all(|other| other.address != *address);
    let usable = |address: &Ipv4Addr| facts.range.contains(*address) && is_free(address);
    let asked: Option<Ipv4Addr> = service.spec.load_balancer_ip.parse().ok();
    let address = asked
        .filter(usable)
        .or_else(|| current.as_ref().map(|current| current.address).filter(usable))
        .or_else(|| facts.range.addresses().find(is_free))?;
    Some(Assignment { address, node: node(service, current.and_then(|current| current.node), facts) })
}

/// Who answers: with local traffic a node that has an endpoint, else the one that has the least to do; no change
/// without need.
fn node(service: &Service, current: Option<String>, facts: &Facts<'_>) -> Option<String> {
    let able: Vec<&Node> = facts.nodes.iter().map(|node| &**node).filter(|node| can_announce(node)).collect();
    let mut candidates: Vec<&str> =
        able.iter().filter(|node| !node.metadata.labels.contains_key(EXCLUDE)).map(|node| node.name()).collect();
    if candidates.is_empty() {
        candidates = able.iter().map(|node| node.name()).collect();
    }
    if service.spec.external_traffic_policy == "Local" {
        let with_endpoint = endpoint_nodes(service, facts.slices);
        let local: Vec<&str> = candidates.iter().filter(|name| with_endpoint.contains(**name)).copied().collect();
        if !local.is_empty() {
            candidates = local;
        }
    }
    if let Some(current) = current.filter(|current| candidates.contains(&current.as_str())) {
        return Some(current);
    }
    let load = |name: &str| facts.others.iter().filter(|other| other.node.as_deref() == Some(name)).count();
    candidates.into_iter().min_by_key(|name| (load(name), name.to_string())).map(str::to_owned)
}

/// The nodes on which the service has ready endpoints.
fn endpoint_nodes<'a>(service: &Service, slices: &'a [Arc<EndpointSlice>]) -> BTreeSet<&'a str> {
    let own = slices
        .iter()
        .filter(|slice| slice.service_name() == Some(service.name()) && slice.namespace() == service.namespace());
    own.flat_map(|slice| &slice.endpoints)
        .filter(|endpoint| endpoint.conditions.ready.unwrap_or(true))
        .filter_map(|endpoint| endpoint.node_name.as_deref())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(name: &str, changes: Value) -> Service {
        let mut value = json!({"metadata": {"name": name, "namespace": "ns"}, "spec": {"type": "LoadBalancer"}});
        for (section, changes) in changes.as_object().unwrap() {
            for (field, change) in changes.as_object().unwrap() {
                value[section][field] = change.clone();
            }
        }
        serde_json::from_value(value).unwrap()
    }

    fn having(address: &str, node: &str) -> Value {
        json!({
            "metadata": {"annotations": {Service::ANNOUNCING_NODE: node}},
            "status": {"loadBalancer": {"ingress": [{"ip": address}]}},
        })
    }

    fn nodes() -> Vec<Arc<Node>> {
        let node = |name: &str, ready: &str, labels: Value| {
            let value = json!({
                "metadata": {"name": name, "labels": labels},
                "status": {"conditions": [{"type": "Ready", "status": ready}]},
            });
            Arc::new(serde_json::from_value(value).unwrap())
        };
        vec![
            node("master", "True", json!({EXCLUDE: ""})),
            node("w1", "True", json!({})),
            node("w2", "True", json!({})),
            node("w3", "Unknown", json!({})),
        ]
    }

    #[track_caller]
    fn check(service: &Service, others: &[(&str, &str)], expected: Option<(&str, Option<&str>)>) {
        let others: Vec<Assignment> = others
            .iter()
            .map(|(address, node)| Assignment { address: address.parse().unwrap(), node: Some((*node).to_owned()) })
            .collect();
        let slice = json!({
            "metadata": {"name": "s", "namespace": "ns", "labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": [{"addresses": ["10.244.2.2"], "nodeName": "w2"}, {"nodeName": "w1", "conditions": {"ready": false}}],
        });
        let slices = [Arc::new(serde_json::from_value(slice).unwrap())];
        let range = Range::new(Ipv4Addr::new(10, 20, 0, 128), 30);
        let facts = Facts { range, others: &others, nodes: &nodes(), slices: &slices };
        let planned = plan(service, &facts);
        let expected = expected
            .map(|(address, node)| Assignment { address: address.parse().unwrap(), node: node.map(str::to_owned) });
        assert_eq!(planned, expected);
    }

    #[test]
    fn the_first_free_address_and_the_idlest_node() {
        check(&service("web", json!({})), &[], Some(("10.20.0.128", Some("w1"))));
        check(&service("web", json!({})), &[("10.20.0.128", "w1")], Some(("10.20.0.129", Some("w2"))));
    }

    #[test]
    fn what_a_service_has_it_keeps() {
        check(&service("web", having("10.20.0.130", "w2")), &[], Some(("10.20.0.130", Some("w2"))));
        // Unless the node is gone or the address is not one of ours.
        check(&service("web", having("10.20.0.130", "w3")), &[], Some(("10.20.0.130", Some("w1"))));
        check(&service("web", having("192.0.2.1", "w2")), &[], Some(("10.20.0.128", Some("w2"))));
        check(
            &service("web", having("10.20.0.128", "w2")),
            &[("10.20.0.128", "w1")],
            Some(("10.20.0.129", Some("w2"))),
        );
    }

    #[test]
    fn an_address_can_be_asked_for() {
        let asking = |address: &str| service("web", json!({"spec": {"loadBalancerIP": address}}));
        check(&asking("10.20.0.131"), &[], Some(("10.20.0.131", Some("w1"))));
        check(&asking("10.20.0.131"), &[("10.20.0.131", "w1")], Some(("10.20.0.128", Some("w2"))));
        check(&asking("8.8.8.8"), &[], Some(("10.20.0.128", Some("w1"))));
    }

    #[test]
    fn local_traffic_is_answered_where_it_is_served() {
        let local = json!({"spec": {"externalTrafficPolicy": "Local"}});
        check(&service("web", local.clone()), &[], Some(("10.20.0.128", Some("w2"))));
        check(&service("other", local), &[], Some(("10.20.0.128", Some("w1"))));
    }

    #[test]
    fn a_full_range_gives_nothing() {
        let all = [("10.20.0.128", "w1"), ("10.20.0.129", "w1"), ("10.20.0.130", "w1"), ("10.20.0.131", "w1")];
        check(&service("web", json!({})), &all, None);
    }

    #[test]
    fn who_is_ours() {
        assert!(is_ours(&service("web", json!({}))));
        assert!(!is_ours(&service("web", json!({"spec": {"loadBalancerClass": "example.com/x"}}))));
        assert!(!is_ours(&service("web", json!({"spec": {"type": "ClusterIP"}}))));
        let foreign = service("web", json!({"status": {"loadBalancer": {"ingress": [{"ip": "10.20.0.128"}]}}}));
        assert_eq!(assigned(&foreign), None);
    }
}
