//! Previews: what a session's workloads serve, in the learner's own browser, and its API server for programs outside.
//!
//! A preview has a host of its own (`30080--s-abc.localhost`), so that it is another origin than the app: neither's cookies,
//! storage or answers are the other's. Where no such host can lead here, previews lie below a path of the app's host, and
//! their pages run in a sandbox without an origin.
//!
//! *Invariant*: before a byte goes to a cluster, `access` has said that who asks may look at it; each request is asked anew.

mod doors;
mod forward;
mod grant;
mod headers;
mod host;
mod kube;
mod page;
mod route;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use drydock_component::tls::AnyCertificate;
use drydock_engine::host::{NodeHost, Stream};
use drydock_protocol::Target;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;

pub(crate) use doors::{Certificate, Doors, Peer};
use grant::{COOKIE, Grant, Grants, PASS_SECONDS, Purpose};
use headers::Sides;
use host::{Kind, PreviewHost};
use page::Reason;
use route::Way;

use crate::access::{self, Relation, Use};
use crate::error::{Error, chain};
use crate::identity::Caller;
use crate::limits::network;
use crate::metrics;
use crate::routes::App;
use crate::sessions::{Hub, now_millis};

/// How long the way into a session may take.
const DIAL_TIME: Duration = Duration::from_secs(5);
/// How long a program may think about a request without a body before it counts as silent.
const ANSWER_TIME: Duration = Duration::from_secs(120);
/// How long a request waits for a place among a session's connections.
const QUEUE_TIME: Duration = Duration::from_secs(5);
/// The path on a preview's host that is the server's own.
const ENTER: &str = "/.drydock/enter";
/// The path on the app's host below which previews lie.
const BELOW: &str = "/preview/";

/// Options about previews.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub(crate) struct Options {
    /// Domain whose every sub-domain leads to this server, for previews of what learners run, e.g. preview.example.com; with a port
    /// where browsers need one. Best a domain that nothing else uses [default: localhost for browsers on this machine, else paths].
    #[arg(long, env = "DRYDOCK_PREVIEW_DOMAIN", value_name = "DOMAIN")]
    preview_domain: Option<String>,
}

/// All previews of this server.
pub(crate) struct Previews {
    domain: Option<String>,
    grants: Grants,
    gateways: kube::Gateways,
    certificate: Certificate,
    tls: Arc<ClientConfig>,
}

impl Previews {
    /// With the key that signs passes.
    ///
    /// # Errors
    /// When TLS does not work at all.
    pub(crate) fn new(options: Options, key: ring::hmac::Key, certificate: Certificate) -> anyhow::Result<Previews> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // A learner's certificates are their own: what counts is that the session was dialled.
        let mut tls = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(AnyCertificate::new(provider))
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let domain = options.preview_domain.map(|it| it.trim_matches('.').to_ascii_lowercase());
        Ok(Previews {
            domain,
            grants: Grants::new(key),
            gateways: kube::Gateways::default(),
            certificate,
            tls: Arc::new(tls),
        })
    }
}

/// Who asks, as far as connection and believed proxies tell. It lies in every request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// From where.
    address: IpAddr,
    /// The host that the browser asked for, with its port.
    host: String,
    /// Whether that is a host of this server's.
    known: bool,
    /// Whether it speaks TLS.
    secure: bool,
    /// Whether it speaks to this server itself, as far as can be seen.
    direct: bool,
}

fn asked(app: &App, parts: &mut Parts) -> Asked {
    let peer = parts.extensions.get::<ConnectInfo<Peer>>().map(|it| it.0);
    if let Some(peer) = peer {
        // As other rooms know connections.
        parts.extensions.insert(ConnectInfo(peer.addr));
    }
    let front = app.identity.front();
    let client = front.look(parts);
    let known = front.answers_to(&client.host, peer.map(|it| it.addr.ip()), app.previews.domain.as_deref());
    let told = ["x-forwarded-for", "x-forwarded-proto", "forwarded", "via"];
    let direct = !told.iter().any(|it| parts.headers.contains_key(*it));
    let secure = client.secure || peer.is_some_and(|it| it.tls && direct);
    let asked = Asked { address: client.address, host: client.host, known, secure, direct };
    parts.extensions.insert(asked.clone());
    asked
}

impl Asked {
    /// As what a browser is known that sends no cookies: it may change its IPv6 address within its network.
    fn agent(&self, headers: &HeaderMap) -> String {
        let name = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        format!("{} {name}", network(self.address))
    }

    fn origin(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.host)
    }
}

