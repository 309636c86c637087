//! Sessions over WebSocket. The first byte of a message is its channel, the rest what is written there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use drydock_component::serve::Body;
use drydock_component::websocket::{self, Socket};
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::streams::{Input, Output, Session, Wanted, parse_size};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// `v5`: the next byte names a channel that the client has closed.
const CLOSE: u8 = 255;

/// How a client and we speak, by the protocol's name; no name is the oldest one.
const DIALECTS: [(&str, Dialect); 6] = [
    ("v5.channel.k8s.io", Dialect { base64: false, status: true }),
    ("v4.channel.k8s.io", Dialect { base64: false, status: true }),
    ("v4.base64.channel.k8s.io", Dialect { base64: true, status: true }),
    ("channel.k8s.io", Dialect { base64: false, status: false }),
    ("base64.channel.k8s.io", Dialect { base64: true, status: false }),
    ("", Dialect { base64: false, status: false }),
];

/// What a protocol's messages look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// Text: the channel's digit, then base64.
    base64: bool,
    /// The error channel ends with a Status; else only failures are told, as plain text.
    status: bool,
}

/// The first protocol of the client's that we speak.
///
/// # Errors
/// Upstream's sentence when there is none.
pub(super) fn negotiate(offered: &[&str]) -> Result<(&'static str, Dialect), String> {
    let offered = if offered.is_empty() { &[""] } else { offered };
    let find = |offer: &&str| DIALECTS.into_iter().find(|(name, _)| name == offer);
    offered.iter().find_map(find).ok_or_else(|| format!("requested protocol(s) are not supported: {offered:?}"))
}

/// Messages waiting in one direction.
const WAITING: usize = 16;

/// Accepts the WebSocket; `work` gets it once the answer is out.
///
/// # Errors
/// The answer to a request that is no WebSocket handshake.
pub(super) fn accept<W, F>(mut request: Request<Incoming>, protocol: &str, work: W) -> Response<Body>
where
    W: FnOnce(Socket) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let upgrade = hyper::upgrade::on(&mut request);
    websocket::accept(request.headers(), upgrade, protocol, work)
        .unwrap_or_else(|error| super::refuse(&super::Refusal::bad_request(error.to_string())))
}

/// Carries a session over the socket until both sides are done.
pub(super) async fn carry<W, F>(socket: Socket, dialect: Dialect, wanted: Wanted, work: W)
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
    if sink.send(dialect.message(first, b"")).await.is_err() {
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
            let Some(input) = dialect.plain(bytes).as_ref().and_then(decode) else { continue };
            if input_sender.send(input).await.is_err() {
                // The session has ended; read on, so that the client's close is seen.
            }
        }
    });
    let work = tokio::spawn(work(Session { input, output }));
    while let Some(output) = output_receiver.recv().await {
        let Some((channel, bytes)) = dialect.content(&output) else { continue };
        if sink.send(dialect.message(channel, &bytes)).await.is_err() {
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

impl Dialect {
    /// What is told of an output, and on which channel.
    fn content(self, output: &Output) -> Option<(u8, Bytes)> {
        Some(match output {
            Output::Stdout(bytes) => (STDOUT, bytes.clone()),
            Output::Stderr(bytes) => (STDERR, bytes.clone()),
            Output::Status(status) if self.status => (ERROR, Bytes::from(status.to_string())),
            Output::Status(status) if status["status"] == "Success" => return None,
            Output::Status(status) => (ERROR, Bytes::from(status["message"].as_str().unwrap_or("").to_owned())),
        })
    }

    fn message(self, channel: u8, bytes: &[u8]) -> Message {
        if self.base64 {
            return Message::text(format!("{channel}{}", STANDARD.encode(bytes)));
        }
        let mut message = BytesMut::with_capacity(bytes.len() + 1);
        message.put_u8(channel);
        message.extend_from_slice(bytes);
        Message::Binary(message.freeze())
    }

    /// A message of the client with its channel as a byte and its content as it is meant.
    fn plain(self, message: Bytes) -> Option<Bytes> {
        if !self.base64 {
            return Some(message);
        }
        let (channel, content) = message.split_first()?;
        let mut plain = vec![channel.checked_sub(b'0')?];
        plain.extend(STANDARD.decode(content).ok()?);
        Some(Bytes::from(plain))
    }
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
    }

    #[test]
    fn every_client_is_understood() {
        assert_eq!(negotiate(&["x", "v4.channel.k8s.io", "v5.channel.k8s.io"]).unwrap().0, "v4.channel.k8s.io");
        assert!(negotiate(&["x"]).is_err());
        let said = |dialect: Dialect, output: Output| {
            dialect.content(&output).map(|(channel, bytes)| dialect.message(channel, &bytes))
        };
        let ended = |code| Output::Status(super::super::streams::exit_status(code));
        let error = || Output::Stderr(Bytes::from_static(b"e"));
        let (_, newest) = negotiate(&["v5.channel.k8s.io"]).unwrap();
        assert_eq!(said(newest, error()), Some(Message::binary(&b"\x02e"[..])));
        assert_eq!(said(newest, ended(0)), Some(Message::binary(&b"\x03{\"metadata\":{},\"status\":\"Success\"}"[..])));
        let (_, oldest) = negotiate(&[]).unwrap();
        assert_eq!(said(oldest, ended(0)), None);
        let failure = said(oldest, ended(7)).unwrap().into_data();
        assert_eq!(&failure[..], b"\x03command terminated with non-zero exit code: exit status 7");
        let (_, text) = negotiate(&["base64.channel.k8s.io"]).unwrap();
        assert_eq!(said(text, error()), Some(Message::text("2ZQ==")));
        assert_eq!(text.plain(Bytes::from_static(b"0ZQ==")).as_ref().and_then(decode), Some(Input::Data("e".into())));
        assert_eq!(text.plain(Bytes::from_static(b"0?")), None);
    }
}
