//! The one way of every request: who → may they → what → do it → write it down.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use drydock_api::Status;
use drydock_component::serve::{Body, Peer};
use drydock_component::websocket::is_requested;
use futures_util::FutureExt as _;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Response};
use hyper::body::Incoming;

use crate::audit::{self, ETCD_MICROS};
use crate::authn;
use crate::authorize::{Attributes, UserInfo};
use crate::encode::{self, Accept};
use crate::exchange::Exchange;
use crate::request::{Query, RequestInfo};
use crate::row::{Resource, Subresource, Verbs};
use crate::server::Server;
use crate::{aggregator, body, paths, subresource, verbs, websocket};

/// Answers one request; never fails.
pub(crate) async fn handle(server: Arc<Server>, request: Request<Incoming>, peer: Peer) -> Response<Body> {
    let etcd = Arc::new(AtomicU64::new(0));
    let answer = ETCD_MICROS.scope(Arc::clone(&etcd), answer(Arc::clone(&server), request, peer, etcd));
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            // The panic hook has already logged where and why.
            server.metrics.panicked();
            encode::status(&Status::internal("this request caused apiserver to panic. Look in the logs for details."))
        }
    }
}

async fn answer(server: Arc<Server>, request: Request<Incoming>, peer: Peer, etcd: Arc<AtomicU64>) -> Response<Body> {
    let (received, start) = (jiff::Timestamp::now(), Instant::now());
    let query = Query::parse(request.uri().query().unwrap_or(""));
    let info = RequestInfo::new(request.method(), request.uri().path(), &query);
    let source = peer.addr.ip();
    let mut finish = Finish {
        server: Arc::clone(&server),
        id: request
            .headers()
            .get("audit-id")
            .and_then(|value| value.to_str().ok())
            .map_or_else(crate::meta::new_uid, str::to_owned),
        uri: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
        agent: request.headers().get("user-agent").and_then(|value| value.to_str().ok()).unwrap_or("").to_owned(),
        info: info.clone(),
        known: false,
        user: UserInfo::default(),
        impersonator: None,
        exchange: None,
        received,
        start,
        source,
        code: 0,
        failure: None,
        etcd,
    };
    let result = run(&server, request, &peer, info, query, &mut finish).await;
    let mut response = match result {
        Ok(response) => response,
        Err(status) => {
            finish.failure = Some((status.reason.clone(), status.message.clone()));
            encode::status(&status)
        }
    };
    finish.code = response.status().as_u16();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&finish.id) {
        headers.insert(HeaderName::from_static("audit-id"), id);
    }
    server.flows.tell(&finish.user, &finish.info, headers);
    for warning in finish.exchange.iter().flat_map(|exchange| exchange.warnings()) {
        if let Ok(value) = HeaderValue::from_str(&format!("299 - {}", quoted(&warning))) {
            headers.append(http::header::WARNING, value);
        }
    }
    if finish.info.verb == "watch" && finish.failure.is_none() {
        // A watch is finished when its stream is.
        return response.map(|body| keep(body, finish));
    }
    response
}