/// Whether a person may look at what a session serves, now.
async fn may_open(app: &App, person: &str, hub: &Hub) -> Result<bool, sqlx::Error> {
    let Some((relation, _)) = app.store.relation(hub.id(), person).await? else { return Ok(false) };
    let role = app.store.person_role(person).await?;
    let caller = Caller { person: person.to_owned(), name: None, role, sign_in: None };
    Ok(access::may(&caller, &relation, Use::Preview))
}

/// Stands before all routes: what is asked of a preview's host never reaches them, nor what is asked of a host that is not the
/// server's.
pub(crate) async fn by_host(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let asked = asked(&app, &mut parts);
    let request = Request::from_parts(parts, body);
    // What a page may write into a header must not make a preview's host the app's.
    let own = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let previews = app.previews.clone();
    let domain = previews.domain.as_deref();
    let kind = match host::kind(&asked.host, domain) {
        Kind::App => host::kind(&own, domain),
        kind => kind,
    };
    match kind {
        // Programs that look whether the server is alive get to know nothing.
        Kind::App if !asked.known && request.uri().path() != "/healthz" => {
            page::answer(&Reason::Name { host: asked.host }, request.headers())
        }
        Kind::App if request.uri().path().starts_with(BELOW) => metrics::preview(below(&app, &asked, request).await),
        Kind::App => next.run(request).await,
        Kind::Nothing => page::answer(&Reason::Unknown, request.headers()),
        Kind::Preview(preview) => metrics::preview(on_host(&app, &asked, preview, request).await),
    }
}

async fn on_host(app: &App, asked: &Asked, preview: PreviewHost<'_>, request: Request) -> Response {
    let told = request.headers().clone();
    let outcome = async {
        if request.uri().path() == ENTER {
            return enter(app, asked, preview, &request);
        }
        let target = Target::parse(preview.word).ok_or(Reason::Unknown)?;
        let known = |pass: &str| {
            app.previews.grants.holder(pass, preview.session, preview.word, Purpose::Cookie, now_millis() / 1000)
        };
        let person = grant::shown(&told).find_map(known).ok_or(Reason::Closed)?;
        if is_foreign(request.method(), &told, preview.session, app.previews.domain.as_deref()) {
            return Err(Reason::Closed);
        }
        let hub = open(app, &person, preview.session).await?;
        let sides = Sides { outside: asked.origin(), inside: String::new(), prefix: String::new() };
        let target_path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        carry(app, &hub, &target, sides, request, &target_path).await
    };
    outcome.await.unwrap_or_else(|reason| page::answer(&reason, &told))
}

/// Takes the ticket that the app gave and leaves a cookie in its place.
fn enter(app: &App, asked: &Asked, preview: PreviewHost<'_>, request: &Request) -> Result<Response, Reason> {
    let ticket = request.uri().query().and_then(|query| query.strip_prefix("ticket=")).ok_or(Reason::Closed)?;
    let (grant, path) = app.previews.grants.take(ticket).ok_or(Reason::Closed)?;
    if grant.session != preview.session || grant.word != preview.word {
        return Err(Reason::Closed);
    }
    let pass = app.previews.grants.pass(&grant, Purpose::Cookie, now_millis() / 1000 + PASS_SECONDS);
    Ok(see_other(&path, Some(&cookie(&pass, "/", asked.secure))))
}

fn cookie(pass: &str, path: &str, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={pass}; Path={path}; Max-Age={PASS_SECONDS}; HttpOnly; SameSite=Lax{secure}")
}

