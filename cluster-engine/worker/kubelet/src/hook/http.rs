//! One HTTP GET of a probe or hook.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Target, connect};
use crate::pod::HttpAction;

/// The status and the beginning of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Asks; redirects to the same host count as answers (upstream follows them).
///
/// # Errors
/// Go's text: `Get "http://…": dial tcp …: connect: connection refused`.
pub(crate) async fn get(target: &Target, action: &HttpAction, timeout: Duration) -> Result<Answer, String> {
    let port = target.container.port(&action.port).ok_or_else(|| format!("invalid port number: {:?}", action.port))?;
    let host = if action.host.is_empty() {
        target.ip.map(|ip| ip.to_string()).unwrap_or_default()
    } else {
        action.host.clone()
    };
    let secure = action.scheme.eq_ignore_ascii_case("https");
    let scheme = if secure { "https" } else { "http" };
    let path = if action.path.starts_with('/') { action.path.clone() } else { format!("/{}", action.path) };
    let url = format!("{scheme}://{host}:{port}{path}");
    let failed = |text: String| format!("Get \"{url}\": {text}");
    let ask = async {
        let stream = connect(&host, port).await?;
        if secure {
            let connector =
                tokio_rustls::TlsConnector::from(Arc::new(any_certificate().map_err(|error| error.to_string())?));
            let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
            let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
            exchange(stream, action, &host, port, &path).await
        } else {
            exchange(stream, action, &host, port, &path).await
        }
    };
    match tokio::time::timeout(timeout, ask).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(text)) => Err(failed(text)),
        Err(_) => Err(failed("context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned())),
    }
}

async fn exchange<S>(stream: S, action: &HttpAction, host: &str, port: u16, path: &str) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let text = |error: hyper::Error| if error.is_incomplete_message() { "EOF".to_owned() } else { error.to_string() };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    let connection = tokio::spawn(connection);
    let named = |name: &str| action.http_headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    let mut request = http::Request::get(path);
    if named("Host").is_none() {
        request = request.header("Host", format!("{host}:{port}"));
    }
    if named("User-Agent").is_none() {
        request = request.header("User-Agent", "kube-probe/1.36");
    }
    if named("Accept").is_none() {
        request = request.header("Accept", "*/*");
    }
    for header in &action.http_headers {
        request = request.header(&header.name, &header.value);
    }
    let request =
        request.header("Connection", "close").body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(text)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    let mut stream = response.into_body();
    while body.len() < super::MOST_OUTPUT {
        match stream.frame().await {
            Some(Ok(frame)) => body.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
            Some(Err(_)) | None => break,
        }
    }
    connection.abort();
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Probes accept any certificate, as upstream's do.
fn any_certificate() -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(AnyCertificate(provider.clone()));
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

#[derive(Debug)]
struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
