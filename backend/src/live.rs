//! A running cluster as the page sees it: watched objects become the diagram, the verdicts on checks and traces.

mod audit;
mod judge;
mod lists;
mod pod_state;
mod raw;
mod shell;
mod topology;
mod tracer;
mod watch;

use std::sync::Arc;

use drydock_client::Client;
use drydock_engine::Engine;
use tokio::sync::oneshot;

use crate::lessons::Library;
use crate::sessions::Hub;

pub(crate) use shell::Shell;

/// Watches a session's cluster in the background, and judges its lesson, until the hub says that this cluster is over.
/// Returns what tells that the lesson has done all that comes before the learner; it fails when there is nothing to do.
pub(crate) fn start(hub: &Arc<Hub>, engine: &Engine, library: &Arc<Library>, client: Client) -> oneshot::Receiver<()> {
    let lists = Arc::new(lists::Lists::start(client));
    let mut closed = hub.closed();
    let picture = watch::watch(hub.clone(), engine.host().clone(), lists.clone());
    let (prepared, wait) = oneshot::channel();
    let lesson = hub.session().lesson.map(|slug| {
        let shell = Shell::new(engine, hub.name());
        judge::Judge { hub: hub.clone(), library: library.clone(), lists, shell, slug }.run(prepared)
    });
    tokio::spawn(async move {
        tokio::select! {
            _ = closed.changed() => {}
            () = picture => {}
        }
    });
    if let Some(lesson) = lesson {
        let mut closed = hub.closed();
        tokio::spawn(async move {
            tokio::select! {
                _ = closed.changed() => {}
                () = lesson => {}
            }
        });
    }
    wait
}
