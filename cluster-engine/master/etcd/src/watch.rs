//! Who watches what, and what each of them still has to be told. No network: the streams ask.
//!
//! A watch that matches a change is marked with that revision and its stream is woken; the stream then
//! collects the events from the store's history. So a slow client holds no queue in memory: it reads
//! later, or is told that its revision has been compacted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use drydock_etcd_proto::etcdserverpb::watch_create_request::FilterType;
use drydock_etcd_proto::etcdserverpb::{WatchCreateRequest, WatchResponse};
use drydock_etcd_proto::mvccpb::event::EventType;
use prost::Message;
use tokio::sync::Notify;

use crate::store::{Span, Store};

/// Events in one answer, unless a single revision has more.
const MOST_EVENTS: usize = 1000;
/// The watch id of answers that belong to no watch.
pub const NO_WATCH: i64 = -1;

/// All watches of all streams.
#[derive(Debug, Default)]
pub struct Hub {
    streams: HashMap<u64, Stream>,
    opened: u64,
}

#[derive(Debug)]
struct Stream {
    watchers: BTreeMap<i64, Watcher>,
    next_id: i64,
    wake: Arc<Notify>,
}

#[derive(Debug)]
struct Watcher {
    span: Span,
    /// The first revision it wants.
    from: i64,
    /// The first revision it has not been told of; none if it knows everything.
    behind: Option<i64>,
    puts: bool,
    deletes: bool,
    with_previous: bool,
    fragment: bool,
    notify_progress: bool,
    /// Whether it was told something since the last progress notification.
    told: bool,
}

impl Hub {
    /// A new stream; the second part wakes when there is something to collect.
    pub fn open(&mut self) -> (u64, Arc<Notify>) {
        self.opened += 1;
        let wake = Arc::new(Notify::new());
        self.streams.insert(self.opened, Stream { watchers: BTreeMap::new(), next_id: 0, wake: wake.clone() });
        (self.opened, wake)
    }

    /// Ends a stream and its watches.
    pub fn close(&mut self, stream: u64) {
        self.streams.remove(&stream);
    }

    /// Number of watches.
    pub fn watchers(&self) -> usize {
        self.streams.values().map(|stream| stream.watchers.len()).sum()
    }

    /// Number of streams.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Begins a watch and answers as etcd does. `known` is the newest revision that may be told.
    pub fn create(&mut self, stream: u64, request: WatchCreateRequest, store: &Store, known: i64) -> WatchResponse {
        let mut response = WatchResponse {
            header: Some(header(store, known)),
            watch_id: NO_WATCH,
            created: true,
            ..WatchResponse::default()
        };
        let mut refuse = |reason: &str| {
            response.canceled = true;
            response.cancel_reason = reason.to_owned();
        };
        let Some(stream) = self.streams.get_mut(&stream) else {
            refuse("mvcc: watch stream is closed");
            return response;
        };
        // An empty key is the smallest one there can be.
        let key = if request.key.is_empty() { bytes::Bytes::from_static(&[0]) } else { request.key };
        let span = Span::new(&bytes::Bytes::copy_from_slice(&key), &bytes::Bytes::copy_from_slice(&request.range_end));
        if span.is_empty() {
            refuse("mvcc: watcher range is empty");
            return response;
        }
        let id = if request.watch_id == 0 {
            while stream.watchers.contains_key(&stream.next_id) {
                stream.next_id += 1;
            }
            stream.next_id += 1;
            stream.next_id - 1
        } else if stream.watchers.contains_key(&request.watch_id) {
            refuse("mvcc: duplicate watch ID provided on the WatchStream");
            return response;
        } else {
            request.watch_id
        };
        let past = request.start_revision > 0 && request.start_revision <= known;
        let watcher = Watcher {
            span,
            from: if past { request.start_revision } else { request.start_revision.max(known + 1) },
            behind: past.then_some(request.start_revision),
            puts: !request.filters.contains(&FilterType::Noput.into()),
            deletes: !request.filters.contains(&FilterType::Nodelete.into()),
            with_previous: request.prev_kv,
            fragment: request.fragment,
            notify_progress: request.progress_notify,
            told: false,
        };
        stream.watchers.insert(id, watcher);
        response.watch_id = id;
        response
    }

    /// Ends a watch; none if there is no such watch, which etcd does not answer either.
    pub fn cancel(&mut self, stream: u64, id: i64, store: &Store, known: i64) -> Option<WatchResponse> {
        self.streams.get_mut(&stream)?.watchers.remove(&id)?;
        Some(WatchResponse {
            header: Some(header(store, known)),
            watch_id: id,
            canceled: true,
            ..WatchResponse::default()
        })
    }

