//! Requests to the provider: one connection each, over TLS with the machine's authorities, bounded in size and time.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use openidconnect::{HttpRequest, HttpResponse};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use thiserror::Error;
use tokio::net::TcpStream;

/// A request may take so long.
const TIME: Duration = Duration::from_secs(15);
/// An answer may be so large.
const LARGEST: usize = 1024 * 1024;
/// Where machines keep the certificates of the authorities that they trust.
const AUTHORITIES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Why there is no answer.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct FetchError(String);

fn failed(error: impl std::fmt::Display) -> FetchError {
    FetchError(error.to_string())
}

/// Asks; redirects are not followed.
pub(super) async fn fetch(request: HttpRequest) -> Result<HttpResponse, FetchError> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    tokio::time::timeout(TIME, ask(request)).await.unwrap_or_else(|_| Err(failed(format!("{host} does not answer"))))
}

async fn ask(request: HttpRequest) -> Result<HttpResponse, FetchError> {
    let (mut parts, body) = request.into_parts();
    let secure = parts.uri.scheme_str() == Some("https");
    let authority = parts.uri.authority().ok_or_else(|| failed("the address has no host"))?.clone();
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(failed)?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    parts.uri = path.parse().map_err(failed)?;
    parts.headers.insert(http::header::HOST, authority.as_str().parse().map_err(failed)?);
    let request = http::Request::from_parts(parts, Full::new(bytes::Bytes::from(body)));
    if secure {
        let name = ServerName::try_from(host).map_err(failed)?;
        let stream = tokio_rustls::TlsConnector::from(config()).connect(name, stream).await.map_err(failed)?;
        exchange(TokioIo::new(stream), request).await
    } else {
        exchange(TokioIo::new(stream), request).await
    }
}

async fn exchange<T>(stream: T, request: http::Request<Full<bytes::Bytes>>) -> Result<HttpResponse, FetchError>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(failed)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LARGEST).collect().await.map_err(failed)?;
        Ok(http::Response::from_parts(parts, body.to_bytes().to_vec()))
    };
    tokio::pin!(answer, connection);
    tokio::select! {
        answer = &mut answer => answer,
        // The connection's end may come before its last bytes are read.
        _ = &mut connection => answer.await,
    }
}

fn config() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let mut roots = RootCertStore::empty();
            let own = std::env::var("SSL_CERT_FILE").ok();
            for file in own.as_deref().into_iter().chain(AUTHORITIES) {
                let certificates = CertificateDer::pem_file_iter(file).into_iter().flatten().flatten();
                roots.add_parsable_certificates(certificates);
                if !roots.is_empty() {
                    break;
                }
            }
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider);
            // ring offers what both versions need.
            let config = config.with_safe_default_protocol_versions().unwrap_or_else(|error| unreachable!("{error}"));
            Arc::new(config.with_root_certificates(roots).with_no_client_auth())
        })
        .clone()
}
