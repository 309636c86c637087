//! The runtime for Linux.
use crate::*;
use std::path::PathBuf;
use std::sync::Arc;

/// How a [`NativeRuntime`] finds its surroundings.
#[derive(Debug, Clone)]
pub struct Options {
    /// The executable to start as helper; it must call [`crate::helper_main`] when its `argv[0]` is `runtime`.
    pub helper: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self { helper: "/proc/self/exe".into() }
    }
}

/// Runs containers with this machine's kernel and nothing else.
#[derive(Debug)]
pub struct NativeRuntime {
    reaper: Arc<Reaper>,
}

impl NativeRuntime {
    /// A runtime with no sandbox yet. Starts the process's [`Reaper`].
    ///
    /// # Errors
    /// [`Error::Io`] when the machine has no usable cgroups.
    pub fn new(_options: Options) -> Result<Self, Error> {
        Ok(Self { reaper: Reaper::start() })
    }
}

#[allow(unused_variables, reason = "the seam; filled in next")]
impl ContainerRuntime for NativeRuntime {
    fn run_pod_sandbox(&self, config: &SandboxConfig) -> Result<Sandbox, Error> { Err(Error::sandbox("")) }
    fn stop_pod_sandbox(&self, id: &str) -> Result<(), Error> { Err(Error::sandbox(id)) }
    fn remove_pod_sandbox(&self, id: &str) -> Result<(), Error> { Err(Error::sandbox(id)) }
    fn create_container(&self, sandbox: &str, config: &ContainerConfig) -> Result<String, Error> { Err(Error::sandbox(sandbox)) }
    fn start_container(&self, id: &str) -> Result<StartedContainer, Error> { Err(Error::container(id)) }
    fn on_exit(&self, id: &str, notify: ExitNotify) -> Result<(), Error> { Err(Error::container(id)) }
    fn kill_container(&self, id: &str, signal: i32) -> Result<(), Error> { Err(Error::container(id)) }
    fn remove_container(&self, id: &str) -> Result<(), Error> { Err(Error::container(id)) }
    fn update_container(&self, id: &str, limits: &Limits) -> Result<(), Error> { Err(Error::container(id)) }
    fn exec(&self, id: &str, config: &ExecConfig) -> Result<ExecProcess, Error> { Err(Error::container(id)) }
    fn on_exec_exit(&self, pid: i32, notify: ExitNotify) { self.reaper.on_exit(pid, notify); }
    fn stats(&self, id: &str) -> Result<Stats, Error> { Err(Error::container(id)) }
    fn sandbox_stats(&self, id: &str) -> Result<Stats, Error> { Err(Error::container(id)) }
}

/// Entry of the helper process.
pub fn helper_main() -> ! {
    std::process::exit(1)
}
