//! One HTTP GET of a probe or hook.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drydock_component::tls::AnyCertificate;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Target, connect};
use crate::pod::HttpAction;

/// The status and the beginning of the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Where a redirect leads.
    location: Option<String>,
}

/// Where to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    secure: bool,
    host: String,
    port: u16,
    path: String,
}

/// More redirects than this are no answer, as in Go.
const MOST_REDIRECTS: usize = 10;

impl Place {
    fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}:{}{}", self.host, self.port, self.path)
    }

    /// Where `location` leads, if it stays on the same host.
    fn follow(&self, location: &str) -> Option<Self> {
        let absolute = [("http://", false, 80), ("https://", true, 443)]
            .into_iter()
            .find_map(|(scheme, secure, port)| Some((location.strip_prefix(scheme)?, secure, port)));
        let Some((rest, secure, standard)) = absolute else {
            let path = if location.starts_with('/') {
                location.to_owned()
            } else {
                let folder = self.path.split('?').next().unwrap_or_default().rsplit_once('/').map_or("", |(it, _)| it);
                format!("{folder}/{location}")
            };
            return (!location.starts_with("//")).then(|| Self { path, ..self.clone() });
        };
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, standard),
        };
        (host == self.host).then(|| Self { secure, host: host.to_owned(), port, path: path.to_owned() })
    }
}

/// Asks, following redirects that stay on the host; another redirect is the answer.
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
    let path = if action.path.starts_with('/') { action.path.clone() } else { format!("/{}", action.path) };
    let mut place = Place { secure: action.scheme.eq_ignore_ascii_case("https"), host, port, path };
    let failed = |place: &Place, text: String| format!("Get \"{}\": {text}", place.url());
    let end = tokio::time::Instant::now() + timeout;
    for _ in 0..=MOST_REDIRECTS {
        let answer = match tokio::time::timeout_at(end, ask(&place, action)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(text)) => return Err(failed(&place, text)),
            Err(_) => {
                let text = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
                return Err(failed(&place, text.to_owned()));
            }
        };
        let redirects = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
        let next = answer.location.as_deref().filter(|_| redirects).and_then(|location| place.follow(location));
        let Some(next) = next else { return Ok(answer) };
        place = next;
    }
    Err(failed(&place, format!("stopped after {MOST_REDIRECTS} redirects")))
}

async fn ask(place: &Place, action: &HttpAction) -> Result<Answer, String> {
    let stream = connect(&place.host, place.port).await?;
    if !place.secure {
        return exchange(stream, action, place).await;
    }
    let connector = tokio_rustls::TlsConnector::from(Arc::new(any_certificate().map_err(|error| error.to_string())?));
    let name = ServerName::try_from(place.host.clone()).map_err(|error| error.to_string())?;
    let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
    exchange(stream, action, place).await
}

async fn exchange<S>(stream: S, action: &HttpAction, place: &Place) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let text = |error: hyper::Error| {
        // The other side hung up: Go has one word for it.
        if error.is_incomplete_message() || error.is_canceled() { "EOF".to_owned() } else { error.to_string() }
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    let connection = tokio::spawn(connection);
    let named = |name: &str| action.http_headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    let mut request = http::Request::get(&place.path);
    if named("Host").is_none() {
        request = request.header("Host", format!("{}:{}", place.host, place.port));
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
    let location = response.headers().get(http::header::LOCATION).and_then(|value| value.to_str().ok());
    let location = location.map(str::to_owned);
    let mut body = Vec::new();
    let mut stream = response.into_body();
    while body.len() < super::MOST_OUTPUT {
        match stream.frame().await {
            Some(Ok(frame)) => body.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
            Some(Err(_)) | None => break,
        }
    }
    connection.abort();
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned(), location })
}

/// Probes accept any certificate, as upstream's do.
fn any_certificate() -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = AnyCertificate::new(provider.clone());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_followed_on_the_same_host_only() {
        let place = Place { secure: false, host: "10.0.0.1".into(), port: 80, path: "/a/b?c=/d".into() };
        for (location, expected) in [
            ("/healthz", Some("http://10.0.0.1:80/healthz")),
            ("x", Some("http://10.0.0.1:80/a/x")),
            ("http://10.0.0.1:8080/x?y", Some("http://10.0.0.1:8080/x?y")),
            ("https://10.0.0.1", Some("https://10.0.0.1:443/")),
            ("http://0.0.0.0/", None),
            ("//example.com/", None),
        ] {
            assert_eq!(place.follow(location).map(|place| place.url()).as_deref(), expected, "{location}");
        }
    }
}
