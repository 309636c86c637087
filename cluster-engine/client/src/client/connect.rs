//! Making the connection: TCP or a dialer, TLS, HTTP/2; and making it again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drydock_component::tls::AnyCertificate;
use http::uri::{Authority, Scheme};
use http::{Method, Request, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::config::{Auth, Config, Dialer, Io};
use crate::{Error, Result};

/// How long a connection attempt may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// A connection that is silent this long is pinged, and given up after `PING_TIMEOUT`
/// (client-go's ReadIdleTimeout and PingTimeout).
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// Flow control windows: enough for a list of some thousand pods in flight, little when idle.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

type Sender = SendRequest<Full<Bytes>>;

/// The connection of a client and its clones.
pub(super) struct Connection {
    scheme: Scheme,
    authority: Authority,
    prefix: String,
    server: String,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    dial: Option<Dialer>,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    sender: Option<Sender>,
    /// Attempts made so far: those that waited for a failed attempt share its failure
    /// instead of each waiting for a timeout of their own.
    attempts: u64,
    failure: Option<String>,
}

impl Connection {
    pub(super) fn new(config: &Config) -> Result<Connection> {
        let unusable = |reason: &str| Error::Config(format!("unusable server URL {:?}: {reason}", config.server));
        let uri: Uri = config.server.parse().map_err(|error| unusable(&format!("{error}")))?;
        let scheme = uri.scheme().cloned().ok_or_else(|| unusable("no scheme"))?;
        let authority = uri.authority().cloned().ok_or_else(|| unusable("no host"))?;
        let tls = if scheme == Scheme::HTTPS {
            let host = config.tls_server_name.clone().unwrap_or_else(|| authority.host().to_owned());
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let name = ServerName::try_from(host).map_err(|error| unusable(&format!("{error}")))?;
            Some((Arc::new(tls_config(config)?), name))
        } else {
            None
        };
        Ok(Connection {
            scheme,
            authority,
            prefix: uri.path().trim_end_matches('/').to_owned(),
            server: config.server.clone(),
            tls,
            dial: config.dial.clone(),
            slot: Mutex::default(),
        })
    }

    pub(super) fn uri(&self, path: &str) -> http::Result<Uri> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{}{path}", self.prefix))
            .build()
    }

    /// Sends a request; once more over a new connection if the old one was found dead before the
    /// request left, or if repeating cannot do harm.
    pub(super) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<http::Response<Incoming>> {
        let mut sent_before = false;
        loop {
            let mut sender = self.sender().await?;
            let repeatable = matches!(*request.method(), Method::GET | Method::HEAD);
            let copy = repeatable.then(|| clone(&request));
            let failure = match sender.ready().await {
                Ok(()) => match sender.try_send_request(request).await {
                    Ok(response) => return Ok(response),
                    Err(mut failure) => {
                        let message = failure.take_message();
                        match message.or(copy) {
                            Some(back) => request = back,
                            None => return Err(Error::Transport(Arc::new(failure.into_error()))),
                        }
                        failure.into_error()
                    }
                },
                Err(error) => error,
            };
            if sent_before {
                return Err(Error::Transport(Arc::new(failure)));
            }
            sent_before = true;
            // Only a sender that is closed is replaced; a stream that was reset says nothing
            // about the connection.
            tracing::debug!(error = %failure, "trying a request again");
        }
    }

    async fn sender(&self) -> Result<Sender> {
        let seen = {
            let Ok(slot) = self.slot.try_lock() else { return self.sender_after_wait().await };
            if let Some(sender) = slot.sender.as_ref().filter(|sender| !sender.is_closed()) {
                return Ok(sender.clone());
            }
            slot.attempts
        };
        self.connect_once(seen).await
    }

    async fn sender_after_wait(&self) -> Result<Sender> {
        // The attempt that holds the lock now is the one whose result we share.
        self.connect_once(u64::MAX).await
    }

    /// Connects unless somebody did so since `seen` attempts.
    async fn connect_once(&self, seen: u64) -> Result<Sender> {
        let mut slot = self.slot.lock().await;
        if let Some(sender) = slot.sender.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        if slot.attempts != seen
            && let Some(reason) = slot.failure.clone()
        {
            // One of the waiters must try again, or all would share an old failure for ever.
            slot.failure = None;
            return Err(Error::Connect { server: self.server.clone(), reason });
        }
        slot.attempts = slot.attempts.wrapping_add(1);
        let made = tokio::time::timeout(CONNECT_TIME, self.connect()).await;
        match made.unwrap_or_else(|_| Err("timed out".to_owned())) {
            Ok(sender) => {
                slot.failure = None;
                slot.sender = Some(sender.clone());
                Ok(sender)
            }
            Err(reason) => {
                slot.sender = None;
                slot.failure = Some(reason.clone());
                Err(Error::Connect { server: self.server.clone(), reason })
            }
        }
    }

    async fn connect(&self) -> Result<Sender, String> {
        let stream: Box<dyn Io> = match &self.dial {
            Some(dial) => dial().await.map_err(|error| error.to_string())?,
            None => {
                let host = self.authority.host().trim_start_matches('[').trim_end_matches(']');
                let default = if self.tls.is_some() { 443 } else { 80 };
                let port = self.authority.port_u16().unwrap_or(default);
                let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
                let _ = stream.set_nodelay(true);
                Box::new(stream)
            }
        };
        match &self.tls {
            None => handshake(stream).await,
            Some((config, name)) => {
                let connector = tokio_rustls::TlsConnector::from(config.clone());
                let stream = connector.connect(name.clone(), stream).await.map_err(|error| error.to_string())?;
                handshake(stream).await
            }
        }
    }
}

async fn handshake<S: Io + 'static>(stream: S) -> Result<Sender, String> {
    let (sender, connection) = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the connection to the API server ended");
        }
    });
    Ok(sender)
}

fn clone(request: &Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let mut copy = Request::new(request.body().clone());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

fn tls_config(config: &Config) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unusable = |error: rustls::Error| Error::Config(format!("TLS refuses the configuration: {error}"));
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = if config.insecure {
        builder.dangerous().with_custom_certificate_verifier(AnyCertificate::new(provider))
    } else {
        let mut roots = RootCertStore::empty();
        for certificate in &config.ca {
            roots.add(certificate.clone()).map_err(unusable)?;
        }
        builder.with_root_certificates(roots)
    };
    let mut tls = match &config.auth {
        Auth::ClientCert { chain, key } => {
            builder.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(unusable)?
        }
        _ => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(tls)
}