    /// Marks and wakes who watches what changed in the revisions `from..=to`.
    pub fn changed(&mut self, store: &Store, from: i64, to: i64) {
        for stream in self.streams.values_mut() {
            let mut matched = false;
            for watcher in stream.watchers.values_mut().filter(|watcher| watcher.behind.is_none()) {
                watcher.behind = store
                    .changed(from, to)
                    .find(|(revision, key)| *revision >= watcher.from && watcher.span.contains(key))
                    .map(|(revision, _)| revision);
                matched |= watcher.behind.is_some();
            }
            if matched {
                stream.wake.notify_one();
            }
        }
    }

    /// What a stream's watches are to be told now; they are up to date with `known` when it is empty.
    /// Answers larger than `max_bytes` are split for watches that ask for it.
    pub fn collect(&mut self, stream: u64, store: &Store, known: i64, max_bytes: usize) -> Vec<WatchResponse> {
        let mut responses = Vec::new();
        let Some(stream) = self.streams.get_mut(&stream) else { return responses };
        stream.watchers.retain(|id, watcher| {
            // Until something is to be told: a filter may leave nothing of many events.
            while let Some(from) = watcher.behind {
                if from < store.compacted() {
                    responses.push(WatchResponse {
                        header: Some(header(store, known)),
                        watch_id: *id,
                        canceled: true,
                        compact_revision: store.compacted(),
                        ..WatchResponse::default()
                    });
                    return false;
                }
                let (mut events, next) = store.events(&watcher.span, from, known, watcher.with_previous, MOST_EVENTS);
                watcher.behind = next;
                watcher.from = next.unwrap_or(known + 1);
                events.retain(|event| match event.r#type() {
                    EventType::Put => watcher.puts,
                    EventType::Delete => watcher.deletes,
                });
                if events.is_empty() {
                    continue;
                }
                watcher.told = true;
                let response = WatchResponse {
                    header: Some(header(store, known)),
                    watch_id: *id,
                    events,
                    ..WatchResponse::default()
                };
                if watcher.fragment {
                    split(response, max_bytes, &mut responses)
                } else {
                    responses.push(response)
                }
                break;
            }
            true
        });
        responses
    }

    /// The answer to a progress request on a stream that has been told everything.
    pub fn progress(store: &Store, known: i64) -> WatchResponse {
        WatchResponse { header: Some(header(store, known)), watch_id: NO_WATCH, ..WatchResponse::default() }
    }

    /// Whether any watch of the stream wants to hear that nothing happens.
    pub fn wants_progress(&self, stream: u64) -> bool {
        self.streams.get(&stream).is_some_and(|stream| stream.watchers.values().any(|watcher| watcher.notify_progress))
    }

    /// The notifications for watches that were told nothing since the last time.
    pub fn notify_progress(&mut self, stream: u64, store: &Store, known: i64) -> Vec<WatchResponse> {
        let Some(stream) = self.streams.get_mut(&stream) else { return Vec::new() };
        let idle = |watcher: &mut Watcher| {
            let told = std::mem::take(&mut watcher.told);
            watcher.notify_progress && !told && watcher.behind.is_none()
        };
        stream
            .watchers
            .iter_mut()
            .filter_map(|(id, watcher)| idle(watcher).then_some(*id))
            .map(|watch_id| WatchResponse { header: Some(header(store, known)), watch_id, ..WatchResponse::default() })
            .collect()
    }
}

fn header(store: &Store, known: i64) -> drydock_etcd_proto::etcdserverpb::ResponseHeader {
    let mut header = store.header();
    header.revision = known;
    header
}

/// Splits an answer's events so that each part stays below `max_bytes` (one event at least).
fn split(response: WatchResponse, max_bytes: usize, responses: &mut Vec<WatchResponse>) {
    if response.encoded_len() < max_bytes || response.events.len() < 2 {
        return responses.push(response);
    }
    let WatchResponse { header, watch_id, events, .. } = response;
    let part = |events, fragment| WatchResponse { header, watch_id, events, fragment, ..WatchResponse::default() };
    let mut current = Vec::new();
    let mut size = 0;
    for event in events {
        let more = event.encoded_len() + 8;
        if !current.is_empty() && size + more >= max_bytes {
            responses.push(part(std::mem::take(&mut current), true));
            size = 0;
        }
        size += more;
        current.push(event);
    }
    responses.push(part(current, false));
}
