//! `pods/log`: the kubelet's stream, passed on as it comes.

use bytes::Bytes;
use drydock_api::field::{FieldError, Path};
use drydock_api::{Status, meta};
use drydock_component::serve::{Body, full};
use drydock_component::websocket::is_requested;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Response};
use http_body_util::BodyExt as _;
use hyper::upgrade::OnUpgrade;
use serde_json::Value;

use super::connect::{container, escape, kubelet_of};
use crate::exchange::Exchange;
use crate::kubelet::{self, Scheme, Target};
use crate::request::Query;
use crate::server::Server;
use crate::verbs::get;
use crate::websocket;

/// Answers a GET, over a WebSocket if that is asked for.
pub(super) async fn get(
    server: &Server,
    exchange: &Exchange,
    upgrade: Option<OnUpgrade>,
) -> Result<Response<Body>, Status> {
    let answer = stream(server, exchange).await?;
    match upgrade.filter(|_| is_requested(&exchange.headers)) {
        Some(upgrade) => websocket::log(answer, &exchange.headers, upgrade),
        None => Ok(answer),
    }
}

async fn stream(server: &Server, exchange: &Exchange) -> Result<Response<Body>, Status> {
    let query = &exchange.query;
    validate(query)?;
    let row = server.rows.find("", "v1", "pods").ok_or_else(Status::unknown_path)?;
    let pod = get::newest_value(server, row, &exchange.info.namespace, &exchange.info.name).await?;
    let container = container(&pod, query.text("container"))?;
    let text = |body| {
        let mut response = Response::new(body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        response
    };
    if pod.pointer("/spec/nodeName").and_then(Value::as_str).is_none_or(str::is_empty) {
        // Upstream: a pod that runs nowhere has an empty log.
        return Ok(text(full(Bytes::new())));
    }
    let (host, port) = kubelet_of(server, &pod)?;
    let target = Target { host, port, scheme: Scheme::Kubelet, path: path(&pod, &container, query) };
    let answer = server.kubelets.send(&target, &Method::GET, &HeaderMap::new(), full(Bytes::new())).await?;
    if !answer.status().is_success() {
        return Err(kubelet::failure(answer).await);
    }
    Ok(text(answer.into_body().map_err(Into::into).boxed_unsync()))
}

fn path(pod: &Value, container: &str, query: &Query) -> String {
    let mut parts = Vec::new();
    for flag in ["follow", "previous", "timestamps"] {
        if query.flag(flag) {
            parts.push(format!("{flag}=true"));
        }
    }
    for value in ["sinceSeconds", "sinceTime", "tailLines", "limitBytes", "stream"] {
        if let Some(text) = query.get(value).filter(|text| !text.is_empty()) {
            parts.push(format!("{value}={}", escape(text)));
        }
    }
    let mark = if parts.is_empty() { "" } else { "?" };
    format!("/containerLogs/{}/{}/{container}{mark}{}", meta::namespace(pod), meta::name(pod), parts.join("&"))
}

fn validate(query: &Query) -> Result<(), Status> {
    let mut errors = Vec::new();
    for (key, least) in [("tailLines", 0), ("limitBytes", 1), ("sinceSeconds", 1)] {
        let Some(text) = query.get(key).filter(|text| !text.is_empty()) else { continue };
        let Ok(number) = text.parse::<i64>() else {
            return Err(Status::bad_request(format!(
                "strconv.ParseInt: parsing {}: invalid syntax",
                drydock_api::go_quote(text)
            )));
        };
        if number < least {
            errors.push(FieldError::invalid(
                &Path::new(key),
                number,
                format!("must be greater than {}", if least == 0 { "or equal to 0" } else { "0" }),
            ));
        }
    }
    let both = [query.text("sinceSeconds"), query.text("sinceTime")].iter().all(|text| !text.is_empty());
    if both {
        errors.push(FieldError::forbidden(
            &Path::root(),
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        ));
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid("", "PodLogOptions", "", errors)) }
}
