//! The server's side of a WebSocket handshake (RFC 6455, 4.2) over a request that hyper can upgrade.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::serve::{Body, full};

/// An upgraded connection.
pub type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Why a request is no handshake.
#[derive(Debug, Error)]
pub enum Error {
    /// Upstream's library refuses such a request, too.
    #[error("the request has no Sec-WebSocket-Key")]
    NoKey,
    /// Cannot come from [`offered`].
    #[error("the protocol cannot be told in a header")]
    Protocol,
}

/// Whether the client asks for a WebSocket.
pub fn is_requested(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// The protocols that the client offers, in its order.
pub fn offered(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim).collect()
}

/// Accepts the WebSocket, naming the protocol unless that is empty; `work` gets the socket once the answer is out.
///
/// # Errors
/// When the request is no handshake.
pub fn accept<W, F>(headers: &HeaderMap, upgrade: OnUpgrade, protocol: &str, work: W) -> Result<Response<Body>, Error>
where
    W: FnOnce(Socket) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(Error::NoKey)?;
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let out = response.headers_mut();
    out.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    out.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    let accepted = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| Error::NoKey)?;
    out.insert(header::SEC_WEBSOCKET_ACCEPT, accepted);
    if !protocol.is_empty() {
        let protocol = HeaderValue::from_str(protocol).map_err(|_| Error::Protocol)?;
        out.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => {
                work(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await).await;
            }
            Err(error) => tracing::debug!(%error, "a WebSocket was not upgraded"),
        }
    });
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_in_the_clients_order() {
        let mut headers = HeaderMap::new();
        assert!(!is_requested(&headers) && offered(&headers).is_empty());
        headers.insert(header::UPGRADE, HeaderValue::from_static("WebSocket"));
        headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("b, a"));
        headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("c"));
        assert!(is_requested(&headers));
        assert_eq!(offered(&headers), ["b", "a", "c"]);
        headers.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
        assert!(!is_requested(&headers));
    }

    #[tokio::test]
    async fn a_handshake_is_answered_with_its_key() {
        let upgrade = || hyper::upgrade::on(http::Request::new(()));
        let refused = accept(&HeaderMap::new(), upgrade(), "", |_| async {});
        assert!(matches!(refused, Err(Error::NoKey)));
        // The key and the answer of RFC 6455, 1.3.
        let mut headers = HeaderMap::new();
        headers.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        let answer = accept(&headers, upgrade(), "chat", |_| async {}).unwrap();
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(answer.headers()[header::SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(answer.headers()[header::SEC_WEBSOCKET_PROTOCOL], "chat");
        let answer = accept(&headers, upgrade(), "", |_| async {}).unwrap();
        assert!(!answer.headers().contains_key(header::SEC_WEBSOCKET_PROTOCOL));
    }
}
