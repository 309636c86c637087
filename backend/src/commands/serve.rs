//! `drydock serve`: the web app.

use std::future::IntoFuture as _;
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
use crate::accounts;
use crate::admission::measure::machine;
use crate::admission::{Amount, Rules};
use crate::backup;
use crate::classroom::Classroom;
use crate::files::Files;
use crate::front::{self, Front};
use crate::identity::Identity;
use crate::identity::oidc::{self, Oidc};
use crate::lessons::{Broken, Library};
use crate::metrics::monitor::Monitor;
use crate::notify;
use crate::preview::{self, Certificate, Doors, Peer, Previews};
use crate::routes::{self, App, Assets};
use crate::sessions::{Policy, Sessions, now_millis};
use crate::store::Store;

/// How long answers that have begun may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

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
    /// Sessions and places in the queue that one learner may have at once, besides those in classes; 0: as many as there are.
    #[arg(long, env = "DRYDOCK_SESSIONS_EACH", default_value_t = 3)]
    sessions_each: usize,
    /// Clusters that are started ahead and handed out at once.
    #[arg(long, env = "DRYDOCK_WARM", default_value_t = 1, value_parser = clap::value_parser!(u16).range(0..=100))]
    warm: u16,
    /// Minutes without use after which a session is frozen until somebody uses it again; 0: never.
    #[arg(long, env = "DRYDOCK_SUSPEND_MINUTES", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=1440))]
    suspend_minutes: u64,
    /// Seconds after which somebody who waits loses the place in the queue when the page was closed.
    #[arg(long, env = "DRYDOCK_QUEUE_LEASE", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    queue_lease: u64,
    /// Memory that sessions leave to the machine, in MiB [default: a sixteenth, at least 512].
    #[arg(long, env = "DRYDOCK_RESERVE_MEMORY", value_name = "MIB", value_parser = clap::value_parser!(u64).range(0..=1 << 40))]
    reserve_memory: Option<u64>,
    /// Disk space that sessions leave to the machine, in MiB.
    #[arg(long, env = "DRYDOCK_RESERVE_DISK", default_value_t = 2048, value_parser = clap::value_parser!(u64).range(0..=1 << 40))]
    reserve_disk: u64,
    /// Days for which what learners made can still be downloaded after the end of their session.
    #[arg(long, env = "DRYDOCK_KEEP_MANIFESTS", default_value_t = 7, value_parser = clap::value_parser!(u64).range(0..=3650))]
    keep_manifests: u64,
    /// Memory of a whole session, in MiB.
    #[arg(long, env = "DRYDOCK_SESSION_MEMORY", default_value_t = 3072, value_parser = clap::value_parser!(u64).range(128..=1 << 40))]
    session_memory: u64,
    /// Processes and threads of a whole session.
    #[arg(long, env = "DRYDOCK_SESSION_PIDS", default_value_t = 6144, value_parser = clap::value_parser!(u64).range(256..))]
    session_pids: u64,
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
    previews: preview::Options,
    #[command(flatten)]
    front: front::Options,
    /// Days for which the data of a class is kept after its end: names, progress, what was told.
    #[arg(long, env = "DRYDOCK_CLASS_KEEP_DAYS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3_650))]
    class_keep_days: u64,
    #[command(flatten)]
    oidc: oidc::Options,
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
    let listener = listener(options.listen).await?;
    let (files, engine) = common.engine(&options.pulling, false).await?;
    // Kept until the end.
    let mut own_database = None;
    let mut lock = None;
    let (database, folders) = match lessons {
        Lessons::All => {
            lock = Some(backup::lock(&files.data)?);
            let own = own_lessons(&files.data)?;
            (files.data.join(backup::DATABASE), vec![files.bundle.join("lessons"), own])
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
    let keep = Duration::from_secs(options.class_keep_days * 24 * 60 * 60);
    let classroom = Classroom::open(store.clone(), sessions.clone(), library.clone(), keep).await?;
    let assets = Arc::new(Assets::load(&files.bundle.join("web"))?);
    let first = accounts::first_link(&store).await?;
    let provider = Oidc::new(options.oidc)?;
    let certificate = own_certificate(&store).await?;
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &store.secret("previews").await?);
    let previews = Arc::new(Previews::new(options.previews, key, certificate.clone())?);
    let identity = Arc::new(Identity::open(&store, Front::new(options.front), provider).await?);
    let shown = identity.front().public_url();
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
        classroom,
        identity,
        assets,
        monitor: monitor.clone(),
        previews,
        metrics_token: options.metrics.metrics_token.map(Into::into),
    });
    let asked_to_stop = asked_to_stop();
    let address = listener.local_addr()?;
    let doors = Doors::open(listener, &certificate, address)?;
    let shown = shown.unwrap_or_else(|| format!("http://{address}"));
    eprintln!("Drydock is ready: http://{address}");
    if let Some(link) = first {
        eprintln!("To hold classes or run it for others, make the first account: {shown}{}", link.path);
    }
    notify::ready(&format!("Serving http://{address}"));
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let server = axum::serve(doors, app.into_make_service_with_connect_info::<Peer>());
    let server = server.with_graceful_shutdown(async move {
        // The sender lives as long as this does.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    });
    let mut server = std::pin::pin!(server.into_future());
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
        outcome = &mut server => outcome.context("the server failed")?,
        () = follow => {}
        () = asked_to_stop => {}
    }
    notify::stopping();
    stop.send_replace(true);
    // Streams and terminals never end by themselves.
    let _ = tokio::time::timeout(LAST_WORDS, server).await;
    if options.keep_sessions {
        let open = sessions.open().len();
        eprintln!("Sessions that go on, for the next start to find again: {open}");
    } else {
        eprintln!("Ending all sessions …");
        sessions.end_all().await;
    }
    drop((own_database, lock));
    Ok(())
}