fn see_other(to: &str, cookie: Option<&str>) -> Response {
    let Ok(location) = HeaderValue::from_str(to) else { return StatusCode::BAD_REQUEST.into_response() };
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Some(Ok(cookie)) = cookie.map(HeaderValue::from_str) {
        headers.insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Whether a page of somebody else asks: previews of all sessions are one *site* to a browser, which sends their cookies
/// along. Pages of the same session may ask each other, and anybody may link.
fn is_foreign(method: &Method, headers: &HeaderMap, session: &str, domain: Option<&str>) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let kin = |url: &str| {
        let host = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
        matches!(host::kind(host, domain), Kind::Preview(it) if it.session == session)
    };
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let upgrades = headers.contains_key(header::UPGRADE);
    if let Some(origin) = text("origin")
        && (!reads || upgrades || text("sec-fetch-mode") != Some("navigate"))
    {
        return !kin(origin);
    }
    let elsewhere = matches!(text("sec-fetch-site"), Some("cross-site" | "same-site"));
    let framed = matches!(text("sec-fetch-dest"), Some("iframe" | "frame" | "embed" | "object"));
    let link = text("sec-fetch-mode") == Some("navigate") && reads && !framed;
    elsewhere && !link && !text("referer").is_some_and(kin)
}

/// A preview below a path of the app's host: `/preview/<session>/<word>/<pass>/…`. The browser sends the cookie when it opens a
/// page there; what the page, which is nobody, then loads comes without it, and the pass in the path counts, from this browser
/// and address only.
async fn below(app: &App, asked: &Asked, request: Request) -> Response {
    let told = request.headers().clone();
    let outcome = async {
        let path = request.uri().path_and_query().map_or("", PathAndQuery::as_str).to_owned();
        let mut parts = path.strip_prefix(BELOW).unwrap_or_default().splitn(4, '/');
        let (Some(session), Some(word), Some(pass)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Reason::Unknown);
        };
        let target = Target::parse(word).ok_or(Reason::Unknown)?;
        let prefix = format!("{BELOW}{session}/{word}/{pass}");
        let Some(rest) = parts.next().map(|rest| format!("/{rest}")) else {
            return Ok(see_other(&format!("{prefix}/"), None));
        };
        let now = now_millis() / 1000;
        let text = |name: &str| told.get(name).and_then(|value| value.to_str().ok());
        let agent = asked.agent(&told);
        let purpose = Purpose::Path { agent: &agent };
        let holder = app.previews.grants.holder(pass, session, word, purpose, now).ok_or(Reason::Closed)?;
        let opens = matches!(*request.method(), Method::GET | Method::HEAD)
            && !told.contains_key(header::UPGRADE)
            && match text("sec-fetch-mode") {
                Some(mode) => mode == "navigate",
                // Browsers do not say it in plain HTTP. For a page they ask for HTML by name, for what it loads they do not.
                None => text("accept").is_some_and(|it| it.contains("text/html")),
            };
        let known = |shown: &str| app.previews.grants.holder(shown, session, word, Purpose::Cookie, now);
        if opens && !grant::shown(&told).filter_map(known).any(|person| person == holder) {
            return Err(Reason::Closed);
        }
        let hub = open(app, &holder, session).await?;
        let sides = Sides { outside: asked.origin(), inside: String::new(), prefix };
        carry(app, &hub, &target, sides, request, &rest).await
    };
    outcome.await.unwrap_or_else(|reason| page::answer(&reason, &told))
}

/// The session of a preview, when the person may look at it and it runs.
async fn open(app: &App, person: &str, session: &str) -> Result<Arc<Hub>, Reason> {
    let hub = app.sessions.named(session).ok_or(Reason::Away)?;
    match may_open(app, person, &hub).await {
        // What sleeps wakes; what is over is.
        Ok(true) => app.sessions.hub(hub.id()).await.map_err(|error| {
            tracing::debug!(
                session.name = hub.name(),
                error = chain(&error),
                "a preview of a session that does not run"
            );
            Reason::Away
        }),
        Ok(false) => Err(Reason::Closed),
        Err(error) => {
            tracing::error!(error = chain(&error), "cannot tell who may open a preview");
            Err(Reason::Closed)
        }
    }
}

/// Carries one request into a session and its answer back.
async fn carry(
    app: &App,
    hub: &Arc<Hub>,
    target: &Target,
    mut sides: Sides,
    mut request: Request,
    path: &str,
) -> Result<Response, Reason> {
    let turn = tokio::time::timeout(QUEUE_TIME, hub.preview_turn()).await.ok().flatten().ok_or(Reason::Crowded)?;
    let way = hub.observe(|topology| route::way(target, topology))?;
    let scheme = if way.tls { "https" } else { "http" };
    let outside = sides.outside.split_once("://").map_or("", |(_, rest)| rest);
    sides.inside = format!("{scheme}://{}", way.host.as_deref().unwrap_or(outside));
    let host = app.sessions.engine().host().clone();
    let why = || hub.observe(|topology| route::why(target, topology));
    let stream = dial(&*host, hub.name(), &way).await.ok_or_else(why)?;
    let stream = if way.tls {
        match encrypt(app, &way, stream).await {
            Some(stream) => stream,
            // The port's number or name promised too much.
            None => dial(&*host, hub.name(), &way).await.ok_or_else(why)?,
        }
    } else {
        stream
    };
    let browser = forward::wants_upgrade(&mut request);
    let waits = browser.is_none() && matches!(*request.method(), Method::GET | Method::HEAD);
    let uri: PathAndQuery = path.parse().map_err(|_| Reason::Unknown)?;
    *request.uri_mut() = Uri::from(uri);
    *request.version_mut() = Version::HTTP_11;
    headers::request(request.headers_mut(), &sides);
    let exchange = async {
        let mut sender = forward::begin(stream).await?;
        sender.send_request(request).await
    };
    let limit = if waits { ANSWER_TIME } else { Duration::MAX };
    let answer = match tokio::time::timeout(limit, exchange).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            tracing::debug!(session.name = hub.name(), error = chain(&error), "a preview did not answer");
            return Err(Reason::Garbled);
        }
        Err(_) => return Err(Reason::Silent),
    };
    Ok(forward::pass_on(answer, browser, |headers| headers::response(headers, &sides), turn, std::future::pending()))
}

