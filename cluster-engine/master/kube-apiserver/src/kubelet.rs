//! Connections to kubelets and pods, and passing requests on to them.
//!
//! exec, attach and port-forward are upgraded streams (WebSocket or SPDY); after the upgrade bytes are only copied, so this
//! file knows neither protocol.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drydock_api::Status;
use drydock_component::serve::Body;
use drydock_component::tls::{self, AnyCertificate, TlsError};
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::options::Options;

/// How long a kubelet or pod may take to accept a connection.
const DIAL_TIME: Duration = Duration::from_secs(10);
/// Longest error text taken from the other side.
const ERROR_LIMIT: usize = 64 << 10;

/// How kubelets are reached.
pub(crate) struct Kubelets {
    tls: Arc<ClientConfig>,
    any: Arc<ClientConfig>,
    types: Vec<String>,
}

/// Where a request is passed on to.
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) scheme: Scheme,
    /// Path and query.
    pub(crate) path: String,
}

/// How the other side is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    /// TLS without checking the certificate (pods and services, as upstream).
    Https,
    /// TLS with our client certificate.
    Kubelet,
}

impl Kubelets {
    /// From the flags; reads certificate and CA.
    pub(crate) fn new(options: &Options) -> Result<Self, TlsError> {
        let identity = options.kubelet_client_certificate.as_deref().zip(options.kubelet_client_key.as_deref());
        let tls = match &options.kubelet_certificate_authority {
            Some(ca) => tls::client_config(ca, identity)?,
            None => unchecked(identity)?,
        };
        Ok(Self {
            tls: Arc::new(tls),
            any: Arc::new(unchecked(None)?),
            types: options.kubelet_preferred_address_types.clone(),
        })
    }

    /// Host and port of a node's kubelet.
    ///
    /// # Errors
    /// 500 when the node names no address.
    pub(crate) fn address(&self, node: &Value) -> Result<(String, u16), Status> {
        let port = node
            .pointer("/status/daemonEndpoints/kubeletEndpoint/Port")
            .and_then(Value::as_u64)
            .and_then(|port| u16::try_from(port).ok());
        let addresses = node.pointer("/status/addresses").and_then(Value::as_array);
        let find =
            |kind: &String| addresses?.iter().find(|address| address["type"] == kind.as_str())?["address"].as_str();
        let host = self.types.iter().find_map(find);
        let missing = || {
            Status::internal(format!(
                "no preferred addresses found; known addresses: {}",
                addresses.map_or_else(String::new, |list| Value::from(list.clone()).to_string())
            ))
        };
        Ok((host.ok_or_else(missing)?.to_owned(), port.filter(|port| *port > 0).unwrap_or(10250)))
    }

    async fn connect(&self, target: &Target) -> Result<http1::SendRequest<Body>, Status> {
        let config = match target.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(Arc::clone(&self.any)),
            Scheme::Kubelet => Some(Arc::clone(&self.tls)),
        };
        connect((&target.host, target.port), config.map(|config| (config, target.host.as_str()))).await
    }

    /// Passes a request on and gives the answer as it comes.
    ///
    /// # Errors
    /// 500 when the other side cannot be reached.
    pub(crate) async fn send(
        &self,
        target: &Target,
        method: &Method,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response<Incoming>, Status> {
        let sender = self.connect(target).await?;
        let host = format!("{}:{}", target.host, target.port);
        request(sender, method, &target.path, &host, forwarded(headers), body).await
    }

    /// Passes an upgrade on; from then on bytes are copied both ways.
    ///
    /// # Errors
    /// What the other side answered instead of upgrading, as a Status.
    pub(crate) async fn upgrade(
        &self,
        target: &Target,
        method: &Method,
        headers: &HeaderMap,
        client: OnUpgrade,
    ) -> Result<Response<Body>, Status> {
        let answer = self.send(target, method, headers, drydock_component::serve::full(Bytes::new())).await?;
        upgraded(answer, client).await
    }
}

/// Copies bytes both ways once the other side has upgraded.
///
/// # Errors
/// What the other side answered instead, as a Status.
pub(crate) async fn upgraded(answer: Response<Incoming>, client: OnUpgrade) -> Result<Response<Body>, Status> {
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(failure(answer).await);
    }
    let mut response = Response::new(drydock_component::serve::full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = answer.headers().clone();
    tokio::spawn(async move {
        let (client, other) = match tokio::join!(client, hyper::upgrade::on(answer)) {
            (Ok(client), Ok(other)) => (client, other),
            (Err(error), _) | (_, Err(error)) => return tracing::debug!(%error, "an upgrade was not finished"),
        };
        if let Err(error) = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(other)).await {
            tracing::debug!(%error, "a stream ended");
        }
    });
    Ok(response)
}

