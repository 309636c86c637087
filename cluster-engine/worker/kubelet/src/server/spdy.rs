//! SPDY/3.1 as the other end of client-go's remote command and port-forward clients.
//!
//! Only what those use: streams opened by the client, data both ways, pings. There is no flow control, because the
//! clients (moby/spdystream) have none.

mod frame;
mod headers;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use drydock_component::serve::{self, Body};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf};
use tokio::sync::mpsc;

use self::frame::Frame;
use super::streams::{Input, Output, Session, Wanted, parse_size};

/// What the client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Opened {
        id: u32,
        headers: BTreeMap<String, String>,
    },
    Data {
        id: u32,
        bytes: Bytes,
    },
    /// The client sends nothing more on the stream.
    Finished {
        id: u32,
    },
}

/// Sends frames; clones share the connection.
#[derive(Clone)]
pub(super) struct Sender(mpsc::Sender<Frame>);

/// Frames waiting in one direction.
const WAITING: usize = 32;
/// The name of the negotiation header of both protocols.
const PROTOCOL: &str = "X-Stream-Protocol-Version";

impl Sender {
    /// Sends data; `Err` when the connection is gone.
    pub(super) async fn data(&self, id: u32, bytes: Bytes) -> Result<(), ()> {
        self.0.send(Frame::Data { id, fin: false, bytes }).await.map_err(drop)
    }

    /// Ends our direction of a stream.
    pub(super) async fn finish(&self, id: u32) -> Result<(), ()> {
        self.0.send(Frame::Data { id, fin: true, bytes: Bytes::new() }).await.map_err(drop)
    }
}

/// Whether the request asks for SPDY.
pub(super) fn is_requested(request: &Request<Incoming>) -> bool {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("SPDY/3.1"))
}

