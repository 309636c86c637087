//! What is said on the supervisor's socket: one JSON line asks, one JSON line answers.
//!
//! After the answer to [`Request::Dial`] the connection carries the bytes of the stream. After the answer to
//! [`Request::Terminal`] it carries frames both ways: a byte for the kind, a `u32` (little endian) for the length, the bytes.

use std::net::SocketAddr;

use drydock_engine::host::{ExecOutput, HostSession, NodeSpec, NodeUsage, TerminalSpec};
use serde::{Deserialize, Serialize};

/// Name of the socket in the session's folder.
pub const SOCKET: &str = "supervisor.sock";
/// Name of the state file in the session's folder.
pub const STATE: &str = "session.json";
/// Name of the log file in the session's folder.
pub const LOG: &str = "supervisor.log";
/// Group of a session's cgroups, below the root.
pub const CGROUP: &str = "drydock";
/// User ids of one session.
pub const IDS: u32 = 131_072;
/// First user id of the first session.
pub const FIRST_ID: u32 = 0x1000_0000;

/// Frame kinds of an attached terminal.
pub mod frame {
    /// Bytes of the terminal, both ways.
    pub const DATA: u8 = 0;
    /// To the supervisor: columns and rows, two `u16`, little endian.
    pub const RESIZE: u8 = 1;
    /// From the supervisor: the exit code, an `i32`, little endian; the last frame.
    pub const EXIT: u8 = 2;
    /// No frame is larger.
    pub const LIMIT: usize = 1 << 20;
}

/// What a client asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// Describe the session.
    Session,
    /// Create and start a node.
    CreateNode {
        /// What to run.
        spec: Box<NodeSpec>,
    },
    /// Start a stopped node.
    StartNode {
        /// Which.
        node: String,
    },
    /// Stop a node.
    StopNode {
        /// Which.
        node: String,
        /// Time until it is killed.
        grace_millis: u64,
    },
    /// Freeze or thaw a node.
    FreezeNode {
        /// Which.
        node: String,
        /// Frozen or not.
        frozen: bool,
    },
    /// Remove a node and its disk.
    RemoveNode {
        /// Which.
        node: String,
    },
    /// Plug or unplug a node's network.
    PlugNode {
        /// Which.
        node: String,
        /// Plugged or not.
        plugged: bool,
    },
    /// Run a command to its end.
    Exec {
        /// On which node.
        node: String,
        /// Program and arguments.
        argv: Vec<String>,
    },
    /// Open a terminal or attach to one.
    Terminal {
        /// On which node.
        node: String,
        /// Which terminal.
        spec: TerminalSpec,
    },
    /// End a terminal's program.
    CloseTerminal {
        /// Which.
        id: String,
    },
    /// Connect to an address in the session's network.
    Dial {
        /// Where.
        addr: SocketAddr,
    },
    /// Read a part of a node's file.
    ReadFile {
        /// On which node.
        node: String,
        /// Absolute path inside it.
        path: String,
        /// First byte.
        offset: u64,
        /// Most bytes.
        limit: usize,
    },
    /// What each node uses.
    Usage,
    /// End the session's processes and the supervisor.
    End,
}

/// What the supervisor answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// Done.
    Done,
    /// The session.
    Session(HostSession),
    /// A command's outcome.
    Exec(ExecOutput),
    /// Bytes of a file.
    Bytes(Vec<u8>),
    /// What nodes use.
    Usage(Vec<NodeUsage>),
    /// There is no such node.
    NoNode(String),
    /// It exists already.
    Exists(String),
    /// It failed; the sentence says why.
    Failed(String),
}
