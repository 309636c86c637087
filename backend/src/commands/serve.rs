//! `drydock serve`: the web app.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use drydock_engine::WorkstationSpec;
use drydock_engine::host::NodeLimits;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::Common;
use crate::lessons;
use crate::routes::{self, App, Assets};
use crate::sessions::{Policy, Sessions};
use crate::store::Store;

/// How to serve.
#[derive(Args, Debug)]
#[group(id = "serve")]
pub(crate) struct Options {
    /// Address to serve on.
    #[arg(long, env = "DRYDOCK_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Leaves sessions running at the end; the next start finds them again.
    #[arg(long)]
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
    pulling: super::pulling::Options,
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When the address is taken, the machine cannot run nodes or the data folder cannot be used.
pub(crate) async fn run(common: &Common, options: Options) -> anyhow::Result<()> {
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}: choose another address with --listen", options.listen))?;
    let (files, engine) = common.engine().await?;
    files.rule(&options.pulling, false)?;
    let store = Store::open(&files.data.join("drydock.db")).await.context("cannot open the database")?;
    for refused in lessons::import(&store, &files.bundle.join("lessons")).await? {
        tracing::error!(lesson.file = refused.file, reason = refused.reason, "a lesson is left out");
    }
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let policy = Policy {
        time_limit: minutes(options.session_minutes),
        longest: minutes(options.session_minutes_max.max(options.session_minutes)),
        max_sessions: options.max_sessions,
        workstation: WorkstationSpec { image: "drydock/tools:latest".to_owned(), kubectl: files.kubectl()? },
        node_shell: files.program("busybox"),
        limits: NodeLimits {
            memory_bytes: Some(options.node_memory * 1024 * 1024),
            cpu_millis: None,
            pids: Some(options.node_pids),
            disk_bytes: Some(options.node_disk * 1024 * 1024),
        },
    };
    let sessions = Sessions::resume(engine, store.clone(), policy).await?;
    let assets = Arc::new(Assets::load(&files.bundle.join("web"))?);
    let app = routes::router(App { sessions: sessions.clone(), store, assets });
    let address = listener.local_addr()?;
    eprintln!("Drydock is ready: http://{address}");
    let server = axum::serve(listener, app);
    tokio::select! {
        outcome = server => outcome.context("the server failed")?,
        () = asked_to_stop() => {}
    }
    if options.keep_sessions {
        let open = sessions.open().len();
        eprintln!("Sessions that go on, for the next start to find again: {open}");
    } else {
        eprintln!("Ending all sessions …");
        sessions.end_all().await;
    }
    Ok(())
}

async fn asked_to_stop() {
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
