//! One session's state and its stream of events: a page that comes back gets what it missed, or a snapshot.

mod class;
mod cluster;
mod lesson;
mod life;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use drydock_engine::Stage;
use drydock_protocol::{
    Answered, CheckStatus, ClassSeat, Envelope, HintStatus, Notice, NoticeLevel, Session, SessionEvent, SessionState,
    Snapshot, StartStage, StartStep, StepState, Topology, Trace,
};
use tokio::sync::{Notify, Semaphore, broadcast, watch};

pub(crate) use class::{OpenTerminal, Progress, Watching};
pub(crate) use lesson::{Found, Looked};

use super::{Policy, millis, now_millis, start_stage};
use crate::error::Error;
use crate::store::{SessionRow, Store};

/// Events kept for pages that come back.
const KEPT: usize = 512;
/// Traces kept.
const TRACES: usize = 20;

/// One session.
pub(crate) struct Hub {
    store: Store,
    id: String,
    /// The name that its cluster gets, unless it is given one that is there already.
    name: String,
    given: OnceLock<String>,
    inner: Mutex<Inner>,
    events: broadcast::Sender<Envelope>,
    /// Counts clusters that are over.
    closed: watch::Sender<u64>,
    nodes_changed: Notify,
    nodes_turn: tokio::sync::Mutex<()>,
    log_streams: Arc<Semaphore>,
    previews: Arc<Semaphore>,
    gateway: Arc<Semaphore>,
    warned: AtomicBool,
    desk: lesson::Desk,
    lectern: class::Lectern,
    life: life::Life,
}

struct Inner {
    row: SessionRow,
    session: Session,
    topology: Topology,
    checks: Vec<CheckStatus>,
    hints: Vec<HintStatus>,
    traces: VecDeque<Trace>,
    class: Option<Box<ClassSeat>>,
    kept: VecDeque<Envelope>,
    seq: u64,
}

/// A session's description from its row.
pub(super) fn describe(row: &SessionRow, steps_done: Vec<String>, answered: Vec<Answered>, policy: &Policy) -> Session {
    Session {
        id: row.id.clone(),
        name: row.name.clone(),
        lesson: row.lesson.clone(),
        own: false,
        state: row.state,
        reason: row.reason.clone(),
        ended: None,
        queue: None,
        manifests: false,
        created_millis: row.created_millis,
        expires_millis: row.expires_millis,
        now_millis: now_millis(),
        extend_millis: extension(row, policy),
        nodes: row.workers + 1,
        nodes_ready: 0,
        start_millis: row.start_millis,
        memory_bytes: None,
        start: waiting(),
        steps_done,
        answered,
        may_break: Vec::new(),
        faults: Vec::new(),
    }
}

fn waiting() -> Vec<StartStep> {
    StartStage::ALL.map(|stage| StartStep { stage, state: StepState::Waiting, at_millis: None }).to_vec()
}

fn extension(row: &SessionRow, policy: &Policy) -> u64 {
    let last = row.created_millis + millis(policy.longest);
    millis(policy.time_limit).min(last.saturating_sub(row.expires_millis))
}

impl Hub {
    /// A session with what was fulfilled in earlier runs.
    pub(super) fn new(
        row: SessionRow,
        steps_done: Vec<String>,
        answered: Vec<Answered>,
        store: Store,
        policy: &Policy,
    ) -> Hub {
        let session = describe(&row, steps_done, answered, policy);
        Hub {
            store,
            id: row.id.clone(),
            name: row.name.clone(),
            given: OnceLock::new(),
            inner: Mutex::new(Inner {
                row,
                session,
                topology: Topology::default(),
                checks: Vec::new(),
                hints: Vec::new(),
                traces: VecDeque::new(),
                class: None,
                kept: VecDeque::new(),
                // Above all numbers of the server's earlier runs: a page that kept one of those gets a snapshot.
                seq: now_millis(),
            }),
            events: broadcast::Sender::new(KEPT),
            closed: watch::Sender::new(0),
            nodes_changed: Notify::new(),
            nodes_turn: tokio::sync::Mutex::default(),
            log_streams: Arc::new(Semaphore::new(cluster::LOG_STREAMS)),
            previews: Arc::new(Semaphore::new(cluster::PREVIEWS)),
            gateway: Arc::new(Semaphore::new(cluster::GATEWAY)),
            warned: AtomicBool::new(false),
            desk: lesson::Desk::new(),
            lectern: class::Lectern::new(),
            life: life::Life::new(Instant::now()),
        }
    }

