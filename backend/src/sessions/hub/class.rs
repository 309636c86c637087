//! What a session's class knows of its learner's work, and what it does to it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drydock_protocol::{CheckState, ClassSeat, SessionEvent, SessionState};
use tokio::sync::watch;

use super::Hub;
use crate::sessions::now_millis;

/// The longest command that is told.
const COMMAND: usize = 300;

/// A terminal that the learner's page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenTerminal {
    /// Its name.
    pub(crate) id: String,
    /// Node on which its shell runs.
    pub(crate) node: String,
    /// Columns.
    pub(crate) cols: u16,
    /// Rows.
    pub(crate) rows: u16,
}

/// How the learner goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// When a step was done last in this run of the server; 0: none was.
    pub(crate) step_millis: u64,
    /// What was done since a check turned green.
    pub(crate) attempts: u32,
    /// The command line typed last, and when.
    pub(crate) command: Option<(String, u64)>,
}

/// The class's side of a session.
pub(super) struct Lectern {
    progress: Mutex<Progress>,
    open: Mutex<BTreeMap<String, (OpenTerminal, u32)>>,
    shown: watch::Sender<Option<OpenTerminal>>,
    watchers: AtomicU16,
    joint: watch::Sender<bool>,
    paused: watch::Sender<bool>,
    /// When the session ends because of its class; 0: by its own time.
    ends_millis: AtomicU64,
}

