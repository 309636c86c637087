//! How the whole server is: put together for the operator when asked, and written down every half minute.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use drydock_protocol::operator::{Machine, Overview, Queue, Sample, ServerProcess, SessionLoad, StateCount, Warning};
use drydock_protocol::{Session, SessionState};

use super::machine::{self, Cpu};
use super::routes::{self, ROUTES};
use crate::sessions::{Sessions, now_millis};
use crate::store::Store;

/// Between two samples.
pub(crate) const STEP: Duration = Duration::from_secs(30);
/// How long samples are kept.
pub(crate) const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Shares of the processors are told over at least this long.
const SHORTEST: Duration = Duration::from_secs(1);
/// Below this much free disk, new sessions are at risk.
const DISK_LOW: u64 = 2 << 30;

/// What watches the server.
pub(crate) struct Monitor {
    sessions: Arc<Sessions>,
    data: PathBuf,
    database: PathBuf,
    started_millis: u64,
    max_sessions: usize,
    cpu: Mutex<Shares>,
}

/// Shares of the processors, as last worked out, and from where the next are counted.
struct Shares {
    from: Cpu,
    at: Instant,
    machine: f64,
    own: f64,
}

impl Shares {
    fn now() -> Shares {
        Shares { from: Cpu::read(), at: Instant::now(), machine: 0.0, own: 0.0 }
    }

    /// What held since the last time, or what was told then, if that was just now.
    fn read(&mut self) -> (f64, f64) {
        if self.at.elapsed() >= SHORTEST {
            let now = Cpu::read();
            (self.machine, self.own) = now.since(&self.from);
            (self.from, self.at) = (now, Instant::now());
        }
        (self.machine, self.own)
    }
}

impl Monitor {
    /// Watches a server whose files are in this data folder.
    pub(crate) fn new(sessions: Arc<Sessions>, data: PathBuf, database: PathBuf, max_sessions: usize) -> Monitor {
        let cpu = Mutex::new(Shares::now());
        Monitor { sessions, data, database, started_millis: now_millis(), max_sessions, cpu }
    }

    /// The machine and this process.
    pub(crate) fn resources(&self) -> (Machine, ServerProcess, Cpu) {
        let (machine_share, own_share) = self.cpu.lock().unwrap_or_else(PoisonError::into_inner).read();
        let cpu = Cpu::read();
        let machine = Machine { cpu_percent: machine_share, ..machine::machine(&self.data, &cpu) };
        (machine, ServerProcess { cpu_percent: own_share, ..machine::server(&self.database) }, cpu)
    }

    /// The sessions that are not over, newest first, and whether a page of each is open.
    pub(crate) fn sessions(&self) -> Vec<(Session, bool)> {
        let mut sessions: Vec<_> = self.sessions.open().iter().map(|hub| (hub.session(), hub.is_watched())).collect();
        sessions.sort_by(|(a, _), (b, _)| b.created_millis.cmp(&a.created_millis).then_with(|| a.name.cmp(&b.name)));
        sessions
    }

    /// When this server started.
    pub(crate) fn started_millis(&self) -> u64 {
        self.started_millis
    }

    /// Sessions at once.
    pub(crate) fn max_sessions(&self) -> usize {
        self.max_sessions
    }

    /// Clusters of the warm pool that are ready.
    pub(crate) fn warm(&self) -> usize {
        self.sessions.warm()
    }

    /// All that the operator's page shows.
    pub(crate) fn overview(&self) -> Overview {
        let (machine, server, _) = self.resources();
        let sessions = self.sessions();
        let now = now_millis();
        let mut overview = Overview {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now_millis: now,
            started_millis: self.started_millis,
            warnings: Vec::new(),
            machine,
            server,
            states: states(&sessions),
            max_sessions: self.max_sessions as u64,
            queue: queue(&sessions, now),
            starts: super::SESSION_START.read().durations(),
            terminals: super::TERMINALS.get(),
            preview_requests: super::PREVIEW_REQUESTS.get(),
            sessions: sessions.iter().map(|(session, watched)| load(session, *watched)).collect(),
            routes: routes::loads(ROUTES.read()),
        };
        overview.warnings = warnings(&overview);
        overview
    }

