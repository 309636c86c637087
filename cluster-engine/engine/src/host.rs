//! Where nodes run: the seam between the engine and a concrete host (embedded, docker, kubernetes).
//!
//! *Invariant*: nothing here or in the engine names a concrete host; only the binary's `main.rs` wires one in.
//! A host keeps what it needs to find its sessions again by itself: after a restart of the backend
//! [`NodeHost::list_sessions`] tells the same story as before.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

/// Why a host could not do what was asked.
#[derive(Debug, Error)]
pub enum HostError {
    /// There is no session of that name.
    #[error("there is no cluster named {session:?}")]
    NoSession {
        /// The session's name.
        session: String,
    },
    /// There is no node of that name in the session.
    #[error("cluster {session:?} has no node named {node:?}")]
    NoNode {
        /// The session's name.
        session: String,
        /// The node's name.
        node: String,
    },
    /// A session or node of that name exists already.
    #[error("{name:?} exists already")]
    Exists {
        /// The session's or node's name.
        name: String,
    },
    /// This machine cannot run nodes; the sentence says what is missing and what to do.
    #[error("{0}")]
    Unsupported(String),
    /// The host refused or failed; the sentence says which step.
    #[error("{action}: {reason}")]
    Failed {
        /// What was being done, e.g. `start node worker-1`.
        action: String,
        /// Why it failed.
        reason: String,
    },
    /// Talking to the session's processes failed.
    #[error("{action}")]
    Io {
        /// What was being done.
        action: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// What a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeRole {
    /// Runs the control plane's static pods.
    ControlPlane,
    /// Runs pods.
    Worker,
    /// The learner's shell; not a Kubernetes node.
    Workstation,
}

/// A file that the host writes into a node's root before its first process starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeFile {
    /// Absolute path inside the node.
    pub path: String,
    /// Permission bits, e.g. `0o600`.
    pub mode: u32,
    /// The content; text, since all that the engine writes is.
    pub contents: String,
}

/// A host file that a node sees read-only.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeBind {
    /// Absolute path on the host.
    pub source: String,
    /// Absolute path inside the node.
    pub target: String,
}

/// Limits of a whole node; none means the host's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeLimits {
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Thousandths of a CPU.
    pub cpu_millis: Option<u64>,
    /// Number of processes and threads.
    pub pids: Option<u64>,
    /// Bytes that the node may keep on disk: its own files and all that its pods write.
    #[serde(default)]
    pub disk_bytes: Option<u64>,
}

/// All that a host needs to know to run a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeSpec {
    /// The node's and its host name, e.g. `worker-1`.
    pub name: String,
    /// What it is for.
    pub role: NodeRole,
    /// Its address in the session's network.
    pub ip: Ipv4Addr,
    /// Its first process; the program is looked up on the node's PATH.
    pub argv: Vec<String>,
    /// Environment of the first process and of shells.
    pub env: BTreeMap<String, String>,
    /// The image whose files the node sees; none: only the node binary and `files`.
    pub image: Option<String>,
    /// Files written into the node's root before it first starts.
    pub files: Vec<NodeFile>,
    /// Host files seen read-only.
    pub binds: Vec<NodeBind>,
    /// Limits of the whole node.
    pub limits: NodeLimits,
}

/// The network that a session's nodes share. Every session may use the same addresses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionNetwork {
    /// The bridge's address, e.g. 10.20.0.1.
    pub gateway: Ipv4Addr,
    /// Prefix length, e.g. 24.
    pub prefix: u8,
    /// The API server inside the network, to which the local endpoint forwards.
    pub api_server: SocketAddr,
}

impl SessionNetwork {
    /// The part of the network from which services of type LoadBalancer get their addresses: the third quarter, after the
    /// nodes' addresses and before the workstation's.
    pub fn load_balancers(&self) -> String {
        let prefix = u32::from(self.prefix.min(30));
        let size = 1_u32.checked_shl(32 - prefix).unwrap_or(0);
        let first = (self.gateway.to_bits() & size.wrapping_neg()) | (size >> 1);
        format!("{}/{}", Ipv4Addr::from_bits(first), prefix + 2)
    }
}

/// A session to create.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionSpec {
    /// A DNS label, unique on the host.
    pub name: String,
    /// Its network.
    pub network: SessionNetwork,
    /// Opaque text that the engine keeps with the session and gets back from [`NodeHost::list_sessions`].
    pub note: String,
    /// Limits of the session as a whole, below those that the host gives any session; its disk is that of its nodes.
    #[serde(default)]
    pub limits: NodeLimits,
}

/// What a node is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Its processes run.
    Running,
    /// Its processes are frozen.
    Paused,
    /// It has no process; its disk is there.
    Stopped,
}

/// A node as the host sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HostNode {
    /// The node's name.
    pub name: String,
    /// What it is for.
    pub role: NodeRole,
    /// Its address.
    pub ip: Ipv4Addr,
    /// What it is doing.
    pub state: NodeState,
}

/// A session as the host sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HostSession {
    /// The session's name.
    pub name: String,
    /// The engine's own text, see [`SessionSpec::note`].
    pub note: String,
    /// Where this machine reaches the session's API server, e.g. `127.0.0.1:40123`.
    pub endpoint: SocketAddr,
    /// Its nodes, in the order of creation.
    pub nodes: Vec<HostNode>,
}

