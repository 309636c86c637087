//! From services and endpoints to packet rules. Pure: no clock, no network.
//!
//! Names and behaviour follow upstream's nftables proxy. Every service port has a chain that picks an endpoint,
//! every endpoint a chain that translates to it; maps lead from address and port to the right chain, so the cost
//! for a packet does not grow with the number of services.

mod endpoints;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use drydock_client::Object;
use drydock_client::types::{EndpointSlice, Service, ServicePort};

use drydock_nftables::ruleset::{
    Chain, Hook, Key, Point, Prefix, Protocol, Rule, Ruleset, Set, SetKind, Statement, Verdict,
};
pub use endpoints::Backend;
use endpoints::{Choice, choose};

/// What the plan must know of the node it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Its zone (`topology.kubernetes.io/zone`), if it has one.
    pub zone: Option<String>,
    /// Where pods' addresses come from; traffic to services from elsewhere is masqueraded.
    pub cluster_cidr: Option<Prefix>,
    /// Masquerade all traffic to services.
    pub masquerade_all: bool,
    /// The addresses on which node ports answer; all of the node's while none is known.
    pub addresses: Vec<Ipv4Addr>,
}

/// What a plan leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The packet rules.
    pub ruleset: Ruleset,
    /// Ports on which load balancers ask for the number of endpoints on this node.
    pub health_ports: BTreeMap<u16, HealthPort>,
    /// Where UDP traffic to services may go: connections elsewhere are stale.
    pub udp: UdpServices,
    /// Load balancers' addresses for which this node answers on its network.
    pub announced: BTreeSet<Ipv4Addr>,
}

/// One answer to load balancers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthPort {
    /// The service's namespace.
    pub namespace: String,
    /// The service's name.
    pub name: String,
    /// Its ready endpoints on this node.
    pub local_endpoints: usize,
}

/// UDP services and the endpoints behind them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UdpServices {
    /// By address and port.
    pub addresses: BTreeMap<(Ipv4Addr, u16), BTreeSet<(Ipv4Addr, u16)>>,
    /// By node port.
    pub node_ports: BTreeMap<u16, BTreeSet<(Ipv4Addr, u16)>>,
}

/// A client stays with its endpoint for three hours if a service does not say how long.
const AFFINITY_SECONDS: u32 = 10_800;

const SERVICE_IPS: &str = "service-ips";
const SERVICE_NODEPORTS: &str = "service-nodeports";
const NO_ENDPOINT_SERVICES: &str = "no-endpoint-services";
const NO_ENDPOINT_NODEPORTS: &str = "no-endpoint-nodeports";
const FIREWALL_IPS: &str = "firewall-ips";
const CLUSTER_IPS: &str = "cluster-ips";
const NODEPORT_IPS: &str = "nodeport-ips";
const REJECT: &str = "reject-chain";
const MARK: &str = "mark-for-masquerade";
const LOOPBACK: Prefix = Prefix { address: Ipv4Addr::new(127, 0, 0, 0), length: 8 };

/// Priorities of nft's words `dstnat`, `filter` and `srcnat`.
const DSTNAT: i32 = -100;
const FILTER: i32 = 0;
const SRCNAT: i32 = 100;

/// The rules for `services` with the endpoints in `slices`, on `node`.
pub fn plan<S, E>(services: &[S], slices: &[E], node: &NodeInfo) -> Plan
where
    S: std::ops::Deref<Target = Service>,
    E: std::ops::Deref<Target = EndpointSlice>,
{
    let mut of_service: BTreeMap<(&str, &str), Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in slices.iter().map(|slice| &**slice).filter(|slice| slice.address_type == "IPv4") {
        if let Some(service) = slice.service_name() {
            of_service.entry((slice.namespace(), service)).or_default().push(slice);
        }
    }
    let mut planner = Planner { node, plan: Plan { ruleset: frame(&node.addresses), ..Plan::default() } };
    for service in services.iter().map(|service| &**service) {
        let slices = of_service.get(&(service.namespace(), service.name())).map(Vec::as_slice).unwrap_or_default();
        planner.service(service, slices);
    }
    planner.plan
}

