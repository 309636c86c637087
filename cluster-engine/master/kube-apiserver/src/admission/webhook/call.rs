//! Posting a review to a webhook: a URL, or a Service through one of its endpoints, over TLS with the webhook's own CA.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use drydock_api::go_quote;
use drydock_component::serve::{Body, full};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::registry::Read as _;
use crate::server::Server;
use crate::subresource::endpoint;

/// Largest answer that is read.
const ANSWER_LIMIT: usize = 16 << 20;

/// Why a webhook gave no answer, in Go's words.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a webhook is.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// As it stands in texts, with the timeout as a query.
    url: String,
    /// Host of the URL, and the name on the certificate.
    host: String,
    port: u16,
    /// Path and query.
    path: String,
    /// Namespace, name and port of the Service.
    service: Option<(String, String, i64)>,
}

/// Posts JSON and gives the body of a 200.
///
/// # Errors
/// What went wrong, in Go's words.
pub(crate) async fn post(server: &Server, config: &Value, body: Vec<u8>, seconds: u64) -> Result<Bytes, Failure> {
    let place = place(config, seconds).map_err(Failure)?;
    let failed = |why: String| Failure(format!("Post {}: {why}", go_quote(&place.url)));
    match tokio::time::timeout(Duration::from_secs(seconds), exchange(server, config, &place, body)).await {
        Err(_) => Err(failed("context deadline exceeded".to_owned())),
        Ok(Err(why)) => Err(failed(why)),
        Ok(Ok((200, bytes))) => Ok(bytes),
        Ok(Ok((code, bytes))) => {
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim();
            Err(Failure(if text.is_empty() {
                format!("an error on the server (\"\") has prevented the request from succeeding (code {code})")
            } else {
                format!("an error on the server ({}) has prevented the request from succeeding", go_quote(text))
            }))
        }
    }
}

fn place(config: &Value, seconds: u64) -> Result<Place, String> {
    if config.has("service") {
        let service = config.at("service");
        let (namespace, name) = (service.text("namespace"), service.text("name"));
        let port = service.int("port").unwrap_or(443);
        let host = format!("{name}.{namespace}.svc");
        let path = service.text("path");
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path = format!("{slash}{path}?timeout={seconds}s");
        return Ok(Place {
            url: format!("https://{host}:{port}{path}"),
            port: u16::try_from(port).map_err(|_| format!("invalid port {port}"))?,
            host,
            path,
            service: Some((namespace.to_owned(), name.to_owned(), port)),
        });
    }
    let url = config.text("url");
    let uri: Uri = url.parse().map_err(|error| format!("parse {}: {error}", go_quote(url)))?;
    let host = uri.host().ok_or_else(|| format!("parse {}: no host", go_quote(url)))?;
    let path = if uri.path().is_empty() { "/" } else { uri.path() };
    let path = format!("{path}?timeout={seconds}s");
    let shown = uri.authority().map_or(host, |authority| authority.as_str());
    Ok(Place {
        url: format!("https://{shown}{path}"),
        host: host.trim_matches(['[', ']']).to_owned(),
        port: uri.port_u16().unwrap_or(443),
        path,
        service: None,
    })
}

async fn exchange(server: &Server, config: &Value, place: &Place, body: Vec<u8>) -> Result<(u16, Bytes), String> {
    let (host, port) = match &place.service {
        Some((namespace, name, port)) => {
            let (host, port) = endpoint(server, namespace, name, &port.to_string()).map_err(|status| status.message)?;
            (host, port)
        }
        None => (place.host.clone(), place.port),
    };
    let shown = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => format!("dial tcp {shown}: connect: connection refused"),
        std::io::ErrorKind::HostUnreachable => format!("dial tcp {shown}: connect: no route to host"),
        _ => format!("dial tcp {shown}: {error}"),
    })?;
    let _ = stream.set_nodelay(true);
    let name = ServerName::try_from(place.host.clone()).map_err(|error| error.to_string())?;
    let stream =
        TlsConnector::from(tls(config)?).connect(name, stream).await.map_err(|error| certificate_error(&error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake::<_, Body>(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let request = Request::post(&place.path)
        .header("host", format!("{}:{}", place.host, place.port))
        .header("content-type", "application/json")
        .header("accept", "application/json, */*")
        .header("user-agent", "kube-apiserver-admission")
        .body(full(Bytes::from(body)))
        .map_err(|error| error.to_string())?;
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| if error.is_incomplete_message() { "EOF".to_owned() } else { error.to_string() })?;
    let code = answer.status().as_u16();
    let bytes =
        Limited::new(answer.into_body(), ANSWER_LIMIT).collect().await.map_err(|error| error.to_string())?.to_bytes();
    driver.abort();
    Ok((code, bytes))
}

fn tls(config: &Value) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let bundle = STANDARD
        .decode(config.text("caBundle"))
        .map_err(|error| format!("unable to load root certificates: {error}"))?;
    for certificate in CertificateDer::pem_slice_iter(&bundle).flatten() {
        let _ = roots.add(certificate);
    }
    if !bundle.is_empty() && roots.is_empty() {
        return Err("unable to load root certificates: unable to parse bytes as PEM block".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Go's words for the usual failures of a handshake.
fn certificate_error(error: &std::io::Error) -> String {
    use rustls::{CertificateError, Error};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            "tls: failed to verify certificate: x509: certificate signed by unknown authority".to_owned()
        }
        Some(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            "tls: failed to verify certificate: x509: certificate has expired or is not yet valid".to_owned()
        }
        Some(Error::InvalidCertificate(other)) => format!("tls: failed to verify certificate: x509: {other:?}"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_is_called_by_its_name() {
        let found = place(&json!({"service": {"name": "hook", "namespace": "ns", "port": 8443, "path": "/pods"}}), 10)
            .expect("place");
        assert_eq!(found.url, "https://hook.ns.svc:8443/pods?timeout=10s");
        assert_eq!((found.host.as_str(), found.path.as_str()), ("hook.ns.svc", "/pods?timeout=10s"));
        let found = place(&json!({"url": "https://10.0.0.1:9443/x"}), 3).expect("place");
        assert_eq!(
            (found.host.as_str(), found.port, found.url.as_str()),
            ("10.0.0.1", 9443, "https://10.0.0.1:9443/x?timeout=3s")
        );
    }
}
