//! Drydock's own container runtime, in the terms of Kubernetes' Container Runtime Interface (CRI).
//!
//! A [`ContainerRuntime`] runs pod sandboxes and containers as *direct children* of the calling process. The work in
//! new namespaces is done by a single-threaded helper, the same executable started again under the name `runtime`
//! (see [`helper_main`]), because joining a user namespace is impossible in a process with threads.
//!
//! It serves two callers: the kubelet, itself PID 1 in a node's user namespace with no right outside of it, and the
//! session supervisor, which is root on the machine and starts whole nodes with [`launch`].
//!
//! *Invariant*: no async runtime, no daemon, no state on disk but the writable layers: when the parent is gone, so are
//! its containers.
#![allow(unsafe_code, reason = "namespaces, mounts and process creation have no safe interface in std")]

mod capabilities;
pub mod cgroup;
pub mod config;
mod error;
mod files;
mod helper;
pub mod launch;
mod native;
pub mod profile;
mod reaper;
mod sys;
mod wire;

pub use config::{
    ContainerConfig, Device, ExecConfig, IdMapping, Limits, Mount, Propagation, RootFs, SandboxConfig, Seccomp,
    Security, UserMapping, UserSpec,
};
pub use error::{Error, ExecFailure};
pub use files::{open_inside, remove_tree};
pub use helper::{helper_main, pause_main};
pub use native::{NativeRuntime, Options};
pub use reaper::{Ending, Exit, ExitNotify, Reaper};
pub use sys::give_back_memory;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// A running pod sandbox: the process that holds the namespaces shared by the pod's containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// The identifier given in [`SandboxConfig::id`].
    pub id: String,
    /// Process id of the sandbox process, as the caller sees it.
    pub pid: i32,
    /// Path of the pod's network namespace (`/proc/<pid>/ns/net`); the caller's own for a pod on the host network.
    pub netns: PathBuf,
}

/// What [`ContainerRuntime::start_container`] hands out: the process and our ends of its standard streams.
#[derive(Debug)]
pub struct StartedContainer {
    /// Process id as the caller sees it; the process is the caller's direct child.
    pub pid: i32,
    /// Write end of standard input when [`ContainerConfig::stdin`] was set and no terminal asked for.
    pub stdin: Option<OwnedFd>,
    /// Read end of standard output; `None` with a terminal.
    pub stdout: Option<OwnedFd>,
    /// Read end of standard error; `None` with a terminal.
    pub stderr: Option<OwnedFd>,
    /// Master side of the terminal when [`ContainerConfig::tty`] was set.
    pub pty: Option<OwnedFd>,
}

/// A process started inside a running container.
pub type ExecProcess = StartedContainer;

/// Resource use of a container or of a whole pod.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// CPU time used so far, user and system, in nanoseconds.
    pub cpu_usage_nanos: u64,
    /// Memory in use without inactive file pages, in bytes: what the kubelet calls the working set.
    pub memory_working_set_bytes: u64,
    /// Anonymous memory, in bytes.
    pub memory_rss_bytes: u64,
    /// All memory charged, page cache included, in bytes.
    pub memory_usage_bytes: u64,
    /// Number of processes and threads.
    pub pids: u64,
}

/// Runs pods. Calls block for as long as the kernel needs (milliseconds) and may come from any thread.
pub trait ContainerRuntime: Send + Sync {
    /// Starts the sandbox process that owns the pod's namespaces, with `lo` up and the pod's cgroup in place.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] for a known id, [`Error::Setup`] with the step that failed otherwise.
    fn run_pod_sandbox(&self, config: &SandboxConfig) -> Result<Sandbox, Error>;

    /// Kills every container of the sandbox and then the sandbox process. Stopping twice is not an error.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown id.
    fn stop_pod_sandbox(&self, id: &str) -> Result<(), Error>;

    /// Stops what still runs, removes the sandbox's containers, cgroup and record. An unknown id is not an error.
    ///
    /// # Errors
    /// [`Error::Io`] when a cgroup or a writable layer cannot be removed.
    fn remove_pod_sandbox(&self, id: &str) -> Result<(), Error>;

    /// Records a container of a sandbox and returns its id; nothing runs yet.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown sandbox, [`Error::Invalid`] for a configuration that can never start.
    fn create_container(&self, sandbox: &str, config: &ContainerConfig) -> Result<String, Error>;

    /// Starts a created container. When this returns, the container's command has been executed.
    ///
    /// # Errors
    /// [`Error::Exec`] when the command cannot be executed (exit code 126 or 127), [`Error::Setup`] for everything before.
    fn start_container(&self, id: &str) -> Result<StartedContainer, Error>;

    /// Calls `notify` once, from the reaper's thread, when the container's first process has ended; at once if it already has.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown or never started container.
    fn on_exit(&self, id: &str, notify: ExitNotify) -> Result<(), Error>;

    /// Sends a signal to the container's first process; `SIGKILL` goes to every process of the container. Ended
    /// containers are not an error.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown id.
    fn kill_container(&self, id: &str, signal: i32) -> Result<(), Error>;

    /// Kills what still runs and removes the container's cgroup and writable layer. An unknown id is not an error.
    ///
    /// # Errors
    /// [`Error::Io`] when the cgroup or the writable layer cannot be removed.
    fn remove_container(&self, id: &str) -> Result<(), Error>;

    /// Changes the limits of a whole pod.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown id, [`Error::Io`] when the kernel refuses a value.
    fn update_pod_sandbox(&self, id: &str, limits: &Limits) -> Result<(), Error>;

    /// Changes the limits of a running container.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown id, [`Error::Io`] when the kernel refuses a value.
    fn update_container(&self, id: &str, limits: &Limits) -> Result<(), Error>;

    /// Starts a process inside a running container, under the container's own confinement.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the container does not run, [`Error::Exec`] when the command cannot be executed.
    fn exec(&self, id: &str, config: &ExecConfig) -> Result<ExecProcess, Error>;

    /// Like [`ContainerRuntime::on_exit`] for a process returned by [`ContainerRuntime::exec`]. To be called once for each;
    /// a process that is not one of those, or was asked for before, is ignored.
    fn on_exec_exit(&self, pid: i32, notify: ExitNotify);

    /// Resource use of one container.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the container does not run.
    fn stats(&self, id: &str) -> Result<Stats, Error>;

    /// Resource use of everything in a pod.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such sandbox.
    fn sandbox_stats(&self, id: &str) -> Result<Stats, Error>;
}