/// The chains and sets that are there without any service.
fn frame(addresses: &[Ipv4Addr]) -> Ruleset {
    use Statement::{CtNew, DestinationIn, DestinationLocal, Mark, Masquerade, NotMarked, Reject, Unmark};
    let mut ruleset = Ruleset::default();
    let hook = |nat: bool, point: Point, priority: i32| Some(Hook { nat, point, priority });
    let jump = |chain: &str| Statement::Verdict(Verdict::Jump(chain.to_owned()));
    // Upstream's default is the node's own address and no other, so that an address it has for another reason (the
    // bridge's, a load balancer's) gives its ports to nobody.
    let node_port = |map: &str| match addresses {
        [] => {
            vec![
                DestinationLocal,
                Statement::Destination { prefix: LOOPBACK, is: false },
                Statement::PortMap(map.to_owned()),
            ]
        }
        _ => vec![DestinationIn(NODEPORT_IPS.to_owned()), Statement::PortMap(map.to_owned())],
    };
    let service_map = |map: &str| Statement::ServiceMap(map.to_owned());
    let mut chain = |name: &str, hook: Option<Hook>, rules: Vec<Rule>| {
        ruleset.chains.insert(name.to_owned(), Chain { hook, rules });
    };
    let services = || vec![vec![jump("services")]];
    chain("nat-prerouting", hook(true, Point::Prerouting, DSTNAT), services());
    chain("nat-output", hook(true, Point::Output, DSTNAT), services());
    chain("nat-postrouting", hook(true, Point::Postrouting, SRCNAT), vec![vec![jump("masquerading")]]);
    chain("services", None, vec![vec![service_map(SERVICE_IPS)], node_port(SERVICE_NODEPORTS)]);
    chain("masquerading", None, vec![vec![NotMarked, Statement::Verdict(Verdict::Return)], vec![Unmark, Masquerade]]);
    chain(MARK, None, vec![vec![Mark]]);
    chain(REJECT, None, vec![vec![Reject]]);
    // What must be refused is looked at before addresses are translated.
    let check = |name: &str| vec![CtNew, jump(name)];
    chain("filter-prerouting", hook(false, Point::Prerouting, DSTNAT - 10), vec![check("firewall-check")]);
    chain(
        "filter-input",
        hook(false, Point::Input, DSTNAT - 10),
        vec![check("nodeport-endpoints-check"), check("service-endpoints-check")],
    );
    chain(
        "filter-forward",
        hook(false, Point::Forward, DSTNAT - 10),
        vec![check("service-endpoints-check"), check("cluster-ips-check")],
    );
    chain(
        "filter-output",
        hook(false, Point::Output, DSTNAT - 10),
        vec![check("service-endpoints-check"), check("nodeport-endpoints-check"), check("firewall-check")],
    );
    chain("filter-output-post-dnat", hook(false, Point::Output, FILTER), vec![check("cluster-ips-check")]);
    chain("firewall-check", None, vec![vec![service_map(FIREWALL_IPS)]]);
    chain("service-endpoints-check", None, vec![vec![service_map(NO_ENDPOINT_SERVICES)]]);
    chain("nodeport-endpoints-check", None, vec![node_port(NO_ENDPOINT_NODEPORTS)]);
    // Still for a service address after translation: a port that the service does not have.
    chain("cluster-ips-check", None, vec![vec![DestinationIn(CLUSTER_IPS.to_owned()), Reject]]);
    for (name, kind) in [
        (SERVICE_IPS, SetKind::Services),
        (SERVICE_NODEPORTS, SetKind::Ports),
        (NO_ENDPOINT_SERVICES, SetKind::Services),
        (NO_ENDPOINT_NODEPORTS, SetKind::Ports),
        (FIREWALL_IPS, SetKind::Services),
        (CLUSTER_IPS, SetKind::Addresses),
        (NODEPORT_IPS, SetKind::Addresses),
    ] {
        ruleset.sets.insert(name.to_owned(), Set { kind, members: BTreeMap::new() });
    }
    if let Some(set) = ruleset.sets.get_mut(NODEPORT_IPS) {
        set.members = addresses.iter().map(|address| (Key::address(*address), None)).collect();
    }
    ruleset
}

