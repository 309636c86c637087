//! Audit: one standard `audit.k8s.io/v1` Event per finished request, Metadata level, as a JSON line.
//!
//! The diagram of a session is drawn from this log, so a line is written as soon as the answer is ready and times
//! are in microseconds. A watch is logged when it ends (upstream's ResponseComplete).

pub(crate) mod log;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};

use crate::authorize::UserInfo;
use crate::request::RequestInfo;

tokio::task_local! {
    /// Microseconds that the present request spent waiting for etcd.
    pub(crate) static ETCD_MICROS: Arc<AtomicU64>;
}

/// What handlers add to the event of their request.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    uid: String,
    name: String,
    resource_version: String,
    annotations: Map<String, Value>,
}

impl Notes {
    /// Remembers which object was touched.
    pub(crate) fn object(&self, object: &Value) {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or("").to_owned();
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.uid = text("/metadata/uid");
        noted.name = text("/metadata/name");
        noted.resource_version = text("/metadata/resourceVersion");
    }

    /// Adds an annotation.
    pub(crate) fn annotate(&self, key: &str, value: impl Into<String>) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.annotations.insert(key.to_owned(), Value::String(value.into()));
    }
}

/// What is known of a request when its answer is ready.
pub(crate) struct Record<'a> {
    pub(crate) id: &'a str,
    pub(crate) info: &'a RequestInfo,
    pub(crate) uri: &'a str,
    pub(crate) user: &'a UserInfo,
    pub(crate) impersonated: Option<&'a UserInfo>,
    pub(crate) source: IpAddr,
    pub(crate) user_agent: &'a str,
    pub(crate) received: jiff::Timestamp,
    pub(crate) done: jiff::Timestamp,
    pub(crate) code: u16,
    /// Reason and message of a failure.
    pub(crate) failure: Option<(&'a str, &'a str)>,
    pub(crate) notes: &'a Notes,
    pub(crate) etcd: &'a AtomicU64,
}

/// The event of a request.
pub(crate) fn event(record: &Record<'_>) -> Value {
    let info = record.info;
    let noted = record.notes.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut annotations = noted.annotations.clone();
    let etcd = record.etcd.load(Ordering::Relaxed);
    if etcd > 0 {
        annotations.insert("apiserver.latency.k8s.io/etcd".to_owned(), go_micros(etcd).into());
    }
    let total = record.done.duration_since(record.received).as_micros();
    annotations
        .insert("apiserver.latency.k8s.io/total".to_owned(), go_micros(u64::try_from(total).unwrap_or(0)).into());
    let mut event = json!({
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": record.id,
        "stage": "ResponseComplete",
        "requestURI": record.uri,
        "verb": info.verb,
        "user": user(record.user),
        "sourceIPs": [record.source.to_string()],
        "userAgent": record.user_agent,
        "responseStatus": {"metadata": {}, "code": record.code},
        "requestReceivedTimestamp": micro(record.received),
        "stageTimestamp": micro(record.done),
        "annotations": annotations,
    });
    if let Some((reason, message)) = record.failure {
        event["responseStatus"]["status"] = "Failure".into();
        event["responseStatus"]["reason"] = reason.into();
        event["responseStatus"]["message"] = message.into();
    }
    if let Some(impersonated) = record.impersonated {
        event["impersonatedUser"] = user(impersonated);
    }
    if info.is_resource {
        let name = if info.name.is_empty() { &noted.name } else { &info.name };
        let fields = [
            ("resource", info.resource.as_str()),
            ("namespace", &info.namespace),
            ("name", name),
            ("uid", &noted.uid),
            ("apiGroup", &info.group),
            ("apiVersion", &info.version),
            ("resourceVersion", &noted.resource_version),
            ("subresource", &info.subresource),
        ];
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
        event["objectRef"] =
            fields.map(|(key, value)| (key.to_owned(), Value::String(value.to_owned()))).collect::<Map<_, _>>().into();
    }
    event
}

fn user(user: &UserInfo) -> Value {
    let mut out = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        out["uid"] = user.uid.clone().into();
    }
    if !user.extra.is_empty() {
        out["extra"] = json!(user.extra);
    }
    out
}

fn micro(time: jiff::Timestamp) -> String {
    format!("{time:.6}")
}

/// A duration as Go prints it, good enough for `µs`, `ms` and `s`.
fn go_micros(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros}µs"),
        1000..1_000_000 => format!("{}ms", micros as f64 / 1e3),
        _ => format!("{}s", micros as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_upstreams_form() {
        let info = RequestInfo {
            is_resource: true,
            verb: "create",
            version: "v1".into(),
            resource: "pods".into(),
            namespace: "a".into(),
            ..RequestInfo::default()
        };
        let notes = Notes::default();
        notes.object(&json!({"metadata": {"name": "p", "uid": "u", "resourceVersion": "5"}}));
        let time: jiff::Timestamp = "2026-11-21T01:02:03.5Z".parse().expect("time");
        let etcd = AtomicU64::new(1500);
        let record = Record {
            id: "id",
            info: &info,
            uri: "/api/v1/namespaces/a/pods",
            user: &UserInfo::new("admin", &["system:masters"]),
            impersonated: None,
            source: IpAddr::from([127, 0, 0, 1]),
            user_agent: "kubectl",
            received: time,
            done: time,
            code: 201,
            failure: None,
            notes: &notes,
            etcd: &etcd,
        };
        let event = event(&record);
        assert_eq!(event["requestReceivedTimestamp"], "2026-11-21T01:02:03.500000Z");
        assert_eq!(
            event["objectRef"],
            json!({"resource":"pods","namespace":"a","name":"p","uid":"u","apiVersion":"v1","resourceVersion":"5"})
        );
        assert_eq!(event["annotations"]["apiserver.latency.k8s.io/etcd"], "1.5ms");
    }
}
