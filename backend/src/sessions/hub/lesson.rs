//! What the lesson engine and a session's page tell each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drydock_protocol::{Answered, CheckState, CheckStatus, HintStatus, SessionEvent};
use tokio::sync::watch;

use super::Hub;
use crate::error::{Error, chain};
use crate::lessons::Verdict;
use crate::sessions::{changed, now_millis};

/// What happened that no watch of the cluster shows: counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nudges {
    /// Lines typed in terminals.
    pub(crate) typed: u64,
    /// Questions answered.
    pub(crate) answered: u64,
    /// Looks asked for.
    pub(crate) asked: u64,
}

/// What was found about a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// What the learner is told.
    pub(crate) verdict: Verdict,
    /// What its author is told.
    pub(crate) seen: String,
}

/// What a full look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Looked {
    /// By step and check; only of steps that were open at some time.
    pub(crate) found: BTreeMap<(String, String), Found>,
    /// What of the lesson's setup failed.
    pub(crate) problems: Vec<String>,
}

/// The two channels between the engine and those who want it to look.
pub(super) struct Desk {
    nudges: watch::Sender<Nudges>,
    looked: watch::Sender<(u64, Arc<Looked>)>,
}

impl Desk {
    pub(super) fn new() -> Desk {
        Desk { nudges: watch::Sender::new(Nudges::default()), looked: watch::Sender::new((0, Arc::default())) }
    }
}

impl Hub {
    /// Changes whenever something happened that no watch of the cluster shows.
    pub(crate) fn nudges(&self) -> watch::Receiver<Nudges> {
        self.desk.nudges.subscribe()
    }

    /// The learner ended a line in a terminal.
    pub(crate) fn typed(&self) {
        self.desk.nudges.send_modify(|nudges| nudges.typed += 1);
        self.attempted();
    }

    /// Has every check of every open step looked at, and says what was found.
    pub(crate) async fn look(&self) -> Arc<Looked> {
        let mut looked = self.desk.looked.subscribe();
        let mut number = 0;
        self.desk.nudges.send_modify(|nudges| {
            nudges.asked += 1;
            number = nudges.asked;
        });
        let found = looked.wait_for(|(answered, _)| *answered >= number).await;
        // The hub holds the sender: it cannot be gone.
        found.map(|found| found.1.clone()).unwrap_or_default()
    }

    /// Answers all who asked up to `number`.
    pub(crate) fn say_looked(&self, number: u64, looked: Looked) {
        self.desk.looked.send_replace((number, Arc::new(looked)));
    }

    /// Steps that are done, and questions that were answered rightly.
    pub(crate) fn progress(&self) -> (BTreeSet<String>, Vec<Answered>) {
        let inner = self.lock();
        (inner.session.steps_done.iter().cloned().collect(), inner.session.answered.clone())
    }

    /// Publishes verdicts that changed.
    pub(crate) fn publish_checks(&self, verdicts: Vec<CheckStatus>) {
        let mut inner = self.lock();
        let news = changed(&inner.checks, &verdicts);
        inner.checks = verdicts;
        let greener = news.iter().any(|check| check.state == CheckState::Met);
        if !news.is_empty() {
            self.publish_locked(&mut inner, SessionEvent::Checks { checks: news });
        }
        drop(inner);
        if greener {
            self.went_on(false);
        }
    }

    /// Remembers steps that are fulfilled; they stay so.
    pub(crate) async fn put_steps_done(&self, steps: &[String]) {
        let new: Vec<_> = {
            let inner = self.lock();
            steps.iter().filter(|step| !inner.session.steps_done.contains(step)).cloned().collect()
        };
        for step in &new {
            if let Err(error) = self.store.put_step_done(&self.id, step, now_millis()).await {
                tracing::error!(session.name = self.name, error = chain(&error), "cannot store a fulfilled step");
            }
        }
        if !new.is_empty() {
            self.went_on(true);
        }
        self.change(|_, session| session.steps_done.extend(new));
    }

    /// Remembers a right answer.
    pub(crate) async fn put_answered(&self, answered: Answered) -> Result<(), Error> {
        self.store.put_answered(&self.id, &answered, now_millis()).await?;
        self.change(|_, session| {
            if !session.answered.contains(&answered) {
                session.answered.push(answered);
            }
        });
        self.desk.nudges.send_modify(|nudges| nudges.answered += 1);
        Ok(())
    }

    /// Publishes the hints that fit now, if they are others than before.
    pub(crate) fn set_hints(&self, hints: Vec<HintStatus>) {
        let mut inner = self.lock();
        if inner.hints != hints {
            self.publish_locked(&mut inner, SessionEvent::Hints { hints });
        }
    }

    /// Takes back the hints that do not fit any more.
    pub(crate) fn keep_hints(&self, fits: impl Fn(&HintStatus) -> bool) {
        let hints = self.lock().hints.iter().filter(|hint| fits(hint)).cloned().collect();
        self.set_hints(hints);
    }

    /// What the engine did for this session's cluster, in earlier runs of the server, too.
    pub(crate) async fn setup_done(&self) -> Result<BTreeSet<String>, Error> {
        Ok(self.store.setup_done(&self.id).await?.into_iter().collect())
    }

    /// Forgets how far the lesson is: its cluster is a new one.
    pub(crate) async fn clear_progress(&self) -> Result<(), Error> {
        self.store.clear_progress(&self.id).await?;
        self.change(|_, session| {
            session.steps_done.clear();
            session.answered.clear();
        });
        Ok(())
    }

    /// Remembers what the engine did.
    pub(crate) async fn put_setup_done(&self, item: &str) {
        if let Err(error) = self.store.put_setup_done(&self.id, item).await {
            tracing::error!(session.name = self.name, error = chain(&error), "cannot store what was set up");
        }
    }
}
