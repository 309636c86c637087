//! `watch`: a stream of events from the cache.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drydock_api::Status;
use drydock_api::field::{FieldError, Path};
use drydock_component::serve::Body;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::select::Selection;
use super::{storage_failure, wire};
use crate::cache::{Cursor, Entry, Event};
use crate::custom::conversion;
use crate::encode::table::Table;
use crate::encode::{self, Accept, Form};
use crate::exchange::Exchange;
use crate::row::Resource;
use crate::server::Server;
use crate::storage::bytes_form;

/// Time between bookmarks (upstream: about a minute).
const BOOKMARK_EVERY: Duration = Duration::from_secs(55);
/// Shortest life of a watch without `timeoutSeconds` (upstream's --min-request-timeout); the longest is twice that.
const SHORTEST: u64 = 1800;
/// Events are joined into chunks of about this size.
const CHUNK: usize = 64 << 10;

/// Answers a watch: the events end with the stream.
pub(crate) async fn watch(
    server: &Arc<Server>,
    exchange: &Exchange,
    row: &'static Resource,
) -> Result<Response<Body>, Status> {
    let initial = validate(exchange)?;
    let cache = server.cache(row)?;
    let selection = Selection::read(exchange, row, cache.row)?;
    let namespace = exchange.info_namespace(row);
    let prefix = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
    let version = exchange.query.text("resourceVersion");
    let bookmarks = exchange.query.flag("allowWatchBookmarks");
    let mut first_error = None;
    let (entries, cursor, end) = match (initial, version) {
        (Some(false), "" | "0") => {
            let (_, _, cursor) = cache.list_and_follow("\u{10ffff}");
            (Vec::new(), Some(cursor), None)
        }
        (Some(true), _) | (None, "" | "0") => {
            match version {
                "" => cache.wait(server.etcd.revision().await.map_err(storage_failure)?).await?,
                version => cache.wait(super::list::parse_version(version)?).await?,
            }
            let (entries, revision, cursor) = cache.list_and_follow(&prefix);
            (entries, Some(cursor), (initial == Some(true) && bookmarks).then_some(revision))
        }
        (_, version) => match cache.follow(super::list::parse_version(version)?) {
            Ok(cursor) => (Vec::new(), Some(cursor), None),
            Err(status) => {
                // Upstream answers 200 and says it in the stream.
                first_error = Some(status);
                (Vec::new(), None, None)
            }
        },
    };
    let timeout = match exchange.query.text("timeoutSeconds").parse::<u64>() {
        Ok(seconds) if seconds > 0 => seconds,
        _ => SHORTEST + rand::random::<u64>() % SHORTEST,
    };
    let table = match exchange.accept.form {
        Form::Table(version) => Some(Table::new(row, version, exchange.query.text("includeObject"))),
        _ => None,
    };
    let mut entries = entries;
    if selection.needs_version() {
        conversion::served_all(server, row, &mut entries).await?;
    }
    entries.retain(|entry| selection.matches(entry));
    conversion::served_all(server, row, &mut entries).await?;
    let now = Instant::now();
    let mut watcher = Watcher {
        row,
        selection,
        prefix,
        accept: exchange.accept,
        table,
        cursor,
        bookmarks,
        out: VecDeque::new(),
        first: true,
        deadline: now + Duration::from_secs(timeout),
        bookmark_at: now + BOOKMARK_EVERY,
        closed: server.shutdown.clone(),
        converter: conversion::is_needed(row).then(|| Arc::clone(server)),
    };
    for entry in &entries {
        watcher.push("ADDED", &entry.bytes);
    }
    if let Some(revision) = end {
        watcher.push_bookmark(revision, true);
    }
    if let Some(status) = first_error {
        watcher.push_status(&status);
    }
    let stream = futures_util::stream::unfold(watcher, step);
    let mut response = encode::with_type(StatusCode::OK, "application/json", Bytes::new());
    response.headers_mut().remove(http::header::CONTENT_LENGTH);
    *response.body_mut() = StreamBody::new(stream).boxed_unsync();
    Ok(response)
}

/// The next part of the answer.
async fn step(
    mut watcher: Watcher,
) -> Option<(Result<Frame<Bytes>, Box<dyn std::error::Error + Send + Sync>>, Watcher)> {
    let chunk = watcher.next().await?;
    Some((Ok(Frame::data(chunk)), watcher))
}

