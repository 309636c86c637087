//! Streams over WebSocket: what a watch or a log sends, message by message.

use bytes::{Buf as _, Bytes, BytesMut};
use drydock_api::Status;
use drydock_component::serve::Body;
use drydock_component::websocket::{self, Socket};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Response, header};
use http_body_util::{BodyExt as _, BodyStream};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::Message;

/// Base64 in text messages, for clients that cannot read bytes.
const BASE64: &str = "base64.binary.k8s.io";
const BINARY: &str = "binary.k8s.io";

/// How a stream is cut into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// As the bytes come.
    Bytes,
    /// One JSON document a line, as text.
    Lines,
    /// Lengths of four bytes, each before a document.
    Lengths,
}

/// A log: its bytes in the form that the client offers.
///
/// # Errors
/// 400 for what is no handshake, 403 for offers that nobody here speaks.
pub(crate) fn log(answer: Response<Body>, headers: &HeaderMap, upgrade: OnUpgrade) -> Result<Response<Body>, Status> {
    let offers = websocket::offered(headers);
    let protocol = offers.iter().find(|offer| matches!(**offer, "" | BINARY | BASE64)).copied();
    if protocol.is_none() && !offers.is_empty() {
        return Err(Status::failure(403, "Forbidden", "requested protocol(s) are not supported"));
    }
    let is_base64 = protocol == Some(BASE64);
    carry(answer, headers, upgrade, protocol, Cut::Bytes, is_base64)
}

/// A watch: an event a message.
///
/// # Errors
/// 400 for what is no handshake.
pub(crate) fn watch(answer: Response<Body>, headers: &HeaderMap, upgrade: OnUpgrade) -> Result<Response<Body>, Status> {
    let media = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let cut = if media.starts_with("application/json") { Cut::Lines } else { Cut::Lengths };
    carry(answer, headers, upgrade, None, cut, false)
}

fn carry(
    answer: Response<Body>,
    headers: &HeaderMap,
    upgrade: OnUpgrade,
    protocol: Option<&str>,
    cut: Cut,
    is_base64: bool,
) -> Result<Response<Body>, Status> {
    let work = move |socket| pump(socket, answer.into_body(), cut, is_base64);
    websocket::accept(headers, upgrade, protocol.unwrap_or(""), work)
        .map_err(|error| Status::bad_request(error.to_string()))
}

/// Sends what comes until one side has enough.
async fn pump(socket: Socket, body: Body, cut: Cut, is_base64: bool) {
    let (mut sink, mut incoming) = socket.split();
    let mut frames = BodyStream::new(body.map_err(|error| tracing::debug!(%error, "a stream broke off")));
    let mut held = BytesMut::new();
    loop {
        let frame = tokio::select! {
            frame = frames.next() => frame,
            // The client has nothing to say but that it goes.
            message = incoming.next() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
        };
        let Some(Ok(frame)) = frame else { break };
        let Ok(bytes) = frame.into_data() else { continue };
        held.extend_from_slice(&bytes);
        while let Some(piece) = cut_off(&mut held, cut) {
            if sink.send(message(piece, cut, is_base64)).await.is_err() {
                return;
            }
        }
    }
    let _ = sink.send(Message::Close(None)).await;
    let _ = sink.close().await;
}

/// The next whole message of what has come.
fn cut_off(held: &mut BytesMut, cut: Cut) -> Option<Bytes> {
    if held.is_empty() {
        return None;
    }
    match cut {
        Cut::Bytes => Some(held.split().freeze()),
        Cut::Lines => {
            let end = held.iter().position(|byte| *byte == b'\n')?;
            let line = held.split_to(end).freeze();
            held.advance(1);
            Some(line)
        }
        Cut::Lengths => {
            let length = u32::from_be_bytes(held.first_chunk().copied()?) as usize;
            if held.len() - 4 < length {
                return None;
            }
            held.advance(4);
            Some(held.split_to(length).freeze())
        }
    }
}

fn message(piece: Bytes, cut: Cut, is_base64: bool) -> Message {
    use base64::Engine as _;
    if is_base64 {
        return Message::text(base64::engine::general_purpose::STANDARD.encode(piece));
    }
    match cut {
        Cut::Lines => Message::text(String::from_utf8_lossy(&piece).into_owned()),
        Cut::Bytes | Cut::Lengths => Message::Binary(piece),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_into_messages() {
        let all = |bytes: &[u8], cut| {
            let mut held = BytesMut::from(bytes);
            let mut found = Vec::new();
            while let Some(piece) = cut_off(&mut held, cut) {
                found.push(piece);
            }
            (found, held.len())
        };
        let owned =
            |pieces: &[&'static [u8]]| -> Vec<Bytes> { pieces.iter().map(|it| Bytes::from_static(it)).collect() };
        assert_eq!(all(b"{1}\n{2}\n{3", Cut::Lines), (owned(&[b"{1}", b"{2}"]), 2));
        assert_eq!(all(b"\0\0\0\x02ab\0\0\0\0\0\0\0\x03ab", Cut::Lengths), (owned(&[b"ab", b""]), 6));
        assert_eq!(all(b"\0\0", Cut::Lengths), (owned(&[]), 2));
        assert_eq!(all(b"a\nb", Cut::Bytes), (owned(&[b"a\nb"]), 0));
    }
}
