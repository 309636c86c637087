//! The loop: keep the snapshot up to date, take the next pod, decide, carry out.

mod apply;
mod health;
mod watch;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drydock_client::types::Pod;
use drydock_client::{Client, Config, EventRecorder, ListOptions, ObjectReference, Reflector};
use drydock_component::Shutdown;
use thiserror::Error;
use tokio::sync::{Notify, watch as channel};
use tokio::time::Instant;

use crate::Options;
use crate::framework::schedule;
use crate::preemption::preempt;
use crate::queue::Queue;
use crate::snapshot::{PodInfo, Snapshot};

/// The name pods ask for by default, and the source of events.
pub(crate) const NAME: &str = "default-scheduler";

/// Why the scheduler could not start.
#[derive(Debug, Error)]
pub enum Error {
    /// The kubeconfig cannot be used.
    #[error(transparent)]
    Client(#[from] drydock_client::Error),
    /// The health port cannot be served.
    #[error("cannot serve on port {port}")]
    Listen {
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The serving certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] drydock_component::tls::TlsError),
    /// Something was asked for that this scheduler does not do.
    #[error("{0}")]
    Unsupported(&'static str),
}

/// What is known and what is to be done; the tasks share it.
pub(crate) struct Shared {
    state: Mutex<State>,
    wake: Notify,
    client: Client,
    recorder: EventRecorder,
}

#[derive(Default)]
pub(crate) struct State {
    snapshot: Snapshot,
    queue: Queue,
    /// Pods counted on a node before the API server knows of it, by uid.
    assumed: HashSet<String>,
    /// Tells bindings that wait for claims that one changed.
    claims_changed: channel::Sender<()>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the scheduler until `shutdown`.
///
/// # Errors
/// When the kubeconfig cannot be used or the health port is taken.
pub async fn run(options: Options, shutdown: Shutdown) -> Result<(), Error> {
    if options.leader_elect {
        return Err(Error::Unsupported("--leader-elect=true is not supported: a cluster has one scheduler"));
    }
    let client = Client::new(Config::from_kubeconfig(&options.kubeconfig)?)?;
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        wake: Notify::new(),
        recorder: EventRecorder::new(client.clone(), NAME, ""),
        client: client.clone(),
    });
    health::serve(&options, shutdown.clone()).await?;

    let pods =
        Reflector::<Pod>::start(client.clone(), ListOptions::fields("status.phase!=Succeeded,status.phase!=Failed"));
    let watches = watch::Watches::start(&client, &shared);
    // Nodes first: a pod that comes before its nodes would fail for nothing.
    watches.synced().await;
    watch::pods(&pods, &shared);
    pods.synced().await;
    tracing::info!("scheduling");

    loop {
        if shutdown.is_requested() {
            return Ok(());
        }
        let next = shared.state().queue.pop(Instant::now());
        match next {
            Some(pod) => {
                schedule_one(&shared, &pod);
                // Watches and bindings run on the same thread.
                tokio::task::yield_now().await;
            }
            None => {
                let wake = shared.state().queue.next_wake();
                let timer = async {
                    match wake {
                        Some(at) => tokio::time::sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = shared.wake.notified() => {}
                    () = timer => {}
                    () = shutdown.wait() => return Ok(()),
                }
            }
        }
    }
}

/// One scheduling cycle; what it decides is carried out by a task of its own.
fn schedule_one(shared: &Arc<Shared>, pod: &Arc<PodInfo>) {
    let mut state = shared.state();
    let now = Instant::now();
    match schedule(&state.snapshot, pod) {
        Ok(node) => {
            let claims = apply::waiting_claims(&state.snapshot, pod, &node);
            state.snapshot.place(pod.clone(), &node);
            state.assumed.insert(pod.uid().to_owned());
            drop(state);
            tokio::spawn(apply::bind(shared.clone(), pod.clone(), node, claims));
        }
        Err(mut error) => {
            let mut preemption = None;
            if error.nodes > 0 {
                match preempt(&state.snapshot, pod, &error) {
                    Ok(found) => preemption = Some(found),
                    Err(text) => error.preemption = text,
                }
            }
            let nominated = preemption.as_ref().map_or("", |preemption| preemption.node.as_str());
            state.snapshot.nominate(pod.clone(), nominated);
            state.queue.failed(pod.uid(), error.plugins().collect(), now);
            drop(state);
            tracing::debug!(pod.namespace = pod.pod.metadata.namespace, pod.name = pod.pod.metadata.name, %error, "no node fits");
            tokio::spawn(apply::fail(shared.clone(), pod.clone(), error.to_string(), preemption));
        }
    }
}

/// What events about a pod refer to.
pub(crate) fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference::of(pod)
}
