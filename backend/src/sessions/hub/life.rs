//! Where a session is between its first wish and its end: its place in the queue, when it was used last, its clocks.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use drydock_protocol::{EndReason, QueuePlace, SessionState};

use super::{Hub, extension};
use crate::error::{Error, chain};
use crate::sessions::{Policy, millis, now_millis};

/// What no page sees of it.
pub(super) struct Life {
    times: Mutex<Times>,
    /// Its number in the queue.
    number: AtomicI64,
    /// What is to be stored could not be.
    unsaved: AtomicBool,
}

/// By the clock that nobody sets.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// It was asked for, or found again.
    begun: Instant,
    /// A page was there.
    watched: Instant,
    /// Somebody did something with it.
    used: Instant,
    /// It fell asleep.
    slept: Instant,
    /// How many were before it when it came, itself included.
    places: u32,
}

impl Life {
    pub(super) fn new(now: Instant) -> Life {
        Life {
            times: Mutex::new(Times { begun: now, watched: now, used: now, slept: now, places: 0 }),
            number: AtomicI64::new(0),
            unsaved: AtomicBool::new(false),
        }
    }
}

impl Hub {
    fn times<T>(&self, look: impl FnOnce(&mut Times) -> T) -> T {
        look(&mut self.life.times.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where it is in its life.
    pub(in crate::sessions) fn state(&self) -> SessionState {
        self.lock().session.state
    }

    /// Its number in the queue: less is earlier.
    pub(in crate::sessions) fn number(&self) -> i64 {
        self.life.number.load(Ordering::Relaxed)
    }

    pub(in crate::sessions) fn set_number(&self, number: i64) {
        self.life.number.store(number, Ordering::Relaxed);
    }

    /// Its place in the queue; no place any more when it has its turn.
    pub(in crate::sessions) fn set_place(&self, place: Option<QueuePlace>) {
        if let Some(place) = place {
            self.times(|times| times.places = times.places.max(place.position));
        }
        self.change(|_, session| session.queue = place);
    }

    /// Its turn has come, after so long behind so many: its time begins now. Its cluster is one that is there already, or not.
    pub(in crate::sessions) fn turn(&self, given: Option<&str>, policy: &Policy) -> (Duration, u32) {
        if let Some(name) = given {
            // A session is given a cluster once.
            let _ = self.given.set(name.to_owned());
        }
        let waited = self.times(|times| (times.begun.elapsed(), times.places));
        self.change(|row, session| {
            if waited.1 > 0 {
                row.created_millis = now_millis();
                // One of a class ends with it.
                row.expires_millis = self.class_ends().unwrap_or(row.created_millis + millis(policy.time_limit));
            }
            row.state = SessionState::Starting;
            if let Some(name) = given {
                row.name = name.to_owned();
            }
            session.name.clone_from(&row.name);
            session.state = row.state;
            session.queue = None;
            session.created_millis = row.created_millis;
            session.expires_millis = row.expires_millis;
        });
        waited
    }

    /// Somebody did something with it.
    pub(in crate::sessions) fn mark_used(&self) {
        self.times(|times| times.used = Instant::now());
    }

    /// Notes whether a page is there; how long none was, and how long nobody did anything.
    pub(in crate::sessions) fn quiet(&self) -> (Duration, Duration) {
        let watched = self.is_watched();
        self.times(|times| {
            if watched {
                times.watched = Instant::now();
            }
            (times.watched.elapsed(), times.used.elapsed())
        })
    }

    /// It sleeps from now on.
    pub(in crate::sessions) fn mark_slept(&self) {
        self.times(|times| times.slept = Instant::now());
    }

    /// For how long it has slept.
    pub(in crate::sessions) fn slept(&self) -> Duration {
        self.times(|times| times.slept.elapsed())
    }

    /// How long ago it had its turn, and how long it may still live.
    pub(in crate::sessions) fn span(&self) -> (Duration, Duration) {
        let inner = self.lock();
        let now = now_millis();
        let past = |from: u64, to: u64| Duration::from_millis(to.saturating_sub(from));
        (past(inner.row.created_millis, now), past(now, inner.row.expires_millis))
    }

    /// The wall clock was set: what was written down by it moves along.
    pub(in crate::sessions) fn shift(&self, millis: i64, policy: &Policy) {
        self.change(|row, session| {
            row.created_millis = row.created_millis.saturating_add_signed(millis);
            row.expires_millis = row.expires_millis.saturating_add_signed(millis);
            session.created_millis = row.created_millis;
            session.expires_millis = row.expires_millis;
            session.extend_millis = extension(row, policy);
        });
    }

    /// The watch of the cluster ends; the picture stays as it is.
    pub(in crate::sessions) fn stop_watching(&self) {
        self.closed.send_modify(|clusters| *clusters += 1);
    }

    /// Its end begins, for this reason; the state that it was in. None when it ends already: a session ends once.
    pub(in crate::sessions) fn begin_end(&self, end: EndReason, reason: &str) -> Option<SessionState> {
        let mut before = None;
        self.change(|row, session| {
            if session.ended.is_some() || session.state.is_over() || session.state == SessionState::Ending {
                return;
            }
            before = Some(session.state);
            row.state = SessionState::Ending;
            row.reason = Some(reason.to_owned());
            session.state = row.state;
            session.reason.clone_from(&row.reason);
            session.ended = Some(end);
            session.queue = None;
        });
        before
    }

    /// What the learner made can be downloaded.
    pub(in crate::sessions) fn set_manifests(&self) {
        self.change(|_, session| session.manifests = true);
    }

    /// Stores the session; what fails (a database that is locked, a full disk) is tried again later.
    pub(in crate::sessions) async fn keep(&self) -> bool {
        let outcome = self.try_keep().await;
        if let Err(error) = &outcome {
            tracing::error!(session.name = self.name(), error = chain(error), "cannot store a session; will try again");
        }
        self.life.unsaved.store(outcome.is_err(), Ordering::Relaxed);
        outcome.is_ok()
    }

    async fn try_keep(&self) -> Result<(), Error> {
        self.save().await?;
        let session = self.session();
        if let Some(reason) = session.ended {
            self.store.put_end(&self.id, reason, session.now_millis).await?;
        }
        Ok(())
    }

    /// Whether what is to be stored could not be.
    pub(in crate::sessions) fn is_unsaved(&self) -> bool {
        self.life.unsaved.load(Ordering::Relaxed)
    }
}
