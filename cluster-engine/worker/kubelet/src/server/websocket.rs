//! Sessions over WebSocket: `v4.channel.k8s.io` and `v5.channel.k8s.io`. The first byte of a message is its channel.

use bytes::{BufMut, Bytes, BytesMut};
use drydock_component::serve::{self, Body};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::streams::{Input, Output, Session, Wanted, parse_size};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// `v5`: the next byte names a channel that the client has closed.
const CLOSE: u8 = 255;

/// Messages waiting in one direction.
const WAITING: usize = 16;

/// An upgraded connection.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Whether the request asks for a WebSocket.
pub(super) fn is_requested(request: &Request<Incoming>) -> bool {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// The protocols the client offers, in its order.
pub(super) fn offered(request: &Request<Incoming>) -> Vec<String> {
    let values = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(|text| text.trim().to_owned()).collect()
}

/// Accepts the WebSocket; `work` gets it once the answer is out.
///
/// # Errors
/// The answer to a request that is no WebSocket handshake.
pub(super) fn accept<W, F>(mut request: Request<Incoming>, protocol: &str, work: W) -> Response<Body>
where
    W: FnOnce(Socket) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()))
    else {
        return super::refuse(&super::Refusal::bad_request("the request has no Sec-WebSocket-Key"));
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => {
                work(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await).await
            }
            Err(error) => tracing::debug!(%error, "a WebSocket was not upgraded"),
        }
    });
    let mut response = Response::new(serve::full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(key) = HeaderValue::from_str(&key) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    }
    if let Ok(protocol) = HeaderValue::from_str(protocol) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}

/// Carries a session over the socket until both sides are done.
pub(super) async fn carry<W, F>(socket: Socket, wanted: Wanted, work: W)
where
    W: FnOnce(Session) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (input_sender, input) = mpsc::channel(WAITING);
    let (output, mut output_receiver) = mpsc::channel(WAITING);
    let (mut sink, mut stream) = socket.split();
    // Tells the client that the connection stands (upstream does the same).
    let first = if wanted.stdout {
        STDOUT
    } else if wanted.stderr {
        STDERR
    } else {
        ERROR
    };
    if sink.send(Message::binary(vec![first])).await.is_err() {
        return;
    }
    let reader = tokio::spawn(async move {
        while let Some(Ok(message)) = stream.next().await {
            let bytes = match message {
                Message::Binary(bytes) => bytes,
                Message::Text(text) => Bytes::from(text),
                Message::Close(_) => break,
                _ => continue,
            };
            let Some(input) = decode(&bytes) else { continue };
            if input_sender.send(input).await.is_err() {
                // The session has ended; read on, so that the client's close is seen.
            }
        }
    });
    let work = tokio::spawn(work(Session { input, output }));
    while let Some(output) = output_receiver.recv().await {
        if sink.send(Message::Binary(encode(&output))).await.is_err() {
            break;
        }
    }
    // The work goes on even if nobody listens; it notices by its closed channel.
    drop(output_receiver);
    let _ = work.await;
    // Without a code, clients take the end for a broken connection.
    let normal = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
    let _ = sink.send(Message::Close(Some(normal))).await;
    let _ = sink.close().await;
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), reader).await;
}

fn decode(message: &Bytes) -> Option<Input> {
    match *message.first()? {
        STDIN => Some(Input::Data(message.slice(1..))),
        RESIZE => parse_size(&message[1..]).map(|(columns, rows)| Input::Resize(columns, rows)),
        CLOSE if message.get(1) == Some(&STDIN) => Some(Input::End),
        _ => None,
    }
}

fn encode(output: &Output) -> Bytes {
    let (channel, bytes) = match output {
        Output::Stdout(bytes) => (STDOUT, bytes.clone()),
        Output::Stderr(bytes) => (STDERR, bytes.clone()),
        Output::Status(status) => (ERROR, Bytes::from(status.to_string())),
    };
    let mut message = BytesMut::with_capacity(bytes.len() + 1);
    message.put_u8(channel);
    message.extend_from_slice(&bytes);
    message.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels() {
        for (message, input) in [
            (&b"\0hello"[..], Some(Input::Data(Bytes::from_static(b"hello")))),
            (b"\0", Some(Input::Data(Bytes::new()))),
            (b"\x04{\"Width\":80,\"Height\":24}", Some(Input::Resize(80, 24))),
            (b"\xff\0", Some(Input::End)),
            (b"\xff\x01", None),
            (b"\x01x", None),
            (b"", None),
        ] {
            assert_eq!(decode(&Bytes::copy_from_slice(message)), input, "{message:?}");
        }
        assert_eq!(&encode(&Output::Stderr(Bytes::from_static(b"e")))[..], b"\x02e");
        let status = encode(&Output::Status(super::super::streams::exit_status(0)));
        assert_eq!((status[0], &status[1..]), (3, &br#"{"metadata":{},"status":"Success"}"#[..]));
    }
}
