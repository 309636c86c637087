//! Feeds the caches from one etcd watch over the whole key space.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drydock_component::Shutdown;
use drydock_etcd_proto::etcdserverpb::watch_request::RequestUnion;
use drydock_etcd_proto::etcdserverpb::{WatchCreateRequest, WatchRequest, WatchResponse};
use drydock_etcd_proto::mvccpb::event::EventType;

use super::{Caches, Entry};
use crate::storage::{Etcd, StorageError};

const REGISTRY: &[u8] = b"/registry/";
const REGISTRY_END: &[u8] = b"/registry0";
const PAGE: i64 = 1000;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Keeps the caches up to date until shutdown.
pub(crate) async fn run(caches: Arc<Caches>, etcd: Etcd, shutdown: Shutdown) {
    let mut pause = FIRST_PAUSE;
    let mut seen = 0;
    loop {
        let round = tokio::select! {
            round = follow(&caches, &etcd, &mut seen, &mut pause) => round,
            () = shutdown.wait() => return,
        };
        match round {
            Err(StorageError::Compacted) => {
                tracing::warn!(revision = seen, "the watch fell behind etcd's compaction: reading everything again");
                seen = 0;
            }
            Err(error) if seen == 0 => tracing::debug!(%error, "etcd is not ready"),
            Err(error) => tracing::warn!(%error, "the watch on etcd broke: resuming"),
            Ok(()) => tracing::debug!("the watch on etcd ended: resuming"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Reads everything if nothing was seen yet, then applies changes until the stream ends.
async fn follow(caches: &Caches, etcd: &Etcd, seen: &mut i64, pause: &mut Duration) -> Result<(), StorageError> {
    if *seen == 0 {
        *seen = fill(caches, etcd).await?;
        caches.revision.send_replace(*seen);
    }
    let (requests, stream) = tokio::sync::mpsc::channel(2);
    let everything = Bytes::from_static(b"\0");
    let create = WatchCreateRequest {
        key: everything.clone(),
        range_end: everything,
        start_revision: *seen + 1,
        progress_notify: true,
        ..Default::default()
    };
    let _ = requests.send(WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) }).await;
    let requests_stream = futures_util::stream::unfold(stream, |mut stream| async move {
        stream.recv().await.map(|request| (request, stream))
    });
    let mut answers = etcd.watch_client().watch(requests_stream).await?.into_inner();
    while let Some(answer) = answers.message().await? {
        if answer.compact_revision > 0 {
            return Err(StorageError::Compacted);
        }
        if answer.canceled {
            return Err(StorageError::Rpc(format!("watch cancelled: {}", answer.cancel_reason)));
        }
        *pause = FIRST_PAUSE;
        if let Some(revision) = apply(caches, &answer)
            && revision > *seen
        {
            *seen = revision;
            caches.revision.send_replace(revision);
        }
    }
    drop(requests);
    Ok(())
}

/// Applies one answer and returns the revision up to which all is now known.
fn apply(caches: &Caches, answer: &WatchResponse) -> Option<i64> {
    if answer.created {
        return None;
    }
    let mut touched = Vec::new();
    for event in &answer.events {
        let Some(kv) = &event.kv else { continue };
        let Ok(key) = std::str::from_utf8(&kv.key) else { continue };
        let Some((cache, rest)) = caches.route(key) else { continue };
        let stored = (event.r#type() == EventType::Put).then_some(&kv.value[..]);
        cache.apply(rest, kv.mod_revision, stored);
        touched.push(cache);
    }
    for cache in touched {
        cache.notify();
    }
    match answer.events.last() {
        Some(event) => event.kv.as_ref().map(|kv| kv.mod_revision),
        // A progress notification: nothing happened up to this revision.
        None => answer.header.as_ref().map(|header| header.revision),
    }
}

/// Reads all of `/registry/` at one revision.
async fn fill(caches: &Caches, etcd: &Etcd) -> Result<i64, StorageError> {
    let mut found: HashMap<&'static str, BTreeMap<Box<str>, Arc<Entry>>> = HashMap::new();
    let (mut start, mut revision) = (REGISTRY.to_vec(), 0);
    loop {
        let page = etcd.page(&start, REGISTRY_END, PAGE, revision).await?;
        if revision == 0 {
            revision = page.revision;
        }
        for item in &page.items {
            let Ok(key) = std::str::from_utf8(&item.key) else { continue };
            if let Some((cache, rest)) = caches.route(key) {
                let entry = Arc::new(Entry::new(cache.row, rest, item.revision, &item.value));
                found.entry(cache.row.storage).or_default().insert(rest.into(), entry);
            }
        }
        match page.items.last() {
            Some(last) if page.more => {
                start = last.key.to_vec();
                start.push(0);
            }
            _ => break,
        }
    }
    for (storage, cache) in caches.all() {
        cache.reset(found.remove(storage).unwrap_or_default(), revision);
    }
    Ok(revision)
}
