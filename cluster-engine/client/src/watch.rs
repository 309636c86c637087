//! One watch: JSON lines over a streaming answer.

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::BytesMut;
use drydock_api::status::Status;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::object::Object;
use crate::{Error, Result, lenient};

/// The longest line a watch may send; objects are limited to about 1.5 MiB by etcd.
const MAX_LINE: usize = 16 << 20;
/// A buffer that grew larger than this is given back once it is empty.
const KEEP_BUFFER: usize = 16 << 10;

/// What a watch tells.
#[derive(Clone, Debug)]
pub enum WatchEvent<K> {
    /// The object is new, or was there when the watch began.
    Added(K),
    /// The object changed.
    Modified(K),
    /// The object is gone; its last state.
    Deleted(K),
    /// Nothing happened up to this resourceVersion.
    Bookmark {
        /// How far the watch has come.
        resource_version: String,
        /// Whether this ends the initial events of `sendInitialEvents`.
        initial_events_end: bool,
    },
}

/// An open watch; dropping it ends it.
pub struct Watcher<K> {
    body: Incoming,
    buffer: BytesMut,
    /// Bytes of `buffer` already searched for a line's end.
    searched: usize,
    kind: PhantomData<K>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Bookmark {
    #[serde(default)]
    metadata: BookmarkMeta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BookmarkMeta {
    resource_version: String,
    annotations: std::collections::BTreeMap<String, String>,
}

impl<K: Object> Watcher<K> {
    pub(crate) fn new(body: Incoming) -> Watcher<K> {
        Watcher { body, buffer: BytesMut::new(), searched: 0, kind: PhantomData }
    }

    /// The next event; `None` when the server ended the watch.
    ///
    /// # Errors
    /// When the connection breaks or the server sends an ERROR event (410 after compaction).
    pub async fn next(&mut self) -> Option<Result<WatchEvent<K>>> {
        loop {
            if let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.searched + end + 1);
                self.searched = 0;
                if self.buffer.is_empty() && line.capacity() > KEEP_BUFFER {
                    self.buffer = BytesMut::new();
                }
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Some(parse(&line));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > MAX_LINE {
                return Some(Err(decode("a watch event", "the line is too long")));
            }
            match self.body.frame().await? {
                Ok(frame) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                Err(error) => return Some(Err(Error::Transport(Arc::new(error)))),
            }
        }
    }
}

fn decode(what: &str, reason: impl ToString) -> Error {
    Error::Decode { what: what.to_owned(), reason: reason.to_string() }
}

fn parse<K: Object>(line: &[u8]) -> Result<WatchEvent<K>> {
    let event: Line<'_> = serde_json::from_slice(line).map_err(|error| decode("a watch event", error))?;
    let text = event.object.get();
    let make: fn(K) -> WatchEvent<K> = match event.kind {
        "ADDED" => WatchEvent::Added,
        "MODIFIED" => WatchEvent::Modified,
        "DELETED" => WatchEvent::Deleted,
        other => return parse_other(other, text),
    };
    match lenient::object(text) {
        Ok(object) => Ok(make(object)),
        // Asking again would bring the same: what nobody can read is passed over, or nothing after it would ever be seen.
        Err(error) => {
            tracing::warn!(kind = K::KIND, %error, "an object cannot be read and is passed over");
            parse_other("BOOKMARK", text)
        }
    }
}

fn parse_other<K>(kind: &str, text: &str) -> Result<WatchEvent<K>> {
    Ok(match kind {
        "BOOKMARK" => {
            let bookmark: Bookmark = serde_json::from_str(text).map_err(|error| decode("a bookmark", error))?;
            let meta = bookmark.metadata;
            WatchEvent::Bookmark {
                resource_version: meta.resource_version,
                initial_events_end: meta.annotations.get("k8s.io/initial-events-end").is_some_and(|v| v == "true"),
            }
        }
        "ERROR" => {
            let status: Status = serde_json::from_str(text).map_err(|error| decode("an error event", error))?;
            return Err(Error::Status(Box::new(status)));
        }
        other => return Err(decode("a watch event", format!("unknown type {other:?}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::PartialObject;

    #[test]
    fn reads_every_event_type() {
        let read = |text: &str| parse::<PartialObject>(text.as_bytes());
        let added = read(r#"{"type":"ADDED","object":{"metadata":{"name":"a"},"spec":{"x":[1]}}}"#).unwrap();
        assert!(matches!(added, WatchEvent::Added(object) if object.metadata.name == "a"));
        let bookmark = read(
            r#"{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}}"#,
        );
        assert!(matches!(
            bookmark.unwrap(),
            WatchEvent::Bookmark { resource_version, initial_events_end: true } if resource_version == "7"
        ));
        let gone = read(r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"old"}}"#);
        assert!(gone.unwrap_err().is_gone());
        // Unreadable even without its nulls: only the position moves on.
        let odd = read(r#"{"type":"MODIFIED","object":{"metadata":{"name":7,"resourceVersion":"8"}}}"#).unwrap();
        assert!(matches!(odd, WatchEvent::Bookmark { resource_version, .. } if resource_version == "8"));
        assert!(read(r#"{"type":"SURPRISE","object":{}}"#).is_err());
        assert!(read("{").is_err());
    }
}
