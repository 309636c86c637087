//! The runtime for Linux: pods and containers as records, each started by [`launch`](crate::launch::launch).

mod confine;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cgroup::{Group, Hierarchy};
use crate::launch::{Descriptors, Launched, Namespaces, Program, Root, Spec, launch};
use crate::{
    ContainerConfig, ContainerRuntime, Ending, Error, ExecConfig, ExecProcess, ExitNotify, Limits, Reaper, Sandbox,
    SandboxConfig, StartedContainer, Stats, UserMapping, files, sys,
};

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
    options: Options,
    reaper: Arc<Reaper>,
    hierarchy: Hierarchy,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sandboxes: HashMap<String, PodSandbox>,
    containers: HashMap<String, Container>,
    /// Processes of `exec` whose end nobody asked for yet.
    execs: HashMap<i32, Arc<Process>>,
}

#[derive(Debug)]
struct PodSandbox {
    config: SandboxConfig,
    process: Arc<Process>,
    group: Group,
}

#[derive(Debug)]
struct Container {
    sandbox: String,
    config: ContainerConfig,
    group: Group,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Created,
    Starting,
    Started(Arc<Process>),
}

/// A process of ours and its end.
struct Process {
    pid: i32,
    pidfd: OwnedFd,
    end: Ending,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl Process {
    /// Takes a launched process over. `oom` tells at its end whether memory was the reason.
    fn adopt(launched: Launched, oom: impl FnOnce() -> bool + Send + 'static) -> (Arc<Self>, Option<OwnedFd>) {
        let Launched { pid, pidfd, pty, end } = launched;
        end.refine(Box::new(move |exit| exit.oom_killed = oom()));
        (Arc::new(Self { pid, pidfd, end }), pty)
    }

    fn running(&self) -> bool {
        self.end.exit().is_none()
    }

    /// Signals it unless it ended; its descriptor never means another process.
    fn signal(&self, signal: i32) {
        if self.running() {
            sys::pidfd_send_signal(self.pidfd.as_fd(), signal).unwrap_or(());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A random id as containerd's, 64 hexadecimal digits.
fn new_id() -> Result<String, Error> {
    let mut bytes = [0; 32];
    let source = "/dev/urandom";
    File::open(source).and_then(|mut file| file.read_exact(&mut bytes)).map_err(Error::io("read", source))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn check_id(id: &str) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if id.is_empty() || id.len() > 128 || id.starts_with('.') || !id.bytes().all(plain) {
        return Err(Error::Invalid { reason: format!("{id:?} is no id") });
    }
    Ok(())
}

/// Our ends and the program's ends of its standard streams.
struct Streams {
    stdin: Option<OwnedFd>,
    stdout: OwnedFd,
    stderr: OwnedFd,
    theirs: [OwnedFd; 3],
}

impl Streams {
    fn new(stdin: bool) -> Result<Self, Error> {
        let pipe = || {
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
                .map_err(|error| Error::Helper { what: "cannot make a pipe".to_owned(), source: Some(error.into()) })
        };
        let (input, stdin) = if stdin {
            let (read, write) = pipe()?;
            (read, Some(write))
        } else {
            (File::open("/dev/null").map_err(Error::io("open", "/dev/null"))?.into(), None)
        };
        let ((stdout, output), (stderr, error)) = (pipe()?, pipe()?);
        Ok(Self { stdin, stdout, stderr, theirs: [input, output, error] })
    }
}

impl NativeRuntime {
    /// A runtime with no sandbox yet. Starts the process's [`Reaper`].
    ///
    /// # Errors
    /// [`Error::Io`] when the machine has no usable cgroups.
    pub fn new(options: Options) -> Result<Self, Error> {
        Ok(Self { options, reaper: Reaper::start(), hierarchy: Hierarchy::detect()?, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn launch(&self, spec: &Spec, descriptors: &Descriptors<'_>) -> Result<Launched, Error> {
        launch(&self.options.helper, &self.reaper, spec, descriptors)
    }

    fn process(&self, id: &str) -> Result<Arc<Process>, Error> {
        match self.state().containers.get(id) {
            Some(Container { phase: Phase::Started(process), .. }) => Ok(Arc::clone(process)),
            _ => Err(Error::container(id)),
        }
    }

    /// Starts `spec` with streams or a terminal.
    fn connected(
        &self,
        spec: &Spec,
        target: &Process,
        tty: bool,
        stdin: bool,
        pids: Option<&Process>,
        oom: impl FnOnce() -> bool + Send + 'static,
    ) -> Result<(Arc<Process>, StartedContainer), Error> {
        let streams = if tty { None } else { Some(Streams::new(stdin)?) };
        let stdio = streams.as_ref().map(|streams| {
            let [input, output, error] = &streams.theirs;
            [input.as_fd(), output.as_fd(), error.as_fd()]
        });
        let pids = pids.map(|process| process.pidfd.as_fd());
        let launched = self.launch(spec, &Descriptors { target: Some(target.pidfd.as_fd()), pids, stdio })?;
        let (process, pty) = Process::adopt(launched, oom);
        let pid = process.pid;
        let (stdin, stdout, stderr) = match streams {
            Some(streams) => (streams.stdin, Some(streams.stdout), Some(streams.stderr)),
            None => (None, None, None),
        };
        Ok((process, StartedContainer { pid, stdin, stdout, stderr, pty }))
    }
}

/// Namespaces the sandbox process has for the pod.
fn pod_namespaces(config: &SandboxConfig) -> Namespaces {
    let mut flags = 0;
    if config.user_mapping.is_some() {
        flags |= libc::CLONE_NEWUSER;
    }
    if !config.host_network {
        flags |= libc::CLONE_NEWNET | libc::CLONE_NEWUTS;
    }
    if !config.host_ipc {
        flags |= libc::CLONE_NEWIPC;
    }
    if config.share_process_namespace && !config.host_pid {
        flags |= libc::CLONE_NEWPID;
    }
    flags
}

impl ContainerRuntime for NativeRuntime {
    fn run_pod_sandbox(&self, config: &SandboxConfig) -> Result<Sandbox, Error> {
        check_id(&config.id)?;
        if config.user_mapping.is_some() && (config.host_network || config.host_pid || config.host_ipc) {
            return Err(Error::Invalid {
                reason: "a pod with a user namespace cannot use the node's namespaces".to_owned(),
            });
        }
        if self.state().sandboxes.contains_key(&config.id) {
            return Err(Error::AlreadyExists { kind: "sandbox", id: config.id.clone() });
        }
        let group = self.hierarchy.group(&config.cgroup_parent);
        group.create()?;
        group.limit(&config.limits)?;
        let own = group.child(&config.id);
        own.create()?;
        let new = pod_namespaces(config);
        let spec = Spec {
            new: new | libc::CLONE_NEWNS,
            user_mapping: config.user_mapping.clone(),
            cgroup_procs: own.procs_files(),
            oom_score_adj: Some(-998),
            root: Root::Sandbox { shm_bytes: config.shm_bytes.unwrap_or(64 << 20) },
            hostname: (new & libc::CLONE_NEWUTS != 0 && !config.hostname.is_empty()).then(|| config.hostname.clone()),
            sysctls: config.sysctls.clone(),
            loopback: new & libc::CLONE_NEWNET != 0,
            // Upstream's pause runs as this user, too.
            program: Program::Pause { id: Some(65535) },
            ..Spec::default()
        };
        let launched = self.launch(&spec, &Descriptors::default()).inspect_err(|_| own.remove().unwrap_or(()))?;
        let (process, _) = Process::adopt(launched, || false);
        let pid = process.pid;
        let netns = if config.host_network { "/proc/self/ns/net".into() } else { format!("/proc/{pid}/ns/net").into() };
        self.state().sandboxes.insert(config.id.clone(), PodSandbox { config: config.clone(), process, group });
        Ok(Sandbox { id: config.id.clone(), pid, netns })
    }

    fn stop_pod_sandbox(&self, id: &str) -> Result<(), Error> {
        let (process, groups) = {
            let state = self.state();
            let sandbox = state.sandboxes.get(id).ok_or_else(|| Error::sandbox(id))?;
            let containers = state.containers.values().filter(|container| container.sandbox == id);
            let groups: Vec<Group> = containers.map(|container| container.group.clone()).collect();
            (Arc::clone(&sandbox.process), groups)
        };
        for group in groups {
            group.kill()?;
        }
        process.signal(libc::SIGKILL);
        Ok(())
    }

    fn remove_pod_sandbox(&self, id: &str) -> Result<(), Error> {
        match self.stop_pod_sandbox(id) {
            Err(Error::NotFound { .. }) => return Ok(()),
            other => other?,
        }
        let containers: Vec<String> = {
            let state = self.state();
            let of_sandbox = state.containers.iter().filter(|(_, container)| container.sandbox == id);
            of_sandbox.map(|(id, _)| id.clone()).collect()
        };
        for container in containers {
            self.remove_container(&container)?;
        }
        let Some(group) = self.state().sandboxes.get(id).map(|sandbox| sandbox.group.clone()) else { return Ok(()) };
        group.child(id).kill()?;
        group.child(id).remove()?;
        // Another sandbox of the same pod may be on its way already.
        if !self.state().sandboxes.iter().any(|(other, sandbox)| other != id && sandbox.group == group) {
            group.remove()?;
        }
        self.state().sandboxes.remove(id);
        Ok(())
    }

    fn create_container(&self, sandbox: &str, config: &ContainerConfig) -> Result<String, Error> {
        if config.args.is_empty() {
            return Err(Error::Invalid { reason: "no command specified".to_owned() });
        }
        confine::capabilities(&config.security)?;
        let id = new_id()?;
        let mut state = self.state();
        let pod = state.sandboxes.get(sandbox).ok_or_else(|| Error::sandbox(sandbox))?;
        let group = pod.group.child(&id);
        let container = Container { sandbox: sandbox.to_owned(), config: config.clone(), group, phase: Phase::Created };
        state.containers.insert(id.clone(), container);
        Ok(id)
    }

    fn start_container(&self, id: &str) -> Result<StartedContainer, Error> {
        let (config, pod, sandbox, group) = {
            let mut state = self.state();
            let container = state.containers.get_mut(id).ok_or_else(|| Error::container(id))?;
            if !matches!(container.phase, Phase::Created) {
                return Err(Error::State { id: id.to_owned(), state: "already started" });
            }
            container.phase = Phase::Starting;
            let (name, config, group) = (container.sandbox.clone(), container.config.clone(), container.group.clone());
            let sandbox = state.sandboxes.get(&name).ok_or_else(|| Error::sandbox(&name))?;
            (config, sandbox.config.clone(), Arc::clone(&sandbox.process), group)
        };
        let neighbour = config.pid_target.as_deref().map(|target| self.process(target)).transpose();
        let started = group.create().and_then(|()| group.limit(&config.limits)).and_then(|()| {
            let neighbour = neighbour?;
            let own_pids = !pod.host_pid && !pod.share_process_namespace && neighbour.is_none();
            let spec = Spec {
                join: pod_namespaces(&pod),
                maker: pod.user_mapping.as_ref().and_then(UserMapping::maker),
                new: libc::CLONE_NEWNS | libc::CLONE_NEWCGROUP | if own_pids { libc::CLONE_NEWPID } else { 0 },
                cgroup_procs: group.procs_files(),
                oom_score_adj: Some(config.oom_score_adj),
                root: Root::Tree(Box::new(confine::tree(&pod, &config, &self.hierarchy))),
                program: Program::Command(Box::new(confine::command(&pod, &config)?)),
                ..Spec::default()
            };
            let counted = group.clone();
            self.connected(&spec, &sandbox, config.tty, config.stdin, neighbour.as_deref(), move || {
                counted.oom_kills() > 0
            })
        });
        let mut state = self.state();
        let container = state.containers.get_mut(id).ok_or_else(|| Error::container(id))?;
        match started {
            Ok((process, started)) => {
                container.phase = Phase::Started(process);
                Ok(started)
            }
            Err(error) => {
                container.phase = Phase::Created;
                drop(state);
                group.kill().and_then(|()| group.remove()).unwrap_or(());
                Err(error)
            }
        }
    }

    fn on_exit(&self, id: &str, notify: ExitNotify) -> Result<(), Error> {
        self.process(id)?.end.on_exit(notify);
        Ok(())
    }

    fn kill_container(&self, id: &str, signal: i32) -> Result<(), Error> {
        let (process, group, alone) = {
            let state = self.state();
            let container = state.containers.get(id).ok_or_else(|| Error::container(id))?;
            let Phase::Started(process) = &container.phase else { return Ok(()) };
            let pod = state.sandboxes.get(&container.sandbox).map(|sandbox| &sandbox.config);
            let alone = pod.is_some_and(|pod| !pod.host_pid && !pod.share_process_namespace)
                && container.config.pid_target.is_none();
            (Arc::clone(process), container.group.clone(), alone)
        };
        process.signal(signal);
        // In a PID namespace of its own everything dies with its init; elsewhere its processes are known by cgroup.
        if signal == libc::SIGKILL && !alone {
            group.kill()?;
        }
        Ok(())
    }

    fn remove_container(&self, id: &str) -> Result<(), Error> {
        let (group, rootfs) = {
            let state = self.state();
            let Some(container) = state.containers.get(id) else { return Ok(()) };
            (container.group.clone(), container.config.rootfs.clone())
        };
        group.kill()?;
        group.remove()?;
        if let crate::RootFs::Overlay { writable, .. } = rootfs {
            files::remove_tree(&writable).map_err(Error::io("remove", writable))?;
        }
        self.state().containers.remove(id);
        Ok(())
    }

    fn update_pod_sandbox(&self, id: &str, limits: &Limits) -> Result<(), Error> {
        let group = {
            let mut state = self.state();
            let sandbox = state.sandboxes.get_mut(id).ok_or_else(|| Error::sandbox(id))?;
            sandbox.config.limits = *limits;
            sandbox.group.clone()
        };
        group.limit(limits)
    }

    fn update_container(&self, id: &str, limits: &Limits) -> Result<(), Error> {
        let group = {
            let mut state = self.state();
            let container = state.containers.get_mut(id).ok_or_else(|| Error::container(id))?;
            container.config.limits = *limits;
            if !matches!(container.phase, Phase::Started(_)) {
                return Ok(());
            }
            container.group.clone()
        };
        group.limit(limits)
    }

    fn exec(&self, id: &str, config: &ExecConfig) -> Result<ExecProcess, Error> {
        if config.args.is_empty() {
            return Err(Error::Invalid { reason: "no command specified".to_owned() });
        }
        let process = self.process(id)?;
        if !process.running() {
            return Err(Error::State { id: id.to_owned(), state: "not running" });
        }
        let (container, pod, group) = {
            let state = self.state();
            let container = state.containers.get(id).ok_or_else(|| Error::container(id))?;
            let pod = state.sandboxes.get(&container.sandbox).ok_or_else(|| Error::sandbox(&container.sandbox))?;
            (container.config.clone(), pod.config.clone(), container.group.clone())
        };
        let spec = Spec {
            // All of the container's; joining a user namespace one is in already is an error.
            join: pod_namespaces(&pod)
                | libc::CLONE_NEWNS
                | libc::CLONE_NEWCGROUP
                | if pod.host_pid { 0 } else { libc::CLONE_NEWPID },
            maker: pod.user_mapping.as_ref().and_then(UserMapping::maker),
            cgroup_procs: group.procs_files(),
            oom_score_adj: Some(container.oom_score_adj),
            program: Program::Command(Box::new(confine::exec(&pod, &container, config)?)),
            ..Spec::default()
        };
        let (process, started) = self.connected(&spec, &process, config.tty, config.stdin, None, || false)?;
        self.state().execs.insert(started.pid, process);
        Ok(started)
    }

    fn on_exec_exit(&self, pid: i32, notify: ExitNotify) {
        let process = self.state().execs.remove(&pid);
        if let Some(process) = process {
            process.end.on_exit(notify);
        }
    }

    fn stats(&self, id: &str) -> Result<Stats, Error> {
        let group = {
            let state = self.state();
            match state.containers.get(id) {
                Some(Container { phase: Phase::Started(process), group, .. }) if process.running() => group.clone(),
                _ => return Err(Error::container(id)),
            }
        };
        Ok(group.stats())
    }

    fn sandbox_stats(&self, id: &str) -> Result<Stats, Error> {
        let group = self.state().sandboxes.get(id).map(|sandbox| sandbox.group.clone());
        Ok(group.ok_or_else(|| Error::sandbox(id))?.stats())
    }
}