    /// The unguessable identifier.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The cluster's name.
    pub(crate) fn name(&self) -> &str {
        self.given.get().unwrap_or(&self.name)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As it is now.
    pub(crate) fn session(&self) -> Session {
        let mut session = self.lock().session.clone();
        session.now_millis = now_millis();
        session
    }

    /// Events from `after` on (what was missed first), or from a snapshot if those are not kept any more.
    pub(crate) fn subscribe(&self, after: Option<u64>) -> (Vec<Envelope>, broadcast::Receiver<Envelope>) {
        let inner = self.lock();
        let receiver = self.events.subscribe();
        if let Some(after) = after {
            let oldest = inner.kept.front().map_or(inner.seq + 1, |event| event.seq);
            if after <= inner.seq && after + 1 >= oldest {
                return (inner.kept.iter().filter(|event| event.seq > after).cloned().collect(), receiver);
            }
        }
        let mut session = inner.session.clone();
        session.now_millis = now_millis();
        let snapshot = Snapshot {
            session,
            topology: inner.topology.clone(),
            checks: inner.checks.clone(),
            hints: inner.hints.clone(),
            traces: inner.traces.iter().cloned().collect(),
            class: inner.class.clone(),
        };
        (vec![Envelope { seq: inner.seq, event: SessionEvent::Snapshot(Box::new(snapshot)) }], receiver)
    }

    /// Looks at the cluster's objects.
    pub(crate) fn observe<T>(&self, at: impl FnOnce(&Topology) -> T) -> T {
        at(&self.lock().topology)
    }

    /// Whether a page listens.
    pub(crate) fn is_watched(&self) -> bool {
        self.events.receiver_count() > 0
    }

    /// Remembers an event and sends it to the pages.
    pub(crate) fn publish(&self, event: SessionEvent) {
        self.publish_locked(&mut self.lock(), event);
    }

    fn publish_locked(&self, inner: &mut Inner, event: SessionEvent) {
        match &event {
            SessionEvent::Upsert { objects } => objects.iter().cloned().for_each(|it| inner.topology.upsert(it)),
            SessionEvent::Remove { keys } => keys.iter().for_each(|key| {
                inner.topology.remove(key);
            }),
            SessionEvent::Trace { trace } => {
                inner.traces.retain(|known| known.id != trace.id);
                // A chain is always told whole: what was told of it before is not worth keeping.
                inner.kept.retain(
                    |kept| !matches!(&kept.event, SessionEvent::Trace { trace: known } if known.id == trace.id),
                );
                inner.traces.push_back(trace.clone());
                while inner.traces.len() > TRACES {
                    inner.traces.pop_front();
                }
            }
            SessionEvent::Hints { hints } => inner.hints.clone_from(hints),
            SessionEvent::Class { class } => inner.class.clone_from(class),
            SessionEvent::Snapshot(_)
            | SessionEvent::Session { .. }
            | SessionEvent::Checks { .. }
            | SessionEvent::Notice { .. } => {}
        }
        inner.seq += 1;
        let envelope = Envelope { seq: inner.seq, event };
        inner.kept.push_back(envelope.clone());
        while inner.kept.len() > KEPT {
            inner.kept.pop_front();
        }
        // Nobody listening is fine.
        let _ = self.events.send(envelope);
    }

    /// Changes the session and tells the pages, unless nothing changed.
    fn change(&self, change: impl FnOnce(&mut SessionRow, &mut Session)) {
        let mut inner = self.lock();
        let before = inner.session.clone();
        let Inner { row, session, .. } = &mut *inner;
        change(row, session);
        if inner.session != before {
            inner.session.now_millis = now_millis();
            let session = Box::new(inner.session.clone());
            self.publish_locked(&mut inner, SessionEvent::Session { session });
        }
    }

    /// Sets where the session is in its life; a reason once given stays.
    pub(super) fn set_state(&self, state: SessionState, reason: Option<String>) {
        self.change(|row, session| {
            row.state = state;
            if reason.is_some() {
                row.reason = reason;
            }
            session.state = row.state;
            session.reason.clone_from(&row.reason);
        });
    }

    /// Notes a stage of coming up.
    pub(super) fn reached(&self, stage: Stage) {
        self.change(|row, session| {
            let at = now_millis().saturating_sub(row.created_millis);
            let (current, state) = start_stage(stage);
            for step in &mut session.start {
                if StartStage::ALL.iter().position(|it| *it == step.stage)
                    < StartStage::ALL.iter().position(|it| *it == current)
                {
                    if step.state != StepState::Done {
                        step.state = StepState::Done;
                        step.at_millis = Some(at);
                    }
                } else if step.stage == current {
                    step.state = state;
                    step.at_millis = (state == StepState::Done).then_some(at);
                }
            }
        });
    }

    /// All nodes are Ready; what the lesson does before the learner does not count as the start's time.
    pub(super) fn came_up(&self) {
        self.change(|row, session| {
            if row.start_millis.is_none() {
                let millis = now_millis().saturating_sub(row.created_millis);
                row.start_millis = Some(millis);
                crate::metrics::SESSION_START.observe(std::time::Duration::from_millis(millis));
            }
            session.start_millis = row.start_millis;
            session.nodes_ready = session.nodes;
        });
    }

    /// The learner can begin, unless the session is ending already.
    pub(super) fn started(&self) -> bool {
        let mut started = false;
        self.change(|row, session| {
            if session.state == SessionState::Starting {
                row.state = SessionState::Ready;
                session.state = SessionState::Ready;
                started = true;
            }
        });
        started
    }

    /// Begins anew: nothing of the old cluster is shown any more.
    pub(super) fn restart(&self) {
        let mut inner = self.lock();
        inner.topology = Topology::default();
        inner.checks.clear();
        inner.hints.clear();
        inner.traces.clear();
        inner.kept.clear();
        inner.row.state = SessionState::Starting;
        inner.session.state = SessionState::Starting;
        inner.session.steps_done.clear();
        inner.session.answered.clear();
        inner.session.start = waiting();
        inner.session.nodes_ready = 0;
        inner.session.faults.clear();
        inner.session.now_millis = now_millis();
        let snapshot = Snapshot { session: inner.session.clone(), class: inner.class.clone(), ..Snapshot::default() };
        self.publish_locked(&mut inner, SessionEvent::Snapshot(Box::new(snapshot)));
        drop(inner);
        // The watch of the old cluster ends; the next one begins with another receiver.
        self.closed.send_modify(|clusters| *clusters += 1);
    }

    /// Adds time; whether there was any to add.
    pub(super) fn extend(&self, policy: &Policy) -> bool {
        let mut extended = false;
        self.change(|row, session| {
            let more = extension(row, policy);
            extended = more > 0;
            row.expires_millis += more;
            session.expires_millis = row.expires_millis;
            session.extend_millis = extension(row, policy);
        });
        self.warned.store(false, Ordering::Relaxed);
        extended
    }

    /// Sets when the session ends, whatever its time limit.
    pub(super) fn end_at(&self, millis: u64) {
        self.set_class_ends(millis);
        self.change(|row, session| {
            row.expires_millis = millis;
            session.expires_millis = millis;
            session.extend_millis = 0;
        });
        self.warned.store(false, Ordering::Relaxed);
    }

    /// Says once that the end is near.
    pub(super) fn warn_once(&self) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let notice = Notice {
                level: NoticeLevel::Warning,
                code: "expires_soon".to_owned(),
                message: "This session ends in less than five minutes. Extend it if you need more time.".to_owned(),
            };
            self.publish(SessionEvent::Notice { notice });
        }
    }

    /// How many nodes are Ready.
    pub(crate) fn set_nodes_ready(&self, ready: u16) {
        self.change(|_, session| session.nodes_ready = ready);
    }

    /// Memory of the whole session, rounded so that noise is no news.
    pub(crate) fn set_memory(&self, bytes: u64) {
        const STEP: u64 = 100_000;
        self.change(|_, session| session.memory_bytes = Some(bytes / STEP * STEP));
    }

    /// Stores the session's row.
    pub(super) async fn save(&self) -> Result<(), Error> {
        let row = self.lock().row.clone();
        Ok(self.store.put_session(&row).await?)
    }

    /// Whether the session is over or ending.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.lock().session.state, SessionState::Ending | SessionState::Ended | SessionState::Failed)
    }

    /// Changes when the cluster that is there now is not to be watched any more.
    pub(crate) fn closed(&self) -> watch::Receiver<u64> {
        self.closed.subscribe()
    }

    /// Draws the picture anew: the host changed something that no watch shows.
    pub(super) fn wake(&self) {
        self.nodes_changed.notify_one();
    }

    /// Resolves after [`Hub::wake`].
    pub(crate) async fn nodes_changed(&self) {
        self.nodes_changed.notified().await;
    }
}

#[cfg(test)]
mod tests;