/// A warning as a quoted string of a header.
fn quoted(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("\"{}\"", clean.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A body that drops `finish` when it ends.
fn keep(body: Body, finish: Finish) -> Body {
    use http_body_util::BodyExt as _;
    body.map_frame(move |frame| {
        let _ = &finish;
        frame
    })
    .boxed_unsync()
}

async fn run(
    server: &Arc<Server>,
    mut request: Request<Incoming>,
    peer: &Peer,
    info: RequestInfo,
    query: Query,
    finish: &mut Finish,
) -> Result<Response<Body>, Status> {
    let user = server.authenticator.authenticate(request.headers(), peer)?;
    finish.user = user.clone();
    let allowed = |question: &Attributes<'_>| server.chain.check(question).map(|_| ());
    let impersonated = authn::impersonate(request.headers(), &user, &allowed)?;
    let user = match impersonated {
        Some(other) => {
            finish.impersonator = Some(std::mem::replace(&mut finish.user, other.clone()));
            other
        }
        None => user,
    };
    let row = server.rows.find(&info.group, &info.version, &info.resource).filter(|_| info.is_resource);
    finish.known = row.is_some();
    let reason = server.chain.check(&attributes(&info, &user))?;
    let accept = request.headers().get("accept").and_then(|value| value.to_str().ok()).unwrap_or("");
    // Streams and paths answer in their own type; only objects are negotiated.
    let accept = match row {
        // What can only be asked, such as a review, is never shown as a table.
        Some(row) if is_object(row, &info) => Accept::negotiate(accept, row.verbs != Verbs::CREATE)?,
        _ => Accept { media: encode::Media::Json, form: encode::Form::Whole },
    };
    let upgrade = request.headers().contains_key(http::header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let (parts, incoming) = request.into_parts();
    let exchange =
        Arc::new(Exchange::new(info, query, parts.uri.query().unwrap_or("").to_owned(), parts.headers, user, accept));
    finish.exchange = Some(Arc::clone(&exchange));
    exchange.notes.annotate("authorization.k8s.io/decision", "allow");
    exchange.notes.annotate("authorization.k8s.io/reason", reason);
    if let Some(remote) = server.aggregator.find(&exchange.info.path) {
        return aggregator::serve(server, &exchange, &remote, &parts.method, incoming, upgrade).await;
    }
    if !exchange.info.is_resource {
        return paths::serve(server, &exchange, &parts.method, incoming).await;
    }
    let row = row.ok_or_else(Status::unknown_path)?;
    resource(server, &exchange, row, &parts.method, incoming, upgrade).await
}

fn attributes<'a>(info: &'a RequestInfo, user: &'a UserInfo) -> Attributes<'a> {
    if !info.is_resource {
        return Attributes {
            user,
            verb: info.verb,
            group: "",
            resource: "",
            subresource: "",
            name: "",
            namespace: "",
            path: &info.path,
        };
    }
    Attributes {
        user,
        verb: info.verb,
        group: &info.group,
        resource: &info.resource,
        subresource: &info.subresource,
        name: &info.name,
        namespace: &info.namespace,
        path: "",
    }
}

/// Whether the answer is an object of the API (and not a stream of something else).
fn is_object(row: &Resource, info: &RequestInfo) -> bool {
    use Subresource::{Attach, Exec, Log, PortForward, Proxy};
    !matches!(row.subresource(&info.subresource), Some(Log | Exec | Attach | PortForward | Proxy))
}

async fn resource(
    server: &Arc<Server>,
    exchange: &Arc<Exchange>,
    row: &'static Resource,
    method: &Method,
    incoming: Incoming,
    upgrade: Option<hyper::upgrade::OnUpgrade>,
) -> Result<Response<Body>, Status> {
    let info = &exchange.info;
    if !info.subresource.is_empty() {
        let subresource = row.subresource(&info.subresource).ok_or_else(Status::unknown_path)?;
        return subresource::serve(server, exchange, row, subresource, method, incoming, upgrade).await;
    }
    if !info.rest.is_empty() || (!info.namespace.is_empty() && !row.namespaced && row.plural != "namespaces") {
        return Err(Status::unknown_path());
    }
    if let Some(warning) = deprecation(row) {
        exchange.warn(warning);
    }
    let verb = match info.verb {
        "get" => Verbs::GET,
        "list" => Verbs::LIST,
        "watch" => Verbs::WATCH,
        "create" if info.name.is_empty() => Verbs::CREATE,
        "update" if !info.name.is_empty() => Verbs::UPDATE,
        "patch" if !info.name.is_empty() => Verbs::PATCH,
        "delete" => Verbs::DELETE,
        "deletecollection" => Verbs::DELETE_COLLECTION,
        _ => Verbs::NONE,
    };
    if verb == Verbs::NONE || !row.verbs.has(verb) {
        return Err(Status::method_not_supported(row.group, row.plural, method.as_str()));
    }
    match verb {
        Verbs::GET if !row.stored() => subresource::component_status::get(server, exchange, row).await,
        Verbs::LIST if !row.stored() => subresource::component_status::list(server, exchange, row).await,
        Verbs::GET => verbs::get::get(server, exchange, row).await,
        Verbs::LIST => verbs::list::list(server, exchange, row).await,
        Verbs::WATCH => {
            let answer = verbs::watch::watch(server, exchange, row).await?;
            match upgrade.filter(|_| is_requested(&exchange.headers)) {
                Some(upgrade) => websocket::watch(answer, &exchange.headers, upgrade),
                None => Ok(answer),
            }
        }
        _ => {
            let bytes = body::read(incoming).await?;
            match verb {
                Verbs::CREATE => verbs::create::create(server, exchange, row, &bytes).await,
                Verbs::UPDATE => verbs::update::update(server, exchange, row, None, &bytes).await,
                Verbs::PATCH => verbs::patch::patch(server, exchange, row, None, &bytes).await,
                Verbs::DELETE => verbs::delete::delete(server, exchange, row, &bytes).await,
                _ => verbs::delete::collection(server, exchange, row, &bytes).await,
            }
        }
    }
}

/// What upstream says to everybody who still uses a resource.
fn deprecation(row: &'static Resource) -> Option<&'static str> {
    if let Some(custom) = row.custom {
        return custom.deprecation.as_deref();
    }
    match (row.group, row.plural) {
        ("", "endpoints") => Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
        ("", "componentstatuses") => Some("v1 ComponentStatus is deprecated in v1.19+"),
        _ => None,
    }
}

/// Writes the audit event and the metrics of a request when it is dropped: after the answer, or when a watch ends.
struct Finish {
    server: Arc<Server>,
    id: String,
    uri: String,
    agent: String,
    info: RequestInfo,
    known: bool,
    user: UserInfo,
    impersonator: Option<UserInfo>,
    exchange: Option<Arc<Exchange>>,
    received: jiff::Timestamp,
    start: Instant,
    source: IpAddr,
    code: u16,
    failure: Option<(String, String)>,
    etcd: Arc<AtomicU64>,
}

impl Drop for Finish {
    fn drop(&mut self) {
        let code = if self.code == 0 { 500 } else { self.code };
        self.server.metrics.request(&self.info, self.known, code, self.start.elapsed());
        if !self.server.audit.is_on() || is_probe(&self.info) {
            return;
        }
        let empty = audit::Notes::default();
        let (user, impersonated) = match &self.impersonator {
            Some(impersonator) => (impersonator, Some(&self.user)),
            None => (&self.user, None),
        };
        let event = audit::event(&audit::Record {
            id: &self.id,
            info: &self.info,
            uri: &self.uri,
            user,
            impersonated,
            source: self.source,
            user_agent: &self.agent,
            received: self.received,
            done: jiff::Timestamp::now(),
            code,
            failure: self.failure.as_ref().map(|(reason, message)| (reason.as_str(), message.as_str())),
            notes: self.exchange.as_ref().map_or(&empty, |exchange| &exchange.notes),
            etcd: &self.etcd,
        });
        self.server.audit.line(event.to_string().into_bytes());
    }
}

/// Health probes come every few seconds and tell nothing.
fn is_probe(info: &RequestInfo) -> bool {
    !info.is_resource && ["/healthz", "/livez", "/readyz"].iter().any(|path| info.path.starts_with(path))
}
