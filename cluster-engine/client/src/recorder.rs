//! Events: what happened to an object, told to people through `kubectl describe`.
//!
//! core/v1 Events with client-go's correlation: the same event again raises its count, many
//! similar ones become one, and an object that floods is cut off. Recording never blocks and never
//! fails for the caller.

mod correlate;

use drydock_api::meta::ObjectMeta;
use drydock_api::time::now_rfc3339;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use self::correlate::{Correlator, Step};
use crate::object::Object;
use crate::{Api, Client, Patch};

/// How many events may wait to be written; further ones are dropped.
const WAITING: usize = 1000;
/// How often an event is tried again when the server is not reached (client-go's number).
const TRIES: u32 = 12;

/// Whether an event is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// Something went as it should.
    Normal,
    /// Something needs attention.
    Warning,
}

/// Which object an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectReference {
    /// The object's kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The object's namespace, empty if it has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The object's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The object's uid.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The object's API version, such as `apps/v1`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The state of the object the event is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    /// A part of the object, such as `spec.containers{web}`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field_path: String,
}

impl ObjectReference {
    /// A reference to `object`.
    pub fn of<K: Object>(object: &K) -> ObjectReference {
        ObjectReference::new(&K::resource().api_version(), K::KIND, object.meta())
    }

    /// A reference from its parts.
    pub fn new(api_version: &str, kind: &str, meta: &ObjectMeta) -> ObjectReference {
        ObjectReference {
            kind: kind.to_owned(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            uid: meta.uid.clone(),
            api_version: api_version.to_owned(),
            resource_version: meta.resource_version.clone(),
            field_path: String::new(),
        }
    }

    /// The same object's part at `field_path`.
    #[must_use]
    pub fn at(mut self, field_path: impl Into<String>) -> ObjectReference {
        self.field_path = field_path.into();
        self
    }
}

/// One event on its way to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Occurrence {
    about: ObjectReference,
    kind: EventType,
    reason: String,
    message: String,
    annotations: Vec<(String, String)>,
}

/// Records events of one component; clones share it.
#[derive(Clone)]
pub struct EventRecorder {
    sender: mpsc::Sender<Occurrence>,
}

#[derive(Clone, Deserialize)]
struct EventObject {
    #[serde(default)]
    metadata: ObjectMeta,
}

crate::object!(EventObject, "", "v1", "Event", "events", namespaced);

impl EventRecorder {
    /// A recorder; `host` is the node's name for components on nodes, else empty. Must be called
    /// inside a tokio runtime.
    pub fn new(client: Client, component: &str, host: &str) -> EventRecorder {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(write(client, component.to_owned(), host.to_owned(), receiver));
        EventRecorder { sender }
    }

    /// Records that `reason` happened to `about`.
    pub fn event(&self, about: &ObjectReference, kind: EventType, reason: &str, message: impl Into<String>) {
        self.send(about, kind, reason, message.into(), Vec::new());
    }

    /// As [`EventRecorder::event`], with annotations on the event.
    pub fn annotated(
        &self,
        about: &ObjectReference,
        annotations: Vec<(String, String)>,
        kind: EventType,
        reason: &str,
        message: impl Into<String>,
    ) {
        self.send(about, kind, reason, message.into(), annotations);
    }

    /// Records good news.
    pub fn normal(&self, about: &ObjectReference, reason: &str, message: impl Into<String>) {
        self.event(about, EventType::Normal, reason, message);
    }

    /// Records bad news.
    pub fn warning(&self, about: &ObjectReference, reason: &str, message: impl Into<String>) {
        self.event(about, EventType::Warning, reason, message);
    }

    fn send(
        &self,
        about: &ObjectReference,
        kind: EventType,
        reason: &str,
        message: String,
        annotations: Vec<(String, String)>,
    ) {
        let mut message = message;
        // The API server refuses longer ones (core/v1 validation: 1024 bytes).
        if message.len() > 1024 {
            let mut end = 1021;
            while !message.is_char_boundary(end) {
                end -= 1;
            }
            message.truncate(end);
            message.push_str("...");
        }
        let occurrence = Occurrence { about: about.clone(), kind, reason: reason.to_owned(), message, annotations };
        if self.sender.try_send(occurrence).is_err() {
            tracing::debug!(reason, "an event was dropped: too many wait");
        }
    }
}

async fn write(client: Client, component: String, host: String, mut receiver: mpsc::Receiver<Occurrence>) {
    let mut correlator = Correlator::default();
    while let Some(occurrence) = receiver.recv().await {
        let now = tokio::time::Instant::now();
        let Some(step) = correlator.step(&occurrence, now) else { continue };
        let namespace = match occurrence.about.namespace.as_str() {
            "" => "default",
            namespace => namespace,
        };
        let api = Api::<EventObject>::namespaced(client.clone(), namespace);
        let timestamp = now_rfc3339();
        let mut step = step;
        let mut pause = crate::client::BACKOFF.0;
        for _ in 0..TRIES {
            let written = match &step {
                Step::Create { key, message } => {
                    let body = new_event(&occurrence, message, namespace, &timestamp, &component, &host);
                    api.create(&body).await.map(|event| correlator.created(key, event.metadata.name))
                }
                Step::Update { name, count, message, .. } => {
                    let patch = json!({"count": count, "lastTimestamp": timestamp, "message": message});
                    api.patch(name, Patch::Strategic, &patch).await.map(drop)
                }
            };
            match written {
                Ok(()) => break,
                // The old event has expired or was deleted: begin anew.
                Err(error) if error.is_not_found() && matches!(step, Step::Update { .. }) => {
                    step = step.begin_anew();
                }
                Err(error) if error.is_unreachable() || error.code() >= 500 => {
                    tracing::debug!(%error, "an event could not be written yet");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(std::time::Duration::from_secs(5));
                }
                Err(error) => {
                    tracing::debug!(event.reason = occurrence.reason, %error, "an event was refused");
                    break;
                }
            }
        }
    }
}

fn new_event(
    occurrence: &Occurrence,
    message: &str,
    namespace: &str,
    timestamp: &str,
    component: &str,
    host: &str,
) -> Value {
    let nanos =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let mut metadata = json!({
        "name": format!("{}.{nanos:x}", occurrence.about.name),
        "namespace": namespace,
    });
    for (key, value) in &occurrence.annotations {
        metadata["annotations"][key] = value.as_str().into();
    }
    let mut source = json!({"component": component});
    if !host.is_empty() {
        source["host"] = host.into();
    }
    json!({
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": metadata,
        "involvedObject": occurrence.about,
        "reason": occurrence.reason,
        "message": message,
        "source": source,
        "firstTimestamp": timestamp,
        "lastTimestamp": timestamp,
        "count": 1,
        "type": format!("{:?}", occurrence.kind),
        "eventTime": null,
        "reportingComponent": component,
        "reportingInstance": host,
    })
}
