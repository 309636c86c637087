//! A browser as far as the server is concerned: cookies, requests, an event stream, a terminal.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// One browser.
pub(super) struct Browser {
    address: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// One that was never here.
    pub(super) fn new(address: &str) -> Browser {
        Browser { address: address.to_owned(), cookies: BTreeMap::new() }
    }

    fn cookie(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// HTTP 1.0, so that the end of the answer is the connection's end.
    async fn send(&self, method: &str, path: &str, body: &str) -> anyhow::Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let (address, cookie, length) = (&self.address, self.cookie(), body.len());
        let cookie = if cookie.is_empty() { cookie } else { format!("Cookie: {cookie}\r\n") };
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{cookie}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).await?;
        Ok(stream)
    }

    /// Asks for something; an answer that blames anybody is an error.
    pub(super) async fn ask(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<Vec<u8>> {
        let mut stream = self.send(method, path, body).await?;
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await??;
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").context("no head")?;
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head.split(' ').nth(1).unwrap_or_default();
        if !status.starts_with('2') {
            bail!("{method} {path}: {status}: {}", String::from_utf8_lossy(&answer[end..]).trim());
        }
        for line in head.lines() {
            let Some((name, value)) = line.split_once(": ") else { continue };
            let pair = value.split(';').next().and_then(|pair| pair.split_once('='));
            if let (true, Some((name, value))) = (name.eq_ignore_ascii_case("set-cookie"), pair) {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(answer.split_off(end + 4))
    }

    /// Asks for JSON.
    pub(super) async fn json(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.ask(method, path, body).await?)?)
    }

    /// The events of a session, or of a class.
    pub(super) async fn events(&self, of: &str) -> anyhow::Result<Events> {
        let stream = self.send("GET", &format!("/api/v1{of}/events"), "").await?;
        Ok(Events { lines: BufReader::new(stream).lines() })
    }

    /// A shell on the workstation, at its prompt.
    pub(super) async fn terminal(&self, session: &str) -> anyhow::Result<Terminal> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let address = &self.address;
        let path = format!("ws://{address}/api/v1/sessions/{session}/terminals/load?node=workstation&cols=100&rows=30");
        let mut asked = path.into_client_request()?;
        asked.headers_mut().insert("cookie", self.cookie().parse()?);
        let (socket, _) = tokio_tungstenite::client_async(asked, stream).await?;
        let mut terminal = Terminal { socket };
        terminal.until("# ").await?;
        Ok(terminal)
    }
}

/// A stream of server-sent events.
pub(super) struct Events {
    lines: Lines<BufReader<TcpStream>>,
}

impl Events {
    /// The next event; none at the stream's end.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        while let Some(line) = self.lines.next_line().await? {
            if let Some(data) = line.strip_prefix("data:") {
                return Ok(Some(serde_json::from_str(data)?));
            }
        }
        Ok(None)
    }

    /// The next event that `accepts` takes.
    pub(super) async fn wait(&mut self, what: &str, accepts: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        let wait = async {
            while let Some(event) = self.next().await? {
                if accepts(&event) {
                    return Ok(());
                }
            }
            bail!("the events ended before {what}")
        };
        tokio::time::timeout(PATIENCE, wait).await.with_context(|| format!("no {what} in {} s", PATIENCE.as_secs()))?
    }
}

/// A terminal.
pub(super) struct Terminal {
    socket: WebSocketStream<TcpStream>,
}

impl Terminal {
    /// Types one character; how long until it was on the screen.
    pub(super) async fn key(&mut self, key: char) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let text = key.to_string();
        self.socket.send(Message::binary(text.clone().into_bytes())).await?;
        self.until(&text).await?;
        Ok(begun.elapsed())
    }

    /// Ends the line; how long until the next prompt.
    pub(super) async fn enter(&mut self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.socket.send(Message::binary(&b"\r"[..])).await?;
        self.until("# ").await?;
        Ok(begun.elapsed())
    }

    async fn until(&mut self, what: &str) -> anyhow::Result<()> {
        let mut seen = String::new();
        while !seen.contains(what) {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            let message =
                message.with_context(|| format!("no {what:?} in {seen:?}"))?.context("the terminal closed")??;
            if let Message::Binary(bytes) = message {
                seen.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        Ok(())
    }
}
