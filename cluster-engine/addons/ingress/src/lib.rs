//! The ingress controller: leads HTTP requests from outside to services, as Ingress objects say.
//!
//! Ingresses of our class, services and endpoint slices are watched; [`routes`] makes a table of them (pure), [`proxy`]
//! leads each request by it straight to an endpoint, `tls` answers TLS handshakes with the certificates of the Secrets that
//! Ingresses name, `status` writes the address under which all of this is reached into the Ingresses.
//!
//! # When it runs
//! Every session has the IngressClass, a Deployment with no replicas and a plain Service: three objects, no process.
//! The controller manager, which watches Ingresses anyway, scales the Deployment up and gives the Service a load balancer
//! when the first Ingress is there. A
//! process that waits would cost every session some megabytes for a thing that few lessons use; a flag of the session would
//! have to be known before the learner writes `kind: Ingress`.
//!
//! *Invariants:* `routes` and `headers` know no sockets and no API server; whatever a client sends, it gets an answer.

pub mod headers;
pub mod objects;
pub mod proxy;
pub mod routes;
pub mod tls;

mod cluster;
mod status;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use drydock_client::Client;
use drydock_component::Shutdown;
use drydock_component::serve::{self, Peer, listen_address, text};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use thiserror::Error;
use tokio::net::TcpListener;

use cluster::Cluster;
use proxy::{Door, Proxy};
use tls::Certificates;

/// The ingress controller.
#[derive(Clone, Debug, Parser)]
#[command(name = "ingress-controller", version)]
pub struct Options {
    /// IngressClasses with this controller are ours.
    #[arg(long, default_value = "drydock/ingress")]
    pub controller_class: String,
    /// The value of the old annotation kubernetes.io/ingress.class that means us.
    #[arg(long, default_value = "drydock")]
    pub ingress_class: String,
    /// The service, as namespace/name, whose load balancer's address is written into our Ingresses.
    #[arg(long, value_parser = reference, default_value = "kube-system/ingress-controller")]
    pub publish_service: (String, String),
    /// Where to serve HTTP; `:8080` means all addresses.
    #[arg(long, default_value = ":8080", value_parser = listen_address)]
    pub http_listen: SocketAddr,
    /// Where to serve HTTPS.
    #[arg(long, default_value = ":8443", value_parser = listen_address)]
    pub https_listen: SocketAddr,
    /// Where to serve /healthz.
    #[arg(long, default_value = ":10254", value_parser = listen_address)]
    pub health_listen: SocketAddr,
    /// How to reach the API server; without it, as a pod in the cluster.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
}

fn reference(text: &str) -> Result<(String, String), String> {
    let wrong = || format!("{text:?} is not namespace/name");
    let (namespace, name) = text.split_once('/').ok_or_else(wrong)?;
    Ok((namespace.to_owned(), name.to_owned()))
}

/// Why the ingress controller cannot run.
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
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] tls::Error),
}

/// Runs until `shutdown`.
///
/// # Errors
/// When the configuration or an address cannot be used.
pub async fn run(options: Options, shutdown: Shutdown) -> Result<(), Error> {
    let client = Client::from_flag(options.kubeconfig.as_deref()).map_err(Error::Config)?;
    let bind = async |address| TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source });
    let http = bind(options.http_listen).await?;
    let https = bind(options.https_listen).await?;
    let health = bind(options.health_listen).await?;
    let certificates = Arc::new(Certificates::new()?);
    let config = tls::server_config(certificates.clone())?;
    let cluster = Cluster::start(client, &options);
    let proxy = Arc::new(Proxy::new(cluster.table()));
    let ready = proxy.clone();
    let healthz = move |request: Request<Incoming>, _: Peer| {
        let response = match request.uri().path() {
            "/healthz" if ready.is_ready() => text(StatusCode::OK, "ok"),
            "/healthz" => text(StatusCode::SERVICE_UNAVAILABLE, "the cluster is not known yet"),
            _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
        };
        async move { response }
    };
    let through = |door: Door| {
        let proxy = proxy.clone();
        move |request: Request<Incoming>, peer: Peer| {
            let proxy = proxy.clone();
            async move { proxy.serve(request, peer.addr, door).await }
        }
    };
    tokio::join!(
        serve::http(http, through(Door::Http), shutdown.clone()),
        serve::https(https, config, through(Door::Https), shutdown.clone()),
        serve::http(health, healthz, shutdown.clone()),
        cluster.follow(certificates, shutdown),
    );
    Ok(())
}

#[cfg(test)]
mod live;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags() {
        let options = Options::parse_from(["ingress-controller", "--http-listen=:80", "--publish-service", "a/b"]);
        assert_eq!(options.http_listen.to_string(), "0.0.0.0:80");
        assert_eq!(options.publish_service, ("a".to_owned(), "b".to_owned()));
        assert!(Options::try_parse_from(["ingress-controller", "--publish-service", "a"]).is_err());
        assert!(Options::try_parse_from(["ingress-controller", "--https-listen", "x"]).is_err());
    }
}
