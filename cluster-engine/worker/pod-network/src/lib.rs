//! The pods' network of one node: a bridge, a veth per pod, addresses, routes, masquerade and host ports.
//!
//! What a CNI plugin chain (bridge + host-local + portmap + host-gw) does upstream, done by netlink inside the kubelet in
//! about a millisecond and without a process. Everything happens in the network namespace of the calling thread (the
//! node's), except for the few messages that configure `eth0`, which a short-lived thread sends inside the pod's.
//!
//! Guarantees: an address is never handed out twice at one time and not again until the range has wrapped around;
//! `attach` undoes itself when a step fails; `detach` of something unknown is no error; rules are replaced atomically.
//!
//! Needs `CAP_NET_ADMIN` over the node's network namespace, `CAP_SYS_ADMIN` over the pod's, and a writable
//! `/proc/sys/net` of the node.
#![allow(unsafe_code, reason = "netlink sockets and setns have no safe wrapper with the needed control")]

mod cidr;
mod firewall;
mod ipam;
mod link;
mod netlink;
mod route;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use cidr::Cidr;
pub use firewall::{HostPort, Protocol};
pub use netlink::NetlinkError;
pub use route::PeerRoute;

/// Whether bridged packets meet the rules for routed ones.
const BRIDGE_FILTER: &str = "net/bridge/bridge-nf-call-iptables";

/// What the node's pod network looks like.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the bridge, `cni0` in practice.
    pub bridge: String,
    /// This node's part of the cluster network; its first address becomes the bridge's.
    pub pod_cidr: Cidr,
    /// All pods of the cluster: traffic inside it is never masqueraded.
    pub cluster_cidr: Option<Cidr>,
    /// Service addresses: routed out of the node's interface when the node has no default route, because the kernel
    /// looks for a route before kube-proxy's rules rewrite the destination.
    pub service_cidr: Option<Cidr>,
    /// The node's own address; its interface carries the service route and gives the MTU.
    pub node_ip: Ipv4Addr,
    /// Where addresses in use are written, `/var/lib/cni/networks/drydock` in practice.
    pub state_dir: PathBuf,
}

/// A pod's place in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The address of the pod's `eth0`.
    pub ip: Ipv4Addr,
    /// The bridge's address, the pod's default gateway.
    pub gateway: Ipv4Addr,
}

/// Why the network could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a request.
    #[error("{what}: {source}")]
    Netlink {
        /// What was being done.
        what: &'static str,
        /// The kernel's answer.
        #[source]
        source: NetlinkError,
    },
    /// A file under `/proc/sys` or the address book could not be used.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// The pod's network namespace could not be entered.
    #[error("failed to enter network namespace: {source}")]
    Namespace {
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// Every address of the node's pod CIDR is in use.
    #[error("no IP addresses available in range set: {first}-{last}")]
    Exhausted {
        /// First address of the range.
        first: Ipv4Addr,
        /// Last address of the range.
        last: Ipv4Addr,
    },
    /// A text is no IPv4 network.
    #[error("invalid CIDR address: {0}")]
    Cidr(String),
}

/// The set-up network of a node. All methods block for about a millisecond and may be called from any thread.
#[derive(Debug)]
pub struct PodNetwork {
    config: Config,
    mtu: u32,
    isolated: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    addresses: ipam::Ipam,
    host_ports: BTreeMap<String, Vec<firewall::Forward>>,
    peers: Vec<PeerRoute>,
}

impl PodNetwork {
    /// Creates the bridge, the sysctls and the rules, or brings what a former run left into the wanted state.
    ///
    /// # Errors
    /// When the kernel refuses (missing rights, no bridge or nf_tables support) or the address book cannot be written.
    pub fn open(config: Config) -> Result<Self, Error> {
        let mtu = link::mtu_of(config.node_ip);
        let addresses = ipam::Ipam::open(&config.state_dir, config.pod_cidr)?;
        link::create_bridge(&config.bridge, config.pod_cidr, mtu)?;
        sysctl("net/ipv4/ip_forward", "1")?;
        // Host ports reached by 127.0.0.1 leave through the bridge with a loopback source.
        sysctl(&format!("net/ipv4/conf/{}/route_localnet", config.bridge), "1")?;
        // Pods reach each other through the bridge's own address; that they could do without it is none of their business.
        sysctl("net/ipv4/conf/all/send_redirects", "0")?;
        sysctl(&format!("net/ipv4/conf/{}/send_redirects", config.bridge), "0")?;
        // Where the kernel filters bridged packets as if they were routed, it also bridges what is translated.
        let isolated = !Path::new("/proc/sys").join(BRIDGE_FILTER).exists() || sysctl(BRIDGE_FILTER, "0").is_ok();
        if let Some(services) = config.service_cidr {
            route::ensure_service_route(services, config.node_ip)?;
        }
        let network = Self {
            mtu,
            isolated,
            state: Mutex::new(State { addresses, host_ports: BTreeMap::new(), peers: Vec::new() }),
            config,
        };
        network.replace_rules(&network.lock())?;
        Ok(network)
    }

