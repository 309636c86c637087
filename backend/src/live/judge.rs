//! The lesson engine's loop: prepares steps, looks whether their checks hold and which hints fit, publishes what changed.
//!
//! Expressions over objects are evaluated whenever an object changes. Commands and probes take the learner's own CPU: they
//! run when something happened (an object changed, a line was typed), gathered, one at a time, and never while nothing does
//! ([`pace`]).

mod loaded;
mod look;
mod pace;
mod plan;
mod probe;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use drydock_protocol::{CheckState, CheckStatus, Notice, NoticeLevel, SessionEvent};
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::loaded::{Loaded, Todo};
use self::pace::Pace;
use self::plan::Phase;
use super::lists::Lists;
use super::shell::Shell;
use crate::lessons::{CheckKind, Library, StepDefinition};
use crate::sessions::{Found, Hub, Looked};

/// Changes are gathered for this long before expressions are evaluated anew.
const GATHER: Duration = Duration::from_millis(25);
/// How long an act of a setup may take.
const SETUP: Duration = Duration::from_secs(120);
/// How long writing a file may take.
const WRITE: Duration = Duration::from_secs(10);

/// How far a round looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    /// Expressions over objects.
    Objects,
    /// Commands and probes, too, of the steps that may soon be done.
    Near,
    /// Those of all steps that are open.
    All,
}

/// What one session's lesson is judged with.
pub(super) struct Judge {
    pub(super) hub: Arc<Hub>,
    pub(super) library: Arc<Library>,
    pub(super) lists: Arc<Lists>,
    pub(super) shell: Shell,
    /// The lesson.
    pub(super) slug: String,
}

struct State {
    judge: Judge,
    loaded: Loaded,
    /// Latest findings by step and check.
    found: BTreeMap<(String, String), Found>,
    /// Bodies that probes saw.
    seen: probe::Seen,
    /// What was done for this cluster, by name.
    did: BTreeSet<String>,
    /// What of it failed.
    problems: Vec<String>,
    pace: Pace,
}

impl Judge {
    /// Judges until dropped; says when everything that comes before the learner is done.
    pub(super) async fn run(self, prepared: oneshot::Sender<()>) {
        let loaded = match self.library.find(&self.slug).await {
            Ok(whole) => Loaded::new(whole),
            Err(error) => Err(error.to_string()),
        };
        let did = self.hub.setup_done().await;
        match (loaded, did) {
            (Ok(loaded), Ok(did)) => {
                let state = State {
                    judge: self,
                    loaded,
                    found: BTreeMap::new(),
                    seen: probe::Seen::default(),
                    did,
                    problems: Vec::new(),
                    pace: Pace::default(),
                };
                state.run(prepared).await;
            }
            (Err(reason), _) => {
                tracing::error!(lesson.slug = self.slug, reason, "the lesson of a session cannot be judged");
            }
            (_, Err(error)) => {
                tracing::error!(lesson.slug = self.slug, %error, "the lesson of a session cannot be judged");
            }
        }
    }
}

