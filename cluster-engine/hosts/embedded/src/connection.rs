//! Talking to a session's supervisor.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use drydock_engine::host::{HostError, Stream, Terminal, TerminalSpec};
use drydock_supervisor::protocol::{Request, Response, frame, socket};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};

/// Pieces of output that wait for the reader; the rest waits in the supervisor.
const QUEUE: usize = 32;

/// Asks one question.
pub(crate) async fn ask(folder: &Path, session: &str, request: &Request) -> Result<Response, HostError> {
    let (_, response) = open(folder, session, request).await?;
    Ok(response)
}

/// How long an answer may take; a command takes as long as it takes.
fn patience(request: &Request) -> Option<Duration> {
    const PLAIN: Duration = Duration::from_secs(30);
    match request {
        Request::Exec { .. } => None,
        Request::StopNode { grace_millis, .. } => Some(PLAIN.saturating_add(Duration::from_millis(*grace_millis))),
        _ => Some(PLAIN),
    }
}

/// The process that listens on a session's socket.
pub(crate) async fn supervisor(folder: &Path) -> io::Result<Option<i32>> {
    let (socket, _folder) = socket(folder)?;
    Ok(UnixStream::connect(socket).await?.peer_cred()?.pid())
}

async fn open(folder: &Path, session: &str, request: &Request) -> Result<(BufReader<UnixStream>, Response), HostError> {
    let lost = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound if !folder.exists() => HostError::NoSession { session: session.to_owned() },
        _ => HostError::Io { action: format!("the supervisor of cluster {session:?} does not answer"), source },
    };
    let exchange = async {
        let mut stream = BufReader::new({
            let (socket, _folder) = socket(folder)?;
            UnixStream::connect(socket).await?
        });
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = Vec::new();
        stream.read_until(b'\n', &mut answer).await?;
        if answer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok((stream, serde_json::from_slice::<Response>(&answer)?))
    };
    let outcome = match patience(request) {
        Some(patience) => {
            tokio::time::timeout(patience, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        }
        None => exchange.await,
    };
    let (stream, response) = outcome.map_err(lost)?;
    match response {
        Response::NoNode(node) => Err(HostError::NoNode { session: session.to_owned(), node }),
        Response::Exists(name) => Err(HostError::Exists { name }),
        Response::Failed(reason) => Err(HostError::Failed { action: format!("cluster {session:?}"), reason }),
        response => Ok((stream, response)),
    }
}

/// The supervisor answered something else than it was asked.
pub(crate) fn unexpected(session: &str, response: &Response) -> HostError {
    HostError::Failed { action: format!("cluster {session:?}"), reason: format!("unexpected answer {response:?}") }
}

/// A byte stream to an address inside the session.
pub(crate) async fn dial(folder: &Path, session: &str, addr: SocketAddr) -> Result<Box<dyn Stream>, HostError> {
    match open(folder, session, &Request::Dial { addr }).await? {
        (stream, Response::Done) => Ok(Box::new(stream)),
        (_, other) => Err(unexpected(session, &other)),
    }
}

/// Opens a terminal or attaches to one.
pub(crate) async fn terminal(
    folder: &Path,
    session: &str,
    node: &str,
    spec: &TerminalSpec,
) -> Result<Terminal, HostError> {
    let (stream, response) =
        open(folder, session, &Request::Terminal { node: node.to_owned(), spec: spec.clone() }).await?;
    if !matches!(response, Response::Done) {
        return Err(unexpected(session, &response));
    }
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (give, output) = mpsc::channel(QUEUE);
    let (input, mut typed) = mpsc::channel::<Vec<u8>>(QUEUE);
    let (resize, mut sizes) = watch::channel((spec.cols, spec.rows));
    let (tell, exit) = watch::channel(None);
    tokio::spawn(async move {
        // Ends with the terminal, or when nobody takes its output any more.
        loop {
            let mut head = [0_u8; 5];
            if reader.read_exact(&mut head).await.is_err() {
                return;
            }
            let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
            if length > frame::LIMIT {
                return;
            }
            let mut bytes = vec![0; length];
            if reader.read_exact(&mut bytes).await.is_err() {
                return;
            }
            match head[0] {
                frame::EXIT => {
                    let code = <[u8; 4]>::try_from(bytes.as_slice()).map_or(-1, i32::from_le_bytes);
                    tell.send_replace(Some(code));
                    return;
                }
                _ if give.send(bytes).await.is_err() => return,
                _ => {}
            }
        }
    });
    tokio::spawn(async move {
        loop {
            let frame = tokio::select! {
                bytes = typed.recv() => match bytes {
                    Some(bytes) => encode(frame::DATA, &bytes),
                    None => return,
                },
                changed = sizes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let (cols, rows) = *sizes.borrow_and_update();
                    encode(frame::RESIZE, &[cols.to_le_bytes(), rows.to_le_bytes()].concat())
                }
            };
            if writer.write_all(&frame).await.is_err() {
                return;
            }
        }
    });
    Ok(Terminal { output, input, resize, exit })
}

fn encode(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend(u32::try_from(bytes.len()).unwrap_or_default().to_le_bytes());
    frame.extend(bytes);
    frame
}
