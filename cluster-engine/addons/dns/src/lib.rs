//! The cluster's name server: what upstream's CoreDNS with its kubernetes plugin answers.
//!
//! Services, EndpointSlices and Namespaces are watched; [`zone`] answers a question from them (pure),
//! [`respond`] makes a message of it, [`server`] speaks UDP and TCP, [`forward`] asks others about names that are
//! not the cluster's. The rules are those of the Kubernetes DNS specification, version 1.1.0
//! (<https://github.com/kubernetes/dns/blob/master/docs/specification.md>), with CoreDNS's choices where it is
//! silent.
//!
//! *Invariants:* `zone` knows no sockets and no API server; no answer about the cluster's names is ever taken
//! from elsewhere.

pub mod forward;
pub mod respond;
pub mod server;
pub mod zone;

#[cfg(test)]
mod live;
mod pages;
mod records;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use drydock_client::Client;
use drydock_component::Shutdown;
use drydock_component::serve::listen_address;
use hickory_proto::rr::Name;
use thiserror::Error;

use forward::Upstreams;
use records::Cluster;
use respond::Responder;
use zone::Zone;

/// The cluster's name server.
#[derive(Clone, Debug, Parser)]
#[command(name = "cluster-dns", version)]
pub struct Options {
    /// The cluster's domain.
    #[arg(long, default_value = "cluster.local", value_parser = domain)]
    pub domain: Name,
    /// Where to answer questions, UDP and TCP; `:53` means all addresses.
    #[arg(long, default_value = ":53", value_parser = listen_address)]
    pub listen: SocketAddr,
    /// Where to serve /health.
    #[arg(long, default_value = ":8080", value_parser = listen_address)]
    pub health_listen: SocketAddr,
    /// Where to serve /ready.
    #[arg(long, default_value = ":8181", value_parser = listen_address)]
    pub ready_listen: SocketAddr,
    /// How long answers may be kept, in seconds.
    #[arg(long, default_value_t = 30)]
    pub ttl: u32,
    /// The file that names the servers to ask about other names.
    #[arg(long, default_value = "/etc/resolv.conf")]
    pub resolv_conf: PathBuf,
    /// How to reach the API server; without it, as a pod in the cluster.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
}

fn domain(text: &str) -> Result<Name, String> {
    let mut name = Name::from_ascii(text).map_err(|error| format!("{text:?} is not a domain: {error}"))?;
    name.set_fqdn(true);
    Ok(name.to_lowercase())
}

/// Why the name server cannot run.
#[derive(Debug, Error)]
pub enum Error {
    /// The API server cannot be talked to with this configuration.
    #[error("cannot use the cluster's configuration")]
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
}

/// Runs until `shutdown`. Until the API server was heard, the cluster's names are answered with SERVFAIL.
///
/// # Errors
/// When the configuration or an address cannot be used.
pub async fn run(options: Options, shutdown: Shutdown) -> Result<(), Error> {
    let client = Client::from_flag(options.kubeconfig.as_deref()).map_err(Error::Config)?;
    let sockets = server::Sockets::bind(options.listen).await?;
    let pages = pages::Pages::bind(options.health_listen, options.ready_listen).await?;
    let upstreams = Upstreams::from_file(&options.resolv_conf);
    tracing::info!(dns.domain = %options.domain, dns.upstreams = %upstreams, "answering");
    let cluster = Cluster::start(client);
    let synced = cluster.synced();
    let zone = Zone::new(options.domain, options.ttl, cluster);
    let responder = Arc::new(Responder::new(zone, upstreams));
    let ready = responder.clone();
    tokio::join!(sockets.serve(responder, shutdown.clone()), pages.serve(move || ready.is_ready(), shutdown), async {
        synced.await;
        tracing::info!("the cluster's names are known");
    },);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags() {
        let options = Options::parse_from(["cluster-dns", "--domain", "Cluster.Local.", "--listen", ":53"]);
        assert_eq!(options.domain.to_ascii(), "cluster.local.");
        assert_eq!(options.listen.to_string(), "0.0.0.0:53");
        assert!(Options::try_parse_from(["cluster-dns", "--listen", "nowhere"]).is_err());
    }
}