impl State {
    async fn run(mut self, prepared: oneshot::Sender<()>) {
        let mut changes = self.judge.lists.changes();
        let mut lessons = self.judge.library.changes();
        let mut nudges = self.judge.hub.nudges();
        let mut known = *nudges.borrow_and_update();
        let mut prepared = Some(prepared);
        let mut depth = Depth::Objects;
        // Whoever asked for a look and was not answered yet.
        let mut asked = None;
        self.pace.happened(Instant::now());
        loop {
            self.watch_lists();
            self.prepare().await;
            if let Some(prepared) = prepared.take() {
                // A session that ended meanwhile waits for nothing.
                let _ = prepared.send(());
            }
            let began = Instant::now();
            let fulfilled = self.look(depth).await;
            if depth > Depth::Objects {
                self.pace.looked(began, Instant::now(), self.has_open_commands());
            }
            if fulfilled {
                // Other steps may begin with that.
                self.pace.happened(Instant::now());
                depth = Depth::Objects;
                continue;
            }
            if depth == Depth::All
                && let Some(number) = asked.take()
            {
                self.judge.hub.say_looked(number, self.looked());
            }
            depth = if asked.is_some() { Depth::All } else { Depth::Objects };
            if asked.is_some() {
                continue;
            }
            let due = self.pace.due();
            tokio::select! {
                Ok(()) = changes.changed() => {
                    tokio::time::sleep(GATHER).await;
                    changes.borrow_and_update();
                    self.pace.happened(Instant::now());
                }
                Ok(()) = nudges.changed() => {
                    let now = *nudges.borrow_and_update();
                    if now.typed != known.typed {
                        self.pace.happened(Instant::now());
                    }
                    if now.asked != known.asked {
                        asked = Some(now.asked);
                        depth = Depth::All;
                    }
                    known = now;
                }
                Ok(()) = lessons.changed() => self.reload().await,
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    depth = Depth::Near;
                }
            }
        }
    }

    fn watch_lists(&self) {
        for lists in self.loaded.lists() {
            for resource in lists.resources() {
                self.judge.lists.of(resource);
            }
        }
    }

    /// Does what comes before the steps that have begun.
    async fn prepare(&mut self) {
        loop {
            let (done, _) = self.judge.hub.progress();
            let begun = |step: &StepDefinition| plan::phase(step, &done) == Phase::Open;
            let Some((name, todo)) = self.loaded.todo(begun, &self.did) else { return };
            let outcome = match &todo {
                Todo::Act(act) => self.judge.shell.act(act, SETUP).await,
                Todo::File(name, text) => self.judge.shell.write(name, text, WRITE).await,
            };
            if let Err(reason) = outcome {
                tracing::error!(
                    session.name = self.judge.hub.name(),
                    lesson.slug = self.judge.slug,
                    item = name,
                    reason,
                    "a lesson's setup failed"
                );
                self.problems.push(format!("{name}: {reason}"));
                self.notice(
                    NoticeLevel::Warning,
                    "setup_failed",
                    "Something that this lesson needs could not be prepared. If it does not work out, reset the session.",
                );
            }
            // What failed is not tried again: its first half would be there twice.
            self.judge.hub.put_setup_done(&name).await;
            self.did.insert(name);
            self.pace.happened(Instant::now());
        }
    }

    fn notice(&self, level: NoticeLevel, code: &str, message: &str) {
        let notice = Notice { level, code: code.to_owned(), message: message.to_owned() };
        self.judge.hub.publish(SessionEvent::Notice { notice });
    }

    /// Takes over a changed lesson; one that is gone or broken goes on as it was.
    async fn reload(&mut self) {
        let Ok(whole) = self.judge.library.find(&self.judge.slug).await else { return };
        if whole.fingerprint == self.loaded.fingerprint {
            return;
        }
        match Loaded::new(whole) {
            Ok(loaded) => {
                self.loaded = loaded;
                self.found.clear();
                self.pace.happened(Instant::now());
                self.notice(
                    NoticeLevel::Info,
                    "lesson_changed",
                    "The author has changed this lesson. Ask for it again to read its new text.",
                );
            }
            Err(reason) => tracing::error!(lesson.slug = self.judge.slug, reason, "a changed lesson is left out"),
        }
    }

    fn phase(&self, step: &StepDefinition) -> Phase {
        plan::phase(step, &self.judge.hub.progress().0)
    }

    fn has_open_commands(&self) -> bool {
        self.loaded.definition.steps.iter().any(|step| has_commands(step) && self.phase(step) == Phase::Open)
    }

    /// Findings for whoever asked.
    fn looked(&self) -> Looked {
        Looked { found: self.found.clone(), problems: self.problems.clone() }
    }

    fn statuses(&self) -> Vec<CheckStatus> {
        let (done, _) = self.judge.hub.progress();
        plan::statuses(&self.loaded.definition, &done, |step, check| {
            self.found.get(&(step.to_owned(), check.to_owned())).map(|found| found.verdict.clone())
        })
    }

    /// The open steps that are fulfilled; with `objects` alone known, only those that need nothing else.
    fn fulfilled(&self, depth: Depth) -> Vec<String> {
        let (done, answered) = self.judge.hub.progress();
        let steps = self.loaded.definition.steps.iter().filter(|step| {
            plan::phase(step, &done) == Phase::Open
                && (depth > Depth::Objects || !has_commands(step))
                && plan::is_fulfilled(step, &answered, |check| self.state(step, check))
        });
        steps.map(|step| step.id.clone()).collect()
    }

    fn state(&self, step: &StepDefinition, check: &str) -> Option<CheckState> {
        self.found.get(&(step.id.clone(), check.to_owned())).map(|found| found.verdict.state)
    }
}

/// Whether a step has checks that run something.
fn has_commands(step: &StepDefinition) -> bool {
    step.checks.iter().any(|check| !matches!(check.kind, CheckKind::Objects(_)))
}
