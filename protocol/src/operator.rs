//! What an operator sees of the whole server: `GET /operator/overview` and `GET /operator/history?hours=`, for the role
//! *operator* only.
//!
//! Sizes are bytes, shares are parts of a hundred. A machine's CPU share counts all its processors together: 100 is all of
//! them busy.

use serde::{Deserialize, Serialize};

use crate::SessionState;

/// How the server is now (`GET /api/v1/operator/overview`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// Version of the server.
    pub version: String,
    /// The server's clock.
    pub now_millis: u64,
    /// When this server started; sessions may be older.
    pub started_millis: u64,
    /// What wants the operator's eye, worst first; empty: all is well.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// The machine.
    pub machine: Machine,
    /// The server's own process.
    pub server: ServerProcess,
    /// Sessions that are not over, by state; states without any are left out.
    #[serde(default)]
    pub states: Vec<StateCount>,
    /// Sessions at once that the server takes.
    pub max_sessions: u64,
    /// Who waits.
    pub queue: Queue,
    /// Starts since the server started.
    pub starts: Durations,
    /// Terminals that are connected.
    pub terminals: u64,
    /// Requests to previews since the server started.
    #[serde(default)]
    pub preview_requests: u64,
    /// Every session that is not over, newest first.
    #[serde(default)]
    pub sessions: Vec<SessionLoad>,
    /// Routes by time spent in them, longest first.
    #[serde(default)]
    pub routes: Vec<RouteLoad>,
}

/// Something that wants the operator's eye.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Which, for translations: `disk_low`, `memory_low`, `pids_low`, `queue`, `places_taken`.
    pub code: String,
    /// One sentence that says what is wrong and what to do.
    pub message: String,
}

/// The machine that the server and its sessions run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Processors.
    pub cpus: u32,
    /// CPU share of all that runs on it, over the last sample's time.
    pub cpu_percent: f64,
    /// Load average of the last minute.
    pub load: f64,
    /// Memory.
    pub memory_total_bytes: u64,
    /// Memory that can still be given.
    pub memory_available_bytes: u64,
    /// Size of the data folder's file system.
    pub disk_total_bytes: u64,
    /// Space of it that is left.
    pub disk_free_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
    /// How many of them the kernel allows.
    pub pids_max: u64,
}

/// The server's own process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerProcess {
    /// Memory that it holds.
    pub memory_bytes: u64,
    /// CPU share of *one* processor, over the last sample's time.
    pub cpu_percent: f64,
    /// Open files and connections.
    pub open_files: u64,
    /// Size of the database's files.
    pub database_bytes: u64,
}

/// Sessions in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateCount {
    /// The state.
    pub state: SessionState,
    /// How many.
    pub count: u64,
}

/// Sessions that wait for a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// How many wait.
    pub length: u64,
    /// How long the first of them has been waiting.
    pub oldest_millis: u64,
}

/// How long something took, many times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Durations {
    /// How often.
    pub count: u64,
    /// Half of them took at most this long (interpolated within a histogram's bucket).
    pub p50_millis: f64,
    /// All but one of a hundred took at most this long.
    pub p99_millis: f64,
}

/// What one session costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLoad {
    /// Its identifier, with which an operator ends it.
    #[serde(default)]
    pub id: String,
    /// Name of its cluster.
    pub name: String,
    /// Where it is in its life.
    pub state: SessionState,
    /// Slug of its lesson.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesson: Option<String>,
    /// When it was asked for.
    pub created_millis: u64,
    /// When it will be ended.
    pub expires_millis: u64,
    /// How long it took to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_millis: Option<u64>,
    /// Its nodes, and how many of them are Ready.
    pub nodes: u16,
    /// See `nodes`.
    pub nodes_ready: u16,
    /// Memory of all its processes, as last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Whether a page of it is open.
    #[serde(default)]
    pub watched: bool,
}

/// What one route of the server was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteLoad {
    /// `GET`, …
    pub method: String,
    /// The route's pattern, as `/api/v1/sessions/{id}`.
    pub route: String,
    /// Requests and their times until the answer began.
    pub times: Durations,
    /// Answers that blame the client (4xx).
    pub refused: u64,
    /// Answers that blame the server (5xx).
    pub failed: u64,
}

/// How the server was (`GET /api/v1/operator/history?hours=24`): at most a few hundred samples, evenly spread; each stands for
/// the time until the next one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Time that one sample stands for.
    pub step_millis: u64,
    /// Oldest first. Where the server did not run there are none.
    pub samples: Vec<Sample>,
}

/// The server at one time, or the mean over a while (peaks where it says so).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at_millis: u64,
    /// Sessions that are not over and have a place, peak.
    pub sessions: u32,
    /// Sessions that wait for one, peak.
    pub queued: u32,
    /// Terminals that are connected, peak.
    pub terminals: u32,
    /// Sessions that became ready.
    pub starts: u32,
    /// The slowest of these starts; 0 without any.
    pub start_max_millis: u32,
    /// CPU share of the machine.
    pub cpu_percent: f32,
    /// Memory of the machine in use, peak.
    pub memory_used_bytes: u64,
    /// Space left on the data folder's file system, lowest.
    pub disk_free_bytes: u64,
    /// Requests to the server.
    pub requests: u32,
    /// Requests that failed by the server's fault.
    pub requests_failed: u32,
}