struct Planner<'a> {
    node: &'a NodeInfo,
    plan: Plan,
}

/// One port of a service with everything decided about it.
struct Port<'a> {
    /// `namespace/name/protocol/port name`, the tail of its chains' names.
    name: String,
    service: &'a Service,
    protocol: Protocol,
    port: u16,
    node_port: u16,
    choice: Choice,
    internal_local: bool,
    external_local: bool,
    affinity: Option<u32>,
}

impl Planner<'_> {
    fn service(&mut self, service: &Service, slices: &[&EndpointSlice]) {
        let Ok(cluster_ip) = service.spec.cluster_ip.parse::<Ipv4Addr>() else { return };
        if service.spec.kind == "ExternalName" {
            return;
        }
        self.member(CLUSTER_IPS, Key::address(cluster_ip), None);
        let mut local = BTreeSet::new();
        for port in &service.spec.ports {
            if let Some(port) = self.port(service, port, slices) {
                local.extend(port.choice.local_ready.iter().map(|backend| backend.address));
                self.service_port(cluster_ip, &port);
            }
        }
        if service.spec.kind == "LoadBalancer"
            && service.spec.external_traffic_policy == "Local"
            && let Ok(port @ 1..) = u16::try_from(service.spec.health_check_node_port)
        {
            let (namespace, name) = (service.namespace().to_owned(), service.name().to_owned());
            self.plan.health_ports.insert(port, HealthPort { namespace, name, local_endpoints: local.len() });
        }
    }

    fn port<'a>(&self, service: &'a Service, port: &ServicePort, slices: &[&EndpointSlice]) -> Option<Port<'a>> {
        let spec = &service.spec;
        let protocol = Protocol::parse(&port.protocol)?;
        let affinity = (spec.session_affinity == "ClientIP").then(|| {
            let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
            let seconds = config.and_then(|config| config.timeout_seconds);
            seconds.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(AFFINITY_SECONDS)
        });
        Some(Port {
            name: format!("{}/{}/{protocol}/{}", service.namespace(), service.name(), port.name),
            service,
            protocol,
            port: u16::try_from(port.port).ok()?,
            node_port: u16::try_from(port.node_port).unwrap_or(0),
            choice: choose(slices, &port.name, protocol, self.node),
            internal_local: spec.internal_traffic_policy.as_deref() == Some("Local"),
            external_local: spec.external_traffic_policy == "Local",
            affinity,
        })
    }

    fn service_port(&mut self, cluster_ip: Ipv4Addr, port: &Port<'_>) {
        let spec = &port.service.spec;
        let load_balancer: BTreeSet<Ipv4Addr> = if spec.kind == "LoadBalancer" {
            // In mode Proxy the traffic must go through the load balancer itself.
            let entries = port.service.status.load_balancer.ingress.iter();
            entries
                .filter(|entry| entry.ip_mode.as_deref() != Some("Proxy"))
                .filter_map(|e| e.ip.parse().ok())
                .collect()
        } else {
            BTreeSet::new()
        };
        let mut external: BTreeSet<Ipv4Addr> = spec.external_ips.iter().filter_map(|ip| ip.parse().ok()).collect();
        external.extend(&load_balancer);
        let from_outside = !external.is_empty() || port.node_port != 0;

        let cluster = &port.choice.cluster;
        let local = &port.choice.local;
        let internal = if port.internal_local { local } else { cluster };
        // From pods and from the node itself even a Local service is reached wherever its endpoints are.
        let outside = if port.external_local { local } else { cluster };

        let cluster_chain = format!("service-{}", port.name);
        let local_chain = format!("local-{}", port.name);
        if !cluster.is_empty() && (!port.internal_local || from_outside) {
            self.balance(&cluster_chain, port, cluster);
        }
        if !local.is_empty() && (port.internal_local || (from_outside && port.external_local)) {
            self.balance(&local_chain, port, local);
        }

        let key = |address: Ipv4Addr| Key::endpoint(address, port.protocol, port.port);
        let udp = |backends: &[Backend]| backends.iter().map(|backend| (backend.address, backend.port)).collect();
        if internal.is_empty() {
            self.member(NO_ENDPOINT_SERVICES, key(cluster_ip), Some(refusal(cluster)));
        } else {
            let entry = format!("cluster-ip-{}", port.name);
            let to = if port.internal_local { &local_chain } else { &cluster_chain };
            let mut rules = Vec::new();
            if self.node.masquerade_all {
                rules.push(vec![jump(MARK)]);
            } else if let Some(prefix) = self.node.cluster_cidr {
                rules.push(vec![Statement::Source { prefix, is: false }, jump(MARK)]);
            }
            rules.push(vec![goto(to)]);
            self.chain(&entry, rules);
            self.member(SERVICE_IPS, key(cluster_ip), Some(Verdict::Goto(entry)));
        }
        if port.protocol == Protocol::Udp {
            self.plan.udp.addresses.insert((cluster_ip, port.port), udp(internal));
        }
        if port.service.metadata.annotations.get(Service::ANNOUNCING_NODE) == Some(&self.node.name) {
            self.plan.announced.extend(&load_balancer);
        }
        if !from_outside {
            return;
        }
        // A Local service without an endpoint here is still reached from this node and its pods, if it has one
        // anywhere; everybody else's packets are dropped, so that load balancers look elsewhere.
        let entry = format!("external-{}", port.name);
        let reachable = !outside.is_empty() || !cluster.is_empty();
        if reachable {
            let rules = self.external(port, &cluster_chain, &local_chain);
            self.chain(&entry, rules);
        }
        for address in external {
            if reachable {
                self.member(SERVICE_IPS, key(address), Some(Verdict::Goto(entry.clone())));
            } else {
                self.member(NO_ENDPOINT_SERVICES, key(address), Some(Verdict::Goto(REJECT.to_owned())));
            }
            if port.protocol == Protocol::Udp {
                self.plan.udp.addresses.insert((address, port.port), udp(cluster));
            }
        }
        if port.node_port != 0 {
            let key = Key::port(port.protocol, port.node_port);
            if reachable {
                self.member(SERVICE_NODEPORTS, key, Some(Verdict::Goto(entry)));
            } else {
                self.member(NO_ENDPOINT_NODEPORTS, key, Some(Verdict::Goto(REJECT.to_owned())));
            }
            if port.protocol == Protocol::Udp {
                self.plan.udp.node_ports.insert(port.node_port, udp(cluster));
            }
        }
        self.firewall(port, load_balancer);
    }

    /// How traffic from outside the cluster goes to a service.
    fn external(&self, port: &Port<'_>, cluster_chain: &str, local_chain: &str) -> Vec<Rule> {
        if !port.external_local {
            return vec![vec![jump(MARK)], vec![goto(cluster_chain)]];
        }
        let mut rules = Vec::new();
        if !port.choice.cluster.is_empty() {
            if let Some(prefix) = self.node.cluster_cidr {
                rules.push(vec![Statement::Source { prefix, is: true }, goto(cluster_chain)]);
            }
            rules.push(vec![Statement::SourceLocal, jump(MARK)]);
            rules.push(vec![Statement::SourceLocal, goto(cluster_chain)]);
        }
        if port.choice.local.is_empty() {
            rules.push(vec![Statement::Verdict(Verdict::Drop)]);
        } else {
            rules.push(vec![goto(local_chain)]);
        }
        rules
    }

    /// `loadBalancerSourceRanges`.
    fn firewall(&mut self, port: &Port<'_>, load_balancer: BTreeSet<Ipv4Addr>) {
        let ranges = &port.service.spec.load_balancer_source_ranges;
        let allowed: Vec<Prefix> = ranges.iter().filter_map(|range| Prefix::parse(range)).collect();
        if ranges.is_empty() || allowed.iter().any(|prefix| prefix.length == 0) || load_balancer.is_empty() {
            return;
        }
        let chain = format!("firewall-{}", port.name);
        let mut rules: Vec<Rule> = allowed
            .into_iter()
            .map(|prefix| vec![Statement::Source { prefix, is: true }, Statement::Verdict(Verdict::Return)])
            .collect();
        rules.push(vec![Statement::Verdict(Verdict::Drop)]);
        self.chain(&chain, rules);
        for address in load_balancer {
            let key = Key::endpoint(address, port.protocol, port.port);
            self.member(FIREWALL_IPS, key, Some(Verdict::Goto(chain.clone())));
        }
    }

    /// A chain that picks one of `backends`, and theirs.
    fn balance(&mut self, chain: &str, port: &Port<'_>, backends: &[Backend]) {
        let name = |backend: &Backend| format!("{}__{}/{}", port.name, backend.address, backend.port);
        let mut rules = Vec::new();
        if port.affinity.is_some() {
            for backend in backends {
                let name = name(backend);
                rules.push(vec![Statement::SourceIn(format!("affinity-{name}")), goto(&format!("endpoint-{name}"))]);
            }
        }
        for (index, backend) in backends.iter().enumerate() {
            // The first of n is taken once in n, the second once in the n-1 left, the last always.
            let left = u32::try_from(backends.len() - index).unwrap_or(u32::MAX);
            let mut rule = Vec::new();
            if left > 1 {
                rule.push(Statement::OneIn(left));
            }
            rule.push(goto(&format!("endpoint-{}", name(backend))));
            rules.push(rule);
        }
        self.chain(chain, rules);
        for backend in backends {
            self.endpoint(&name(backend), backend, port.affinity);
        }
    }

    fn endpoint(&mut self, name: &str, backend: &Backend, affinity: Option<u32>) {
        let itself = Prefix { address: backend.address, length: 32 };
        // A pod that reaches itself through its service would else see itself as the client.
        let mut rules = vec![vec![Statement::Source { prefix: itself, is: true }, jump(MARK)]];
        if let Some(seconds) = affinity {
            let set = format!("affinity-{name}");
            rules.push(vec![Statement::Remember { set: set.clone(), seconds }]);
            let kind = SetKind::Remembered;
            self.plan.ruleset.sets.insert(set, Set { kind, members: BTreeMap::new() });
        }
        rules.push(vec![Statement::Dnat { address: backend.address, port: backend.port }]);
        self.chain(&format!("endpoint-{name}"), rules);
    }

    fn chain(&mut self, name: &str, rules: Vec<Rule>) {
        self.plan.ruleset.chains.insert(name.to_owned(), Chain { hook: None, rules });
    }

    fn member(&mut self, set: &str, key: Key, verdict: Option<Verdict>) {
        if let Some(set) = self.plan.ruleset.sets.get_mut(set) {
            // Two services with the same external address: the first one has it, as upstream.
            set.members.entry(key).or_insert(verdict);
        }
    }
}

/// What becomes of a packet for a service without a usable endpoint: refused if there is none anywhere, dropped if
/// there is one that the traffic policy does not allow.
fn refusal(cluster: &[Backend]) -> Verdict {
    if cluster.is_empty() { Verdict::Goto(REJECT.to_owned()) } else { Verdict::Drop }
}

fn jump(chain: &str) -> Statement {
    Statement::Verdict(Verdict::Jump(chain.to_owned()))
}

fn goto(chain: &str) -> Statement {
    Statement::Verdict(Verdict::Goto(chain.to_owned()))
}
