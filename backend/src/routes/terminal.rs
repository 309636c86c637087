//! Terminals: a WebSocket on one side, the host's PTY on the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use drydock_engine::host::{NodeRole, Terminal, TerminalSpec};
use drydock_engine::native::{NODE_SHELL, WORKSTATION};
use drydock_protocol::TerminalControl;
use drydock_protocol::terminal::WINDOW;
use serde::Deserialize;

use super::App;
use crate::access::{self, Seat, Use};
use crate::classroom::{BEFORE_COMMAND, CommandLines};
use crate::error::{Error, chain};
use crate::metrics;
use crate::sessions::{Hub, OpenTerminal, Sessions};

/// How long the exit code may come after the last output; without one, the host has cut off a page that was too slow.
const LINGER: Duration = Duration::from_millis(500);
/// One frame of a learner is never larger than this.
const FRAME_LIMIT: usize = 256 * 1024;

/// `?node=&cols=&rows=`
#[derive(Deserialize)]
pub(super) struct Size {
    #[serde(default = "workstation")]
    node: String,
    #[serde(default = "columns")]
    cols: u16,
    #[serde(default = "rows")]
    rows: u16,
}

fn workstation() -> String {
    WORKSTATION.to_owned()
}

fn columns() -> u16 {
    80
}

fn rows() -> u16 {
    24
}

/// GET /sessions/{id}/terminals/{terminal}
pub(super) async fn open(
    State(app): State<App>,
    seat: Seat,
    Path((id, mut terminal)): Path<(String, String)>,
    Query(mut size): Query<Size>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Error> {
    if terminal.is_empty()
        || terminal.len() > 64
        || !terminal.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    {
        return Err(Error::Invalid("A terminal's name is made of letters, digits, '-' and '_'.".to_owned()));
    }
    let hub = app.sessions.hub(&id).await?;
    let works = seat.may(Use::Act);
    if !works {
        // Who only watches opens no shell: they see one that is open.
        let open = hub.open_terminal(&terminal);
        let open = open.ok_or_else(|| Error::NotFound("No terminal of this session is open now.".to_owned()))?;
        size = Size { node: open.node, cols: open.cols, rows: open.rows };
        terminal = open.id;
    }
    let host = app.sessions.engine().host().clone();
    let session = host.session(hub.name()).await?;
    let node = session.nodes.iter().find(|node| node.name == size.node);
    let node = node.ok_or_else(|| Error::NotFound(format!("This session has no node named {:?}.", size.node)))?;
    let argv: &[&str] = if node.role == NodeRole::Workstation { &["/bin/bash", "-l"] } else { &[NODE_SHELL, "sh"] };
    let mut env = BTreeMap::from([
        ("TERM".to_owned(), "xterm-256color".to_owned()),
        ("PS1".to_owned(), format!("{}:\\w# ", node.name)),
    ]);
    if node.role == NodeRole::Workstation && hub.is_in_class() {
        env.insert("PS0".to_owned(), BEFORE_COMMAND.to_owned());
    }
    let spec = TerminalSpec {
        id: terminal,
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        env,
        cols: size.cols.clamp(2, 1000),
        rows: size.rows.clamp(2, 1000),
    };
    let shown = OpenTerminal { id: spec.id.clone(), node: size.node.clone(), cols: spec.cols, rows: spec.rows };
    let name = hub.name().to_owned();
    let sessions = app.sessions.clone();
    Ok(upgrade.max_message_size(FRAME_LIMIT).on_upgrade(move |mut socket| async move {
        let _connected = metrics::TERMINALS.hold();
        metrics::TERMINALS_OPENED.add();
        match host.terminal(&name, &size.node, &spec).await {
            Ok(terminal) => {
                if !works {
                    // A learner knows when their instructor looks, whichever way.
                    let watching = seat.relation.instructor.then(|| app.classroom.watching(&hub));
                    let lost = std::pin::pin!(access::lost(app, seat, Use::Watch));
                    show(&mut socket, terminal, lost).await;
                    drop(watching);
                    return;
                }
                let lost = std::pin::pin!(access::lost(app, seat, Use::Act));
                hub.shows_terminal(&shown, true);
                let ended = carry(&mut socket, terminal, &sessions, &hub, shown, lost).await;
                hub.hides_terminal(&spec.id);
                if ended == Ended::Closed
                    && let Err(error) = host.close_terminal(&name, &spec.id).await
                {
                    tracing::warn!(session.name = name, error = chain(&error), "cannot close a terminal");
                }
            }
            Err(error) => {
                tracing::warn!(session.name = name, error = chain(&error), "cannot open a terminal");
                send(
                    &mut socket,
                    &TerminalControl::Error {
                        message: "No shell could be opened on this node; is it running?".to_owned(),
                    },
                )
                .await;
            }
        }
    }))
}

#[derive(PartialEq, Eq)]
enum Ended {
    /// The page is gone; the shell goes on.
    Detached,
    /// The page closed the tab.
    Closed,
    /// The shell ended.
    Exited,
}

/// How far the page is behind what was sent.
#[derive(Default)]
struct Flow {
    sent: u64,
    seen: Option<u64>,
}

impl Flow {
    /// Whether more may be sent: always, to a page that does not tell what it has shown.
    fn is_open(&self) -> bool {
        self.seen.is_none_or(|seen| self.sent.saturating_sub(seen) < WINDOW)
    }
}

/// Carries bytes both ways. The channels hold little and the page tells what it has shown, so a flood of output waits in
/// the PTY, not in memory, and an interrupt is seen at once.
async fn carry(
    socket: &mut WebSocket,
    terminal: Terminal,
    sessions: &Arc<Sessions>,
    hub: &Arc<Hub>,
    mut shown: OpenTerminal,
    mut lost: std::pin::Pin<&mut impl Future<Output = ()>>,
) -> Ended {
    let Terminal { mut output, input, resize, mut exit } = terminal;
    let mut flow = Flow::default();
    let mut lines = hub.is_in_class().then(CommandLines::default);
    // Command lines of what was kept from before were told already.
    let mut typed = false;
    loop {
        tokio::select! {
            () = &mut lost => {
                // A page that is gone misses nothing.
                let _ = socket.send(Message::Close(None)).await;
                return Ended::Detached;
            }
            bytes = output.recv(), if flow.is_open() => match bytes {
                Some(bytes) => {
                    flow.sent += bytes.len() as u64;
                    if let Some(line) = lines.as_mut().and_then(|lines| lines.last(&bytes)).filter(|_| typed) {
                        hub.commanded(&line);
                    }
                    if socket.send(Message::Binary(bytes.into())).await.is_err() {
                        return Ended::Detached;
                    }
                }
                None => {
                    let Ok(code) = tokio::time::timeout(LINGER, exit.wait_for(Option::is_some)).await else {
                        return Ended::Detached;
                    };
                    let code = code.ok().and_then(|code| *code);
                    send(socket, &TerminalControl::Exit { code: code.unwrap_or(-1) }).await;
                    return Ended::Exited;
                }
            },
            message = socket.recv() => match message {
                // The instructor asked for attention.
                Some(Ok(Message::Binary(_))) if hub.is_paused() => {}
                Some(Ok(Message::Binary(bytes))) => {
                    sessions.typed_in(hub);
                    // A line that is ended may have done what a lesson waits for.
                    if bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
                        hub.typed();
                        typed = true;
                        hub.shows_terminal(&shown, false);
                    }
                    if input.send(bytes.to_vec()).await.is_err() {
                        continue;
                    }
                }
                Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                    Ok(TerminalControl::Resize { cols, rows }) => {
                        (shown.cols, shown.rows) = (cols.clamp(2, 1000), rows.clamp(2, 1000));
                        resize.send_replace((shown.cols, shown.rows));
                        hub.shows_terminal(&shown, false);
                    }
                    Ok(TerminalControl::Seen { bytes }) => flow.seen = Some(bytes),
                    Ok(TerminalControl::Close) => return Ended::Closed,
                    Ok(TerminalControl::Exit { .. } | TerminalControl::Error { .. }) | Err(_) => {}
                },
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ended::Detached,
            },
        }
    }
}

