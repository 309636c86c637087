//! Drydock's kube-apiserver: upstream's wire behaviour on one pipeline with one row per resource.
//!
//! A request goes through `pipeline` (who, may they, what), to a verb in `verbs` or a `subresource`, which know no kind: what
//! differs between kinds stands in the rows of `registry`. Objects are bytes in etcd (`storage`) and in the watch `cache`.
//!
//! *Invariant:* storage is etcd's v3 gRPC API and nothing else, so that the real etcd can take our own's place.

#![allow(
    clippy::result_large_err,
    reason = "a Status is made only when something failed; boxing it would clutter every signature"
)]

pub mod authorize;
pub mod options;
pub mod row;

mod addresses;
mod admission;
mod aggregator;
mod audit;
mod authn;
mod body;
mod bootstrap;
mod cache;
mod cel;
mod custom;
mod documents;
mod encode;
mod exchange;
mod flow;
mod kubelet;
mod meta;
mod metrics;
mod packed;
mod paths;
mod pipeline;
mod rbac;
mod registry;
mod request;
mod reviews;
mod rows;
mod server;
mod storage;
mod subresource;
mod tls;
mod verbs;
mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drydock_component::Shutdown;
use drydock_component::tls::TlsError;
use tokio::net::TcpListener;

pub use options::Options;
pub use storage::StorageError;

use crate::authorize::Lookup;

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is taken or not ours to take.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address of the flags.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A certificate or key is unusable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A ServiceAccount key is unusable.
    #[error(transparent)]
    Key(#[from] authn::keys::KeyError),
    /// etcd's address or files are unusable.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A flag's value makes no sense.
    #[error("{0}")]
    Flag(String),
    /// The audit log cannot be opened.
    #[error("cannot open the audit log {path}")]
    Audit {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Runs the server until `shutdown`.
///
/// # Errors
/// When a flag, a file or the port is unusable. A missing etcd is waited for.
pub async fn run(options: Options, shutdown: Shutdown) -> Result<(), Error> {
    let address = SocketAddr::new(options.bind_address, options.secure_port);
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    serve(options, listener, shutdown).await
}

/// Runs the server on a listener that is already bound.
///
/// # Errors
/// As [`run`].
pub async fn serve(mut options: Options, listener: TcpListener, shutdown: Shutdown) -> Result<(), Error> {
    if let Ok(bound) = listener.local_addr() {
        options.secure_port = bound.port();
    }
    let tls = tls::server_config(&options)?;
    let server = assemble(options, shutdown.clone())?;
    let (feed_caches, feed_etcd) = (Arc::clone(&server.caches), server.etcd.clone());
    tokio::spawn(cache::feed::run(feed_caches, feed_etcd, shutdown.clone()));
    tokio::spawn(bootstrap::run(Arc::clone(&server)));
    tokio::spawn(custom::controller::run(Arc::clone(&server)));
    tokio::spawn(aggregator::run(Arc::clone(&server)));
    tokio::spawn(compact(Arc::clone(&server)));
    let handler = move |request, peer| pipeline::handle(Arc::clone(&server), request, peer);
    drydock_component::serve::https(listener, tls, handler, shutdown).await;
    Ok(())
}

fn assemble(options: Options, shutdown: Shutdown) -> Result<Arc<server::Server>, Error> {
    let address = storage::etcd::Address {
        endpoints: options.etcd_servers.clone(),
        ca: options.etcd_cafile.clone(),
        cert: options.etcd_certfile.clone(),
        key: options.etcd_keyfile.clone(),
    };
    let etcd = storage::Etcd::new(&address)?;
    let rows = rows::Rows::builtin();
    let caches = Arc::new(cache::Caches::new(rows.all().into_iter()));
    let lookup: Arc<dyn Lookup> = Arc::<cache::Caches>::clone(&caches);
    let rbac = Arc::new(rbac::Authorizer::new(Arc::clone(&lookup)));
    let chain = authorize::chain::Chain::new(&options.authorization_mode, &lookup, &rbac).map_err(|name| {
        Error::Flag(format!(
            "--authorization-mode: unknown authorizer {name:?}; known are Node, RBAC, AlwaysAllow, AlwaysDeny"
        ))
    })?;
    let flows = flow::Flows::new(Arc::clone(&lookup));
    let tokens = Arc::new(authn::Tokens::new(&options, lookup)?);
    let audit = match &options.audit_log_path {
        None => audit::log::AuditLog::off(),
        Some(path) => {
            let rotation = audit::log::Rotation {
                max_size: options.audit_log_maxsize << 20,
                max_backups: options.audit_log_maxbackup,
                max_age: Duration::from_secs(options.audit_log_maxage * 24 * 3600),
            };
            audit::log::AuditLog::open(path, rotation).map_err(|source| Error::Audit { path: path.clone(), source })?
        }
    };
    Ok(Arc::new(server::Server {
        authenticator: authn::Authenticator::new(&options, Arc::clone(&tokens))?,
        addresses: addresses::Addresses::new(&options).map_err(Error::Flag)?,
        kubelets: kubelet::Kubelets::new(&options)?,
        options,
        etcd,
        caches,
        rows,
        tokens,
        chain: Arc::new(chain),
        rbac,
        flows,
        audit,
        metrics: metrics::Metrics::default(),
        documents: documents::Documents::default(),
        aggregator: aggregator::Aggregator::default(),
        started: Instant::now(),
        bootstrapped: std::sync::atomic::AtomicBool::new(false),
        shutdown,
    }))
}

/// Forgets etcd's history that is older than one interval, once per interval.
async fn compact(server: Arc<server::Server>) {
    let interval = server.options.etcd_compaction_interval;
    if interval.is_zero() {
        return;
    }
    let mut before = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = server.shutdown.wait() => return,
        }
        if before > 0
            && let Err(error) = server.etcd.compact(before).await
        {
            tracing::debug!(%error, "cannot compact etcd");
        }
        before = server.etcd.revision().await.unwrap_or(before);
    }
}
