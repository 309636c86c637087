//! How soon a typed character is on the screen while a whole class types: through server, supervisor, PTY and shell.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use drydock_tests_harness::http::{cookies, request};
use drydock_tests_harness::{Product, Server, wait_for_within};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// Sessions at once.
pub(crate) const SESSIONS: usize = 20;
/// Characters typed in each.
pub(crate) const KEYS: usize = 50;
/// Between two characters: a fast typist's pace.
const PACE: Duration = Duration::from_millis(150);
/// How long a start or an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The times of all echoes.
pub(crate) async fn times(product: &Product) -> anyhow::Result<Vec<Duration>> {
    let server = Server::start(product, &["--max-sessions", &SESSIONS.to_string()]);
    let address = server.address();
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let session = request(address, "POST", "/api/v1/sessions", r#"{"workers":2}"#);
        sessions.push(session["id"].as_str().with_context(|| format!("no session: {session}"))?.to_owned());
    }
    for id in &sessions {
        ready(address, id);
    }
    let typists: Vec<_> = sessions.iter().map(|id| tokio::spawn(typed(address.to_owned(), id.clone()))).collect();
    let mut all = Vec::new();
    for typist in typists {
        all.extend(typist.await??);
    }
    Ok(all)
}

fn ready(address: &str, id: &str) {
    wait_for_within(PATIENCE, "a session", || {
        let session = request(address, "GET", &format!("/api/v1/sessions/{id}"), "");
        if session["state"] == "Ready" { Ok(()) } else { Err(session.to_string()) }
    });
}

/// Types in one session's terminal.
async fn typed(address: String, id: String) -> anyhow::Result<Vec<Duration>> {
    let stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let path = format!("ws://{address}/api/v1/sessions/{id}/terminals/echo?node=workstation&cols=80&rows=24");
    let mut asked = path.into_client_request()?;
    asked.headers_mut().insert("cookie", cookies(&address).parse()?);
    let (mut socket, _) = tokio_tungstenite::client_async(asked, stream).await?;
    until(&mut socket, "# ").await?;
    let mut times = Vec::new();
    for _ in 0..KEYS {
        tokio::time::sleep(PACE).await;
        let begun = Instant::now();
        socket.send(Message::binary(&b"x"[..])).await?;
        until(&mut socket, "x").await?;
        times.push(begun.elapsed());
        // Rubbed out again, so that the line stays short.
        socket.send(Message::binary(&b"\x7f"[..])).await?;
        until(&mut socket, "\u{8}").await?;
    }
    Ok(times)
}

async fn until<S>(socket: &mut tokio_tungstenite::WebSocketStream<S>, what: &str) -> anyhow::Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut seen = String::new();
    while !seen.contains(what) {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await;
        let message = message.with_context(|| format!("no {what:?} in {seen:?}"))?.context("the terminal closed")??;
        if let Message::Binary(bytes) = message {
            seen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    Ok(())
}
