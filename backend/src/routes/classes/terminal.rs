//! A learner's terminal as the instructor sees it: whatever the learner's page shows, in its size. The instructor's keys reach it
//! only while the learner has agreed.
//!
//! The host makes a program wait for whoever is attached and slow. Nobody who looks may slow a learner down, so output is taken from
//! the host at once and kept here; who is too far behind is attached anew, and sees the terminal as it is by then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use drydock_engine::host::{NodeHost, Terminal, TerminalSpec};
use drydock_protocol::WatchControl;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::classroom::{Asker, Classroom, Room};
use crate::error::{Error, chain};
use crate::identity::Instructor;
use crate::routes::App;
use crate::sessions::{Hub, OpenTerminal};

/// How often it is looked whether there is a session to look at by now.
const AGAIN: Duration = Duration::from_millis(500);
/// Bytes that are kept for one who looks; whoever is further behind starts over.
const BEHIND: usize = 1024 * 1024;
/// One frame of an instructor is never larger than this.
const FRAME_LIMIT: usize = 64 * 1024;

/// GET /classes/{class}/learners/{learner}/terminal
pub(crate) async fn watch(
    State(app): State<App>,
    Instructor(caller): Instructor,
    Path((class, learner)): Path<(String, u32)>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Error> {
    // Terminals are between the learner and who holds the class; operators have no part in it.
    let room = app.classroom.room(Asker { person: &caller.person, operator: false }, &class)?;
    if !app.classroom.has_member(&room, learner) {
        return Err(Error::NotFound("There is no such learner in this class.".to_owned()));
    }
    let watcher = Watcher { host: app.sessions.engine().host().clone(), classroom: app.classroom, room, learner };
    Ok(upgrade
        .max_message_size(FRAME_LIMIT)
        .on_upgrade(move |mut socket| async move { watcher.run(&mut socket).await }))
}

struct Watcher {
    host: Arc<dyn NodeHost>,
    classroom: Arc<Classroom>,
    room: Arc<Room>,
    learner: u32,
}

/// Why a terminal is not looked at any more.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    /// The instructor's page is gone.
    Page,
    /// There is another terminal, another size, another session or too much output.
    Terminal,
}

impl Watcher {
    async fn run(&self, socket: &mut WebSocket) {
        let mut waiting = false;
        while self.classroom.has_member(&self.room, self.learner) {
            let hub = self.classroom.watched_hub(&self.room, self.learner);
            let shown = hub.map(|hub| (hub.shown_terminal(), hub));
            let terminal = shown.as_ref().and_then(|(shown, _)| shown.borrow().clone());
            if let (Some((shown, hub)), Some(terminal)) = (shown, terminal) {
                waiting = false;
                if self.look(socket, &hub, shown, &terminal).await == Left::Page {
                    return;
                }
            } else {
                if !waiting && !say(socket, &WatchControl::Waiting).await {
                    return;
                }
                waiting = true;
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    message = socket.recv() => if is_over(message.as_ref()) { return },
                }
            }
        }
        say(socket, &WatchControl::Error { message: "The class or this learner was removed.".to_owned() }).await;
    }

    async fn look(
        &self,
        socket: &mut WebSocket,
        hub: &Arc<Hub>,
        mut shown: watch::Receiver<Option<OpenTerminal>>,
        terminal: &OpenTerminal,
    ) -> Left {
        // It is open: no program is started.
        let spec = TerminalSpec {
            id: terminal.id.clone(),
            argv: vec!["/bin/true".to_owned()],
            env: BTreeMap::new(),
            cols: terminal.cols,
            rows: terminal.rows,
        };
        let attached = match self.host.terminal(hub.name(), &terminal.node, &spec).await {
            Ok(attached) => attached,
            Err(error) => {
                tracing::debug!(session.name = hub.name(), error = chain(&error), "cannot look at a terminal");
                tokio::time::sleep(AGAIN).await;
                return Left::Terminal;
            }
        };
        let size = WatchControl::Shows { node: terminal.node.clone(), cols: terminal.cols, rows: terminal.rows };
        if !say(socket, &size).await {
            return Left::Page;
        }
        let _watching = self.classroom.watching(hub);
        let mut closed = hub.closed();
        tokio::select! {
            left = carry(socket, attached, hub.joint()) => left,
            _ = shown.wait_for(|now| now.as_ref() != Some(terminal)) => Left::Terminal,
            _ = closed.changed() => Left::Terminal,
            () = self.moved(hub) => Left::Terminal,
        }
    }

    /// Resolves when the learner has another session, or is not in the class any more.
    async fn moved(&self, hub: &Hub) {
        let mut tick = tokio::time::interval(AGAIN);
        while self.classroom.watched_hub(&self.room, self.learner).is_some_and(|now| now.id() == hub.id()) {
            tick.tick().await;
        }
    }
}