async fn dial(host: &dyn NodeHost, session: &str, way: &Way) -> Option<Box<dyn Stream>> {
    let dial = async {
        match &way.from {
            Some(node) => host.dial_from(session, node, way.addr).await,
            None => host.dial(session, way.addr).await,
        }
    };
    tokio::time::timeout(DIAL_TIME, dial)
        .await
        .ok()?
        .inspect_err(|error| tracing::debug!(session.name = session, error = chain(error), "nothing answers a preview"))
        .ok()
}

async fn encrypt(app: &App, way: &Way, stream: Box<dyn Stream>) -> Option<Box<dyn Stream>> {
    let name = way.host.clone().unwrap_or_else(|| way.addr.ip().to_string());
    let name = ServerName::try_from(name).ok()?;
    let connector = TlsConnector::from(app.previews.tls.clone());
    let encrypted = tokio::time::timeout(DIAL_TIME, connector.connect(name, stream)).await.ok()?.ok()?;
    Some(Box::new(encrypted))
}

/// What of a session to open: a word and a path, or a URL as a terminal of a node shows it.
#[derive(serde::Deserialize)]
pub(crate) struct Wanted {
    to: Option<String>,
    path: Option<String>,
    url: Option<String>,
    node: Option<String>,
}

/// Leads the browser from the app to a preview.
pub(crate) fn hand_over(
    app: &App,
    hub: &Hub,
    person: &str,
    wanted: &Wanted,
    asked: &Asked,
    headers: &HeaderMap,
) -> Response {
    let found = match (&wanted.to, &wanted.url) {
        (Some(to), _) => Target::parse(to).map(|target| (target, wanted.path.clone().unwrap_or_default())),
        (None, Some(url)) => {
            let node = wanted.node.as_deref().unwrap_or(drydock_engine::native::WORKSTATION);
            hub.observe(|topology| route::meant(url, node, topology))
        }
        (None, None) => None,
    };
    let Some((target, path)) = found else {
        let reason = wanted.url.clone().map_or(Reason::Unknown, |url| Reason::Elsewhere { url });
        return page::answer(&reason, headers);
    };
    let path = plain(&path);
    let grant = Grant { person: person.to_owned(), session: hub.name().to_owned(), word: target.label() };
    let Grant { session, word, .. } = &grant;
    let previews = &app.previews;
    if let Some(base) = host::base(&asked.host, previews.domain.as_deref()) {
        let scheme = if asked.secure { "https" } else { "http" };
        let host = format!("{word}--{session}.{base}");
        let ticket = previews.grants.ticket(grant, path);
        return see_other(&format!("{scheme}://{host}{ENTER}?ticket={ticket}"), None);
    }
    let until = now_millis() / 1000 + PASS_SECONDS;
    let agent = asked.agent(headers);
    let pass = previews.grants.pass(&grant, Purpose::Path { agent: &agent }, until);
    let own = cookie(
        &previews.grants.pass(&grant, Purpose::Cookie, until),
        &format!("{BELOW}{session}/{word}/"),
        asked.secure,
    );
    see_other(&format!("{BELOW}{session}/{word}/{pass}{path}"), Some(&own))
}

/// A path that leads nowhere else: one slash first, and nothing that a header could not carry.
fn plain(path: &str) -> String {
    let rest = path.trim_start_matches(['/', '\\']);
    let safe: String = rest.chars().filter(|it| it.is_ascii_graphic()).collect();
    format!("/{safe}")
}

