//! A small HTTP(S) server: HTTP/1.1 with upgrades and HTTP/2, graceful shutdown, client certificates.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::Shutdown;

/// An answer's body: whole or streamed.
pub type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// How long a client may take for its TLS handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long open requests may go on after a shutdown request.
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// Back-off after a failed accept (no file descriptors left, for instance).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's address.
    pub addr: SocketAddr,
    /// The client's certificate, verified against the client CA; none if it presented none.
    pub cert: Option<CertificateDer<'static>>,
}

/// Reads a flag that says where to listen: `address:port`, or `:port` for all IPv4 addresses.
///
/// # Errors
/// One sentence, when it is neither.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let address = match text.strip_prefix(':') {
        Some(port) => port.parse().ok().map(|port: u16| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))),
        None => text.parse().ok(),
    };
    address.ok_or_else(|| format!("{text:?} is not address:port or :port"))
}

/// A body that is all there.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// An answer of `status` with a plain text body.
pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// The next connection. A failed accept is logged and tried again after a pause.
pub async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, addr)) => {
                let _ = stream.set_nodelay(true);
                return (stream, addr);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves HTTPS until `shutdown`, then lets open requests finish for a short time.
///
/// `handler` gets each request with the peer's verified certificate. A connection that fails its
/// handshake is dropped and logged at debug level: it is the client's affair.
pub async fn https<H, F>(listener: TcpListener, tls: Arc<ServerConfig>, handler: H, shutdown: Shutdown)
where
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    accept_loop(listener, Some(TlsAcceptor::from(tls)), handler, shutdown).await;
}

/// Serves plain HTTP until `shutdown`; for health and metrics on loopback.
pub async fn http<H, F>(listener: TcpListener, handler: H, shutdown: Shutdown)
where
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    accept_loop(listener, None, handler, shutdown).await;
}

async fn accept_loop<H, F>(listener: TcpListener, tls: Option<TlsAcceptor>, handler: H, shutdown: Shutdown)
where
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, addr) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = shutdown.wait() => break,
        };
        let (handler, tls, watcher) = (handler.clone(), tls.clone(), graceful.watcher());
        tokio::spawn(async move {
            let Some(tls) = tls else {
                return connection(stream, Peer { addr, cert: None }, handler, watcher).await;
            };
            match tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let cert = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                    let cert = cert.map(|cert| cert.clone().into_owned());
                    connection(stream, Peer { addr, cert }, handler, watcher).await;
                }
                Ok(Err(error)) => tracing::debug!(peer.addr = %addr, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(peer.addr = %addr, "TLS handshake timed out"),
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN_TIME, graceful.shutdown()).await;
}

/// The work on an answer on the heap by itself: its memory goes when the answer begins, not with a stream that lasts, such as a watch.
fn apart<F: Future<Output = Response<Body>>>(answer: F) -> impl Future<Output = Result<Response<Body>, Infallible>> {
    let answer = Box::pin(answer);
    async move { Ok(answer.await) }
}

async fn connection<S, H, F>(stream: S, peer: Peer, handler: H, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let service = service_fn(move |request| apart(handler(request, peer.clone())));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(1000);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_no_room_for_the_work_on_its_head() {
        let large = async {
            let room = [1_u8; 1 << 16];
            tokio::task::yield_now().await;
            text(StatusCode::OK, room.to_vec())
        };
        assert!(size_of_val(&large) >= 1 << 16);
        assert!(size_of_val(&apart(large)) < 256);
    }
}
