//! Talking to a session's supervisor over the socket in its folder.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use drydock_engine::host::{HostError, Stream, Terminal, TerminalSpec};
use drydock_supervisor::client;
use drydock_supervisor::protocol::{Request, Response, socket};
use tokio::io::BufReader;
use tokio::net::UnixStream;

/// Asks one question.
pub(crate) async fn ask(folder: &Path, session: &str, request: &Request) -> Result<Response, HostError> {
    let (_, response) = open(folder, session, request).await?;
    Ok(response)
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
        let response = client::exchange(&mut stream, request).await?;
        Ok((stream, response))
    };
    let outcome = match client::patience(request) {
        Some(patience) => {
            tokio::time::timeout(patience, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        }
        None => exchange.await,
    };
    let (stream, response) = outcome.map_err(lost)?;
    Ok((stream, client::accepted(session, response)?))
}

/// A byte stream to an address inside the session, from its network or from a node.
pub(crate) async fn dial(
    folder: &Path,
    session: &str,
    addr: SocketAddr,
    node: Option<String>,
) -> Result<Box<dyn Stream>, HostError> {
    let (stream, response) = open(folder, session, &Request::Dial { addr, node }).await?;
    response.done(session)?;
    Ok(Box::new(stream))
}

/// Opens a terminal or attaches to one.
pub(crate) async fn terminal(
    folder: &Path,
    session: &str,
    node: &str,
    spec: &TerminalSpec,
) -> Result<Terminal, HostError> {
    let request = Request::Terminal { node: node.to_owned(), spec: spec.clone() };
    let (stream, response) = open(folder, session, &request).await?;
    response.done(session)?;
    Ok(client::terminal(stream, spec))
}