    /// Writes samples down until the server ends.
    pub(crate) async fn follow(self: Arc<Self>, store: Store) {
        let mut shares = Shares::now();
        let mut before = Counted::now();
        let mut tick = tokio::time::interval(STEP);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tick.tick().await;
        loop {
            tick.tick().await;
            let now = Counted::now();
            let (machine, ..) = self.resources();
            let sample = sample(&self.sessions(), &machine, shares.read().0, &before, &now);
            before = now;
            let oldest = sample.at_millis.saturating_sub(u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX));
            if let Err(error) = store.put_sample(&sample, oldest).await {
                tracing::warn!(%error, "cannot write down how the server is");
            }
        }
    }
}

/// Counters that samples tell the growth of.
struct Counted {
    starts: super::Buckets,
    requests: u64,
    failed: u64,
}

impl Counted {
    fn now() -> Counted {
        let (requests, failed) = routes::totals(&ROUTES.read());
        Counted { starts: super::SESSION_START.read(), requests, failed }
    }
}

fn sample(sessions: &[(Session, bool)], machine: &Machine, cpu: f64, before: &Counted, now: &Counted) -> Sample {
    let count = |wanted: &dyn Fn(SessionState) -> bool| {
        u32::try_from(sessions.iter().filter(|(session, _)| wanted(session.state)).count()).unwrap_or(u32::MAX)
    };
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let starts = now.starts.since(&before.starts);
    Sample {
        at_millis: now_millis(),
        sessions: count(&|state| state != SessionState::Pending),
        queued: count(&|state| state == SessionState::Pending),
        terminals: small(super::TERMINALS.get()),
        starts: small(starts.count()),
        start_max_millis: small((starts.quantile(1.0) * 1000.0) as u64),
        cpu_percent: cpu as f32,
        memory_used_bytes: machine.memory_total_bytes.saturating_sub(machine.memory_available_bytes),
        disk_free_bytes: machine.disk_free_bytes,
        requests: small(now.requests.saturating_sub(before.requests)),
        requests_failed: small(now.failed.saturating_sub(before.failed)),
    }
}

fn states(sessions: &[(Session, bool)]) -> Vec<StateCount> {
    let mut states: Vec<StateCount> = Vec::new();
    for (session, _) in sessions {
        match states.iter_mut().find(|known| known.state == session.state) {
            Some(known) => known.count += 1,
            None => states.push(StateCount { state: session.state, count: 1 }),
        }
    }
    states.sort_by_key(|known| std::cmp::Reverse(known.count));
    states
}

/// Who waits for a place.
pub(crate) fn queue(sessions: &[(Session, bool)], now: u64) -> Queue {
    let waiting = || sessions.iter().filter(|(session, _)| session.state == SessionState::Pending);
    let oldest = waiting().map(|(session, _)| session.created_millis).min();
    Queue { length: waiting().count() as u64, oldest_millis: oldest.map_or(0, |oldest| now.saturating_sub(oldest)) }
}

fn load(session: &Session, watched: bool) -> SessionLoad {
    SessionLoad {
        id: session.id.clone(),
        name: session.name.clone(),
        state: session.state,
        lesson: session.lesson.clone(),
        created_millis: session.created_millis,
        expires_millis: session.expires_millis,
        start_millis: session.start_millis,
        nodes: session.nodes,
        nodes_ready: session.nodes_ready,
        memory_bytes: session.memory_bytes,
        watched,
    }
}

