//! The watch cache: every stored object as wire bytes, and the recent events of each resource.
//!
//! One etcd watch over the whole key space feeds all caches (`feed.rs`), so the revision that the feed has seen is
//! the revision of every cache, and a bookmark can move on a resource where nothing happens. Watchers hold a
//! position in the ring, not a queue: one that falls behind the ring is cut off and lists again, as upstream's.

pub(crate) mod feed;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use drydock_api::status::Status;
use serde_json::Value;
use tokio::sync::watch;

use crate::authorize::Lookup;
use crate::row::Resource;
use crate::storage::bytes_form;

/// Events younger than this are kept (upstream's eventFreshDuration) …
const FRESH: Duration = Duration::from_secs(75);
/// … at least as many as this, whatever their age …
const KEEP_AT_LEAST: usize = 100;
/// … and never more than this.
const KEEP_AT_MOST: usize = 20_000;
/// How long a read waits for the cache to reach a revision (upstream: 3 s).
const FRESHNESS_WAIT: Duration = Duration::from_secs(3);

/// An object as it was at one revision.
#[derive(Debug)]
pub(crate) struct Entry {
    /// `namespace/name` or `name`.
    pub(crate) key: Box<str>,
    pub(crate) revision: i64,
    /// JSON in wire form, resourceVersion included.
    pub(crate) bytes: Bytes,
    pub(crate) labels: Box<[(Box<str>, Box<str>)]>,
    /// Values of the row's selectable fields, in the row's order.
    pub(crate) fields: Box<[Box<str>]>,
}

impl Entry {
    /// Parses stored bytes once for what selectors need.
    pub(crate) fn new(row: &Resource, key: &str, revision: i64, stored: &[u8]) -> Self {
        let object: Value = serde_json::from_slice(stored).unwrap_or_default();
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
        let labels = labels
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.as_str().into(), value.as_str().unwrap_or("").into()))
            .collect();
        let own = row.fields.iter().map(|(_, value)| value(&object).into());
        let fields = own.chain(row.custom.into_iter().flat_map(|custom| custom.selected(&object))).collect();
        Self { key: key.into(), revision, bytes: bytes_form::with_version(stored, revision), labels, fields }
    }

    /// The same object at the revision of its deletion.
    pub(crate) fn deleted_at(&self, revision: i64) -> Self {
        let bytes = match serde_json::from_slice::<Value>(&self.bytes) {
            Ok(mut object) => {
                bytes_form::set_version(&mut object, revision);
                let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
                let stored = bytes_form::encode(&object, &text("apiVersion"), &text("kind"));
                bytes_form::with_version(&stored, revision)
            }
            Err(_) => self.bytes.clone(),
        };
        Self { key: self.key.clone(), revision, bytes, labels: self.labels.clone(), fields: self.fields.clone() }
    }

    /// The same object as other bytes.
    pub(crate) fn with_bytes(&self, bytes: Bytes) -> Self {
        Self {
            key: self.key.clone(),
            revision: self.revision,
            bytes,
            labels: self.labels.clone(),
            fields: self.fields.clone(),
        }
    }

    /// The namespace, empty for cluster scope.
    pub(crate) fn namespace(&self) -> &str {
        self.key.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// The name.
    pub(crate) fn name(&self) -> &str {
        self.key.split_once('/').map_or(&self.key, |(_, name)| name)
    }

    /// The object, parsed.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }
}

/// One change.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) revision: i64,
    /// The object after the change; for a deletion its last state, at the revision of the deletion.
    pub(crate) object: Arc<Entry>,
    pub(crate) previous: Option<Arc<Entry>>,
    pub(crate) deleted: bool,
    at: Instant,
}

impl Event {
    /// The same change of other objects.
    pub(crate) fn of(&self, object: Arc<Entry>, previous: Option<Arc<Entry>>) -> Self {
        Self { revision: self.revision, object, previous, deleted: self.deleted, at: self.at }
    }
}

/// The cache of one storage prefix.
pub(crate) struct Cache {
    /// The row of the stored version.
    pub(crate) row: &'static Resource,
    state: RwLock<State>,
    /// Revision of the last change; wakes watchers.
    changed: watch::Sender<i64>,
    revision: watch::Receiver<i64>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<Box<str>, Arc<Entry>>,
    ring: VecDeque<Arc<Event>>,
    /// Number of the ring's first event since the cache began.
    first: u64,
    /// Watches can start from this revision on.
    oldest: i64,
    /// Revision of the last change.
    last: i64,
    /// What came before the cache was first filled: `(key, revision, stored bytes or deletion)`.
    queued: Option<Vec<(String, i64, Option<Bytes>)>>,
}

/// The watch cannot go on: its next event is no longer known.
#[derive(Debug)]
pub(crate) struct Lost;

/// A watcher's position in a cache.
pub(crate) struct Cursor {
    cache: Arc<Cache>,
    next: u64,
    changed: watch::Receiver<i64>,
}

