//! The queue: who waits, in which order, for what and for how long; and who has a turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use drydock_protocol::{CreateSession, EndReason, QueuePlace, Role, Session, SessionState, WaitsFor};
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::{Hub, Sessions, millis};
use crate::admission::measure::machine;
use crate::admission::{self, Amount, Decision, Held, Measured, Taught};
use crate::error::{Error, chain};
use crate::metrics;

/// Memory, disk and processes of a session that nobody has looked at yet (docs/PERFORMANCE.md).
const IDLE: Amount = Amount { memory: 26_000_000, disk: 18_000_000, pids: 38 };
/// Expected times are told in steps of this, so that pages are not told every second.
const STEP: Duration = Duration::from_secs(5);

/// Turns are given one after the other.
#[derive(Default)]
pub(super) struct Line {
    turn: Mutex<()>,
    /// Who asks for a session is counted before the next one who asks.
    door: Mutex<()>,
    /// The server ends: nobody gets a turn any more.
    closed: AtomicBool,
}

impl Sessions {
    /// Who waits, the next one first.
    pub(super) fn waiting(&self) -> Vec<Arc<Hub>> {
        let mut waiting = self.open();
        waiting.retain(|hub| hub.state() == SessionState::Pending);
        waiting.sort_by_key(|hub| hub.number());
        waiting
    }