/// Sends one request over TLS of one's own, checked against the name `tls_name`.
///
/// # Errors
/// 500 when the other side cannot be reached.
pub(crate) async fn send_tls(
    place: (&str, u16),
    config: Arc<ClientConfig>,
    tls_name: &str,
    method: &Method,
    path: &str,
    headers: HeaderMap,
    body: Body,
) -> Result<Response<Incoming>, Status> {
    let sender = connect(place, Some((config, tls_name))).await?;
    request(sender, method, path, tls_name, headers, body).await
}

async fn request(
    mut sender: http1::SendRequest<Body>,
    method: &Method,
    path: &str,
    host: &str,
    headers: HeaderMap,
    body: Body,
) -> Result<Response<Incoming>, Status> {
    let mut request = Request::new(body);
    *request.method_mut() = method.clone();
    *request.uri_mut() = path.parse().map_err(|_| Status::bad_request("invalid path"))?;
    *request.headers_mut() = headers;
    if !request.headers().contains_key(header::HOST)
        && let Ok(host) = host.parse()
    {
        request.headers_mut().insert(header::HOST, host);
    }
    sender.send_request(request).await.map_err(|error| Status::internal(format!("error sending request: {error}")))
}

async fn connect(
    (host, port): (&str, u16),
    tls: Option<(Arc<ClientConfig>, &str)>,
) -> Result<http1::SendRequest<Body>, Status> {
    let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let failed =
        |error: &dyn std::fmt::Display| Status::internal(format!("error dialing backend: dial tcp {place}: {error}"));
    let stream = match tokio::time::timeout(DIAL_TIME, TcpStream::connect((host, port))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(failed(&format!("connect: {}", plain(&error)))),
        Err(_) => return Err(failed(&"i/o timeout")),
    };
    let _ = stream.set_nodelay(true);
    let Some((config, name)) = tls else { return handshake(stream).await.map_err(|error| failed(&error)) };
    let name = ServerName::try_from(name.to_owned()).map_err(|error| failed(&error))?;
    let stream = TlsConnector::from(config).connect(name, stream).await.map_err(|error| failed(&error))?;
    handshake(stream).await.map_err(|error| failed(&error))
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> hyper::Result<http1::SendRequest<Body>> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to a kubelet or pod ended");
        }
    });
    Ok(sender)
}

/// An unexpected answer as a Status: its own if it is one, else its text.
pub(crate) async fn failure(answer: Response<Incoming>) -> Status {
    let code = answer.status().as_u16();
    let body =
        Limited::new(answer.into_body(), ERROR_LIMIT).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if let Ok(status) = serde_json::from_slice::<Status>(&body)
        && status.kind == "Status"
        && status.code >= 400
    {
        return status;
    }
    let text = String::from_utf8_lossy(&body).trim().to_owned();
    let text = if text.is_empty() { format!("the server responded with the status code {code}") } else { text };
    match code {
        400 => Status::bad_request(text),
        500 => Status::internal(text),
        101..400 => Status::failure(502, "InternalError", format!("unable to upgrade connection: {text}")),
        code => Status::generic(code, text),
    }
}

/// Headers of the client that the other side may see: no credentials of ours.
pub(crate) fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut out = headers.clone();
    for name in
        [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::TE, header::TRAILER, header::TRANSFER_ENCODING]
    {
        out.remove(name);
    }
    let private: Vec<HeaderName> =
        out.keys().filter(|name| name.as_str().starts_with("impersonate-")).cloned().collect();
    for name in private {
        out.remove(name);
    }
    if !out.contains_key(header::UPGRADE) {
        out.remove(header::CONNECTION);
        out.remove("keep-alive");
    }
    out
}

/// Go's words for the usual failures.
fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        std::io::ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        _ => error.to_string(),
    }
}

/// TLS that takes any certificate of the other side.
pub(crate) fn unchecked(identity: Option<(&Path, &Path)>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = AnyCertificate::new(Arc::clone(&provider));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(match identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder.with_client_auth_cert(tls::certificates(cert)?, tls::private_key(key)?)?,
    })
}
