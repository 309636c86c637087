//! Which endpoints of a service port are used (upstream: `CategorizeEndpoints`).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use drydock_client::types::{Endpoint, EndpointSlice};

use super::NodeInfo;
use crate::ruleset::Protocol;

/// Where a connection can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backend {
    /// A pod's address.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
}

/// The endpoints for each traffic policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// For policy Cluster.
    pub(super) cluster: Vec<Backend>,
    /// For policy Local.
    pub(super) local: Vec<Backend>,
    /// Ready ones on this node, whatever the policy.
    pub(super) local_ready: Vec<Backend>,
}

struct Candidate<'a> {
    endpoint: &'a Endpoint,
    local: bool,
}

impl Candidate<'_> {
    fn ready(&self) -> bool {
        // With publishNotReadyAddresses the controller says so of every endpoint.
        self.endpoint.conditions.ready.unwrap_or(true)
    }

    /// Ends, but still answers: used when nothing better is left.
    fn serving_terminating(&self) -> bool {
        let conditions = &self.endpoint.conditions;
        conditions.serving.unwrap_or(true) && conditions.terminating.unwrap_or(false)
    }
}

/// Chooses among the endpoints that `slices` have for the port called `name`.
pub(super) fn choose(slices: &[&EndpointSlice], name: &str, protocol: Protocol, node: &NodeInfo) -> Choice {
    let mut candidates: BTreeMap<Backend, Candidate<'_>> = BTreeMap::new();
    for slice in slices {
        for port in &slice.ports {
            let same = port.name.as_deref().unwrap_or_default() == name
                && Protocol::parse(port.protocol.as_deref().unwrap_or_default()) == Some(protocol);
            let Some(Ok(port @ 1..)) = port.port.map(u16::try_from).filter(|_| same) else { continue };
            for endpoint in &slice.endpoints {
                // The addresses of one endpoint mean the same; upstream uses the first, too.
                let Some(Ok(address)) = endpoint.addresses.first().map(|address| address.parse()) else { continue };
                let local = endpoint.node_name.as_deref() == Some(&node.name);
                let candidate = Candidate { endpoint, local };
                let known = candidates.entry(Backend { address, port }).or_insert(Candidate { endpoint, local });
                // While an endpoint moves between slices it can be in two of them; ready counts.
                if candidate.ready() && !known.ready() {
                    *known = candidate;
                }
            }
        }
    }
    let pick = |wanted: &dyn Fn(&Candidate<'_>) -> bool| -> Vec<Backend> {
        candidates.iter().filter(|(_, candidate)| wanted(candidate)).map(|(backend, _)| *backend).collect()
    };
    let local_ready = pick(&|candidate| candidate.local && candidate.ready());
    let mut local = local_ready.clone();
    if local.is_empty() {
        local = pick(&|candidate| candidate.local && candidate.serving_terminating());
    }
    let mut cluster = pick(&|candidate| candidate.ready());
    if cluster.is_empty() {
        cluster = pick(&|candidate| candidate.serving_terminating());
    } else if let Some(hint) = hint(&candidates, node) {
        cluster = pick(&|candidate| candidate.ready() && hint(candidate.endpoint));
    }
    Choice { cluster, local, local_ready }
}

/// Whether an endpoint is meant for this node.
type Follows<'n> = Box<dyn Fn(&Endpoint) -> bool + 'n>;

/// The hint to follow: only if every ready endpoint has one and some endpoint is meant for this node or zone.
fn hint<'n>(candidates: &BTreeMap<Backend, Candidate<'_>>, node: &'n NodeInfo) -> Option<Follows<'n>> {
    let ready = || candidates.values().filter(|candidate| candidate.ready()).map(|candidate| candidate.endpoint);
    let for_node = |endpoint: &Endpoint| {
        endpoint.hints.as_ref().is_some_and(|hints| hints.for_nodes.iter().any(|hint| hint.name == node.name))
    };
    let for_zone = |endpoint: &Endpoint| {
        endpoint
            .hints
            .as_ref()
            .is_some_and(|hints| hints.for_zones.iter().any(|hint| Some(&hint.name) == node.zone.as_ref()))
    };
    let all_nodes = ready().all(|endpoint| endpoint.hints.as_ref().is_some_and(|hints| !hints.for_nodes.is_empty()));
    let all_zones = ready().all(|endpoint| endpoint.hints.as_ref().is_some_and(|hints| !hints.for_zones.is_empty()));
    if all_nodes && ready().any(for_node) {
        Some(Box::new(for_node))
    } else if all_zones && ready().any(for_zone) {
        Some(Box::new(for_zone))
    } else {
        None
    }
}