/// Carries a terminal's output to who looks, and what they type to the terminal while they may.
async fn carry(socket: &mut WebSocket, terminal: Terminal, mut joint: watch::Receiver<bool>) -> Left {
    let Terminal { output, input, .. } = terminal;
    let (mut kept, behind, _pump) = keep(output);
    let mut may_type = false;
    loop {
        if *joint.borrow_and_update() != may_type {
            may_type = !may_type;
            if !say(socket, &WatchControl::Joint { may_type }).await {
                return Left::Page;
            }
        }
        tokio::select! {
            changed = joint.changed() => if changed.is_err() { return Left::Terminal },
            bytes = kept.recv() => {
                let Some(bytes) = bytes else { return Left::Terminal };
                behind.fetch_sub(bytes.len(), Ordering::Relaxed);
                if socket.send(Message::Binary(bytes.into())).await.is_err() {
                    return Left::Page;
                }
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    if *joint.borrow() && input.send(bytes.to_vec()).await.is_err() {
                        return Left::Terminal;
                    }
                }
                message => if is_over(message.as_ref()) { return Left::Page },
            },
        }
    }
}

/// Takes output as it comes and keeps it, up to [`BEHIND`]; beyond that, it ends. Also gives the number of bytes that are kept, which
/// whoever takes them makes less, and what does the work until it is dropped.
fn keep(mut output: mpsc::Receiver<Vec<u8>>) -> (mpsc::UnboundedReceiver<Vec<u8>>, Arc<AtomicUsize>, JoinSet<()>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let behind = Arc::new(AtomicUsize::new(0));
    let count = behind.clone();
    let mut pump = JoinSet::new();
    pump.spawn(async move {
        while let Some(bytes) = output.recv().await {
            let full = count.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len() > BEHIND;
            if full || sender.send(bytes).is_err() {
                return;
            }
        }
    });
    (receiver, behind, pump)
}

fn is_over(message: Option<&Result<Message, axum::Error>>) -> bool {
    matches!(message, None | Some(Err(_) | Ok(Message::Close(_))))
}

/// Whether the page is still there.
async fn say(socket: &mut WebSocket, control: &WatchControl) -> bool {
    let text = serde_json::to_string(control).unwrap_or_default();
    socket.send(Message::Text(text.into())).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_too_far_behind_is_cut_off_and_never_waited_for() {
        let (sender, output) = mpsc::channel(1);
        let (mut kept, behind, _pump) = keep(output);
        let piece = vec![0; BEHIND / 4];
        for _ in 0..4 {
            sender.send(piece.clone()).await.expect("taken");
        }
        // Taken without anybody who reads; the fifth is too much.
        sender.send(piece.clone()).await.expect("taken");
        sender.closed().await;
        for _ in 0..4 {
            assert_eq!(kept.recv().await.map(|piece| piece.len()), Some(BEHIND / 4));
        }
        assert_eq!(kept.recv().await, None);
        assert!(behind.load(Ordering::Relaxed) > BEHIND);
    }

    #[tokio::test]
    async fn who_reads_goes_on() {
        let (sender, output) = mpsc::channel(1);
        let (mut kept, behind, _pump) = keep(output);
        for _ in 0..10 {
            sender.send(vec![0; BEHIND / 4]).await.expect("taken");
            let piece = kept.recv().await.expect("kept");
            behind.fetch_sub(piece.len(), Ordering::Relaxed);
        }
    }
}
