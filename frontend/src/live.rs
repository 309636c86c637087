//! A session as it is now: kept by its event stream, read by every part of the session page.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use drydock_protocol::{
    Check, CheckState, CheckStatus, ClassSeat, Envelope, HintStatus, Notice, Quiz, Session, SessionEvent, SessionState,
    Step, Topology, Trace,
};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsValue;
use web_sys::EventSource;

use crate::api;
use crate::follow::{Follower, follow};
use crate::story::{Lit, lit};

/// Traces that are kept; the oldest goes first.
const TRACES: usize = 20;
/// How long components stay lit after a request.
const FLASH: Duration = Duration::from_millis(1800);

/// Verdicts by step and check.
pub(crate) type Checks = BTreeMap<(String, String), CheckStatus>;

/// A session as it is now.
#[derive(Clone, Copy)]
pub(crate) struct Live {
    /// Its identifier.
    pub(crate) id: StoredValue<String>,
    /// Whether it is the reader's own, and not one that they came into.
    pub(crate) own: RwSignal<bool>,
    /// The session; `None` until the first answer.
    pub(crate) session: RwSignal<Option<Session>>,
    /// Its cluster's objects.
    pub(crate) topology: RwSignal<Topology>,
    /// Verdicts.
    pub(crate) checks: RwSignal<Checks>,
    /// Hints that fit the cluster now.
    pub(crate) hints: RwSignal<Vec<HintStatus>>,
    /// Chains of requests, oldest first.
    pub(crate) traces: RwSignal<Vec<Trace>>,
    /// Sentences for the learner, oldest first.
    pub(crate) notices: RwSignal<Vec<Notice>>,
    /// The learner's class.
    pub(crate) class: RwSignal<Option<ClassSeat>>,
    /// Why the session cannot be shown.
    pub(crate) problem: RwSignal<Option<api::Error>>,
    /// Whether the stream is broken at the moment.
    pub(crate) disconnected: RwSignal<bool>,
    /// Milliseconds by which the server's clock is ahead of this browser's.
    pub(crate) clock_ahead: RwSignal<f64>,
    /// Components that spoke or were spoken to just now.
    pub(crate) flash: RwSignal<Vec<Lit>>,
    flashes: StoredValue<u32>,
    last_seq: StoredValue<u64>,
}

impl Live {
    /// Starts to follow a session until the calling part of the page goes.
    pub(crate) fn follow(id: String) -> Self {
        let live = Self {
            id: StoredValue::new(id),
            own: RwSignal::new(false),
            session: RwSignal::new(None),
            topology: RwSignal::default(),
            checks: RwSignal::default(),
            hints: RwSignal::default(),
            traces: RwSignal::default(),
            notices: RwSignal::default(),
            class: RwSignal::new(None),
            problem: RwSignal::new(None),
            disconnected: RwSignal::new(false),
            clock_ahead: RwSignal::new(0.0),
            flash: RwSignal::default(),
            flashes: StoredValue::new(0),
            last_seq: StoredValue::new(0),
        };
        live.refresh();
        follow(live);
        provide_context(live);
        live
    }

    /// Takes over what a request answered.
    pub(crate) fn set_session(self, session: Session) {
        self.clock_ahead.set(session.now_millis as f64 - js_sys::Date::now());
        self.session.set(Some(session));
    }

    /// Whether the session is in a state in which its cluster can be used: one that sleeps wakes by it.
    pub(crate) fn is_ready(self) -> bool {
        self.session.with(|it| it.as_ref().is_some_and(|it| it.state == SessionState::Ready)) || self.is_asleep()
    }

    /// Whether the session sleeps.
    pub(crate) fn is_asleep(self) -> bool {
        self.session.with(|it| it.as_ref().is_some_and(|it| it.state == SessionState::Suspended))
    }

