//! kube-proxy: makes service addresses work on a node, with nftables.
//!
//! Services, EndpointSlices and the own Node are watched; after each change [`plan`] turns them into a
//! [`ruleset`] (pure), and `drydock-nftables` brings the kernel from the ruleset before to the new one in one
//! transaction. Only what differs is written, so session affinity survives changes elsewhere.
//!
//! It needs CAP_NET_ADMIN in the user namespace that owns its network namespace, nothing else.
//!
//! *Invariants:* `plan` and `ruleset` know neither sockets nor clocks; no rule is ever written outside the table
//! `ip kube-proxy`.

pub mod plan;
pub mod stale;

mod announce;
mod pages;
mod proxy;

pub use drydock_nftables::ruleset;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use drydock_client::Client;
use drydock_component::Shutdown;
use thiserror::Error;

use ruleset::Prefix;

/// The table that holds everything.
pub const TABLE: &str = "kube-proxy";

/// The service proxy of one node.
#[derive(Clone, Debug, Parser)]
#[command(name = "kube-proxy", version)]
pub struct Options {
    /// How to reach the API server; without it, as a pod in the cluster.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// Where pods' addresses come from. Traffic to services from elsewhere is masqueraded.
    #[arg(long, value_parser = prefix)]
    pub cluster_cidr: Option<Prefix>,
    /// This node's name, if it is not the host name.
    #[arg(long)]
    pub hostname_override: Option<String>,
    /// How packets are led: only nftables.
    #[arg(long, value_parser = ["nftables"], default_value = "nftables")]
    pub proxy_mode: String,
    /// Masquerade all traffic to services.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub masquerade_all: bool,
    /// Enforce NetworkPolicy for this node's pods; of no use beside another network plug-in that does so.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = true, action = clap::ArgAction::Set)]
    pub network_policy: bool,
    /// Where to serve /healthz and /livez.
    #[arg(long, default_value = "0.0.0.0:10256")]
    pub healthz_bind_address: SocketAddr,
    /// Where to serve /metrics and /proxyMode.
    #[arg(long, default_value = "127.0.0.1:10249")]
    pub metrics_bind_address: SocketAddr,
    /// Shortest time between two changes of the rules.
    #[arg(long, value_parser = drydock_component::duration::flag, default_value = "50ms")]
    pub iptables_min_sync_period: Duration,
}

fn prefix(text: &str) -> Result<Prefix, String> {
    Prefix::parse(text).ok_or_else(|| format!("{text:?} is not an IPv4 prefix such as 10.244.0.0/16"))
}

/// Why the proxy cannot run.
#[derive(Debug, Error)]
pub enum Error {
    /// The API server cannot be talked to with this configuration.
    #[error("cannot use the kubeconfig")]
    Config(#[source] drydock_client::Error),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The flag's value.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The host name cannot be read.
    #[error("cannot read the host name; --hostname-override sets it")]
    HostName(#[source] nix::errno::Errno),
    /// The kernel's packet rules cannot be reached.
    #[error("cannot reach nftables")]
    Netlink(#[from] drydock_nftables::Error),
}

/// Runs until `shutdown`. The rules stay when it ends, as upstream's do: services go on working meanwhile.
///
/// # Errors
/// When the configuration or an address cannot be used, or the kernel has no netfilter.
pub async fn run(options: Options, shutdown: Shutdown) -> Result<(), Error> {
    let client = Client::from_flag(options.kubeconfig.as_deref()).map_err(Error::Config)?;
    proxy::run(client, options, shutdown).await
}