/// The address that systemd holds for the server, or one of its own.
async fn listener(address: SocketAddr) -> anyhow::Result<TcpListener> {
    if let Some(held) = listenfd::ListenFd::from_env().take_tcp_listener(0).context("cannot use systemd's socket")? {
        held.set_nonblocking(true)?;
        return Ok(TcpListener::from_std(held)?);
    }
    let own = TcpListener::bind(address).await;
    own.with_context(|| format!("cannot listen on {address}: choose another address with --listen"))
}

/// The certificate by which kubectl knows this server: made at the first start, and anew long before its year is over.
async fn own_certificate(store: &Store) -> anyhow::Result<Certificate> {
    const RENEWED_AFTER: u64 = 90 * 24 * 60 * 60 * 1000;
    let now = now_millis();
    if let Some(certificate) = store.certificate(now.saturating_sub(RENEWED_AFTER)).await? {
        return Ok(certificate);
    }
    let certificate = Certificate::make()?;
    store.put_certificate(&certificate, now).await?;
    Ok(certificate)
}

/// The folder for imported lessons; created where needed.
///
/// # Errors
/// When it cannot be created.
pub(super) fn own_lessons(data: &Path) -> anyhow::Result<PathBuf> {
    let own = data.join(backup::LESSONS);
    std::fs::create_dir_all(&own).with_context(|| format!("cannot create {}", own.display()))?;
    Ok(own)
}

impl Options {
    fn policy(&self, files: &Files) -> anyhow::Result<Policy> {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Ok(Policy {
            time_limit: minutes(self.session_minutes),
            longest: minutes(self.session_minutes_max.max(self.session_minutes)),
            rules: Rules { places: self.max_sessions, reserve: self.reserve(&files.data) },
            each: self.sessions_each,
            warm: usize::from(self.warm),
            suspend: (self.suspend_minutes > 0).then(|| minutes(self.suspend_minutes)),
            queue_lease: Duration::from_secs(self.queue_lease),
            keep_manifests: minutes(self.keep_manifests * 24 * 60),
            data: files.data.clone(),
            session_limits: NodeLimits {
                memory_bytes: Some(self.session_memory * 1024 * 1024),
                pids: Some(self.session_pids),
                ..NodeLimits::default()
            },
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

impl Options {
    /// What is left to the machine.
    fn reserve(&self, data: &Path) -> Amount {
        /// Processes of the machine itself.
        const PIDS: u64 = 1000;
        let memory = match self.reserve_memory {
            Some(megabytes) => megabytes << 20,
            None => (machine(data).total.memory / 16).max(512 << 20),
        };
        Amount { memory, disk: self.reserve_disk << 20, pids: PIDS }
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
    // Nobody looks at these sessions, and they are no reason to start others.
    let rules = Rules { places: usize::MAX, ..policy.rules };
    Ok(Policy { time_limit: hours, longest: hours, rules, warm: 0, suspend: None, queue_lease: hours, ..policy })
}

/// Resolves with SIGINT or SIGTERM, from the call on: whoever asks between it and the first poll is heard as well.
pub(super) fn asked_to_stop() -> impl Future<Output = ()> {
    let handlers =
        signal(SignalKind::terminate()).and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)));
    async move {
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
}
