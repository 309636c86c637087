//! An object of the session's cluster in detail, and the log of a container as it is written.

mod lines;
pub(crate) mod yaml;

use std::convert::Infallible;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::Method;
use axum::response::sse::{Event, KeepAlive, Sse};
use drydock_client::Client;
use drydock_protocol::{LogChunk, ObjectDetails, ObjectEvent};
use futures_util::stream::{self, Stream, StreamExt};
use serde::Deserialize;
use serde_json::Value;

use super::App;
use crate::access::{self, Seat, Use};
use crate::error::Error;
use crate::sessions::Hub;
use lines::Lines;

/// Longer YAML is cut.
const YAML_LIMIT: usize = 256 * 1024;
/// Events shown of an object.
const EVENTS: usize = 50;
/// Lines of a log that were written before somebody looks.
const TAIL: usize = 500;

/// `?namespace=&name=`
#[derive(Deserialize)]
pub(super) struct Which {
    #[serde(default)]
    namespace: String,
    name: String,
}

/// `?namespace=&pod=&container=&previous=`
#[derive(Deserialize)]
pub(super) struct Log {
    namespace: String,
    pod: String,
    #[serde(default)]
    container: String,
    #[serde(default)]
    previous: bool,
}

/// GET /sessions/{id}/objects/{kind}
pub(super) async fn show(
    State(app): State<App>,
    Path((id, kind)): Path<(String, String)>,
    Query(which): Query<Which>,
) -> Result<Json<ObjectDetails>, Error> {
    let path = address(&kind, &which.namespace, &which.name)
        .ok_or_else(|| Error::Invalid("There is no such kind of object, or the name is not one.".to_owned()))?;
    let hub = app.sessions.hub(&id).await?;
    let client = client(&app, &hub).await?;
    let mut value: Value = client.get(&path).await.map_err(refused)?;
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    let events = format!(
        "/api/v1/namespaces/{}/events?limit=500&fieldSelector=involvedObject.kind%3D{kind}%2CinvolvedObject.name%3D{}",
        if which.namespace.is_empty() { "default" } else { &which.namespace },
        which.name,
    );
    // Who may not read events still sees the object.
    let events: Value = client.get(&events).await.unwrap_or_default();
    let mut yaml = yaml::text(&value);
    let cut = yaml.len() > YAML_LIMIT;
    if cut {
        let end = yaml.floor_char_boundary(YAML_LIMIT);
        yaml.truncate(end);
    }
    Ok(Json(ObjectDetails { yaml, cut, events: latest(&events) }))
}

