//! A learner's session: its life, time and size.

use serde::{Deserialize, Serialize};

use crate::{Answered, Fault, FaultKind};

/// Body of `POST /api/v1/sessions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateSession {
    /// Slug of the lesson to follow; `None` is the free playground.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesson: Option<String>,
    /// Worker nodes; `None` takes the lesson's number, or 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u8>,
}

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionState {
    /// Accepted, waiting for its turn.
    #[default]
    Pending,
    /// Its cluster is coming up.
    Starting,
    /// All nodes are Ready and the terminal answers.
    Ready,
    /// Nobody used it for a while: its processes are frozen, and the next use wakes it.
    Suspended,
    /// Being removed.
    Ending,
    /// Gone; nothing of it is left.
    Ended,
    /// Could not start or broke down; `reason` says why.
    Failed,
}

impl SessionState {
    /// Whether nothing more will happen to the session.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::Failed)
    }
}

/// What a session in the queue waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitsFor {
    /// Others that start this very moment; a matter of seconds.
    #[default]
    Turn,
    /// One of the places that the server was given.
    Places,
    /// Memory of the machine.
    Memory,
    /// Disk space of the machine.
    Disk,
    /// Processes that the machine can still run.
    Processes,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePlace {
    /// 1 is the next.
    pub position: u32,
    /// For how long, as far as the server can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_millis: Option<u64>,
    /// What it waits for.
    pub waits_for: WaitsFor,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its owner ended it.
    Owner,
    /// An instructor or operator ended it.
    Staff,
    /// Its time was over.
    Time,
    /// It gave up its place in the queue.
    Queue,
    /// The machine had not enough memory or disk for all, and nobody had used this one for the longest time.
    Pressure,
    /// It could not start or broke down.
    Failure,
    /// The server was stopped.
    Server,
    /// Its cluster was gone.
    Lost,
}

/// A session (`GET /api/v1/sessions/{id}`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Unguessable identifier, part of the page's address.
    pub id: String,
    /// Name of the cluster, as `drydock cluster list` shows it.
    pub name: String,
    /// Slug of its lesson.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesson: Option<String>,
    /// It belongs to who asked for it; told in the answer for one session only, not in events.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// Where it is in its life.
    pub state: SessionState,
    /// Why it failed or ended, or what it waits for: one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it is over; in words: `reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<EndReason>,
    /// Its place in the queue, while it is Pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueuePlace>,
    /// What the learner made can be downloaded though the session is over.
    #[serde(default)]
    pub manifests: bool,
    /// When it was asked for, or had its turn when it had to wait.
    pub created_millis: u64,
    /// When it will be ended.
    pub expires_millis: u64,
    /// The server's clock when this was written, so that the page counts down rightly on a machine whose clock is off.
    pub now_millis: u64,
    /// How much one *extend* adds; 0 when it cannot be extended any more.
    #[serde(default)]
    pub extend_millis: u64,
    /// Number of nodes that are to exist, the master included.
    pub nodes: u16,
    /// Number of nodes that are Ready.
    #[serde(default)]
    pub nodes_ready: u16,
    /// From the request to all nodes Ready and a shell prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_millis: Option<u64>,
    /// Memory that all its processes together hold (PSS), in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// What has to happen before it is Ready, in order.
    #[serde(default)]
    pub start: Vec<StartStep>,
    /// Steps of the lesson that were fulfilled, by identifier.
    #[serde(default)]
    pub steps_done: Vec<String>,
    /// Questions of the lesson that were answered rightly.
    #[serde(default)]
    pub answered: Vec<Answered>,
    /// What the fault panel offers; empty: it is not shown.
    #[serde(default)]
    pub may_break: Vec<FaultKind>,
    /// Faults that hold now.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

/// A stage of coming up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartStage {
    /// Private network, certificates and node files.
    Network,
    /// The master's kubelet and etcd.
    Etcd,
    /// kube-apiserver answers.
    ApiServer,
    /// Scheduler and controllers, the default ServiceAccount.
    Controllers,
    /// Every node registered and Ready.
    Nodes,
    /// The workstation's shell.
    Workstation,
}

impl StartStage {
    /// All stages, in order.
    pub const ALL: [Self; 6] =
        [Self::Network, Self::Etcd, Self::ApiServer, Self::Controllers, Self::Nodes, Self::Workstation];
}

/// How far a stage is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not begun.
    #[default]
    Waiting,
    /// Under way.
    Running,
    /// Reached.
    Done,
    /// Did not work.
    Failed,
}

/// One line of the start progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartStep {
    /// Which.
    pub stage: StartStage,
    /// How far.
    pub state: StepState,
    /// When it was reached, counted from the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_millis: Option<u64>,
}
