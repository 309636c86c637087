//! The loop: watch, plan, apply.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drydock_api::meta::{ObjectMeta, null_as_default};
use drydock_client::types::{EndpointSlice, NodeAddress, Service, Taint};
use drydock_client::{Client, ListOptions, Object, Reflector, object};
use drydock_component::Shutdown;
use drydock_nftables::ruleset::{Ruleset, steps};
use drydock_nftables::{Error as NetlinkError, Socket, apply, conntrack, table_exists};
use serde::Deserialize;
use tokio::sync::Notify;

use crate::announce::Announcer;
use crate::pages::{Health, HealthPorts, Pages};
use crate::plan::{NodeInfo, UdpServices, plan};
use crate::stale::is_stale;
use crate::{Error, Options, TABLE};

/// Services and endpoints that other proxies or nobody cares for.
const SELECTOR: &str = "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless";
/// How often it is looked after whether the table is still there.
const CHECK_PERIOD: Duration = Duration::from_secs(30);
/// How long after a refused change it is tried again, with the whole table.
const RETRY: Duration = Duration::from_secs(1);

/// The own node, as far as the proxy reads it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Node {
    metadata: ObjectMeta,
    spec: NodeSpec,
    status: NodeStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeStatus {
    #[serde(deserialize_with = "null_as_default")]
    addresses: Vec<NodeAddress>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeSpec {
    #[serde(deserialize_with = "null_as_default")]
    taints: Vec<Taint>,
}

object!(Node, "", "v1", "Node", "nodes", cluster);

pub(crate) async fn run(client: Client, options: Options, shutdown: Shutdown) -> Result<(), Error> {
    let name = match &options.hostname_override {
        Some(name) => name.clone(),
        None => {
            let name = nix::unistd::gethostname().map_err(Error::HostName)?;
            name.to_string_lossy().to_lowercase()
        }
    };
    let socket = Socket::open()?;
    let pages = Pages::listen(options.healthz_bind_address, options.metrics_bind_address).await?;
    let health = pages.health();
    tokio::spawn(pages.serve(shutdown.clone()));

    if options.network_policy {
        let policies = drydock_network_policy::run(client.clone(), name.clone(), shutdown.clone());
        tokio::spawn(async move {
            if let Err(error) = policies.await {
                tracing::error!(%error, "network policies are not enforced");
            }
        });
    }
    let services = Reflector::<Service>::start(client.clone(), ListOptions::labels(SELECTOR));
    let slices = Reflector::<EndpointSlice>::start(client.clone(), ListOptions::labels(SELECTOR));
    let nodes = Reflector::<Node>::start(client, ListOptions::fields(format!("metadata.name={name}")));
    let changed = Arc::new(Notify::new());
    // Marked only for what the rules depend on: a node's heartbeat is not among it.
    on_change(&services, &changed);
    on_change(&slices, &changed);
    on_change(&nodes, &changed);

    // A proxy that knows services but not their endpoints yet would refuse connections that work.
    let ready = async { tokio::join!(services.synced(), slices.synced()) };
    tokio::select! {
        _ = ready => {}
        () = shutdown.wait() => return Ok(()),
    }
    let info = NodeInfo {
        name: name.clone(),
        zone: None,
        cluster_cidr: options.cluster_cidr,
        masquerade_all: options.masquerade_all,
        addresses: Vec::new(),
    };
    let mut announcer = Announcer::default();
    let mut kernel = Kernel { socket, applied: None, udp: UdpServices::default() };
    let mut health_ports = HealthPorts::new(health.clone(), shutdown.clone());
    let mut check = tokio::time::interval(CHECK_PERIOD);
    check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let node = nodes.get("", &name);
        let addresses = node.as_deref().map(addresses).unwrap_or_default();
        let info = NodeInfo { zone: node.as_deref().and_then(zone), addresses, ..info.clone() };
        health.set_eligible(node.as_deref().is_none_or(eligible));
        let begun = Instant::now();
        let planned = plan(&services.list(), &slices.list(), &info);
        health_ports.set(planned.health_ports).await;
        let announced = planned.announced;
        let retry = match kernel.change(planned.ruleset, planned.udp) {
            Ok(steps) => {
                health.synced(begun.elapsed());
                if steps > 0 {
                    tracing::info!(rules.steps = steps, took_us = begun.elapsed().as_micros() as u64, "rules changed");
                }
                false
            }
            Err(error) => {
                health.failed();
                tracing::error!(%error, cause = error_source(&error), "cannot change the rules; will write all of them anew");
                true
            }
        };
        // After the rules: who asks for the address then is served.
        announcer.announce(&info.addresses, announced);
        tokio::time::sleep(options.iptables_min_sync_period).await;
        tokio::select! {
            () = changed.notified() => {}
            () = tokio::time::sleep(RETRY), if retry => {}
            _ = check.tick() => kernel.look_after(),
            () = shutdown.wait() => return Ok(()),
        }
    }
}

fn error_source(error: &NetlinkError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

fn on_change<K: Object>(reflector: &Reflector<K>, changed: &Arc<Notify>) {
    let changed = changed.clone();
    reflector.handle(move |_| changed.notify_one());
}

fn zone(node: &Node) -> Option<String> {
    node.metadata.labels.get("topology.kubernetes.io/zone").cloned()
}

/// Where node ports answer.
fn addresses(node: &Node) -> Vec<Ipv4Addr> {
    let internal = node.status.addresses.iter().filter(|address| address.kind == "InternalIP");
    internal.filter_map(|address| address.address.parse().ok()).take(1).collect()
}

/// Whether load balancers should send new traffic to the node (upstream: KEP-3836).
fn eligible(node: &Node) -> bool {
    node.metadata.deletion_timestamp.is_none()
        && !node.spec.taints.iter().any(|taint| taint.key == "ToBeDeletedByClusterAutoscaler")
}

/// What the kernel has.
struct Kernel {
    socket: Socket,
    /// None when it is not known.
    applied: Option<Ruleset>,
    udp: UdpServices,
}

impl Kernel {
    /// Brings the kernel to `ruleset`; answers in how many steps.
    fn change(&mut self, ruleset: Ruleset, udp: UdpServices) -> Result<usize, NetlinkError> {
        let before = self.applied.take();
        let steps = steps(before.as_ref(), &ruleset);
        let count = steps.len();
        apply(&self.socket, TABLE, &steps)?;
        drop(steps);
        self.applied = Some(ruleset);
        if udp != self.udp {
            match conntrack::forget(&self.socket, |connection| is_stale(connection, &udp)) {
                Ok(0) => {}
                Ok(stale) => tracing::info!(connections = stale, "forgot UDP connections to endpoints that are gone"),
                // Nothing depends on it but clients that never change their port.
                Err(error) => tracing::warn!(%error, cause = error_source(&error), "cannot forget UDP connections"),
            }
            self.udp = udp;
        }
        Ok(count)
    }

    /// Forgets what was applied if the table is gone, so that the next change writes all of it.
    fn look_after(&mut self) {
        match table_exists(&self.socket, TABLE) {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!("the table is gone; writing it anew");
                self.applied = None;
            }
            Err(error) => tracing::warn!(%error, cause = error_source(&error), "cannot look after the table"),
        }
    }
}

/// Ports by number, for [`HealthPorts`].
pub(crate) type Wanted = BTreeMap<u16, crate::plan::HealthPort>;
/// Shared health state.
pub(crate) type SharedHealth = Arc<Health>;