/// What one node uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeUsage {
    /// The node's name; `supervisor` for what the host itself spends on the session.
    pub node: String,
    /// Proportional set size of all its processes, bytes.
    pub memory_bytes: u64,
    /// CPU time since the node started, microseconds.
    pub cpu_micros: u64,
    /// Processes.
    pub pids: u64,
}

/// The outcome of a command that ran to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecOutput {
    /// Exit code; 128 + signal when a signal ended it.
    pub code: i32,
    /// What it wrote to stdout, at most 1 MiB.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr, at most 1 MiB.
    pub stderr: Vec<u8>,
}

/// A terminal to open, or to attach to when one with this id is open already.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TerminalSpec {
    /// Chosen by the caller; attaching again needs the same.
    pub id: String,
    /// The program when it is opened; ignored when attaching.
    pub argv: Vec<String>,
    /// Environment added to the node's.
    pub env: BTreeMap<String, String>,
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}

/// An attached terminal. Dropping it detaches; the program goes on.
pub struct Terminal {
    /// What the program writes, starting with the scroll-back kept so far. Closed when it ended.
    pub output: mpsc::Receiver<Vec<u8>>,
    /// What the learner types.
    pub input: mpsc::Sender<Vec<u8>>,
    /// Columns and rows.
    pub resize: watch::Sender<(u16, u16)>,
    /// The exit code, once the program ended.
    pub exit: watch::Receiver<Option<i32>>,
}

/// A byte stream to an address inside a session.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Runs nodes. One implementation per kind of host, one shared test suite for all.
///
/// Every call is safe to repeat: removing what is gone succeeds, stopping a stopped node succeeds.
#[async_trait]
pub trait NodeHost: Send + Sync {
    /// The host's name for people: `embedded`, `docker`.
    fn name(&self) -> &'static str;

    /// Says in one sentence what is missing when this machine cannot run nodes.
    async fn preflight(&self) -> Result<(), HostError>;

    /// Creates a session without nodes: its network and its local endpoint.
    async fn create_session(&self, spec: &SessionSpec) -> Result<HostSession, HostError>;

    /// Ends every process of a session and removes all that was made for it.
    async fn remove_session(&self, session: &str) -> Result<(), HostError>;

    /// Every session on this host, those of earlier runs included; repairs what can be repaired
    /// (a session whose processes died is started again) and sweeps what cannot.
    async fn list_sessions(&self) -> Result<Vec<HostSession>, HostError>;

    /// One session.
    async fn session(&self, session: &str) -> Result<HostSession, HostError>;

    /// Creates a node and starts it.
    async fn create_node(&self, session: &str, spec: &NodeSpec) -> Result<(), HostError>;

    /// Starts a stopped node on its old disk.
    async fn start_node(&self, session: &str, node: &str) -> Result<(), HostError>;

    /// Asks a node to stop, and kills it after `grace`.
    async fn stop_node(&self, session: &str, node: &str, grace: Duration) -> Result<(), HostError>;

    /// Freezes a node.
    async fn pause_node(&self, session: &str, node: &str) -> Result<(), HostError>;

    /// Lets a frozen node go on.
    async fn resume_node(&self, session: &str, node: &str) -> Result<(), HostError>;

    /// Freezes all nodes of a session, the frozen ones too, or lets those go on that are not frozen each by itself. While it
    /// lasts, nodes answer nothing, and the session can only be described, thawed and removed.
    async fn freeze_session(&self, session: &str, frozen: bool) -> Result<(), HostError>;

    /// Removes a node and its disk.
    async fn remove_node(&self, session: &str, node: &str) -> Result<(), HostError>;

    /// Cuts a node off the session's network.
    async fn detach_node(&self, session: &str, node: &str) -> Result<(), HostError>;

    /// Plugs a node in again.
    async fn attach_node(&self, session: &str, node: &str) -> Result<(), HostError>;

    /// Runs a command in a node to its end.
    async fn exec(&self, session: &str, node: &str, argv: &[String]) -> Result<ExecOutput, HostError>;

    /// Opens a terminal in a node or attaches to one.
    async fn terminal(&self, session: &str, node: &str, spec: &TerminalSpec) -> Result<Terminal, HostError>;

    /// Ends a terminal's program.
    async fn close_terminal(&self, session: &str, id: &str) -> Result<(), HostError>;

    /// Connects to an address inside the session's network.
    async fn dial(&self, session: &str, addr: SocketAddr) -> Result<Box<dyn Stream>, HostError>;

    /// Connects to an address as a program on a node does: its localhost, a Service's address, a pod's.
    async fn dial_from(&self, session: &str, node: &str, addr: SocketAddr) -> Result<Box<dyn Stream>, HostError>;

    /// At most `limit` bytes of a node's file from `offset`; empty at its end. Never follows a link out of the node's root.
    async fn read_file(
        &self,
        session: &str,
        node: &str,
        path: &str,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<u8>, HostError>;

    /// What each node uses now.
    async fn usage(&self, session: &str) -> Result<Vec<NodeUsage>, HostError>;
}