/// What wants the operator's eye, worst first.
fn warnings(now: &Overview) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code: &str, message: String| warnings.push(Warning { code: code.to_owned(), message });
    let machine = &now.machine;
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    if machine.disk_free_bytes < DISK_LOW.max(machine.disk_total_bytes / 20) {
        let free = gigabytes(machine.disk_free_bytes);
        warn(
            "disk_low",
            format!("Only {free:.1} GB are left on the data folder's disk: make room, or sessions will fail."),
        );
    }
    if machine.memory_available_bytes < machine.memory_total_bytes / 10 {
        let free = gigabytes(machine.memory_available_bytes);
        warn(
            "memory_low",
            format!("Only {free:.1} GB of memory are left: end sessions, or take fewer with --max-sessions."),
        );
    }
    if machine.pids > machine.pids_max / 5 * 4 {
        let message =
            format!("{} of {} processes are there: raise the sysctl kernel.pid_max.", machine.pids, machine.pids_max);
        warn("pids_low", message);
    }
    if now.queue.length > 0 {
        let (length, minutes) = (now.queue.length, now.queue.oldest_millis / 60_000);
        warn("queue", format!("{length} wait for a place, the first of them for {minutes} minutes."));
    } else if now.sessions.len() as u64 >= now.max_sessions {
        warn("places_taken", format!("All {} places are taken: the next learner has to wait.", now.max_sessions));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(state: SessionState, created_millis: u64) -> (Session, bool) {
        (Session { state, created_millis, ..Session::default() }, false)
    }

    #[test]
    fn states_and_the_queue_are_counted() {
        let sessions =
            [session(SessionState::Pending, 70), session(SessionState::Ready, 10), session(SessionState::Pending, 40)];
        let counted = states(&sessions);
        assert_eq!(
            counted,
            [
                StateCount { state: SessionState::Pending, count: 2 },
                StateCount { state: SessionState::Ready, count: 1 },
            ]
        );
        assert_eq!(queue(&sessions, 100), Queue { length: 2, oldest_millis: 60 });
        assert_eq!(queue(&sessions[1..2], 100), Queue::default());
    }

    #[test]
    fn what_wants_the_operators_eye() {
        let well = Overview {
            machine: Machine {
                memory_total_bytes: 100 << 30,
                memory_available_bytes: 50 << 30,
                disk_total_bytes: 100 << 30,
                disk_free_bytes: 50 << 30,
                pids: 100,
                pids_max: 1000,
                ..Machine::default()
            },
            max_sessions: 1,
            ..Overview::default()
        };
        let codes = |overview: &Overview| warnings(overview).into_iter().map(|it| it.code).collect::<Vec<_>>();
        assert!(codes(&well).is_empty());
        let mut bad = well.clone();
        bad.machine.disk_free_bytes = 4 << 30;
        bad.machine.memory_available_bytes = 9 << 30;
        bad.machine.pids = 900;
        bad.sessions = vec![SessionLoad::default()];
        assert_eq!(codes(&bad), ["disk_low", "memory_low", "pids_low", "places_taken"]);
        bad.queue.length = 3;
        assert_eq!(codes(&bad).last().map(String::as_str), Some("queue"));
    }

    #[test]
    fn a_sample_tells_what_happened_since_the_last() {
        let starts = super::super::Histogram::new(&[1.0, 2.0]);
        starts.observe(Duration::from_millis(1500));
        let counted = |requests, failed| Counted { starts: starts.read(), requests, failed };
        let before = counted(10, 1);
        starts.observe(Duration::from_millis(400));
        let now = counted(25, 1);
        let sessions =
            [session(SessionState::Pending, 0), session(SessionState::Starting, 0), session(SessionState::Ready, 0)];
        let machine = Machine { memory_total_bytes: 10, memory_available_bytes: 4, ..Machine::default() };
        let told = sample(&sessions, &machine, 12.5, &before, &now);
        assert_eq!((told.sessions, told.queued, told.starts, told.start_max_millis), (2, 1, 1, 1000));
        assert_eq!((told.requests, told.requests_failed, told.memory_used_bytes), (15, 0, 6));
        assert!((told.cpu_percent - 12.5).abs() < f32::EPSILON);
    }
}
