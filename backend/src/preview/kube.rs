//! The API server of a session for programs outside: `/api/v1/sessions/{id}/kube/…` with a bearer token that is good for this
//! session only. No cookie counts here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use drydock_client::config::{Auth, Config};
use drydock_engine::Engine;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{forward, grant, headers};
use crate::error::{Error, chain};
use crate::sessions::Hub;

/// How long the way to the API server may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Connections kept for the next request.
const IDLE: usize = 4;

/// The API servers that were asked lately, by session.
#[derive(Default)]
pub(super) struct Gateways(Mutex<HashMap<String, (u64, Arc<Gateway>)>>);

/// The way to one API server.
struct Gateway {
    authority: String,
    tls: TlsConnector,
    name: ServerName<'static>,
    idle: Mutex<Vec<SendRequest<Body>>>,
}

impl Gateways {
    /// Sends a request on as the session's administrator. `rest` is the path below the gateway, with its query. A stream that comes of
    /// it (a shell in a Pod) ends with `until`.
    ///
    /// # Errors
    /// When the API server cannot be reached.
    pub(super) async fn send(
        &self,
        engine: &Engine,
        hub: &Hub,
        mut request: Request<Body>,
        rest: &str,
        until: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Response<Body>, Error> {
        let hold = hub.gateway_turn().ok_or_else(|| {
            Error::Conflict("This session has too many requests open. End some watches or logs.".to_owned())
        })?;
        let gateway = self.of(engine, hub).await?;
        let browser = forward::wants_upgrade(&mut request);
        let target: PathAndQuery = rest.parse().map_err(|_| Error::Invalid("The path cannot be read.".to_owned()))?;
        *request.uri_mut() = Uri::from(target);
        *request.version_mut() = Version::HTTP_11;
        prepare(request.headers_mut(), &gateway.authority);
        let answer = match gateway.exchange(request).await {
            Ok(answer) => answer,
            Err(error) => {
                // A cluster that was made anew has another address and other certificates.
                self.forget(hub.name());
                tracing::debug!(session.name = hub.name(), error = chain(&*error), "the API server cannot be reached");
                return Err(Error::Conflict("The session's API server does not answer.".to_owned()));
            }
        };
        Ok(forward::pass_on(answer, browser, headers::drop_hop_by_hop, hold, until))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (u64, Arc<Gateway>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a session's API server.
    pub(super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    async fn of(&self, engine: &Engine, hub: &Hub) -> Result<Arc<Gateway>, Error> {
        // Counts the clusters that the session has had.
        let cluster = *hub.closed().borrow();
        if let Some((known, gateway)) = self.lock().get(hub.name())
            && *known == cluster
        {
            return Ok(gateway.clone());
        }
        let found = engine.get(hub.name()).await?;
        let gateway = Gateway::new(&found.kubeconfig, &found.endpoint().to_string())
            .map_err(|reason| Error::Conflict(format!("The session's kubeconfig cannot be used: {reason}.")))?;
        let gateway = Arc::new(gateway);
        self.lock().insert(hub.name().to_owned(), (cluster, gateway.clone()));
        Ok(gateway)
    }

    /// Forgets API servers of sessions that are over.
    pub(super) fn keep(&self, is_open: impl Fn(&str) -> bool) {
        self.lock().retain(|name, _| is_open(name));
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Gateway {
    fn new(kubeconfig: &str, authority: &str) -> Result<Gateway, String> {
        let config = Config::from_kubeconfig_str(kubeconfig).map_err(|error| error.to_string())?;
        let mut roots = RootCertStore::empty();
        for certificate in &config.ca {
            roots.add(certificate.clone()).map_err(|error| error.to_string())?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        let Auth::ClientCert { chain, key } = &config.auth else { return Err("it has no certificate".to_owned()) };
        let mut tls =
            builder.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(|error| error.to_string())?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let host = config.tls_server_name.unwrap_or_else(|| host.to_owned());
        let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
        let tls = TlsConnector::from(Arc::new(tls));
        Ok(Gateway { authority: authority.to_owned(), tls, name, idle: Mutex::default() })
    }

    async fn exchange(self: &Arc<Self>, mut request: Request<Body>) -> Result<Response<Incoming>, Failure> {
        // A kept connection may have been closed meanwhile: hyper then gives the request back.
        while let Some(mut sender) = self.kept() {
            match sender.try_send_request(request).await {
                Ok(answer) => return Ok(self.keep(sender, answer)),
                Err(mut error) => match error.take_message() {
                    Some(back) => request = back,
                    None => return Err(error.into_error().into()),
                },
            }
        }
        let mut sender = tokio::time::timeout(CONNECT_TIME, self.connect()).await??;
        let answer = sender.send_request(request).await?;
        Ok(self.keep(sender, answer))
    }

    async fn connect(&self) -> Result<SendRequest<Body>, Failure> {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        Ok(forward::begin(self.tls.connect(self.name.clone(), stream).await?).await?)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SendRequest<Body>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> Option<SendRequest<Body>> {
        let mut idle = self.lock();
        while let Some(sender) = idle.pop() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    /// Keeps a connection for later, once the answer has been read to its end.
    fn keep(self: &Arc<Self>, mut sender: SendRequest<Body>, answer: Response<Incoming>) -> Response<Incoming> {
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let gateway = Arc::downgrade(self);
            tokio::spawn(async move {
                if sender.ready().await.is_ok()
                    && let Some(gateway) = gateway.upgrade()
                {
                    let mut idle = gateway.lock();
                    if idle.len() < IDLE {
                        idle.push(sender);
                    }
                }
            });
        }
        answer
    }
}

/// What the API server is told: nothing of the token, of cookies and of where the request came from.
fn prepare(headers: &mut HeaderMap, authority: &str) {
    let upgrade = headers::upgrade(headers);
    headers::drop_hop_by_hop(headers);
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
    for name in [header::AUTHORIZATION, header::COOKIE, header::ORIGIN, header::REFERER, header::EXPECT] {
        headers.remove(name);
    }
    if let Ok(host) = authority.parse() {
        headers.insert(header::HOST, host);
    }
}

/// The token that a request shows.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (kind, token) = value.split_once(' ')?;
    (kind.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

/// A new token.
pub(super) fn new_token() -> String {
    let bytes: [u8; 32] = rand::random();
    format!("drydock-{}", grant::hex(&bytes))
}

/// What is kept of a token: who reads the database cannot use it.
pub(super) fn digest(token: &str) -> String {
    grant::hex(&Sha256::digest(token.as_bytes()))
}

/// A refusal that kubectl understands.
pub(super) fn refusal(status: StatusCode, message: &str) -> Response<Body> {
    let reason = match status {
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::GONE => "Gone",
        StatusCode::BAD_REQUEST => "BadRequest",
        _ => "ServiceUnavailable",
    };
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": status.as_u16(),
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A kubeconfig that leads through the gateway; with `ca` where the server's own certificate is met.
pub(super) fn kubeconfig(session: &str, server: &str, ca: Option<&str>, token: &str) -> String {
    use base64::Engine as _;
    let ca = ca.map_or(String::new(), |ca| {
        let ca = base64::engine::general_purpose::STANDARD.encode(ca);
        format!("    certificate-authority-data: {ca}\n    tls-server-name: {}\n", super::doors::NAME)
    });
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: drydock-{session}\n  cluster:\n    server: {server}\n{ca}users:\n\
         - name: drydock-{session}\n  user:\n    token: {token}\ncontexts:\n- name: drydock-{session}\n  context:\n    \
         cluster: drydock-{session}\n    user: drydock-{session}\ncurrent-context: drydock-{session}\npreferences: {{}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_token_counts() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().expect("value"));
            token(&headers).map(str::to_owned)
        };
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("bearer  abc").as_deref(), Some("abc"));
        for wrong in ["Basic abc", "Bearer", "Bearer ", "abc"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(token(&HeaderMap::new()), None);
    }

    #[test]
    fn the_api_server_learns_nothing_of_the_way() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer secret"),
            ("cookie", "drydock_person=secret"),
            ("origin", "https://lab.example"),
            ("connection", "Upgrade"),
            ("upgrade", "SPDY/3.1"),
            ("host", "lab.example"),
            ("accept", "application/json"),
        ] {
            headers.insert(name, value.parse().expect("value"));
        }
        prepare(&mut headers, "127.0.0.1:6443");
        let mut left: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect();
        left.sort();
        assert_eq!(
            left,
            ["accept: application/json", "connection: Upgrade", "host: 127.0.0.1:6443", "upgrade: SPDY/3.1"]
        );
    }

    #[test]
    fn a_kubeconfig_is_read_back() {
        let ca = super::super::doors::Certificate::make().expect("certificate").ca;
        let text = kubeconfig("s-1", "https://127.0.0.1:8080/api/v1/sessions/x/kube", Some(&ca), "t");
        let config = Config::from_kubeconfig_str(&text).expect("kubeconfig");
        assert_eq!(config.server, "https://127.0.0.1:8080/api/v1/sessions/x/kube");
        assert_eq!((config.ca.len(), config.tls_server_name.as_deref()), (1, Some("drydock")));
        let plain =
            Config::from_kubeconfig_str(&kubeconfig("s-1", "https://lab.example", None, "t")).expect("kubeconfig");
        assert!(plain.ca.is_empty() && matches!(plain.auth, Auth::Token(token) if token == "t"));
    }
}
