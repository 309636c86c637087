//! The kubelet's own API on port 10250: logs, exec, attach, port-forward, stats. For the API server and for metrics.

mod auth;
mod certificate;
mod configz;
mod containers;
mod exec;
mod logs;
mod pods;
mod portforward;
mod spdy;
mod stats;
mod streams;
mod websocket;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use drydock_component::Shutdown;
use drydock_component::serve::{self, Body, Peer};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::kubelet::Kubelet;

/// Starts serving.
///
/// # Errors
/// When the port is taken or the certificates are unusable.
pub(crate) async fn start(kubelet: &Arc<Kubelet>, shutdown: Shutdown) -> Result<JoinHandle<()>, crate::Error> {
    let port = kubelet.config.port;
    let failed = |reason: String| crate::Error::Server { port, reason };
    let tls = certificate::server_config(kubelet).map_err(failed)?;
    let address = SocketAddr::new(kubelet.config.address, port);
    let listener = TcpListener::bind(address).await.map_err(|error| failed(error.to_string()))?;
    let gate = Arc::new(auth::Gate::default());
    let kubelet = kubelet.clone();
    let handler = move |request: Request<Incoming>, peer: Peer| {
        let (kubelet, gate) = (kubelet.clone(), gate.clone());
        async move { answer(kubelet, &gate, request, peer).await }
    };
    Ok(tokio::spawn(serve::https(listener, tls, handler, shutdown)))
}

async fn answer(kubelet: Arc<Kubelet>, gate: &auth::Gate, request: Request<Incoming>, peer: Peer) -> Response<Body> {
    if request.uri().path() == "/healthz" {
        return serve::text(StatusCode::OK, "ok");
    }
    if let Err(refusal) = gate.check(&kubelet, &request, &peer).await {
        return refusal;
    }
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let place = |parts: &[&str]| Place::parse(parts);
    match parts.as_slice() {
        ["pods"] => json(&pods::list(&kubelet).await),
        ["runningpods"] => json(&stats::pods(&kubelet)),
        ["stats", "summary"] => json(&stats::summary(&kubelet).await),
        ["configz"] => json(&configz::document(&kubelet)),
        ["healthz", "ping" | "log" | "syncloop"] => serve::text(StatusCode::OK, "ok"),
        ["metrics", "cadvisor"] => serve::text(StatusCode::OK, stats::cadvisor(&kubelet).await),
        ["metrics", "resource"] => serve::text(StatusCode::OK, stats::resource_metrics(&kubelet).await),
        ["metrics"] => serve::text(StatusCode::OK, stats::metrics(&kubelet)),
        ["containerLogs", rest @ ..] => match place(rest) {
            Some(place) => logs::serve(&kubelet, &place, &query(&request)),
            None => not_found(),
        },
        ["exec", rest @ ..] => match place(rest) {
            Some(place) => exec::exec(kubelet, place, request).await,
            None => not_found(),
        },
        ["attach", rest @ ..] => match place(rest) {
            Some(place) => exec::attach(kubelet, place, request).await,
            None => not_found(),
        },
        ["run", rest @ ..] => match place(rest) {
            Some(place) => exec::run(kubelet, place, request).await,
            None => not_found(),
        },
        ["portForward", rest @ ..] => match Place::parse_pod(rest) {
            Some(place) => portforward::serve(kubelet, place, request).await,
            None => not_found(),
        },
        _ => not_found(),
    }
}

/// Which container (or pod) a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) uid: Option<String>,
    pub(crate) container: String,
}

impl Place {
    /// `<namespace>/<pod>[/<uid>]/<container>`
    fn parse(parts: &[&str]) -> Option<Self> {
        let (uid, container) = match parts {
            [_, _, container] => (None, container),
            [_, _, uid, container] => (Some((*uid).to_owned()), container),
            _ => return None,
        };
        Some(Self { namespace: parts[0].to_owned(), pod: parts[1].to_owned(), uid, container: (*container).to_owned() })
    }

    /// `<namespace>/<pod>[/<uid>]`
    fn parse_pod(parts: &[&str]) -> Option<Self> {
        let (namespace, pod, uid) = match parts {
            [namespace, pod] => (namespace, pod, None),
            [namespace, pod, uid] => (namespace, pod, Some((*uid).to_owned())),
            _ => return None,
        };
        Some(Self { namespace: (*namespace).to_owned(), pod: (*pod).to_owned(), uid, container: String::new() })
    }
}

/// The parameters of a request; those given several times keep their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(HashMap<String, Vec<String>>);

impl Query {
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1" | "True" | "TRUE" | "t" | "T"))
    }

    pub(crate) fn parse(text: &str) -> Self {
        let mut map: HashMap<String, Vec<String>> = HashMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            map.entry(decode(name)).or_default().push(decode(value));
        }
        Self(map)
    }
}

fn query(request: &Request<Incoming>) -> Query {
    Query::parse(request.uri().query().unwrap_or_default())
}

/// Percent decoding, with `+` for a space.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut ahead = rest.clone();
                let digits =
                    [ahead.next(), ahead.next()].map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
                match digits {
                    [Some(high), Some(low)] => {
                        bytes.push((high * 16 + low) as u8);
                        rest = ahead;
                    }
                    _ => bytes.push(byte),
                }
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn json(value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(serve::full(value.to_string()));
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

fn not_found() -> Response<Body> {
    serve::text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// Why a request is not served: a code for programs, and text for people, which the API server passes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: StatusCode,
    message: String,
}

impl Refusal {
    fn new(code: StatusCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }
}

pub(crate) fn refuse(refusal: &Refusal) -> Response<Body> {
    serve::text(refusal.code, refusal.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("command=sh&command=-c&command=echo+a%20%26b&tty=1&stdin=true&x=%zz&empty=");
        assert_eq!(query.all("command"), ["sh", "-c", "echo a &b"]);
        assert!(query.flag("tty") && query.flag("stdin") && !query.flag("none"));
        assert_eq!((query.get("x"), query.get("empty")), (Some("%zz"), None));
    }

    #[test]
    fn places() {
        assert_eq!(Place::parse(&["ns", "p", "c"]).unwrap().container, "c");
        assert_eq!(Place::parse(&["ns", "p", "u", "c"]).unwrap().uid.as_deref(), Some("u"));
        assert!(Place::parse(&["ns"]).is_none());
        assert_eq!(Place::parse_pod(&["ns", "p", "u"]).unwrap().uid.as_deref(), Some("u"));
    }
}
