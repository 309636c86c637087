//! Requests on their way to an endpoint, and answers on their way back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drydock_component::serve::{Body, full};
use http::header::{CONTENT_TYPE, HOST, LOCATION};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::copy_bidirectional;
use tokio::sync::watch;

use crate::headers::{Origin, forwarded, strip, upgrade};
use crate::routes::{Backend, Table, Target, bare_host};

/// How long an endpoint may take to accept a connection.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// How long an endpoint may take to begin its answer.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// How long an idle connection to an endpoint is kept.
const IDLE_TIME: Duration = Duration::from_secs(30);
/// Idle connections to one endpoint.
const MOST_IDLE: usize = 16;
/// Endpoints that are tried for one request.
const MOST_TRIES: usize = 3;

/// Through which listener a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// HTTP, port 80 for clients.
    Http,
    /// HTTPS, port 443 for clients.
    Https,
}

impl Door {
    fn scheme(self) -> &'static str {
        match self {
            Door::Http => "http",
            Door::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Door::Http => 80,
            Door::Https => 443,
        }
    }
}

/// Leads requests by the newest table.
pub struct Proxy {
    table: watch::Receiver<Option<Arc<Table>>>,
    http1: Client<HttpConnector, Body>,
    http2: Client<HttpConnector, Body>,
}

/// Why a request got no answer from an endpoint.
struct Failure {
    status: StatusCode,
    reason: String,
}

impl Proxy {
    /// A proxy that follows `table`; none means that the cluster is not known yet.
    pub fn new(table: watch::Receiver<Option<Arc<Table>>>) -> Proxy {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIME));
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIME).pool_max_idle_per_host(MOST_IDLE);
        let http1 = builder.build(connector.clone());
        let http2 = builder.http2_only(true).build(connector);
        Proxy { table, http1, http2 }
    }

    /// Whether the cluster is known.
    pub fn is_ready(&self) -> bool {
        self.table.borrow().is_some()
    }

    /// Answers one request.
    pub async fn serve(&self, request: Request<Incoming>, client: SocketAddr, door: Door) -> Response<Body> {
        let begun = Instant::now();
        let host = host(&request);
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let table = self.table.borrow().clone();
        if door == Door::Http && table.as_ref().is_some_and(|table| table.is_https_only(&host, &path)) {
            let rest = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
            tracing::info!(http.method = %method, http.host = host, http.path = path, http.status = 308, client.addr = %client.ip(), "request");
            return to_https(&bare_host(&host), rest);
        }
        let backend = table.as_ref().map(|table| table.lookup(&host, &path).cloned());
        let (response, name) = match backend {
            None => (page(StatusCode::SERVICE_UNAVAILABLE, "the ingress controller is starting"), String::new()),
            Some(None) => {
                (page(StatusCode::NOT_FOUND, &format!("no Ingress leads {host}{path} anywhere")), String::new())
            }
            Some(Some(backend)) => {
                let origin = Origin { client: client.ip(), host: &host, scheme: door.scheme(), port: door.port() };
                let outcome = self.lead(request, &backend, &origin).await;
                let response = outcome.unwrap_or_else(|failure| page(failure.status, &failure.reason));
                (response, backend.name.clone())
            }
        };
        tracing::info!(
            http.method = %method, http.host = host, http.path = path, http.status = response.status().as_u16(),
            client.addr = %client.ip(), backend = name, took_ms = begun.elapsed().as_millis() as u64, "request"
        );
        response
    }

    async fn lead(
        &self,
        mut request: Request<Incoming>,
        backend: &Backend,
        origin: &Origin<'_>,
    ) -> Result<Response<Body>, Failure> {
        let protocol = upgrade(request.headers()).filter(|_| request.version() == Version::HTTP_11);
        let from_client = protocol.is_some().then(|| hyper::upgrade::on(&mut request));
        let (mut parts, body) = request.into_parts();
        strip(&mut parts.headers, protocol.as_ref());
        forwarded(&mut parts.headers, origin, &format!("{:032x}", rand::random::<u128>()));
        parts.version = if backend.h2c { Version::HTTP_2 } else { Version::HTTP_11 };
        if backend.h2c {
            parts.headers.remove(HOST);
        }
        parts.extensions = http::Extensions::new();
        let is_empty = body.is_end_stream();
        let path = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let mut body = Some(body.map_err(Into::into).boxed_unsync());
        let mut failure = Failure {
            status: StatusCode::SERVICE_UNAVAILABLE,
            reason: format!("{}: {}", backend.name, backend.missing),
        };
        for target in turn(&backend.targets).take(MOST_TRIES) {
            // A body is there once: only what has none can be sent a second time.
            let Some(body) = body.take().or_else(|| is_empty.then(|| full(Vec::new()))) else { break };
            let mut parts = parts.clone();
            parts.uri = uri(target, path.clone())?;
            match self.ask(Request::from_parts(parts, body), backend.h2c).await {
                Ok(response) => return Ok(answer(response, from_client)),
                Err(next) => {
                    let again = next.status == StatusCode::BAD_GATEWAY;
                    tracing::warn!(
                        backend = backend.name,
                        ?target,
                        reason = next.reason,
                        "an endpoint does not answer"
                    );
                    failure = next;
                    if !again {
                        break;
                    }
                }
            }
        }
        Err(failure)
    }

    async fn ask(&self, request: Request<Body>, h2c: bool) -> Result<Response<Incoming>, Failure> {
        let client = if h2c { &self.http2 } else { &self.http1 };
        match tokio::time::timeout(ANSWER_TIME, client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                let mut reason = error.to_string();
                let mut source = std::error::Error::source(&error);
                while let Some(inner) = source {
                    reason = format!("{reason}: {inner}");
                    source = inner.source();
                }
                Err(Failure { status: StatusCode::BAD_GATEWAY, reason })
            }
            Err(_) => Err(Failure {
                status: StatusCode::GATEWAY_TIMEOUT,
                reason: format!("the endpoint did not answer within {} s", ANSWER_TIME.as_secs()),
            }),
        }
    }
}

