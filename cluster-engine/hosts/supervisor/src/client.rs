//! Talking to a supervisor over any stream that leads to its socket.

use std::io;
use std::time::Duration;

use drydock_engine::host::{ExecOutput, HostError, HostSession, NodeUsage, Terminal, TerminalSpec};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, watch};

use crate::protocol::{Request, Response, frame};

/// Pieces of output that wait for the reader; the rest waits in the supervisor.
const QUEUE: usize = 32;

/// How long an answer may take; a command takes as long as it takes.
#[must_use]
pub fn patience(request: &Request) -> Option<Duration> {
    const PLAIN: Duration = Duration::from_secs(30);
    match request {
        Request::Exec { .. } => None,
        Request::StopNode { grace_millis, .. } => Some(PLAIN.saturating_add(Duration::from_millis(*grace_millis))),
        _ => Some(PLAIN),
    }
}

/// Asks one question. The stream takes the next one after an answer, and bytes after that to [`Request::Dial`].
///
/// # Errors
/// When the stream breaks or the answer is not one.
pub async fn exchange<S>(stream: &mut BufReader<S>, request: &Request) -> io::Result<Response>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    stream.read_until(b'\n', &mut answer).await?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&answer)?)
}

/// A refusal as the host's error.
///
/// # Errors
/// When the answer is one.
pub fn accepted(session: &str, response: Response) -> Result<Response, HostError> {
    match response {
        Response::NoNode(node) => Err(HostError::NoNode { session: session.to_owned(), node }),
        Response::Exists(name) => Err(HostError::Exists { name }),
        Response::Failed(reason) => Err(HostError::Failed { action: format!("cluster {session:?}"), reason }),
        response => Ok(response),
    }
}

/// The supervisor answered something else than it was asked.
fn unexpected(session: &str, response: &Response) -> HostError {
    HostError::Failed { action: format!("cluster {session:?}"), reason: format!("unexpected answer {response:?}") }
}

/// What each kind of question is answered with; anything else is [`unexpected`].
impl Response {
    /// Of what is only done.
    ///
    /// # Errors
    /// When it is another answer.
    pub fn done(self, session: &str) -> Result<(), HostError> {
        match self {
            Self::Done => Ok(()),
            other => Err(unexpected(session, &other)),
        }
    }

    /// Of [`Request::Session`].
    ///
    /// # Errors
    /// When it is another answer.
    pub fn session(self, session: &str) -> Result<HostSession, HostError> {
        match self {
            Self::Session(found) => Ok(found),
            other => Err(unexpected(session, &other)),
        }
    }

    /// Of [`Request::Exec`].
    ///
    /// # Errors
    /// When it is another answer.
    pub fn output(self, session: &str) -> Result<ExecOutput, HostError> {
        match self {
            Self::Exec(output) => Ok(output),
            other => Err(unexpected(session, &other)),
        }
    }

    /// Of [`Request::ReadFile`].
    ///
    /// # Errors
    /// When it is another answer.
    pub fn bytes(self, session: &str) -> Result<Vec<u8>, HostError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => Err(unexpected(session, &other)),
        }
    }

    /// Of [`Request::Usage`].
    ///
    /// # Errors
    /// When it is another answer.
    pub fn usage(self, session: &str) -> Result<Vec<NodeUsage>, HostError> {
        match self {
            Self::Usage(usage) => Ok(usage),
            other => Err(unexpected(session, &other)),
        }
    }
}

/// Carries a terminal over a stream on which [`Request::Terminal`] was answered.
pub fn terminal<S>(stream: BufReader<S>, spec: &TerminalSpec) -> Terminal
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
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
                    None => break,
                },
                changed = sizes.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let (cols, rows) = *sizes.borrow_and_update();
                    encode(frame::RESIZE, &[cols.to_le_bytes(), rows.to_le_bytes()].concat())
                }
            };
            if writer.write_all(&frame).await.is_err() || writer.flush().await.is_err() {
                return;
            }
        }
        // Tells the other side, even where both directions are not one socket.
        let _ = writer.shutdown().await;
    });
    Terminal { output, input, resize, exit }
}

fn encode(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend(u32::try_from(bytes.len()).unwrap_or_default().to_le_bytes());
    frame.extend(bytes);
    frame
}
