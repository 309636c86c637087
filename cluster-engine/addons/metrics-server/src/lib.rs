//! The resource metrics API, `metrics.k8s.io/v1beta1`: what nodes and pods use now, for `kubectl top` and the
//! horizontal pod autoscaler.
//!
//! Kubelets count processor time since a container began; use is the difference of two readings. Upstream's
//! metrics-server reads all the time. Here nobody is read from while nobody asks: [`collect`] reads when a question
//! comes, twice in a row if there is no earlier reading of use, and questions that come soon after share the answer.
//!
//! *Invariants:* [`parse`], [`usage`] and [`answer`] know no sockets; only who comes through the API server's front
//! proxy is believed to be who they say, and each is authorised by the API server.

pub mod answer;
mod collect;
mod front;
mod gate;
pub mod parse;
mod tls;
pub mod usage;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use drydock_client::Client;
use drydock_component::Shutdown;
use thiserror::Error;

/// The resource metrics API.
#[derive(Clone, Debug, Parser)]
#[command(name = "metrics-server", version)]
pub struct Options {
    /// The port to serve on.
    #[arg(long, default_value_t = 10250)]
    pub secure_port: u16,
    /// Accept the certificates that kubelets made for themselves.
    #[arg(long)]
    pub kubelet_insecure_tls: bool,
    /// How to reach the API server; without it, as a pod in the cluster.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
}

/// Why the API cannot be served.
#[derive(Debug, Error)]
pub enum Error {
    /// The API server cannot be talked to with this configuration.
    #[error("cannot use the cluster's configuration")]
    Config(#[source] drydock_client::Error),
    /// The port cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No certificate to serve with.
    #[error("cannot make a serving certificate: {0}")]
    Certificate(String),
}

/// Runs until `shutdown`.
///
/// # Errors
/// When the configuration or the port cannot be used.
pub async fn run(options: Options, shutdown: Shutdown) -> Result<(), Error> {
    let client = Client::from_flag(options.kubeconfig.as_deref()).map_err(Error::Config)?;
    front::serve(client, options, shutdown).await
}
