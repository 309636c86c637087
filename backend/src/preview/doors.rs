//! The server's one port takes HTTP and TLS alike: kubectl sends its token over TLS only, browsers come as they are used to.
//!
//! The certificate is the server's own, made once and kept in the database; a kubeconfig that is downloaded names it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use drydock_component::serve;
use drydock_engine::pki::{Authority, PkiError, Purpose, Subject};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The name in the certificate; kubeconfigs ask for it whatever host they use.
pub(crate) const NAME: &str = "drydock";
/// How long a client may take for its TLS handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// First byte of a TLS handshake; no HTTP request begins so.
const TLS_HANDSHAKE: u8 = 0x16;
/// Connections that wait to be served.
const WAITING: usize = 64;

/// Why the certificate cannot be used.
#[derive(Debug, Error)]
pub(crate) enum DoorError {
    /// It could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// What is stored cannot be read.
    #[error("the stored certificate cannot be read")]
    Pem(#[from] rustls_pki_types::pem::Error),
    /// TLS refuses it.
    #[error("TLS refuses the server's own certificate")]
    Rustls(#[from] rustls::Error),
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] sqlx::Error),
}

/// The server's own certificate, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// Who signed it.
    pub(crate) ca: String,
    /// The certificate.
    pub(crate) certificate: String,
    /// Its key.
    pub(crate) key: String,
}

impl Certificate {
    /// A new one.
    ///
    /// # Errors
    /// When the random generator or the encoder fails.
    pub(crate) fn make() -> Result<Certificate, DoorError> {
        let authority = Authority::new("drydock-server")?;
        let subject = Subject {
            common_name: NAME,
            organization: None,
            dns_names: &[NAME],
            addresses: &[],
            purpose: Purpose::Server,
        };
        let identity = authority.issue(&subject)?;
        Ok(Certificate { ca: authority.certificate, certificate: identity.certificate, key: identity.key })
    }

    fn config(&self) -> Result<ServerConfig, DoorError> {
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// A connection, plain or not.
pub(crate) enum Door {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Door {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Door::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Door::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Door {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Door::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Door::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Door::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Door::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Door::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Door::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Door::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Door::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Door::Plain(stream) => stream.is_write_vectored(),
            Door::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

/// Who came through a door.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// From where.
    pub(crate) addr: SocketAddr,
    /// Whether by TLS.
    pub(crate) tls: bool,
}

/// Listens for both.
pub(crate) struct Doors {
    address: SocketAddr,
    ready: mpsc::Receiver<(Door, SocketAddr)>,
}

impl Doors {
    /// Takes connections of `listener` from now on.
    ///
    /// # Errors
    /// When the certificate cannot be used.
    pub(crate) fn open(
        listener: TcpListener,
        certificate: &Certificate,
        address: SocketAddr,
    ) -> Result<Doors, DoorError> {
        let acceptor = TlsAcceptor::from(Arc::new(certificate.config()?));
        let (sender, ready) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            loop {
                let (stream, peer) = tokio::select! {
                    accepted = serve::accept(&listener) => accepted,
                    () = sender.closed() => return,
                };
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                tokio::spawn(async move {
                    match enter(stream, &acceptor).await {
                        // A server that is gone takes nobody.
                        Ok(door) => drop(sender.send((door, peer)).await),
                        Err(error) => tracing::debug!(peer.addr = %peer, %error, "a connection did not come about"),
                    }
                });
            }
        });
        Ok(Doors { address, ready })
    }
}

async fn enter(stream: TcpStream, acceptor: &TlsAcceptor) -> io::Result<Door> {
    let mut first = [0; 1];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if first[0] != TLS_HANDSHAKE {
        return Ok(Door::Plain(stream));
    }
    let accepted = tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await;
    Ok(Door::Tls(Box::new(accepted.map_err(|_| io::ErrorKind::TimedOut)??)))
}

impl Listener for Doors {
    type Io = Door;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Door, SocketAddr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // The task that accepts ends after this only.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Connected<IncomingStream<'_, Doors>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Doors>) -> Peer {
        Peer { addr: *stream.remote_addr(), tls: matches!(stream.io(), Door::Tls(_)) }
    }
}
