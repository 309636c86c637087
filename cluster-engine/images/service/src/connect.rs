//! From a URL to a connection: address, proxy, TLS. Here every address is looked at before anything is sent to it.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::policy::{Policy, is_public};
use crate::url::Url;

/// How long a connection, TLS included, may take.
const CONNECT_TIME: Duration = Duration::from_secs(15);
/// Where machines keep the certificates of the authorities that they trust.
const AUTHORITIES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Both ways of bytes.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Makes connections as the policy allows them.
pub(crate) struct Connector {
    policy: Arc<Policy>,
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Connector {
    pub(crate) fn new(policy: Arc<Policy>) -> Self {
        Self { policy, tls: OnceLock::new() }
    }

    /// Opens a connection. `trusted` are places that the operator named: they may be anywhere.
    ///
    /// # Errors
    /// What went wrong, in Go's words where Go has some.
    pub(crate) async fn connect(&self, url: &Url, trusted: bool) -> Result<Box<dyn Stream>, String> {
        timeout(CONNECT_TIME, self.open(url, trusted))
            .await
            .unwrap_or_else(|_| Err(format!("dial tcp: connect to {}: i/o timeout", url.authority())))
    }

    async fn open(&self, url: &Url, trusted: bool) -> Result<Box<dyn Stream>, String> {
        let trusted = trusted || self.policy.may_be_private(&url.host, url.port);
        let stream = match self.policy.proxy_for(&url.host).filter(|_| url.secure) {
            Some(proxy) => self.through(proxy, url, trusted).await?,
            None => dial(&addresses(&url.host, url.port, trusted).await?).await?,
        };
        if !url.secure {
            return Ok(Box::new(stream));
        }
        let config = self.tls.get_or_init(|| config(&self.policy)).clone()?;
        let name = ServerName::try_from(url.host.clone()).map_err(|error| error.to_string())?;
        let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| format!("tls: {error}"))?))
    }

    /// Through the operator's proxy, which finds the address by itself; what we know to be private is not asked for.
    async fn through(&self, proxy: &str, url: &Url, trusted: bool) -> Result<TcpStream, String> {
        let (credentials, place) = match proxy.split_once("://").map_or(proxy, |(_, rest)| rest).rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, proxy.split_once("://").map_or(proxy, |(_, rest)| rest)),
        };
        let proxy = Url::parse(&format!("http://{place}")).ok_or("the proxy's address is not usable")?;
        match addresses(&url.host, url.port, trusted).await {
            Err(error) if error.starts_with(REFUSED) => return Err(error),
            // A machine behind a proxy need not know the names outside.
            _ => {}
        }
        let mut stream = dial(&addresses(&proxy.host, proxy.port, true).await?).await?;
        let target = format!("{}:{}", url.host, url.port);
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(credentials) = credentials {
            let credentials = base64::engine::general_purpose::STANDARD.encode(decode(credentials));
            request.push_str(&format!("Proxy-Authorization: Basic {credentials}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.map_err(|error| format!("proxyconnect tcp: {error}"))?;
        let mut head = Vec::new();
        // Byte by byte: what follows the head belongs to TLS.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() > 16 * 1024 {
                return Err("proxyconnect tcp: the answer has no end".to_owned());
            }
            head.push(stream.read_u8().await.map_err(|error| format!("proxyconnect tcp: {error}"))?);
        }
        let head = String::from_utf8_lossy(&head);
        let status = head.lines().next().and_then(|line| line.split_once(' ')).map_or("", |(_, status)| status);
        if status.starts_with('2') { Ok(stream) } else { Err(format!("proxyconnect tcp: {status}")) }
    }
}

/// `%40` and the like in a proxy's user and password.
fn decode(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.as_bytes();
    while let Some((first, rest)) = bytes.split_first() {
        let hex = rest.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                out.push(byte);
                bytes = &rest[2..];
            }
            None => {
                out.push(*first);
                bytes = rest;
            }
        }
    }
    out
}

const REFUSED: &str = "the address is not allowed";

/// The addresses of a host that may be used.
async fn addresses(host: &str, port: u16, trusted: bool) -> Result<Vec<SocketAddr>, String> {
    let all: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(ip) => vec![(ip, port).into()],
        Err(_) => tokio::net::lookup_host((host, port))
            .await
            .map_err(|_| format!("dial tcp: lookup {host}: no such host"))?
            .collect(),
    };
    let allowed: Vec<_> = all.iter().copied().filter(|address| trusted || is_public(address.ip())).collect();
    match (all.first(), allowed.is_empty()) {
        (None, _) => Err(format!("dial tcp: lookup {host}: no such host")),
        // Which address it has is nobody's business who asks from inside a session.
        (Some(_), true) => Err(format!(
            "{REFUSED}: {host} is at a private, loopback or link-local address (the operator can allow it with --image-private-registry)"
        )),
        (Some(_), false) => Ok(allowed),
    }
}

async fn dial(addresses: &[SocketAddr]) -> Result<TcpStream, String> {
    let mut last = String::new();
    for address in addresses {
        match timeout(CONNECT_TIME / 3, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                last = format!("dial tcp {address}: connect: connection refused");
            }
            Ok(Err(error)) => last = format!("dial tcp {address}: connect: {error}"),
            Err(_) => last = format!("dial tcp {address}: i/o timeout"),
        }
    }
    Err(last)
}

fn config(policy: &Policy) -> Result<Arc<ClientConfig>, String> {
    let file = policy
        .authorities
        .clone()
        .or_else(|| AUTHORITIES.iter().map(std::path::PathBuf::from).find(|path| path.is_file()));
    let file = file.ok_or("this machine has no list of certificate authorities; name one with SSL_CERT_FILE")?;
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn private_addresses_are_refused_unless_trusted() {
        for host in ["127.0.0.1", "localhost", "10.0.0.1", "::1", "169.254.169.254"] {
            let refused = addresses(host, 80, false).await.unwrap_err();
            assert!(refused.starts_with(REFUSED), "{host}: {refused}");
        }
        assert_eq!(addresses("127.0.0.1", 80, true).await.unwrap(), ["127.0.0.1:80".parse().unwrap()]);
        assert!(addresses("8.8.8.8", 443, false).await.is_ok());
    }

    #[test]
    fn a_proxys_user_may_be_escaped() {
        assert_eq!(decode("us%40er:p%3Aw%"), b"us@er:p:w%");
    }
}