    fn apply(self, envelope: Envelope) {
        let Envelope { seq, event } = envelope;
        let is_snapshot = matches!(event, SessionEvent::Snapshot(_));
        if !is_snapshot && self.last_seq.try_get_value().is_none_or(|last| seq <= last) {
            return;
        }
        self.last_seq.set_value(seq);
        match event {
            SessionEvent::Snapshot(snapshot) => {
                self.set_session(snapshot.session);
                self.topology.set(snapshot.topology);
                self.checks.set(by_key(snapshot.checks));
                self.hints.set(snapshot.hints);
                self.traces.set(snapshot.traces);
                self.class.set(snapshot.class.map(|it| *it));
                self.problem.set(None);
            }
            SessionEvent::Session { session } => self.set_session(*session),
            SessionEvent::Upsert { objects } => {
                self.topology.update(|it| objects.into_iter().for_each(|object| it.upsert(object)))
            }
            SessionEvent::Remove { keys } => self.topology.update(|it| keys.iter().for_each(|key| it.remove(key))),
            SessionEvent::Checks { checks } => self.checks.update(|it| it.extend(by_key(checks))),
            SessionEvent::Hints { hints } => self.hints.set(hints),
            SessionEvent::Trace { trace } => self.take_trace(trace),
            SessionEvent::Class { class } => self.class.set(class.map(|it| *it)),
            SessionEvent::Notice { notice } => self.notices.update(|it| it.push(notice)),
        }
    }

    fn take_trace(self, trace: Trace) {
        let known =
            self.traces.with_untracked(|it| it.iter().find(|it| it.id == trace.id).map_or(0, |it| it.stages.len()));
        let fresh: HashSet<Lit> = trace.stages.iter().skip(known).flat_map(lit).collect();
        self.traces.update(|traces| {
            match traces.iter_mut().find(|it| it.id == trace.id) {
                Some(old) => *old = trace,
                None => traces.push(trace),
            }
            if traces.len() > TRACES {
                traces.remove(0);
            }
        });
        if fresh.is_empty() {
            return;
        }
        let number = self.flashes.get_value().wrapping_add(1);
        self.flashes.set_value(number);
        self.flash.set(fresh.into_iter().collect());
        set_timeout(
            move || {
                if self.flashes.try_get_value() == Some(number) {
                    self.flash.set(Vec::new());
                }
            },
            FLASH,
        );
    }

    /// Whether a step is done: the server said so once, or all its checks are met and its questions answered.
    pub(crate) fn is_step_done(self, step: &Step) -> bool {
        let (said, answered) = self.session.with(|it| {
            it.as_ref().map_or((false, false), |it| {
                let is_answered = |quiz: &Quiz| it.answered.iter().any(|it| it.step == step.id && it.quiz == quiz.id);
                (it.steps_done.contains(&step.id), step.quizzes.iter().all(is_answered))
            })
        });
        let is_met = |check: &Check| self.check(&step.id, &check.id).is_some_and(|it| it.state == CheckState::Met);
        let asks = !step.checks.is_empty() || !step.quizzes.is_empty();
        said || asks && answered && step.checks.iter().all(is_met)
    }

    /// The verdict on a check.
    pub(crate) fn check(self, step: &str, check: &str) -> Option<CheckStatus> {
        self.checks.with(|it| it.get(&(step.to_owned(), check.to_owned())).cloned())
    }
}

impl Follower for Live {
    fn open(self) -> Result<EventSource, JsValue> {
        api::events(&self.id.get_value())
    }

    fn take(self, text: &str) -> bool {
        let Ok(envelope) = serde_json::from_str(text) else { return false };
        self.apply(envelope);
        true
    }

    fn broken(self) -> RwSignal<bool> {
        self.disconnected
    }

    fn refresh(self) {
        let id = self.id.get_value();
        spawn_local(async move {
            match api::session(&id).await {
                Ok(session) => {
                    let _ = self.problem.try_set(None);
                    let _ = self.own.try_set(session.own);
                    // Its end may have come while the stream was broken; nothing else is told here.
                    let is_news = session.state.is_over();
                    if self.session.try_with_untracked(|it| it.is_none() || is_news) == Some(true) {
                        self.set_session(session);
                    }
                }
                Err(error) => drop(self.problem.try_set(Some(error))),
            }
        });
    }

    fn is_over(self) -> bool {
        let is_absent = self.problem.try_get_untracked().flatten().is_some_and(|it| it.is_absent());
        let ended = self.session.try_with_untracked(|it| it.as_ref().is_some_and(|it| it.state.is_over()));
        is_absent || ended.unwrap_or(true)
    }
}

fn by_key(checks: Vec<CheckStatus>) -> Checks {
    checks.into_iter().map(|it| ((it.step.clone(), it.check.clone()), it)).collect()
}

/// The session that the page shows.
pub(crate) fn live() -> Live {
    expect_context()
}
