//! The session's event stream: `GET /api/v1/sessions/{id}/events`, server-sent events.
//!
//! Each message has `id:` = [`Envelope::seq`] and `data:` = an [`Envelope`] as JSON, with no `event:` line.
//! The first message of a new stream is a [`SessionEvent::Snapshot`]; deltas follow, each with the next number.
//! A client that reconnects with `Last-Event-ID` receives what it missed or, when the server no longer holds
//! that, a new snapshot. A message whose number is not above the last one seen is a repetition.

use serde::{Deserialize, Serialize};

use crate::{CheckStatus, ClassSeat, HintStatus, Object, ObjectKey, Session, Topology, Trace};

/// An event with its number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Ascending by one in a session; it starts again only with a snapshot.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: SessionEvent,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SessionEvent {
    /// Everything there is; replaces all that was known.
    Snapshot(Box<Snapshot>),
    /// The session itself changed (state, time, memory, start progress).
    Session {
        /// As it is now.
        session: Box<Session>,
    },
    /// Cluster objects appeared or changed.
    Upsert {
        /// As they are now.
        objects: Vec<Object>,
    },
    /// Cluster objects vanished.
    Remove {
        /// Which.
        keys: Vec<ObjectKey>,
    },
    /// Verdicts that changed.
    Checks {
        /// As they are now.
        checks: Vec<CheckStatus>,
    },
    /// The hints that fit the cluster now; replaces those before.
    Hints {
        /// All of them.
        hints: Vec<HintStatus>,
    },
    /// A chain of requests began or grew.
    Trace {
        /// As it is now.
        trace: Trace,
    },
    /// A sentence for the learner.
    Notice {
        /// The sentence.
        notice: Notice,
    },
    /// The class of the session changed; none: the session is in no class any more.
    Class {
        /// As it is now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<Box<ClassSeat>>,
    },
}

/// Everything there is to know of a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The session.
    pub session: Session,
    /// Its cluster's objects.
    pub topology: Topology,
    /// Verdicts on all checks of its lesson.
    #[serde(default)]
    pub checks: Vec<CheckStatus>,
    /// The hints that fit the cluster now.
    #[serde(default)]
    pub hints: Vec<HintStatus>,
    /// The latest chains, oldest first.
    #[serde(default)]
    pub traces: Vec<Trace>,
    /// The learner's class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Box<ClassSeat>>,
}

/// How loudly a notice speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeLevel {
    /// Good to know.
    #[default]
    Info,
    /// Wants attention.
    Warning,
    /// Something broke.
    Error,
}

/// A sentence for the learner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// How loudly.
    #[serde(default)]
    pub level: NoticeLevel,
    /// Word by which the page finds a translation, such as `expires_soon`, `node_restarted`.
    pub code: String,
    /// The sentence in English, shown when the page has no translation for `code`.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_flat_and_round_trips() {
        let envelope = Envelope {
            seq: 7,
            event: SessionEvent::Notice {
                notice: Notice {
                    level: NoticeLevel::Warning,
                    code: "expires_soon".into(),
                    message: "Five minutes left.".into(),
                },
            },
        };
        let json = serde_json::to_string(&envelope).unwrap();
        assert_eq!(
            json,
            r#"{"seq":7,"type":"notice","notice":{"level":"warning","code":"expires_soon","message":"Five minutes left."}}"#
        );
        assert_eq!(serde_json::from_str::<Envelope>(&json).unwrap(), envelope);
    }

    #[test]
    fn a_snapshot_round_trips() {
        let envelope = Envelope { seq: 1, event: SessionEvent::Snapshot(Box::default()) };
        let json = serde_json::to_string(&envelope).unwrap();
        assert!(json.starts_with(r#"{"seq":1,"type":"snapshot","session":{"#), "{json}");
        assert_eq!(serde_json::from_str::<Envelope>(&json).unwrap(), envelope);
    }
}
