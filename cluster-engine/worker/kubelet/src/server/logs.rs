//! `GET /containerLogs/…`: a container's log, followed if asked for.

use std::sync::Arc;

use bytes::Bytes;
use drydock_component::serve::Body;
use futures_util::{StreamExt, stream};
use http::Response;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::sync::watch;

use super::{Place, Query, Refusal, containers, refuse};
use crate::kubelet::Kubelet;
use crate::logs::{Options, Reader};
use crate::stream::Progress;

/// Answers with the log.
pub(super) fn serve(kubelet: &Arc<Kubelet>, place: &Place, query: &Query) -> Response<Body> {
    match open(kubelet, place, query) {
        Ok((reader, progress)) => {
            let mut response = Response::new(body(reader, progress));
            response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
            response
        }
        Err(status) => refuse(&status),
    }
}

fn open(
    kubelet: &Kubelet,
    place: &Place,
    query: &Query,
) -> Result<(Reader, Option<watch::Receiver<Progress>>), Refusal> {
    let handle = containers::pod(kubelet, place)?;
    let view = handle.view();
    let pod = view.pod.clone();
    if pod.container(&place.container).is_none() {
        let text = format!("container {} not found in pod {}", place.container, pod.metadata.name);
        return Err(Refusal::not_found(text));
    }
    let previous = query.flag("previous");
    let waiting = |reason: &str| {
        let text =
            format!("container \"{}\" in pod \"{}\" is waiting to start: {reason}", place.container, pod.metadata.name);
        Refusal::bad_request(text)
    };
    let reason = || {
        let lists = [
            &view.status.init_container_statuses,
            &view.status.container_statuses,
            &view.status.ephemeral_container_statuses,
        ];
        let status = lists.into_iter().flatten().find(|status| status.name == place.container)?;
        let waiting = status.state.waiting.as_ref()?;
        Some(match waiting.reason.as_str() {
            "ErrImagePull" | "ImagePullBackOff" => "trying and failing to pull image".to_owned(),
            reason => reason.to_owned(),
        })
    };
    let attempt = view.containers.get(&place.container).map(|container| container.attempt);
    let attempt = attempt.or_else(|| latest_log(kubelet, &pod, &place.container));
    let Some(attempt) = attempt else {
        return Err(waiting(reason().as_deref().unwrap_or("ContainerCreating")));
    };
    let attempt = if previous { attempt.checked_sub(1) } else { Some(attempt) };
    let missing = || {
        let text =
            format!("previous terminated container \"{}\" in pod \"{}\" not found", place.container, pod.metadata.name);
        Refusal::bad_request(text)
    };
    let path = kubelet.log_path(&pod, &place.container, attempt.ok_or_else(missing)?);
    let number = |name: &str| query.get(name).map(str::parse::<u64>).transpose();
    let invalid = |_| Refusal::bad_request("unable to decode query");
    let since = match (query.get("sinceTime"), number("sinceSeconds").map_err(invalid)?) {
        (Some(time), _) => {
            Some(drydock_api::time::parse(time).ok_or_else(|| Refusal::bad_request("unable to decode query"))?)
        }
        (None, Some(seconds)) => Some((drydock_api::time::unix_now() - i64::try_from(seconds).unwrap_or(i64::MAX), 0)),
        (None, None) => None,
    };
    let options = Options {
        tail_lines: number("tailLines").map_err(invalid)?.and_then(|lines| usize::try_from(lines).ok()),
        since,
        timestamps: query.flag("timestamps"),
        limit_bytes: number("limitBytes").map_err(invalid)?.and_then(|bytes| usize::try_from(bytes).ok()),
        stream: query.get("stream").filter(|stream| *stream != "All").map(str::to_lowercase),
    };
    let reader = Reader::open(&path, options).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound if previous => missing(),
        _ => Refusal::internal(format!("failed to open log file \"{}\": {error}", path.display())),
    })?;
    let streams = view.containers.get(&place.container).and_then(|container| container.streams.clone());
    let follow = query.flag("follow") && !previous;
    Ok((reader, streams.filter(|_| follow).map(|streams| streams.progress())))
}

fn latest_log(kubelet: &Kubelet, pod: &crate::pod::Pod, container: &str) -> Option<u32> {
    let entries = std::fs::read_dir(kubelet.log_dir(pod).join(container)).ok()?.flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".log")?.parse().ok()).max()
}

fn body(reader: Reader, progress: Option<watch::Receiver<Progress>>) -> Body {
    let pieces = stream::unfold((reader, progress), |(mut reader, mut progress)| async move {
        loop {
            // Read after looking whether it ended, so that nothing written before the end is missed.
            let ended = progress.as_mut().is_none_or(|progress| progress.borrow_and_update().ended);
            match reader.next() {
                Ok(Some(piece)) if !piece.is_empty() => {
                    let frame: Result<_, Box<dyn std::error::Error + Send + Sync>> =
                        Ok(Frame::data(Bytes::from(piece)));
                    return Some((frame, (reader, progress)));
                }
                Ok(Some(_)) if !ended => {
                    if let Some(progress) = &mut progress
                        && progress.changed().await.is_err()
                    {
                        return None;
                    }
                }
                Ok(_) => return None,
                Err(error) => return Some((Err(error.into()), (reader, None))),
            }
        }
    });
    BodyExt::boxed_unsync(StreamBody::new(pieces.boxed()))
}