impl Lectern {
    pub(super) fn new() -> Lectern {
        Lectern {
            progress: Mutex::default(),
            open: Mutex::default(),
            shown: watch::Sender::new(None),
            watchers: AtomicU16::new(0),
            joint: watch::Sender::new(false),
            paused: watch::Sender::new(false),
            ends_millis: AtomicU64::new(0),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody looks at the learner's terminal while this lives.
pub(crate) struct Watching(Arc<Hub>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.lectern.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hub {
    /// The class as the learner sees it; told when it changed.
    pub(crate) fn set_class(&self, class: Option<ClassSeat>) {
        let class = class.map(Box::new);
        let mut inner = self.lock();
        if inner.class != class {
            self.publish_locked(&mut inner, SessionEvent::Class { class });
        }
    }

    /// Whether the session is one of a class.
    pub(crate) fn is_in_class(&self) -> bool {
        self.lock().class.is_some()
    }

    /// Whether it is one that a person asked for and that takes a place, or waits for one.
    pub(crate) fn counts_for(&self, person: &str) -> bool {
        let inner = self.lock();
        let over = inner.session.state.is_over() || inner.session.state == SessionState::Ending;
        inner.row.owner == person && inner.class.is_none() && !over
    }

    /// Looks at the session as it is now, without a copy of it.
    pub(crate) fn with_session<T>(&self, look: impl FnOnce(&drydock_protocol::Session) -> T) -> T {
        look(&self.lock().session)
    }

    /// How the learner goes on.
    pub(crate) fn class_progress(&self) -> Progress {
        self.lectern.progress().clone()
    }

    /// When a step was done in an earlier run of the server.
    pub(crate) fn set_step_millis(&self, millis: u64) {
        self.lectern.progress().step_millis = millis;
    }

    /// The first check of each step that is not met, with what it saw.
    pub(crate) fn failing(&self) -> BTreeMap<String, String> {
        let inner = self.lock();
        let mut failing = BTreeMap::new();
        for check in inner.checks.iter().filter(|check| check.state != CheckState::Met) {
            failing.entry(check.step.clone()).or_insert_with(|| match &check.detail {
                Some(detail) => format!("{}: {detail}", check.check),
                None => check.check.clone(),
            });
        }
        failing
    }

    /// What the learner did last in the cluster, as the API server saw it, and when.
    pub(crate) fn last_action(&self) -> Option<(String, u64)> {
        self.lock().traces.back().map(|trace| (trace.title.clone(), trace.start_millis))
    }

    /// A check turned green, or a step was done.
    pub(super) fn went_on(&self, step: bool) {
        let mut progress = self.lectern.progress();
        progress.attempts = 0;
        if step {
            progress.step_millis = now_millis();
        }
    }

    /// The learner did something that might turn a check green.
    pub(super) fn attempted(&self) {
        let mut progress = self.lectern.progress();
        progress.attempts = progress.attempts.saturating_add(1);
    }

    /// The learner typed a command line.
    pub(crate) fn commanded(&self, command: &str) {
        let command: String = command.chars().filter(|letter| !letter.is_control()).take(COMMAND).collect();
        self.lectern.progress().command = Some((command, now_millis()));
    }

    /// The page opened a terminal, changed its size or typed in it: it is the one that is looked at.
    pub(crate) fn shows_terminal(&self, terminal: &OpenTerminal, opened: bool) {
        let mut open = self.lectern.open.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = open.entry(terminal.id.clone()).or_insert_with(|| (terminal.clone(), 0));
        entry.0.clone_from(terminal);
        entry.1 += u32::from(opened);
        drop(open);
        self.lectern.shown.send_if_modified(|shown| {
            let is_new = shown.as_ref() != Some(terminal);
            if is_new {
                *shown = Some(terminal.clone());
            }
            is_new
        });
    }

    /// The page does not show a terminal any more.
    pub(crate) fn hides_terminal(&self, id: &str) {
        let mut open = self.lectern.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pages)) = open.get_mut(id) {
            *pages = pages.saturating_sub(1);
            if *pages == 0 {
                open.remove(id);
            }
        }
        let other = open.values().next().map(|(terminal, _)| terminal.clone());
        let is_gone = !open.contains_key(id);
        drop(open);
        self.lectern.shown.send_if_modified(|shown| {
            let hidden = is_gone && shown.as_ref().is_some_and(|shown| shown.id == id);
            if hidden {
                *shown = other;
            }
            hidden
        });
    }

    /// The terminal that the learner used last.
    pub(crate) fn shown_terminal(&self) -> watch::Receiver<Option<OpenTerminal>> {
        self.lectern.shown.subscribe()
    }

    /// A terminal that a page shows: the one of this name, else the one that was looked at last.
    pub(crate) fn open_terminal(&self, id: &str) -> Option<OpenTerminal> {
        let open = self.lectern.open.lock().unwrap_or_else(PoisonError::into_inner);
        let named = open.get(id).map(|(terminal, _)| terminal.clone());
        named.or_else(|| self.lectern.shown.borrow().clone())
    }

    /// Somebody looks at the learner's terminal.
    pub(crate) fn watch_terminal(self: &Arc<Self>) -> Watching {
        self.lectern.watchers.fetch_add(1, Ordering::Relaxed);
        Watching(self.clone())
    }

    /// How many look at the learner's terminal.
    pub(crate) fn watchers(&self) -> u16 {
        self.lectern.watchers.load(Ordering::Relaxed)
    }

    /// Whether those who look may type.
    pub(crate) fn joint(&self) -> watch::Receiver<bool> {
        self.lectern.joint.subscribe()
    }

    /// Lets those who look type, or not.
    pub(crate) fn set_joint(&self, joint: bool) {
        self.lectern.joint.send_replace(joint);
    }

    /// When the session ends because of its class.
    pub(in crate::sessions) fn class_ends(&self) -> Option<u64> {
        Some(self.lectern.ends_millis.load(Ordering::Relaxed)).filter(|millis| *millis > 0)
    }

    /// Sets when the session ends because of its class.
    pub(in crate::sessions) fn set_class_ends(&self, millis: u64) {
        self.lectern.ends_millis.store(millis, Ordering::Relaxed);
    }

    /// Whether terminals take no input of the learner's.
    pub(crate) fn is_paused(&self) -> bool {
        *self.lectern.paused.borrow()
    }

    /// Resolves when the class is paused, at once where it is already, and when the session is over.
    pub(crate) fn pause_begins(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut paused = self.lectern.paused.subscribe();
        async move {
            // An error: nobody is left who could pause.
            let _ = paused.wait_for(|paused| *paused).await;
        }
    }

    /// Whether terminals are to take no input of the learner's.
    pub(crate) fn set_paused(&self, paused: bool) {
        self.lectern.paused.send_replace(paused);
    }
}
