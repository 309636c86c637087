//! `drydock serve`: the web app.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use drydock_engine::WorkstationSpec;
use drydock_engine::host::NodeLimits;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::Common;
use crate::files::Files;
use crate::front::{self, Front};
use crate::identity::Identity;
use crate::lessons::{Broken, Library};
use crate::metrics::monitor::Monitor;
use crate::routes::{self, App, Assets};
use crate::sessions::{Policy, Sessions};
use crate::store::Store;

/// Folder in the data folder for lessons that were imported beside the product's own.
const OWN_LESSONS: &str = "lessons";

/// How to serve.
#[derive(Args, Debug)]
#[group(skip)]
pub(crate) struct Options {
    /// Address to serve on.
    #[arg(long, env = "DRYDOCK_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Leaves sessions running at the end; the next start finds them again.
    #[arg(long, env = "DRYDOCK_KEEP_SESSIONS")]
    keep_sessions: bool,
    /// Minutes until a session ends, and what extending it adds.
    #[arg(long, env = "DRYDOCK_SESSION_MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1440))]
    session_minutes: u64,
    /// Minutes that a session may live at most, extensions included.
    #[arg(long, env = "DRYDOCK_SESSION_MINUTES_MAX", default_value_t = 240, value_parser = clap::value_parser!(u64).range(1..=10_080))]
    session_minutes_max: u64,
    /// Sessions at once.
    #[arg(long, env = "DRYDOCK_MAX_SESSIONS", default_value_t = 20)]
    max_sessions: usize,
    /// Memory of one node, in MiB.
    #[arg(long, env = "DRYDOCK_NODE_MEMORY", default_value_t = 1024)]
    node_memory: u64,
    /// Processes and threads of one node.
    #[arg(long, env = "DRYDOCK_NODE_PIDS", default_value_t = 2048)]
    node_pids: u64,
    /// Disk space of one node, in MiB.
    #[arg(long, env = "DRYDOCK_NODE_DISK", default_value_t = 10_240, value_parser = clap::value_parser!(u64).range(256..))]
    node_disk: u64,
    #[command(flatten)]
    front: front::Options,
    #[command(flatten)]
    metrics: routes::metrics::Options,
    #[command(flatten)]
    pulling: super::pulling::Options,
}

/// Which lessons are served.
pub(super) enum Lessons {
    /// The product's own and those that were imported.
    All,
    /// Those of these folders, with a database of their own: what others see stays as it is.
    Only(Vec<PathBuf>),
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When the address is taken, the machine cannot run nodes or the data folder cannot be used.
pub(crate) async fn run(common: &Common, options: Options, lessons: Lessons) -> anyhow::Result<()> {
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}: choose another address with --listen", options.listen))?;
    let (files, engine) = common.engine(&options.pulling, false).await?;
    // Kept until the end.
    let mut own_database = None;
    let (database, folders) = match lessons {
        Lessons::All => {
            let own = own_lessons(&files.data)?;
            (files.data.join("drydock.db"), vec![files.bundle.join("lessons"), own])
        }
        Lessons::Only(folders) => {
            let folder = tempfile::tempdir()?;
            let database = folder.path().join("drydock.db");
            own_database = Some(folder);
            (database, folders)
        }
    };
    let store = Store::open(&database).await.context("cannot open the database")?;
    let library = Arc::new(Library::new(store.clone(), folders));
    for refused in library.import(Broken::Drop).await?.refused {
        tracing::error!(lesson.file = refused.file, reason = refused.reason, "a lesson is left out");
    }
    let policy = options.policy(&files)?;
    let sessions = Sessions::resume(engine, store.clone(), library.clone(), policy).await?;
    let assets = Arc::new(Assets::load(&files.bundle.join("web"))?);
    let identity = Arc::new(Identity::open(&store, Front::new(options.front)).await?);
    let monitor = Monitor::new(sessions.clone(), files.data.clone(), database, options.max_sessions);
    let monitor = Arc::new(monitor);
    let metrics = match options.metrics.metrics_listen {
        Some(address) => {
            let listener = TcpListener::bind(address).await;
            Some(listener.with_context(|| format!("cannot serve metrics on {address}: see --metrics-listen"))?)
        }
        None => None,
    };
    let app = routes::router(App {
        sessions: sessions.clone(),
        store: store.clone(),
        library: library.clone(),
        identity,
        assets,
        monitor: monitor.clone(),
        metrics_token: options.metrics.metrics_token.map(Into::into),
    });
    let address = listener.local_addr()?;
    eprintln!("Drydock is ready: http://{address}");
    let server = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>());
    let follow = async {
        library.follow().await;
        std::future::pending::<()>().await;
    };
    let metrics = async {
        match metrics {
            Some(listener) => axum::serve(listener, routes::metrics::alone(monitor.clone())).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        outcome = metrics => outcome.context("the server of the metrics failed")?,
        () = monitor.clone().follow(store) => {}
        outcome = server => outcome.context("the server failed")?,
        () = follow => {}
        () = asked_to_stop() => {}
    }
    if options.keep_sessions {
        let open = sessions.open().len();
        eprintln!("Sessions that go on, for the next start to find again: {open}");
    } else {
        eprintln!("Ending all sessions …");
        sessions.end_all().await;
    }
    drop(own_database);
    Ok(())
}

/// The folder for imported lessons; created where needed.
///
/// # Errors
/// When it cannot be created.
pub(super) fn own_lessons(data: &Path) -> anyhow::Result<PathBuf> {
    let own = data.join(OWN_LESSONS);
    std::fs::create_dir_all(&own).with_context(|| format!("cannot create {}", own.display()))?;
    Ok(own)
}

impl Options {
    fn policy(&self, files: &Files) -> anyhow::Result<Policy> {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Ok(Policy {
            time_limit: minutes(self.session_minutes),
            longest: minutes(self.session_minutes_max.max(self.session_minutes)),
            max_sessions: self.max_sessions,
            workstation: WorkstationSpec { image: "drydock/tools:latest".to_owned(), kubectl: files.kubectl()? },
            node_shell: files.program("busybox"),
            limits: NodeLimits {
                memory_bytes: Some(self.node_memory * 1024 * 1024),
                cpu_millis: None,
                pids: Some(self.node_pids),
                disk_bytes: Some(self.node_disk * 1024 * 1024),
            },
        })
    }
}

/// What sessions are given when nobody says otherwise, but for as long as it takes.
///
/// # Errors
/// When there is no kubectl.
pub(super) fn patient_policy(files: &Files) -> anyhow::Result<Policy> {
    #[derive(clap::Parser)]
    struct Defaults {
        #[command(flatten)]
        options: Options,
    }
    let defaults = <Defaults as clap::Parser>::try_parse_from(["drydock"])?;
    let hours = Duration::from_secs(24 * 60 * 60);
    let policy = defaults.options.policy(files)?;
    Ok(Policy { time_limit: hours, longest: hours, max_sessions: usize::MAX, ..policy })
}

/// Resolves with SIGINT or SIGTERM.
pub(super) async fn asked_to_stop() {
    let handlers =
        signal(SignalKind::terminate()).and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)));
    match handlers {
        Ok((mut terminate, mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        Err(error) => {
            tracing::error!(%error, "cannot listen for signals");
            std::future::pending::<()>().await;
        }
    }
}