/// The host that the client asks, as it wrote it.
fn host<B>(request: &Request<B>) -> String {
    let header = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    request.uri().authority().map(Authority::as_str).or(header).unwrap_or_default().to_owned()
}

/// All targets, beginning with any of them.
fn turn(targets: &[Target]) -> impl Iterator<Item = &Target> {
    let start = if targets.is_empty() { 0 } else { rand::random_range(0..targets.len()) };
    targets.iter().cycle().skip(start).take(targets.len())
}

fn uri(target: &Target, path: PathAndQuery) -> Result<Uri, Failure> {
    let authority = match target {
        Target::Address(address) => address.to_string(),
        Target::Name(name, port) => format!("{name}:{port}"),
    };
    let unusable = |error: http::Error| Failure { status: StatusCode::BAD_GATEWAY, reason: error.to_string() };
    Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query(path).build().map_err(unusable)
}

/// The endpoint's answer as the client's; a changed protocol is carried on between both.
fn answer(mut response: Response<Incoming>, from_client: Option<hyper::upgrade::OnUpgrade>) -> Response<Body> {
    let protocol = upgrade(response.headers()).filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS);
    if let (Some(_), Some(from_client)) = (&protocol, from_client) {
        let from_endpoint = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let (client, endpoint) = match tokio::try_join!(from_client, from_endpoint) {
                Ok(both) => both,
                Err(error) => return tracing::debug!(%error, "the protocol did not change"),
            };
            if let Err(error) = copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(endpoint)).await {
                tracing::debug!(%error, "an upgraded connection ended");
            }
        });
    }
    let (mut parts, body) = response.into_parts();
    strip(&mut parts.headers, protocol.as_ref());
    parts.version = Version::default();
    parts.extensions = http::Extensions::new();
    Response::from_parts(parts, body.map_err(Into::into).boxed_unsync())
}

/// The same over HTTPS, with the same method and body.
fn to_https(host: &str, path_and_query: &str) -> Response<Body> {
    match HeaderValue::from_str(&format!("https://{host}{path_and_query}")) {
        Ok(location) => {
            let mut response = page(StatusCode::PERMANENT_REDIRECT, "this host is served over HTTPS");
            response.headers_mut().insert(LOCATION, location);
            response
        }
        Err(_) => page(StatusCode::BAD_REQUEST, "the host or path has characters that no header may have"),
    }
}

/// An answer of our own.
fn page(status: StatusCode, reason: &str) -> Response<Body> {
    let mut response = Response::new(full(format!("{status}\n{reason}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