impl Cache {
    fn new(row: &'static Resource, revision: watch::Receiver<i64>) -> Self {
        Self { row, state: RwLock::default(), changed: watch::Sender::new(0), revision }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The revision that this cache has seen for certain.
    pub(crate) fn revision(&self) -> i64 {
        *self.revision.borrow()
    }

    /// Waits until the cache has seen `wanted`.
    ///
    /// # Errors
    /// Upstream's "Too large resource version" after three seconds.
    pub(crate) async fn wait(&self, wanted: i64) -> Result<(), Status> {
        let mut revision = self.revision.clone();
        let reached = tokio::time::timeout(FRESHNESS_WAIT, revision.wait_for(|seen| *seen >= wanted)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Status::too_large_resource_version(wanted.unsigned_abs(), self.revision().unsigned_abs(), 1)),
        }
    }

    /// One object.
    pub(crate) fn get(&self, key: &str) -> Option<Arc<Entry>> {
        self.read().objects.get(key).cloned()
    }

    /// Number of objects.
    pub(crate) fn len(&self) -> usize {
        self.read().objects.len()
    }

    /// Objects whose key begins with `prefix`, from `start` on, in order, with the revision they are complete at.
    pub(crate) fn list(&self, prefix: &str, start: &str) -> (Vec<Arc<Entry>>, i64) {
        let seen = self.revision();
        let state = self.read();
        (state.list(prefix, start), seen.max(state.last))
    }

    /// All objects below `prefix` and a cursor that continues right after them.
    pub(crate) fn list_and_follow(self: &Arc<Self>, prefix: &str) -> (Vec<Arc<Entry>>, i64, Cursor) {
        let seen = self.revision();
        let state = self.read();
        let next = state.first + state.ring.len() as u64;
        let cursor = Cursor { cache: Arc::clone(self), next, changed: self.changed.subscribe() };
        (state.list(prefix, ""), seen.max(state.last), cursor)
    }

    /// A cursor that starts with the first event after `revision`.
    ///
    /// # Errors
    /// 410 Expired when those events are no longer known.
    pub(crate) fn follow(self: &Arc<Self>, revision: i64) -> Result<Cursor, Status> {
        let state = self.read();
        if revision < state.oldest {
            return Err(Status::expired(format!("too old resource version: {revision} ({})", state.oldest)));
        }
        let skip = state.ring.partition_point(|event| event.revision <= revision);
        Ok(Cursor { cache: Arc::clone(self), next: state.first + skip as u64, changed: self.changed.subscribe() })
    }

    /// Takes in one change; older than what the cache holds is ignored.
    fn apply(&self, key: &str, revision: i64, stored: Option<&[u8]>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(queued) = &mut state.queued {
            queued.push((key.to_owned(), revision, stored.map(Bytes::copy_from_slice)));
            return;
        }
        let entry = stored.map(|stored| Arc::new(Entry::new(self.row, key, revision, stored)));
        if revision < state.last
            || (revision == state.last && state.objects.get(key).is_some_and(|old| old.revision >= revision))
        {
            return;
        }
        let (object, previous, deleted) = match entry {
            Some(entry) => {
                let previous = state.objects.insert(key.into(), Arc::clone(&entry));
                (entry, previous, false)
            }
            None => match state.objects.remove(key) {
                Some(old) => (Arc::new(old.deleted_at(revision)), Some(old), true),
                None => return,
            },
        };
        let now = Instant::now();
        state.ring.push_back(Arc::new(Event { revision, object, previous, deleted, at: now }));
        state.last = revision;
        state.trim(now);
    }

    /// Fills a cache that was added while the feed runs: everything as it was at `revision`, then what came since.
    pub(crate) fn fill(&self, items: Vec<(String, i64, Bytes)>, revision: i64) {
        let objects = items.into_iter().map(|(key, at, stored)| {
            let entry = Arc::new(Entry::new(self.row, &key, at, &stored));
            (key.into_boxed_str(), entry)
        });
        let objects = objects.collect();
        let queued = self.state.write().unwrap_or_else(PoisonError::into_inner).queued.take();
        self.reset(objects, revision);
        for (key, at, stored) in queued.into_iter().flatten().filter(|(_, at, _)| *at > revision) {
            self.apply(&key, at, stored.as_deref());
        }
        self.notify();
    }

    fn notify(&self) {
        let last = self.read().last;
        self.changed.send_if_modified(|seen| std::mem::replace(seen, last) != last);
    }

    /// Replaces everything: the history before `revision` is unknown, so running watches end.
    fn reset(&self, objects: BTreeMap<Box<str>, Arc<Entry>>, revision: i64) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let next = state.first + state.ring.len() as u64 + 1;
        *state = State { objects, ring: VecDeque::new(), first: next, oldest: revision, last: revision, queued: None };
        drop(state);
        self.changed.send_modify(|seen| *seen = revision);
    }
}

impl State {
    fn list(&self, prefix: &str, start: &str) -> Vec<Arc<Entry>> {
        let from = if start > prefix { start } else { prefix };
        self.objects
            .range::<str, _>((Bound::Included(from), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, entry)| Arc::clone(entry))
            .collect()
    }