    /// Accepts a session that a person asks for, see [`Sessions::create`]; those in classes are asked for by their classes.
    ///
    /// # Errors
    /// When they have as many as one may have at once, or it cannot be.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        request: &CreateSession,
        person: &str,
        role: Role,
    ) -> Result<Session, Error> {
        let _door = self.line.door.lock().await;
        let each = self.policy.each;
        let open = self.open().iter().filter(|hub| hub.counts_for(person)).count();
        if !admission::one_more(open, each, role) {
            return Err(Error::TooMany(each));
        }
        self.create(request, person).await
    }

    /// What was accepted.
    pub(super) fn held(&self) -> Vec<Held> {
        let sessions = self.open().into_iter().map(|hub| hub.session());
        let mut held: Vec<Held> = sessions
            .filter(|session| session.state != SessionState::Pending && !session.state.is_over())
            .map(|session| {
                let starting = session.state == SessionState::Starting;
                let memory = session.memory_bytes.unwrap_or(IDLE.memory);
                let used = if starting { Amount::default() } else { Amount { memory, ..IDLE } };
                Held { expected: Amount::expected(session.nodes.saturating_sub(1)), used, starting, warm: false }
            })
            .collect();
        held.extend(self.pool.held(IDLE));
        held
    }

    pub(super) fn measured(&self) -> Measured {
        machine(&self.policy.data)
    }

    /// Fails when a session of that size can never run here.
    pub(super) fn possible(&self, workers: u16) -> Result<(), Error> {
        let wish = Amount::expected(workers);
        let lack = match admission::plan(&self.measured(), &[], wish, &self.policy.rules) {
            Decision::Never(lack) => lack,
            Decision::Accept | Decision::Queue(_) => return Ok(()),
        };
        Err(Error::Capacity(match lack {
            WaitsFor::Places | WaitsFor::Turn => "This server takes no sessions.".to_owned(),
            WaitsFor::Memory => format!("This machine has too little memory for a cluster of {workers} workers."),
            WaitsFor::Disk => format!("This machine's disk is too small for a cluster of {workers} workers."),
            WaitsFor::Processes => {
                format!("This machine may not run as many processes as a cluster of {workers} workers needs.")
            }
        }))
    }

    /// Gives everybody a turn for whom there is room, in order, and tells the others where they stand.
    pub(super) fn advance(self: &Arc<Self>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let _turn = self.line.turn.lock().await;
            if self.line.closed.load(Ordering::Relaxed) {
                return;
            }
            let waiting = self.waiting();
            for (index, hub) in waiting.iter().enumerate() {
                if let Some(lack) = self.admit(hub).await {
                    self.tell(&waiting[index..], lack).await;
                    return;
                }
            }
        })
    }

    /// Nobody gets a turn any more.
    pub(super) async fn close_line(&self) {
        self.line.closed.store(true, Ordering::Relaxed);
        // Whoever is about to get one has it when this returns.
        drop(self.line.turn.lock().await);
    }

    /// Gives one a turn, or says what it waits for.
    async fn admit(self: &Arc<Self>, hub: &Arc<Hub>) -> Option<WaitsFor> {
        let workers = hub.session().nodes.saturating_sub(1);
        let places = self.policy.rules.places;
        if self.held().iter().filter(|it| !it.warm).count() >= places {
            return Some(WaitsFor::Places);
        }
        if let Some(cluster) = self.take_warm(workers).await {
            let name = cluster.spec.name.clone();
            match self.store.hand_over(&name, hub.id()).await {
                Ok(()) => {
                    self.note_turn(hub, Some(&name)).await;
                    let (sessions, hub) = (self.clone(), hub.clone());
                    tokio::spawn(async move {
                        hub.reached(drydock_engine::Stage::Ready);
                        sessions.came_up(&hub, &cluster).await;
                    });
                    return None;
                }
                Err(error) => {
                    tracing::error!(session.name = hub.name(), error = chain(&error), "cannot hand a cluster over");
                    self.pool.put(cluster);
                    return Some(WaitsFor::Turn);
                }
            }
        }
        loop {
            let wish = Amount::expected(workers);
            match admission::plan(&self.measured(), &self.held(), wish, &self.policy.rules) {
                Decision::Accept => break,
                // What nobody has must not stand in the way of somebody.
                Decision::Queue(WaitsFor::Memory | WaitsFor::Disk | WaitsFor::Processes)
                    if self.give_warm_back().await => {}
                Decision::Queue(lack) | Decision::Never(lack) => return Some(lack),
            }
        }
        self.note_turn(hub, None).await;
        let spec = self.spec(hub.name(), workers);
        tokio::spawn(self.clone().start(hub.clone(), spec));
        None
    }

    async fn note_turn(&self, hub: &Arc<Hub>, given: Option<&str>) {
        let (waited, places) = hub.turn(given, &self.policy);
        hub.keep().await;
        if places > 0 {
            metrics::QUEUE_WAIT.observe(waited);
        }
        if places > 0
            && let Err(error) = self.store.put_waited(hub.id(), millis(waited), places).await
        {
            tracing::warn!(session.name = hub.name(), error = chain(&error), "cannot note how long somebody waited");
        }
    }

    /// Tells everybody who waits where they stand.
    async fn tell(&self, waiting: &[Arc<Hub>], lack: WaitsFor) {
        let taught = self.taught().await;
        let running = self.open().into_iter().filter(|hub| {
            matches!(hub.state(), SessionState::Starting | SessionState::Ready | SessionState::Suspended)
        });
        let ends: Vec<Duration> = running
            .map(|hub| {
                let (age, left) = hub.span();
                admission::remaining(age, left, &taught)
            })
            .collect();
        for (index, hub) in waiting.iter().enumerate() {
            let expected = admission::expected_wait(index + 1, lack, &ends, &taught);
            let place = QueuePlace {
                position: u32::try_from(index + 1).unwrap_or(u32::MAX),
                expected_millis: expected.map(|it| millis(it).div_ceil(millis(STEP)) * millis(STEP)),
                waits_for: lack,
            };
            hub.set_place(Some(place));
        }
    }

    async fn taught(&self) -> Taught {
        match self.store.taught().await {
            Ok(means) => {
                let [stay, pace, start] = means.map(|mean| mean.map(Duration::from_millis));
                Taught { stay, pace, start }
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "cannot read how long others waited");
                Taught::default()
            }
        }
    }

    /// Who closed the page while waiting gives up the place after a while.
    pub(super) async fn expire_waiting(self: &Arc<Self>) {
        for hub in self.waiting() {
            if hub.quiet().0 > self.policy.queue_lease {
                let why = "The page was closed, so the place in the queue went to somebody else.";
                if let Err(error) = self.end_because(hub.id(), EndReason::Queue, why).await {
                    tracing::debug!(session.name = hub.name(), error = chain(&error), "gone already");
                }
            }
        }
    }
}