/// Carries bytes one way: who only watches types nothing and sets no size.
async fn show(socket: &mut WebSocket, terminal: Terminal, mut lost: std::pin::Pin<&mut impl Future<Output = ()>>) {
    let Terminal { mut output, input: _input, resize: _resize, exit: _exit } = terminal;
    let mut flow = Flow::default();
    loop {
        tokio::select! {
            () = &mut lost => break,
            bytes = output.recv(), if flow.is_open() => {
                let Some(bytes) = bytes else { break };
                flow.sent += bytes.len() as u64;
                if socket.send(Message::Binary(bytes.into())).await.is_err() {
                    return;
                }
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    if let Ok(TerminalControl::Seen { bytes }) = serde_json::from_str(&text) {
                        flow.seen = Some(bytes);
                    }
                }
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
        }
    }
    // A page that is gone misses nothing.
    let _ = socket.send(Message::Close(None)).await;
}

async fn send(socket: &mut WebSocket, control: &TerminalControl) {
    let text = serde_json::to_string(control).unwrap_or_default();
    // A page that is gone misses nothing.
    let _ = socket.send(Message::Text(text.into())).await;
    let _ = socket.send(Message::Close(None)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_sent_no_more_than_the_window_ahead() {
        let mut flow = Flow { sent: 10 * WINDOW, seen: None };
        assert!(flow.is_open());
        flow.seen = Some(9 * WINDOW);
        assert!(!flow.is_open());
        flow.seen = Some(9 * WINDOW + 1);
        assert!(flow.is_open());
        // A page that claims more than it was sent gains nothing but its own flood.
        flow.seen = Some(u64::MAX);
        assert!(flow.is_open());
    }
}
