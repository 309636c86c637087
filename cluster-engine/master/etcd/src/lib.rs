//! A single-member etcd: the v3 gRPC API over an in-memory multi-version store and an append-only log.
//!
//! Genuine etcd clients, `etcdctl` and an unmodified `kube-apiserver` talk to it as to etcd; the suite in
//! `tests/` gives the same random requests to it and to a genuine etcd-server and compares the answers.
//!
//! A request's way: [`server`] takes the gRPC message apart → [`backend`] runs it on the [`store`] (pure: no
//! clock, no files) and puts the record of what changed into a batch → the [`log`] writes the batch → watches
//! ([`watch`]) are woken and the answer leaves.
//!
//! Backups: `etcdctl snapshot save FILE` gets a database as etcd's ([`bolt`]), which `etcdctl snapshot status` reads and
//! `etcdctl snapshot restore` makes a data directory of; that directory, or `etcd --restore FILE`, begins with its state.
//!
//! *Invariants:* nothing is acknowledged or shown before it is in the log (and, without `--unsafe-no-fsync`, on
//! the disk); the store knows neither time nor files; no other crate of ours is used but `etcd-proto` and
//! `component`.

pub mod backend;
pub mod bolt;
mod compactor;
pub mod error;
pub mod log;
pub mod options;
pub mod server;
pub mod snapshot;
mod status_pages;
pub mod store;
mod url;
pub mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drydock_component::serve::{self, Body, Peer};
use drydock_component::tls::TlsError;
use drydock_component::{Shutdown, tls};
use http::{Request, Response};
use hyper::body::Incoming;
use rustls::server::WebPkiClientVerifier;
use thiserror::Error;
use tokio::net::TcpListener;

pub use options::Options;

use backend::{Backend, Limits};
use log::{Log, LogError};
use server::{Membership, Services};
use store::Identity;
use url::Endpoint;

/// The etcd version whose behaviour and API this program has.
pub const VERSION: &str = "3.6.6";
/// The version of etcd's storage that goes with it.
pub const STORAGE_VERSION: &str = "3.6.0";