    /// Gives the pod behind `netns` an address and a link, and forwards its host ports.
    ///
    /// `id` is the sandbox's id. A second call for the same `id` gives another address only if the first was detached.
    ///
    /// # Errors
    /// When no address is left or the kernel refuses; nothing remains then.
    pub fn attach(&self, id: &str, netns: &Path, ports: &[HostPort]) -> Result<Attachment, Error> {
        let namespace = std::fs::File::open(netns).map_err(|source| Error::Namespace { source })?;
        self.attach_fd(id, OwnedFd::from(namespace), ports)
    }

    /// As [`attach`](Self::attach), for a namespace that is already open.
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    pub fn attach_fd(&self, id: &str, namespace: OwnedFd, ports: &[HostPort]) -> Result<Attachment, Error> {
        let ip = self.lock().addresses.reserve(id)?;
        let gateway = self.config.pod_cidr.gateway();
        let veth = link::veth_name(id);
        let connect = || -> Result<(), Error> {
            link::create_veth(&veth, &self.config.bridge, self.mtu, ip, self.isolated, namespace.as_fd())?;
            link::configure_inside(namespace.as_fd(), ip, gateway)?;
            if !ports.is_empty() {
                let mut state = self.lock();
                state.host_ports.insert(id.to_owned(), ports.iter().map(|port| port.to(ip)).collect());
                self.replace_rules(&state)?;
            }
            Ok(())
        };
        match connect() {
            Ok(()) => Ok(Attachment { ip, gateway }),
            Err(error) => {
                self.detach(id);
                Err(error)
            }
        }
    }

    /// Takes the pod's link, address and host ports away. Failures are logged: there is nothing the caller could do.
    pub fn detach(&self, id: &str) {
        if let Err(error) = link::delete(&link::veth_name(id)) {
            tracing::warn!(sandbox.id = id, %error, "cannot delete the pod's link");
        }
        let mut state = self.lock();
        state.addresses.release(id);
        if state.host_ports.remove(id).is_some()
            && let Err(error) = self.replace_rules(&state)
        {
            tracing::warn!(sandbox.id = id, %error, "cannot remove the pod's host ports");
        }
    }

    /// Forgets every address that belongs to none of `ids`; for the start after an unclean end.
    pub fn retain(&self, ids: &[String]) {
        let holders = self.lock().addresses.holders();
        for id in holders {
            if !ids.contains(&id) {
                self.detach(&id);
            }
        }
    }

    /// Makes the routes to other nodes' pods exactly `peers`.
    ///
    /// # Errors
    /// When the kernel refuses a route; the others are still set, and the next call tries again.
    pub fn sync_peers(&self, mut peers: Vec<PeerRoute>) -> Result<(), Error> {
        peers.sort_unstable();
        peers.dedup();
        let mut state = self.lock();
        if state.peers == peers {
            return Ok(());
        }
        route::replace_peers(&state.peers, &peers)?;
        state.peers = peers;
        Ok(())
    }

    /// The node's part of the cluster network.
    #[must_use]
    pub fn pod_cidr(&self) -> Cidr {
        self.config.pod_cidr
    }

    fn replace_rules(&self, state: &State) -> Result<(), Error> {
        let forwards: Vec<_> = state.host_ports.values().flatten().copied().collect();
        firewall::replace(&self.config.bridge, self.config.pod_cidr, self.config.cluster_cidr, &forwards)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sysctl(name: &str, value: &str) -> Result<(), Error> {
    let path = Path::new("/proc/sys").join(name);
    if std::fs::read_to_string(&path).is_ok_and(|current| current.trim() == value) {
        return Ok(());
    }
    std::fs::write(&path, value).map_err(|source| Error::File { path, source })
}

#[cfg(test)]
mod tests;