    fn trim(&mut self, now: Instant) {
        while self.ring.len() > KEEP_AT_LEAST {
            let Some(front) = self.ring.front() else { return };
            if self.ring.len() <= KEEP_AT_MOST && now.duration_since(front.at) < FRESH {
                return;
            }
            self.oldest = front.revision;
            self.ring.pop_front();
            self.first += 1;
        }
    }
}

impl Cursor {
    /// The events since the last call; waits for nothing.
    ///
    /// # Errors
    /// [`Lost`] when the ring has moved past this watcher.
    pub(crate) fn take(&mut self) -> Result<Vec<Arc<Event>>, Lost> {
        self.changed.borrow_and_update();
        let state = self.cache.read();
        let skip = self.next.checked_sub(state.first).ok_or(Lost)?;
        let events: Vec<_> = state.ring.iter().skip(usize::try_from(skip).map_err(|_| Lost)?).cloned().collect();
        self.next += events.len() as u64;
        Ok(events)
    }

    /// Waits until there may be something to take.
    pub(crate) async fn changed(&mut self) {
        if self.changed.changed().await.is_err() {
            // The cache is gone with the server; nothing will ever come.
            std::future::pending::<()>().await;
        }
    }

    /// The revision up to which a `take` that follows has everything.
    pub(crate) fn revision(&self) -> i64 {
        self.cache.revision()
    }
}

/// All caches.
pub(crate) struct Caches {
    by_storage: RwLock<HashMap<&'static str, Arc<Cache>>>,
    revision: watch::Sender<i64>,
}

impl Caches {
    /// An empty cache for each stored row; [`feed::run`] fills them.
    pub(crate) fn new(rows: impl Iterator<Item = &'static Resource>) -> Self {
        let revision = watch::Sender::new(0);
        let mut by_storage: HashMap<&'static str, Arc<Cache>> = HashMap::new();
        for row in rows.filter(|row| row.stored() && row.from_storage.is_none()) {
            by_storage.entry(row.storage).or_insert_with(|| Arc::new(Cache::new(row, revision.subscribe())));
        }
        Self { by_storage: RwLock::new(by_storage), revision }
    }

    /// The cache of a storage prefix.
    pub(crate) fn get(&self, storage: &str) -> Option<Arc<Cache>> {
        self.by_storage.read().unwrap_or_else(PoisonError::into_inner).get(storage).cloned()
    }

    /// Waits until the caches are filled.
    pub(crate) async fn synced(&self) {
        let _ = self.revision.subscribe().wait_for(|revision| *revision > 0).await;
    }

    /// Whether the caches are filled.
    pub(crate) fn is_synced(&self) -> bool {
        *self.revision.borrow() > 0
    }

    /// Every cache with its prefix.
    pub(crate) fn all(&self) -> Vec<(&'static str, Arc<Cache>)> {
        self.by_storage
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(key, cache)| (*key, Arc::clone(cache)))
            .collect()
    }

    /// Adds a cache for a row that came at run time, to be filled; none when there is one already.
    pub(crate) fn add(&self, row: &'static Resource) -> Option<Arc<Cache>> {
        let mut map = self.by_storage.write().unwrap_or_else(PoisonError::into_inner);
        if map.contains_key(row.storage) {
            return None;
        }
        let cache = Cache::new(row, self.revision.subscribe());
        cache.state.write().unwrap_or_else(PoisonError::into_inner).queued = Some(Vec::new());
        let cache = Arc::new(cache);
        map.insert(row.storage, Arc::clone(&cache));
        Some(cache)
    }

    /// Forgets a cache whose rows are gone.
    pub(crate) fn remove(&self, storage: &str) {
        self.by_storage.write().unwrap_or_else(PoisonError::into_inner).remove(storage);
    }

    /// The cache that a key of etcd belongs to, and the rest of the key.
    fn route<'a>(&self, key: &'a str) -> Option<(Arc<Cache>, &'a str)> {
        let map = self.by_storage.read().unwrap_or_else(PoisonError::into_inner);
        let mut end = key.len();
        while let Some(slash) = key[..end].rfind('/') {
            if let Some(cache) = map.get(&key[..slash]) {
                return Some((Arc::clone(cache), &key[slash + 1..]));
            }
            end = slash;
        }
        None
    }
}

impl Lookup for Caches {
    fn version(&self, storage: &str) -> i64 {
        self.get(storage).map_or(0, |cache| cache.read().last)
    }

    fn each(&self, storage: &str, visit: &mut dyn FnMut(&[u8])) {
        for entry in self.get(storage).map(|cache| cache.list("", "").0).unwrap_or_default() {
            visit(&entry.bytes);
        }
    }

    fn object(&self, storage: &str, namespace: &str, name: &str) -> Option<Bytes> {
        let key = crate::storage::relative_key(namespace, name);
        Some(self.get(storage)?.get(&key)?.bytes.clone())
    }
}

#[cfg(test)]
mod tests;