/// Why the server cannot run.
#[derive(Debug, Error)]
pub enum Error {
    /// A flag's value makes no sense.
    #[error("{reason}")]
    Flag {
        /// What is wrong.
        reason: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {url}")]
    Listen {
        /// The flag's value.
        url: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The certificates cannot be used.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
    /// The data cannot be used.
    #[error("cannot use the data directory")]
    Log(#[from] LogError),
}

/// Runs until `shutdown`.
///
/// # Errors
/// When the flags, addresses, certificates or data cannot be used, or the log fails while running.
pub async fn run(options: Options, shutdown: Shutdown) -> Result<(), Error> {
    Server::bind(options, shutdown.clone()).await?.serve(shutdown).await
}

/// A server that listens but does not answer yet.
#[derive(Debug)]
pub struct Server {
    backend: Arc<Backend>,
    services: Services,
    log: Log,
    clients: Vec<(TcpListener, bool)>,
    metrics: Vec<(TcpListener, bool)>,
    tls: Option<Arc<rustls::ServerConfig>>,
    retention: options::Retention,
}

impl Server {
    /// Reads the data and begins to listen. `stopping` ends streams that would otherwise stay open.
    ///
    /// # Errors
    /// As [`run`].
    pub async fn bind(options: Options, stopping: Shutdown) -> Result<Server, Error> {
        let flag = |reason: String| Error::Flag { reason };
        let started = Instant::now();
        let retention = options.retention().map_err(flag)?;
        let client_urls = url::parse("--listen-client-urls", &options.listen_client_urls).map_err(flag)?;
        let metrics_urls = url::parse("--listen-metrics-urls", &options.listen_metrics_urls).map_err(flag)?;
        let secure = client_urls.iter().chain(&metrics_urls).any(|endpoint| endpoint.secure);
        let tls = if secure { Some(server_tls(&options)?) } else { None };
        let identity = identity(&options).map_err(flag)?;
        let directory = options.directory();
        let (log, store) =
            Log::open(&directory, identity, options.restore.as_deref(), !options.unsafe_no_fsync, Duration::ZERO)?;
        let limits = Limits {
            txn_ops: options.max_txn_ops,
            request_bytes: options.max_request_bytes,
            quota: options.quota(),
            progress_interval: options.watch_progress_notify_interval,
        };
        tracing::info!(
            data.dir = %directory.display(),
            revision = store.revision(),
            log.size_bytes = log.size(),
            took_us = started.elapsed().as_micros() as u64,
            "data read"
        );
        let backend = Backend::new(store, &log, directory, limits, started, stopping);
        let membership = Membership {
            name: options.name,
            peer_urls: options.initial_advertise_peer_urls,
            client_urls: options.advertise_client_urls,
        };
        let services = Services::new(backend.clone(), membership);
        let clients = listen(&client_urls).await?;
        let metrics = listen(&metrics_urls).await?;
        Ok(Server { backend, services, log, clients, metrics, tls, retention })
    }

    /// The addresses clients can reach it at.
    pub fn client_addresses(&self) -> Vec<SocketAddr> {
        self.clients.iter().filter_map(|(listener, _)| listener.local_addr().ok()).collect()
    }

    /// The addresses of the metrics listeners.
    pub fn metrics_addresses(&self) -> Vec<SocketAddr> {
        self.metrics.iter().filter_map(|(listener, _)| listener.local_addr().ok()).collect()
    }

    /// Answers until `shutdown`.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn serve(self, shutdown: Shutdown) -> Result<(), Error> {
        let Server { backend, services, log, clients, metrics, tls, retention } = self;
        let mut listeners = tokio::task::JoinSet::new();
        for (listener, secure) in clients {
            let services = services.clone();
            let handler = move |request: Request<Incoming>, _: Peer| {
                let services = services.clone();
                async move { client_request(&services, request).await }
            };
            spawn(&mut listeners, listener, tls.clone().filter(|_| secure), handler, shutdown.clone());
        }
        for (listener, secure) in metrics {
            let backend = backend.clone();
            let handler = move |request: Request<Incoming>, _: Peer| {
                let backend = backend.clone();
                async move { page(&backend, &request).await }
            };
            spawn(&mut listeners, listener, tls.clone().filter(|_| secure), handler, shutdown.clone());
        }
        tracing::info!("ready to serve client requests");
        let drained = Shutdown::new();
        let serving = async {
            while listeners.join_next().await.is_some() {}
            // Only then may the log close: the last answers wait for it.
            drained.0.shut_down();
        };
        let others = async {
            tokio::join!(
                backend.expire_leases(shutdown.clone()),
                compactor::run(&backend, retention, shutdown.clone()),
                serving,
            );
            Ok(())
        };
        // A log that fails ends the server at once.
        tokio::try_join!(backend.commit_batches(log, drained.1.clone()), others)?;
        Ok(())
    }
}

fn spawn<H, F>(
    listeners: &mut tokio::task::JoinSet<()>,
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    handler: H,
    shutdown: Shutdown,
) where
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    match tls {
        Some(tls) => listeners.spawn(serve::https(listener, tls, handler, shutdown)),
        None => listeners.spawn(serve::http(listener, handler, shutdown)),
    };
}

async fn client_request(services: &Services, request: Request<Incoming>) -> Response<Body> {
    let grpc = request
        .headers()
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if grpc { services.call(request).await } else { page(services.backend(), &request).await }
}

async fn page(backend: &Backend, request: &Request<Incoming>) -> Response<Body> {
    let uri = request.uri();
    status_pages::answer(backend, request.method(), uri.path(), uri.query().unwrap_or_default()).await
}

async fn listen(endpoints: &[Endpoint]) -> Result<Vec<(TcpListener, bool)>, Error> {
    let mut listeners = Vec::new();
    for endpoint in endpoints {
        let listener = TcpListener::bind(&endpoint.authority)
            .await
            .map_err(|source| Error::Listen { url: endpoint.url.clone(), source })?;
        listeners.push((listener, endpoint.secure));
    }
    Ok(listeners)
}

fn server_tls(options: &Options) -> Result<Arc<rustls::ServerConfig>, Error> {
    let needed = |file: &Option<PathBuf>, name: &str| {
        file.clone().ok_or_else(|| Error::Flag { reason: format!("{name} is needed for https URLs") })
    };
    let certificate = needed(&options.cert_file, "--cert-file")?;
    let key = needed(&options.key_file, "--key-file")?;
    if !options.client_cert_auth {
        return Ok(tls::server_config(&certificate, &key, options.trusted_ca_file.as_deref())?);
    }
    let ca = needed(&options.trusted_ca_file, "--trusted-ca-file (because of --client-cert-auth)")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(tls::roots(&ca)?), provider.clone())
        .build()
        .map_err(TlsError::from)?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::from)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(tls::certificates(&certificate)?, tls::private_key(&key)?)
        .map_err(TlsError::from)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Ids that stay the same for the same flags, like etcd's.
fn identity(options: &Options) -> Result<Identity, String> {
    let itself = |member: &str| member.split('=').next() == Some(options.name.as_str());
    if let Some(members) = &options.initial_cluster
        && !members.split(',').all(itself)
    {
        return Err(format!(
            "--initial-cluster names other members than {}, but this server is always its cluster's only one",
            options.name
        ));
    }
    let hash = |parts: &[&str]| {
        use sha2::Digest;
        let digest = sha2::Sha256::digest(parts.join("\n"));
        // Never 0: etcd's clients take 0 for "none".
        digest.iter().take(8).fold(0_u64, |id, byte| id << 8 | u64::from(*byte)) | 1
    };
    let urls = options.initial_advertise_peer_urls.join(",");
    let member = hash(&["member", &options.name, &urls, &options.initial_cluster_token]);
    let cluster = hash(&["cluster", &member.to_string(), &options.initial_cluster_token]);
    Ok(Identity { cluster, member })
}
