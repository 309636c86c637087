//! What is said on the supervisor's socket: one JSON line asks, one JSON line answers, any number of times.
//!
//! After the answer to [`Request::Dial`] the connection carries the bytes of the stream. After the answer to
//! [`Request::Terminal`] it carries frames both ways: a byte for the kind, a `u32` (little endian) for the length, the bytes.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use drydock_engine::host::{ExecOutput, HostSession, NodeSpec, NodeUsage, TerminalSpec};
use serde::{Deserialize, Serialize};

/// Name of the socket in the session's folder.
pub const SOCKET: &str = "supervisor.sock";
/// Name of the file that the session's one supervisor holds a lock on.
pub const LOCK: &str = "supervisor.lock";
/// Name of the state file in the session's folder.
pub const STATE: &str = "session.json";
/// Name of the log file in the session's folder.
pub const LOG: &str = "supervisor.log";
/// Parent of all sessions' control groups, see [`group`].
pub const CGROUP: &str = "drydock";
/// User ids of one session.
pub const IDS: u32 = 131_072;
/// First user id of the first session.
pub const FIRST_ID: u32 = 0x1000_0000;

/// The session's control group. The folder's own number is in it, since two servers on one machine may each have a
/// session of the same name.
///
/// # Errors
/// When there is no such folder.
pub fn group(folder: &Path) -> io::Result<PathBuf> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    Ok(Path::new(CGROUP).join(format!("{name}.{:x}", std::fs::metadata(folder)?.ino())))
}

/// The socket of the session in `folder`, under a name short enough for a socket's address however deep the folder is.
/// It is good for as long as the returned file is open.
///
/// # Errors
/// When there is no such folder.
pub fn socket(folder: &Path) -> io::Result<(PathBuf, File)> {
    let file = File::open(folder)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", file.as_raw_fd())), file))
}

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
    /// Freeze or thaw all nodes at once.
    FreezeSession {
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
        /// As a program on this node does, which may be about its localhost or a Service's address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
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
