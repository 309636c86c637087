//! An object of the cluster in detail: as YAML, with its events, and the log of a pod's container.

use serde::{Deserialize, Serialize};

/// An object (`GET /sessions/{id}/objects/{kind}?namespace=&name=`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectDetails {
    /// As `kubectl get -o yaml` shows it, without managed fields; cut where it is very long.
    pub yaml: String,
    /// Whether it was cut.
    #[serde(default)]
    pub cut: bool,
    /// Its latest events, oldest first.
    pub events: Vec<ObjectEvent>,
}

/// An event about an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectEvent {
    /// When it was seen last; 0 where nobody wrote that down.
    pub at_millis: u64,
    /// Whether it warns.
    #[serde(default)]
    pub warning: bool,
    /// Why, in one word such as `Pulled`.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// Who says so, such as `kubelet`.
    #[serde(default)]
    pub from: String,
    /// How often.
    #[serde(default)]
    pub count: u32,
}

/// A message of `GET /sessions/{id}/logs?namespace=&pod=&container=&previous=`, server-sent events: what the container
/// wrote, then what it writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LogChunk {
    /// Whole lines, without their ends.
    Lines {
        /// In order.
        lines: Vec<String>,
    },
    /// There will be no more; the stream is not to be opened again.
    End {
        /// Why nothing or no more can be shown, where there is a reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}
