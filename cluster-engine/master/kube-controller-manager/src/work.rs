//! The thin loop of every controller: take a key, reconcile it, come back later or when it failed.

use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use drydock_client::{Error, Object, WorkQueue};
use serde::Serialize;
use serde_json::{Value, json};

/// Namespace and name of an object; the namespace is empty for cluster-scoped ones.
pub(crate) type Key = (String, String);

/// The key of an object.
pub(crate) fn key<K: Object>(object: &K) -> Key {
    (object.namespace().to_owned(), object.name().to_owned())
}

/// When a key wants to be looked at again although nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// When something changes.
    Change,
    /// After this time at the latest.
    After(Duration),
}

/// A controller: makes one object be as wanted.
pub(crate) trait Reconcile: Send + Sync + 'static {
    /// What is worked on.
    type Key: Eq + Hash + Clone + Debug + Send + Sync + 'static;
    /// The controller's name in logs.
    const NAME: &'static str;

    /// Brings `key` nearer to what is wanted.
    fn reconcile(&self, key: &Self::Key) -> impl Future<Output = Result<Next, Error>> + Send;
}

/// Works on the queue with `workers` at a time, until the task is dropped.
pub(crate) async fn work<R: Reconcile>(controller: Arc<R>, queue: WorkQueue<R::Key>, workers: usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..workers {
        let (controller, queue) = (controller.clone(), queue.clone());
        tasks.spawn(async move {
            while let Some(key) = queue.get().await {
                match controller.reconcile(&key).await {
                    Ok(next) => {
                        queue.forget(&key);
                        if let Next::After(pause) = next {
                            queue.add_after(key.clone(), pause);
                        }
                    }
                    Err(error) => {
                        if is_expected(&error) {
                            tracing::debug!(controller = R::NAME, ?key, %error, "trying again");
                        } else {
                            tracing::warn!(controller = R::NAME, ?key, %error, "trying again");
                        }
                        queue.add_rate_limited(key.clone());
                    }
                }
                queue.done(&key);
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}

/// Errors that happen in the normal course of things.
fn is_expected(error: &Error) -> bool {
    error.is_conflict()
        || error.is_not_found()
        || error.is_already_exists()
        || error.is_namespace_terminating()
        || error.is_unreachable()
}

/// What to PUT to an object's status: its metadata as it was read, which makes the write fail if the
/// object changed, and the new status. Needs all of the metadata, so never from a trimmed object.
pub(crate) fn with_status<K: Object>(object: &K, status: &impl Serialize) -> Value {
    json!({
        "apiVersion": K::resource().api_version(),
        "kind": K::KIND,
        "metadata": object.meta(),
        "status": status,
    })
}

/// Turns "it is gone" into success.
pub(crate) fn unless_gone<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