/// A kubeconfig with a new token.
///
/// # Errors
/// When kubectl could not use it from where the browser came, or the database fails.
pub(crate) async fn kubeconfig(app: &App, hub: &Hub, person: &str, asked: &Asked) -> Result<Response, Error> {
    if !asked.direct && !asked.secure {
        return Err(Error::Conflict(
            "kubectl sends its token over TLS only, and a proxy without TLS stands before this server. Its operator can change that."
                .to_owned(),
        ));
    }
    let token = kube::new_token();
    app.store.put_kube_token(&kube::digest(&token), hub.id(), person, now_millis()).await?;
    let server = format!("https://{}{}/kube", asked.host, drydock_protocol::path::session(hub.id()));
    let ca = asked.direct.then_some(app.previews.certificate.ca.as_str());
    let text = kube::kubeconfig(hub.name(), &server, ca, &token);
    let file = format!("attachment; filename=\"{}.kubeconfig\"", hub.name());
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_DISPOSITION, file.parse().unwrap_or(HeaderValue::from_static("attachment")));
    Ok(response)
}

/// A request to the API server of the session `id`; `rest` is what follows `/kube`.
pub(crate) async fn to_api_server(app: &App, id: &str, rest: &str, request: Request<Body>) -> Response {
    let Some(token) = kube::token(request.headers()) else {
        return kube::refusal(
            StatusCode::UNAUTHORIZED,
            "A kubeconfig of this session is needed; download one from its page.",
        );
    };
    match app.store.kube_token(&kube::digest(token), id).await {
        Ok(Some(_)) => {}
        Ok(None) => {
            return kube::refusal(
                StatusCode::UNAUTHORIZED,
                "This kubeconfig is not valid for this session any more; download a new one from its page.",
            );
        }
        Err(error) => return Error::Store(error).into_response(),
    }
    let hub = match app.sessions.hub(id).await {
        Ok(hub) => hub,
        Err(error) => return kube::refusal(StatusCode::GONE, &error.to_string()),
    };
    // Only the session's owner has a kubeconfig of it. Not 409: kubectl would try again.
    let changes = access::changes_through_kube(request.method(), rest);
    if access::held(hub.is_paused(), &Relation::default(), changes) {
        return kube::refusal(StatusCode::FORBIDDEN, &Error::Paused.to_string());
    }
    let previews = &app.previews;
    previews.gateways.keep(|name| app.sessions.named(name).is_some());
    // A shell that is open when the pause begins would go on taking input.
    let pause = hub.pause_begins();
    let until = async move { if changes { pause.await } else { std::future::pending().await } };
    match previews.gateways.send(app.sessions.engine(), &hub, request, rest, until).await {
        Ok(response) => response,
        Err(error @ Error::Invalid(_)) => kube::refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(error) => kube::refusal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: Method, pairs: &[(&'static str, &str)], foreign: bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().expect("value"));
        }
        assert_eq!(is_foreign(&method, &headers, "s-1", None), foreign, "{method} {pairs:?}");
    }

    #[test]
    fn whose_page_asks() {
        let (own, kin) = ("http://30080--s-1.localhost:8080", "http://30081--s-1.localhost:8080");
        let (other, evil) = ("http://30080--s-2.localhost:8080", "https://evil.example");
        check(Method::GET, &[], false);
        check(Method::POST, &[], false);
        check(Method::POST, &[("origin", own)], false);
        check(Method::POST, &[("origin", kin)], false);
        check(Method::POST, &[("origin", other)], true);
        check(Method::POST, &[("origin", evil)], true);
        check(Method::POST, &[("origin", "null")], true);
        check(Method::GET, &[("origin", evil), ("sec-fetch-mode", "cors")], true);
        check(Method::GET, &[("upgrade", "websocket"), ("origin", own)], false);
        check(Method::GET, &[("upgrade", "websocket"), ("origin", other)], true);
        // A link, a picture, a frame.
        check(
            Method::GET,
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
            false,
        );
        check(
            Method::GET,
            &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
            true,
        );
        check(
            Method::GET,
            &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors"), ("referer", &format!("{kin}/x"))],
            false,
        );
        check(
            Method::GET,
            &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
            true,
        );
        check(
            Method::POST,
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("origin", evil)],
            true,
        );
        check(Method::GET, &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "no-cors")], false);
    }

    #[test]
    fn paths_lead_nowhere_else() {
        assert_eq!(plain(""), "/");
        assert_eq!(plain("/cart?x=1"), "/cart?x=1");
        assert_eq!(plain("//evil.example/"), "/evil.example/");
        assert_eq!(plain("/\\evil.example"), "/evil.example");
        assert_eq!(plain("/a\r\nb: c"), "/ab:c");
    }
}
