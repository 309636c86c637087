//! Creating and deleting pods for a controller: events, slow start, and waiting until the watch shows
//! what was done.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drydock_client::types::Pod;
use drydock_client::{Api, Client, DeleteOptions, Error, Event, EventRecorder, Object, ObjectReference, Reflector};
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::Instant;

use crate::work::Key;

/// After this time an expectation is given up: the watch must have missed something.
const EXPECTED_FOR: Duration = Duration::from_secs(60);

/// What was done to pods and is not yet visible; a controller must not act on a key while something
/// is missing, or it would do it twice.
#[derive(Clone, Default)]
pub(super) struct Expectations {
    pending: Arc<Mutex<HashMap<Key, Pending>>>,
}

struct Pending {
    created: HashSet<String>,
    deleted: HashSet<String>,
    since: Instant,
}

impl Expectations {
    /// Watches `pods` for what is expected.
    pub(super) fn watching(pods: &Reflector<Pod>) -> Expectations {
        let this = Expectations::default();
        let pending = Arc::downgrade(&this.pending);
        pods.handle(move |event| {
            let Some(pending) = pending.upgrade() else { return };
            let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
            let pod = event.object();
            let gone = matches!(event, Event::Deleted(_)) || pod.metadata.is_deleting();
            pending.retain(|_, pending| {
                pending.created.remove(pod.uid());
                if gone {
                    pending.deleted.remove(pod.uid());
                }
                !pending.created.is_empty() || !pending.deleted.is_empty()
            });
        });
        this
    }

    /// Whether everything done for `key` is visible.
    pub(super) fn are_met(&self, key: &Key) -> bool {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        match pending.get(key) {
            None => true,
            Some(missing) if missing.since.elapsed() < EXPECTED_FOR => false,
            Some(_) => {
                pending.remove(key);
                true
            }
        }
    }

    fn expect(&self, key: &Key, change: impl FnOnce(&mut Pending)) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = pending.entry(key.clone()).or_insert_with(|| Pending {
            created: HashSet::new(),
            deleted: HashSet::new(),
            since: Instant::now(),
        });
        entry.since = Instant::now();
        change(entry);
        if entry.created.is_empty() && entry.deleted.is_empty() {
            pending.remove(key);
        }
    }

    pub(super) fn expect_created(&self, key: &Key, pods: &Reflector<Pod>, pod: &Pod) {
        self.expect(key, |pending| {
            // The watch may have been faster than the answer.
            if pods.get(pod.namespace(), pod.name()).is_none_or(|seen| seen.uid() != pod.uid()) {
                pending.created.insert(pod.uid().to_owned());
            }
        });
    }

    pub(super) fn expect_deleted(&self, key: &Key, pods: &Reflector<Pod>, pod: &Pod) {
        self.expect(key, |pending| {
            let seen = pods.get(pod.namespace(), pod.name());
            if seen.is_some_and(|seen| seen.uid() == pod.uid() && !seen.metadata.is_deleting()) {
                pending.deleted.insert(pod.uid().to_owned());
            }
        });
    }

    /// The owner is gone: nothing is expected any more.
    pub(super) fn forget(&self, key: &Key) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Creates and deletes pods for one owner.
pub(super) struct PodControl<'a> {
    pub(super) client: &'a Client,
    pub(super) recorder: &'a EventRecorder,
    pub(super) pods: &'a Reflector<Pod>,
    pub(super) expectations: &'a Expectations,
    pub(super) owner: ObjectReference,
    pub(super) key: &'a Key,
}

impl PodControl<'_> {
    /// Creates pods in batches of 1, 2, 4 …, so that a template that is refused is refused once.
    /// Answers how many were created, and the first error.
    pub(super) async fn create(&self, bodies: Vec<Value>) -> (usize, Option<Error>) {
        let mut created = 0;
        let mut batch = 1;
        let mut rest = bodies.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(batch.min(rest.len()));
            let results = join_all(now.iter().map(|body| self.create_one(body))).await;
            let wanted = results.len();
            let mut first_error = None;
            let mut succeeded = 0;
            for result in results {
                match result {
                    Ok(()) => succeeded += 1,
                    Err(error) => first_error = first_error.or(Some(error)),
                }
            }
            created += succeeded;
            if succeeded < wanted {
                return (created, first_error);
            }
            rest = later;
            batch *= 2;
        }
        (created, None)
    }

    /// Creates one pod.
    pub(super) async fn create_one(&self, body: &Value) -> Result<(), Error> {
        match Api::<Pod>::namespaced(self.client.clone(), &self.key.0).create(body).await {
            Ok(pod) => {
                self.expectations.expect_created(self.key, self.pods, &pod);
                self.recorder.normal(&self.owner, "SuccessfulCreate", format!("Created pod: {}", pod.name()));
                Ok(())
            }
            Err(error) => {
                if !error.is_namespace_terminating() {
                    self.recorder.warning(&self.owner, "FailedCreate", format!("Error creating: {error}"));
                }
                Err(error)
            }
        }
    }

    /// Deletes pods; the first error.
    pub(super) async fn delete(&self, pods: &[Arc<Pod>]) -> Option<Error> {
        let results = join_all(pods.iter().map(|pod| self.delete_one(pod))).await;
        results.into_iter().find_map(Result::err)
    }

    async fn delete_one(&self, pod: &Pod) -> Result<(), Error> {
        let api = Api::<Pod>::namespaced(self.client.clone(), pod.namespace());
        match api.delete(pod.name(), &DeleteOptions::of_uid(pod.uid())).await {
            Ok(()) => {
                self.expectations.expect_deleted(self.key, self.pods, pod);
                self.recorder.normal(&self.owner, "SuccessfulDelete", format!("Deleted pod: {}", pod.name()));
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => {
                self.recorder.warning(&self.owner, "FailedDelete", format!("Error deleting: {error}"));
                Err(error)
            }
        }
    }
}
