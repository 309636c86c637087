//! One session: its network, nodes, gateway and terminals, in one process that outlives the server.
//!
//! The supervisor runs as the host's root in a mount namespace of its own. Nodes are its children and die with it, the
//! session's network namespaces go with their last process, so the kernel cleans up whatever way the supervisor ends.
//! It speaks JSON lines on `supervisor.sock` in the session's folder ([`protocol`]); hosts are its clients ([`client`]).
//!
//! In containers a session has several supervisors: one is its gateway, each of the others (*members*) runs one node.
#![allow(unsafe_code, reason = "entering namespaces, idmapped mounts and loop devices have no safe interface")]

pub mod client;
mod disk;
pub mod duties;
pub mod hosting;
mod images;
mod network;
mod node;
mod owner;
pub mod protocol;
pub mod relay;
mod serve;
mod share;
pub mod state;
pub mod store;
mod terminal;

use std::net::IpAddr;
use std::path::PathBuf;

use drydock_component::Shutdown;
use thiserror::Error;

/// Flags of `drydock-supervisor`.
#[derive(Debug, clap::Parser)]
#[command(name = "drydock-supervisor")]
pub struct Options {
    /// The session's folder, with its `session.json`.
    #[arg(long)]
    pub session_dir: PathBuf,
    /// The image store of the machine.
    #[arg(long)]
    pub images: PathBuf,
    /// What the session is, as JSON of [`state::State`]; taken when the folder holds no session yet.
    #[arg(long, env = "DRYDOCK_SESSION", hide_env_values = true)]
    pub session: Option<String>,
    /// Link to a network over which several supervisors carry one session together, e.g. `eth0`.
    #[arg(long)]
    pub uplink: Option<String>,
    /// Only runs nodes: another supervisor on the uplink is the session's gateway.
    #[arg(long, requires = "uplink")]
    pub member: bool,
    /// Where the gateway to the API server listens.
    #[arg(long, default_value = "127.0.0.1")]
    pub listen: IpAddr,
    /// Seconds that nodes get to end in good order when the supervisor is asked to stop.
    #[arg(long, default_value_t = 0)]
    pub grace_seconds: u64,
}

/// Why a supervisor cannot run, or could not do what was asked.
#[derive(Debug, Error)]
pub enum Error {
    /// A file or socket failed.
    #[error("{action}: {source}")]
    Io {
        /// What was being done.
        action: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The container runtime failed.
    #[error("{action}: {source}")]
    Runtime {
        /// What was being done.
        action: String,
        /// Why it failed.
        #[source]
        source: drydock_container_runtime::Error,
    },
    /// The network could not be programmed.
    #[error("{action}: {reason}")]
    Network {
        /// What was being done.
        action: String,
        /// Why it failed.
        reason: String,
    },
    /// An image is missing or unusable.
    #[error("{0}")]
    Image(#[from] drydock_images::Error),
    /// There is no node of that name.
    #[error("there is no node named {0:?}")]
    NoNode(String),
    /// A node of that name exists.
    #[error("{0:?} exists already")]
    Exists(String),
    /// The node does not run.
    #[error("node {0:?} is not running")]
    NotRunning(String),
    /// All nodes are frozen.
    #[error("the session is asleep: wake it first")]
    Asleep,
    /// Too many terminals.
    #[error("a session has at most 32 terminals at once: close one")]
    Terminals,
    /// The saved state is not readable.
    #[error("the session's saved state is not readable: {0}")]
    State(#[from] serde_json::Error),
}

impl Error {
    fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
        let action = action.into();
        move |source| Error::Io { action, source }
    }

    fn runtime(action: impl Into<String>) -> impl FnOnce(drydock_container_runtime::Error) -> Error {
        let action = action.into();
        move |source| Error::Runtime { action, source }
    }
}

/// Runs a session until `shutdown` or a request to end it; nothing of it runs any more then.
///
/// # Errors
/// When the session's folder, network or socket cannot be set up.
pub async fn run(options: Options, shutdown: Shutdown) -> Result<(), Error> {
    serve::run(options, shutdown).await
}