/// Picks the first of `supported` that the client offers; a client that offers none speaks the first.
pub(super) fn negotiate(request: &Request<Incoming>, supported: &[&'static str]) -> Option<&'static str> {
    let values = request.headers().get_all(PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let offered: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    if offered.is_empty() {
        return supported.first().copied();
    }
    supported.iter().copied().find(|protocol| offered.contains(protocol))
}

/// Accepts the upgrade; `work` gets the connection once the answer is out.
pub(super) fn accept<W, F>(mut request: Request<Incoming>, protocol: &'static str, work: W) -> Response<Body>
where
    W: FnOnce(mpsc::Receiver<Event>, Sender) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => serve(TokioIo::new(upgraded), work).await,
            Err(error) => tracing::debug!(%error, "a SPDY connection was not upgraded"),
        }
    });
    let mut response = Response::new(serve::full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(PROTOCOL, HeaderValue::from_static(protocol));
    response
}

/// Speaks SPDY over `io` until the work is done and the client has gone, or the connection breaks.
pub(super) async fn serve<S, W, F>(io: S, work: W)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    W: FnOnce(mpsc::Receiver<Event>, Sender) -> F,
    F: Future<Output = ()>,
{
    let (reader, mut writer) = tokio::io::split(io);
    let (events, receiver) = mpsc::channel(WAITING);
    let (frames, mut outgoing) = mpsc::channel::<Frame>(WAITING);
    let replies = frames.clone();
    let reading = tokio::spawn(async move {
        if let Err(error) = read(reader, events, replies).await {
            tracing::debug!(%error, "a SPDY connection ended");
        }
    });
    let writing = tokio::spawn(async move {
        let mut compressor = headers::Compressor::new();
        while let Some(frame) = outgoing.recv().await {
            if writer.write_all(&frame.encode(&mut compressor)).await.is_err() || writer.flush().await.is_err() {
                break;
            }
        }
        let _ = writer.shutdown().await;
    });
    work(receiver, Sender(frames)).await;
    // The client closes after it has read everything; one that does not is cut off.
    let abort = reading.abort_handle();
    let _ = tokio::time::timeout(Duration::from_secs(5), reading).await;
    abort.abort();
    let _ = tokio::time::timeout(Duration::from_secs(1), writing).await;
}

async fn read<S: AsyncRead + Unpin>(
    mut reader: ReadHalf<S>,
    events: mpsc::Sender<Event>,
    replies: mpsc::Sender<Frame>,
) -> std::io::Result<()>
where
    ReadHalf<S>: AsyncRead + Unpin,
{
    let mut decompressor = headers::Decompressor::new();
    while let Some(frame) = frame::read(&mut reader, &mut decompressor).await? {
        // A session that has ended hears nothing more; the connection is read on until the client closes it.
        match frame {
            Frame::SynStream { id, fin, headers } => {
                if replies.send(Frame::SynReply { id }).await.is_err() {
                    return Ok(());
                }
                let _ = events.send(Event::Opened { id, headers }).await;
                if fin {
                    let _ = events.send(Event::Finished { id }).await;
                }
            }
            Frame::Data { id, fin, bytes } => {
                if !bytes.is_empty() {
                    let _ = events.send(Event::Data { id, bytes }).await;
                }
                if fin {
                    let _ = events.send(Event::Finished { id }).await;
                }
            }
            Frame::Reset { id } => {
                let _ = events.send(Event::Finished { id }).await;
            }
            Frame::Ping { id } => {
                let _ = replies.send(Frame::Ping { id }).await;
            }
            Frame::GoAway => return Ok(()),
            Frame::SynReply { .. } | Frame::Other => {}
        }
    }
    Ok(())
}

/// How long the client may take to open its streams.
const OPENING: Duration = Duration::from_secs(30);

/// Carries a remote command session: one stream for each of error, stdin, stdout, stderr and resize.
pub(super) async fn carry<W, F>(mut events: mpsc::Receiver<Event>, sender: Sender, wanted: Wanted, work: W)
where
    W: FnOnce(Session) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut expected = vec!["error"];
    let others =
        [("stdin", wanted.stdin), ("stdout", wanted.stdout), ("stderr", wanted.stderr), ("resize", wanted.tty)];
    expected.extend(others.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name));
    let mut streams: BTreeMap<String, u32> = BTreeMap::new();
    let mut early = Vec::new();
    let opened = tokio::time::timeout(OPENING, async {
        while !expected.iter().all(|name| streams.contains_key(*name)) {
            match events.recv().await {
                Some(Event::Opened { id, headers }) => {
                    let kind = headers.get("streamtype").cloned().unwrap_or_default();
                    streams.insert(kind.to_lowercase(), id);
                }
                Some(other) => early.push(other),
                None => return false,
            }
        }
        true
    })
    .await;
    if opened != Ok(true) {
        return;
    }
    let (input_sender, input) = mpsc::channel(WAITING);
    let (output, mut outputs) = mpsc::channel(WAITING);
    let (stdin, resize) = (streams.get("stdin").copied(), streams.get("resize").copied());
    let reader = tokio::spawn(async move {
        let mut early = early.into_iter();
        loop {
            let event = match early.next() {
                Some(event) => event,
                None => match events.recv().await {
                    Some(event) => event,
                    None => return,
                },
            };
            let input = match event {
                Event::Data { id, bytes } if Some(id) == stdin => Input::Data(bytes),
                Event::Data { id, bytes } if Some(id) == resize => match parse_size(&bytes) {
                    Some((columns, rows)) => Input::Resize(columns, rows),
                    None => continue,
                },
                Event::Finished { id } if Some(id) == stdin => Input::End,
                _ => continue,
            };
            // After the session's end the rest is read and thrown away.
            let _ = input_sender.send(input).await;
        }
    });
    let work = tokio::spawn(work(Session { input, output }));
    while let Some(output) = outputs.recv().await {
        let (stream, bytes) = match output {
            Output::Stdout(bytes) => ("stdout", bytes),
            Output::Stderr(bytes) => ("stderr", bytes),
            Output::Status(status) => ("error", Bytes::from(status.to_string())),
        };
        let Some(id) = streams.get(stream) else { continue };
        if sender.data(*id, bytes).await.is_err() {
            break;
        }
    }
    drop(outputs);
    let _ = work.await;
    for id in streams.values() {
        let _ = sender.finish(*id).await;
    }
    reader.abort();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_remote_command_over_spdy() {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let wanted = Wanted { stdin: true, stdout: true, stderr: false, tty: false };
        let serving = tokio::spawn(serve(server, move |events, sender| {
            carry(events, sender, wanted, |mut session: Session| async move {
                while let Some(Input::Data(bytes)) = session.input.recv().await {
                    session.output.send(Output::Stdout(bytes)).await.unwrap();
                }
                session.output.send(Output::Status(super::super::streams::exit_status(3))).await.unwrap();
            })
        }));
        let (mut reader, mut writer) = tokio::io::split(client);
        let (mut compressor, mut decompressor) = (headers::Compressor::new(), headers::Decompressor::new());
        let open = |id: u32, kind: &str| Frame::SynStream {
            id,
            fin: false,
            headers: [("streamtype".to_owned(), kind.to_owned())].into(),
        };
        let frames = [
            open(1, "error"),
            open(3, "stdin"),
            open(5, "stdout"),
            Frame::Ping { id: 9 },
            Frame::Data { id: 3, fin: false, bytes: Bytes::from_static(b"hello") },
            Frame::Data { id: 3, fin: true, bytes: Bytes::new() },
        ];
        for frame in frames {
            writer.write_all(&frame.encode(&mut compressor)).await.unwrap();
        }
        let (mut replies, mut out, mut error, mut finished) = (0, Vec::new(), Vec::new(), 0);
        while finished < 3 {
            match frame::read(&mut reader, &mut decompressor).await.unwrap().unwrap() {
                Frame::SynReply { .. } => replies += 1,
                Frame::Data { fin: true, .. } => finished += 1,
                Frame::Data { id: 5, bytes, .. } => out.extend_from_slice(&bytes),
                Frame::Data { id: 1, bytes, .. } => error.extend_from_slice(&bytes),
                Frame::Ping { id } => assert_eq!(id, 9),
                other => panic!("unexpected {other:?}"),
            }
        }
        assert_eq!((replies, out.as_slice()), (3, &b"hello"[..]));
        assert!(String::from_utf8(error).unwrap().contains("exit status 3"));
        drop((reader, writer));
        serving.await.unwrap();
    }
}
