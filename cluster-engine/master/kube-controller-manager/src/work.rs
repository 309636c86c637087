//! The thin loop of every controller: take a key, reconcile it, come back later or when it failed.

use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use drydock_api::status::Status;
use drydock_client::{Api, Client, Error, Object, WorkQueue};
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
                // On the heap while it runs: most workers wait most of the time.
                match Box::pin(controller.reconcile(&key)).await {
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

/// Changes an object of which the cache holds only a part: reads all of it, lets `change` work on it and
/// writes it (or the named subresource) back if `change` says that it did. `None` if the object is gone.
///
/// # Errors
/// A conflict if the object is no longer as the cache has it: whoever decided must decide anew.
pub(crate) async fn edit<K: Object>(
    client: &Client,
    seen: &K,
    subresource: &str,
    change: impl FnOnce(&mut Value) -> bool + Send,
) -> Result<Option<K>, Error> {
    let api = Api::<K>::namespaced(client.clone(), seen.namespace());
    let Some(mut body) = unless_gone(api.get_as::<Value>(seen.name()).await)? else { return Ok(None) };
    if body.pointer("/metadata/resourceVersion").and_then(Value::as_str) != Some(&seen.meta().resource_version) {
        return Err(Error::Status(Box::new(Status::modified(K::GROUP, K::PLURAL, seen.name()))));
    }
    if !change(&mut body) {
        return serde_json::from_value(body)
            .map(Some)
            .map_err(|error| Error::Decode { what: K::KIND.to_owned(), reason: error.to_string() });
    }
    unless_gone(api.replace_subresource(seen.name(), subresource, &body).await)
}

/// Adds or removes a finalizer of an object held as JSON; whether that changed it.
pub(crate) fn set_finalizer(body: &mut Value, finalizer: &str, wanted: bool) -> bool {
    let mut list = body.pointer("/metadata/finalizers").and_then(Value::as_array).cloned().unwrap_or_default();
    let at = list.iter().position(|found| found == finalizer);
    match (at, wanted) {
        (None, true) => list.push(finalizer.into()),
        (Some(at), false) => drop(list.remove(at)),
        _ => return false,
    }
    body["metadata"]["finalizers"] = list.into();
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finalizers_come_and_go_once() {
        let mut body = json!({"metadata": {"finalizers": ["other"]}});
        assert!(set_finalizer(&mut body, "mine", true));
        assert!(!set_finalizer(&mut body, "mine", true));
        assert_eq!(body["metadata"]["finalizers"], json!(["other", "mine"]));
        assert!(set_finalizer(&mut body, "mine", false));
        assert!(!set_finalizer(&mut body, "mine", false));
        assert_eq!(body["metadata"]["finalizers"], json!(["other"]));
    }
}