/// GET /sessions/{id}/logs
pub(super) async fn logs(
    State(app): State<App>,
    seat: Seat,
    Query(log): Query<Log>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Error> {
    if ![&log.namespace, &log.pod].iter().all(|name| is_name(name))
        || !(log.container.is_empty() || is_name(&log.container))
    {
        return Err(Error::Invalid("The log's namespace, pod or container is not a name.".to_owned()));
    }
    let hub = app.sessions.hub(&seat.session).await?;
    let place = hub.log_stream().ok_or_else(|| {
        Error::Conflict("Too many logs are being followed in this session. Close one and try again.".to_owned())
    })?;
    let client = client(&app, &hub).await?;
    let path = format!(
        "/api/v1/namespaces/{}/pods/{}/log?tailLines={TAIL}&follow={}&previous={}{}",
        log.namespace,
        log.pod,
        !log.previous,
        log.previous,
        if log.container.is_empty() { String::new() } else { format!("&container={}", log.container) },
    );
    let answer = client.stream(Method::GET, &path, "text/plain").await;
    let chunks = match answer {
        Ok(response) => {
            let bytes = Body::new(response.into_body()).into_data_stream();
            let chunks = stream::unfold((bytes, Lines::default(), false), |(mut bytes, mut lines, over)| async move {
                if over {
                    return None;
                }
                match bytes.next().await {
                    Some(Ok(chunk)) => {
                        let whole = lines.take(&chunk);
                        Some((whole, (bytes, lines, false)))
                    }
                    Some(Err(_)) | None => {
                        let rest = lines.rest();
                        Some((rest, (bytes, lines, true)))
                    }
                }
            });
            let chunks = chunks.filter(|lines| {
                let some = !lines.is_empty();
                async move { some }
            });
            chunks.map(|lines| LogChunk::Lines { lines })
        }
        Err(error) => {
            let reason = error.status().map_or_else(|| error.to_string(), |status| status.message.clone());
            return Ok(events(stream::iter([LogChunk::End { reason: Some(reason) }]).boxed(), (client, place)));
        }
    };
    let end = stream::iter([LogChunk::End { reason: None }]);
    let chunks = chunks.chain(end).take_until(Box::pin(access::lost(app, seat, Use::Watch)));
    Ok(events(chunks.boxed(), (client, place)))
}

/// Chunks as events; what they need is kept until the last one.
fn events<T: Send + 'static>(
    chunks: stream::BoxStream<'static, LogChunk>,
    kept: T,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = chunks.map(move |chunk| {
        let _ = &kept;
        // A chunk always serialises: it is text only.
        Ok(Event::default().data(serde_json::to_string(&chunk).unwrap_or_default()))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// A client of the session's API server.
async fn client(app: &App, hub: &Hub) -> Result<Client, Error> {
    let cluster = app.sessions.engine().get(hub.name()).await?;
    cluster.client().map_err(|error| Error::Conflict(error.to_string()))
}

/// What the cluster says to the learner's question is no failure of this server.
fn refused(error: drydock_client::Error) -> Error {
    if error.is_not_found() {
        return Error::NotFound("The object is not there any more.".to_owned());
    }
    Error::Conflict(match error.status() {
        Some(status) => status.message.clone(),
        None => "The cluster's API server does not answer.".to_owned(),
    })
}

/// Where the API server keeps an object; none for a kind that pages do not show and for what is no name.
fn address(kind: &str, namespace: &str, name: &str) -> Option<String> {
    let (group, plural, namespaced) = match kind {
        "Node" => ("api/v1", "nodes", false),
        "Namespace" => ("api/v1", "namespaces", false),
        "Pod" => ("api/v1", "pods", true),
        "Service" => ("api/v1", "services", true),
        "PersistentVolumeClaim" => ("api/v1", "persistentvolumeclaims", true),
        "Deployment" => ("apis/apps/v1", "deployments", true),
        "ReplicaSet" => ("apis/apps/v1", "replicasets", true),
        "StatefulSet" => ("apis/apps/v1", "statefulsets", true),
        "DaemonSet" => ("apis/apps/v1", "daemonsets", true),
        "Job" => ("apis/batch/v1", "jobs", true),
        "Ingress" => ("apis/networking.k8s.io/v1", "ingresses", true),
        _ => return None,
    };
    if !is_name(name) || (namespaced && !is_name(namespace)) {
        return None;
    }
    Some(if namespaced {
        format!("/{group}/namespaces/{namespace}/{plural}/{name}")
    } else {
        format!("/{group}/{plural}/{name}")
    })
}

/// Whether it is a DNS subdomain name, as names of these objects are.
fn is_name(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
        && !text.starts_with('.')
}

/// The latest of a list of events, oldest first.
fn latest(list: &Value) -> Vec<ObjectEvent> {
    let text = |event: &Value, pointer: &str| {
        event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().chars().take(1000).collect::<String>()
    };
    let millis = |event: &Value| {
        let stamps = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
        let stamp = stamps.iter().filter_map(|it| event.pointer(it)?.as_str()?.parse::<jiff::Timestamp>().ok()).next();
        stamp.and_then(|it| u64::try_from(it.as_millisecond()).ok()).unwrap_or_default()
    };
    let items = list.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut events: Vec<ObjectEvent> = items
        .iter()
        .map(|event| ObjectEvent {
            at_millis: millis(event),
            warning: text(event, "/type") == "Warning",
            reason: text(event, "/reason"),
            message: text(event, "/message"),
            from: match text(event, "/source/component") {
                from if from.is_empty() => text(event, "/reportingComponent"),
                from => from,
            },
            count: event.pointer("/count").and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok()).unwrap_or(1),
        })
        .collect();
    events.sort_by_key(|event| event.at_millis);
    events.split_off(events.len().saturating_sub(EVENTS))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_stay_within_the_kinds_that_are_shown() {
        for (kind, namespace, name, want) in [
            ("Pod", "default", "web-1", Some("/api/v1/namespaces/default/pods/web-1")),
            ("Node", "", "worker-1", Some("/api/v1/nodes/worker-1")),
            ("Ingress", "default", "shop", Some("/apis/networking.k8s.io/v1/namespaces/default/ingresses/shop")),
            ("Secret", "default", "token", None),
            ("Pod", "", "web-1", None),
            ("Pod", "default", "../../../apis", None),
            ("Pod", "default", "a?b", None),
            ("Node", "", "..", None),
        ] {
            assert_eq!(address(kind, namespace, name).as_deref(), want, "{kind} {namespace}/{name}");
        }
    }

    #[test]
    fn events_come_oldest_first() {
        let list = json!({"items": [
            {"type": "Warning", "reason": "BackOff", "message": "again", "lastTimestamp": "2026-11-21T01:00:02Z", "count": 3, "source": {"component": "kubelet"}},
            {"type": "Normal", "reason": "Scheduled", "message": "there", "eventTime": "2026-11-21T01:00:00.5Z", "lastTimestamp": null, "reportingComponent": "default-scheduler"},
        ]});
        let events = latest(&list);
        let seen: Vec<_> =
            events.iter().map(|it| (it.reason.as_str(), it.from.as_str(), it.count, it.warning)).collect();
        assert_eq!(seen, [("Scheduled", "default-scheduler", 1, false), ("BackOff", "kubelet", 3, true)]);
        assert_eq!(events[1].at_millis - events[0].at_millis, 1500);
        assert!(latest(&Value::Null).is_empty());
    }
}
