//! The reflector's task: list, watch, resume, and list again when the history is gone.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::store::Store;
use crate::Result;
use crate::api::{Api, ListOptions};
use crate::client::BACKOFF;
use crate::object::Object;
use crate::watch::WatchEvent;

/// A watch lives between this and twice this many seconds, so that the watches of a component do
/// not all end at once (client-go's numbers).
const WATCH_SECONDS: u32 = 300;
/// A watch that ends sooner than this without an event counts as a failure.
const SHORT_WATCH: Duration = Duration::from_secs(1);

pub(super) async fn run<K: Object>(
    api: Api<K>,
    options: ListOptions,
    store: Arc<Store<K>>,
    say_synced: watch::Sender<bool>,
) {
    let mut backoff = Backoff::default();
    // "0": what the server's cache has is enough for a start.
    let mut from = "0".to_owned();
    loop {
        let wanted = ListOptions { resource_version: Some(from.clone()), ..options.clone() };
        // What is done once in a while is on the heap while it is done: reflectors are many, and wait nearly always.
        match Box::pin(api.list(&wanted)).await {
            Ok(list) => {
                backoff.reset();
                store.replace(list.items);
                say_synced.send_replace(true);
                follow(&api, &options, &store, list.metadata.resource_version, &mut backoff).await;
                // The history we were at is gone: the next list must not come from behind it.
                from = String::new();
            }
            Err(error) => {
                if error.is_gone() || error.code() == 504 {
                    from = String::new();
                }
                backoff.pause(K::PLURAL, "list", &error).await;
            }
        }
    }
}

/// Watches until the server says that the resourceVersion is too old.
async fn follow<K: Object>(
    api: &Api<K>,
    options: &ListOptions,
    store: &Store<K>,
    mut resource_version: String,
    backoff: &mut Backoff,
) {
    loop {
        let started = Instant::now();
        match watch_once(api, options, store, &mut resource_version).await {
            // A server that keeps ending watches at once must not be asked in a tight loop.
            Ok(0) if started.elapsed() < SHORT_WATCH => tokio::time::sleep(backoff.next()).await,
            Ok(_) => backoff.reset(),
            Err(error) if error.is_gone() => {
                tracing::debug!(resource = K::PLURAL, %error, "listing again");
                // Not every component at the same moment.
                tokio::time::sleep(BACKOFF.0 + jitter(BACKOFF.0 * 4)).await;
                return;
            }
            Err(error) => {
                if started.elapsed() > SHORT_WATCH {
                    backoff.reset();
                }
                backoff.pause(K::PLURAL, "watch", &error).await;
            }
        }
    }
}

/// One watch; how many events came.
async fn watch_once<K: Object>(
    api: &Api<K>,
    options: &ListOptions,
    store: &Store<K>,
    resource_version: &mut String,
) -> Result<usize> {
    let seconds = WATCH_SECONDS + (jitter(Duration::from_secs(u64::from(WATCH_SECONDS))).as_secs() as u32);
    let mut watcher = Box::pin(api.watch(options, resource_version, seconds)).await?;
    let mut events = 0;
    while let Some(event) = watcher.next().await {
        events += 1;
        match event? {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                resource_version.clone_from(&object.meta().resource_version);
                store.apply(object);
            }
            WatchEvent::Deleted(object) => {
                resource_version.clone_from(&object.meta().resource_version);
                let (namespace, name) = (object.namespace().to_owned(), object.name().to_owned());
                store.delete(&namespace, &name, Some(object));
            }
            WatchEvent::Bookmark { resource_version: reached, .. } => *resource_version = reached,
        }
    }
    Ok(events)
}

/// 10 ms, 20 ms … 500 ms, each with up to a quarter more.
#[derive(Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    fn reset(&mut self) {
        self.failures = 0;
    }

    fn next(&mut self) -> Duration {
        let pause = BACKOFF.0.saturating_mul(1 << self.failures.min(10)).min(BACKOFF.1);
        self.failures += 1;
        pause + jitter(pause / 4)
    }

    async fn pause(&mut self, resource: &str, verb: &str, error: &crate::Error) {
        // While a server starts, refusals are normal; they are news only when they last.
        if self.failures == 8 {
            tracing::warn!(resource, verb, %error, "still failing, trying on");
        } else {
            tracing::debug!(resource, verb, %error, "trying again");
        }
        tokio::time::sleep(self.next()).await;
    }
}

/// Between zero and `most`; std's hasher keys are random enough to spread load.
fn jitter(most: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8);
    most.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::PartialObject;

    /// A control plane has a hundred of them.
    #[test]
    fn a_reflector_that_waits_takes_little_room() {
        fn room<A, B, C, D, F>(_: impl Fn(A, B, C, D) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = room(run::<PartialObject>);
        assert!(bytes < 2048, "{bytes} bytes");
    }
}