/// Checks the options; gives `sendInitialEvents`.
fn validate(exchange: &Exchange) -> Result<Option<bool>, Status> {
    let query = &exchange.query;
    let initial = query.get("sendInitialEvents").map(|_| query.flag("sendInitialEvents"));
    let matching = query.text("resourceVersionMatch");
    let path = Path::new("resourceVersionMatch");
    let mut errors = Vec::new();
    match initial {
        None if !matching.is_empty() => {
            errors.push(FieldError::forbidden(
                &path,
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        Some(_) if matching.is_empty() => {
            errors.push(FieldError::forbidden(
                &path,
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
        }
        Some(_) if matching != "NotOlderThan" => {
            errors.push(FieldError::not_supported(&path, matching, &["NotOlderThan"]))
        }
        _ => {}
    }
    if initial.is_some() && !query.text("continue").is_empty() {
        errors.push(FieldError::forbidden(&Path::new("continue"), "continue is forbidden for watch"));
    }
    if errors.is_empty() { Ok(initial) } else { Err(Status::invalid("meta.k8s.io", "ListOptions", "", errors)) }
}

struct Watcher {
    row: &'static Resource,
    selection: Selection,
    prefix: String,
    accept: Accept,
    table: Option<Table<'static>>,
    cursor: Option<Cursor>,
    bookmarks: bool,
    out: VecDeque<Bytes>,
    first: bool,
    deadline: Instant,
    bookmark_at: Instant,
    closed: drydock_component::Shutdown,
    /// The server, when its events may have to be converted.
    converter: Option<Arc<Server>>,
}

impl Watcher {
    /// The next bytes for the client; none when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(chunk) = self.chunk() {
                return Some(chunk);
            }
            // Taking the revision before the events: what it covers is then certainly sent.
            let revision = self.cursor.as_ref()?.revision();
            let Ok(events) = self.cursor.as_mut()?.take() else {
                tracing::debug!(resource = self.row.plural, "a watcher was too slow and is cut off");
                return None;
            };
            // Few resources are converted, and asking a webhook is a large future: no other watch keeps room for it.
            let converted = if self.converter.is_none() { Ok(events) } else { Box::pin(self.convert(events)).await };
            let events = match converted {
                Ok(events) => events,
                Err(status) => {
                    self.push_status(&status);
                    self.cursor = None;
                    continue;
                }
            };
            for event in &events {
                self.event(event);
            }
            if !self.out.is_empty() {
                continue;
            }
            let now = Instant::now();
            if now >= self.bookmark_at {
                self.bookmark_at = now + BOOKMARK_EVERY;
                if self.bookmarks {
                    self.push_bookmark(revision, false);
                    continue;
                }
            }
            if now >= self.deadline {
                return None;
            }
            let (wake, closed) = (self.bookmark_at.min(self.deadline), self.closed.clone());
            let cursor = self.cursor.as_mut()?;
            tokio::select! {
                () = cursor.changed() => {}
                () = tokio::time::sleep_until(wake) => {}
                () = closed.wait() => return None,
            }
        }
    }

    /// The events with their objects in the version that is watched.
    async fn convert(&self, events: Vec<Arc<Event>>) -> Result<Vec<Arc<Event>>, Status> {
        let Some(server) = &self.converter else { return Ok(events) };
        let mut out = Vec::with_capacity(events.len());
        for event in events.into_iter().filter(|event| event.object.key.starts_with(&self.prefix)) {
            let mut objects: Vec<Arc<Entry>> =
                std::iter::once(&event.object).chain(event.previous.as_ref()).map(Arc::clone).collect();
            conversion::served_all(server, self.row, &mut objects).await?;
            let previous = objects.get(1).cloned();
            out.push(Arc::new(event.of(objects.swap_remove(0), previous)));
        }
        Ok(out)
    }

    /// Waiting events, joined.
    fn chunk(&mut self) -> Option<Bytes> {
        let first = self.out.pop_front()?;
        if self.out.is_empty() {
            return Some(first);
        }
        let mut joined = first.to_vec();
        while joined.len() < CHUNK
            && let Some(next) = self.out.pop_front()
        {
            joined.extend_from_slice(&next);
        }
        Some(Bytes::from(joined))
    }

    /// What one change means to this watcher: an object that leaves the selection is deleted to it.
    fn event(&mut self, event: &Event) {
        if !event.object.key.starts_with(&self.prefix) {
            return;
        }
        let passes = |entry: &Arc<Entry>| self.selection.matches(entry);
        let (now, before) = (!event.deleted && passes(&event.object), event.previous.as_ref().is_some_and(passes));
        match (now, before) {
            (true, true) => self.push("MODIFIED", &event.object.bytes),
            (true, false) => self.push("ADDED", &event.object.bytes),
            (false, true) if event.deleted => self.push("DELETED", &event.object.bytes),
            (false, true) => {
                if let Some(previous) = &event.previous {
                    let gone = previous.deleted_at(event.revision);
                    self.push("DELETED", &gone.bytes);
                }
            }
            (false, false) => {}
        }
    }

    fn push(&mut self, kind: &str, stored: &Bytes) {
        let bytes = wire(self.row, stored);
        let body = match (self.accept.form, &self.table) {
            (Form::Partial(version), _) => bytes_form::partial(&bytes, version),
            (_, Some(table)) => Bytes::from(table.event(&bytes, self.first)),
            _ => bytes,
        };
        self.first = false;
        self.frame(kind, &body);
    }

    fn push_bookmark(&mut self, revision: i64, end_of_initial: bool) {
        let revision = revision.to_string();
        let mut metadata = json!({"resourceVersion": revision, "creationTimestamp": Value::Null});
        if end_of_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let body = match (self.accept.form, &self.table) {
            (Form::Partial(version), _) => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": metadata}).to_string()
            }
            (_, Some(table)) => String::from_utf8_lossy(&table.bookmark(&revision)).into_owned(),
            _ => json!({"kind": self.row.kind, "apiVersion": self.row.api_version(), "metadata": metadata}).to_string(),
        };
        self.frame("BOOKMARK", body.as_bytes());
    }

    fn push_status(&mut self, status: &Status) {
        let body = status.to_json();
        self.frame("ERROR", &body);
    }

    fn frame(&mut self, kind: &str, object: &[u8]) {
        let mut frame = Vec::with_capacity(object.len() + 40);
        frame.extend_from_slice(b"{\"type\":\"");
        frame.extend_from_slice(kind.as_bytes());
        frame.extend_from_slice(b"\",\"object\":");
        frame.extend_from_slice(object);
        frame.extend_from_slice(b"}\n");
        self.out.push_back(Bytes::from(frame));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cluster without any work has more than a hundred watches.
    #[test]
    fn a_watch_that_waits_takes_little_room() {
        fn room<F>(_: impl Fn(Watcher) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = room(step);
        assert!(bytes < 2048, "{bytes} bytes");
    }
}
