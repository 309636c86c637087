//! Starting one process in namespaces: what the runtime and the session supervisor are both built on.
//!
//! [`launch`] runs in the caller (which may have threads), hands a [`Spec`] to a fresh helper process and returns when
//! the program has been executed, or says why not. The program is the caller's direct child.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cgroup::Hierarchy;
use crate::wire::{self, Message};
use crate::{Device, Ending, Error, Mount, Reaper, RootFs, UserMapping, UserSpec, sys};

pub use crate::capabilities::CapabilitySet;

/// Namespaces to join or to make, as `CLONE_NEW*` flags.
pub type Namespaces = i32;

/// A process to start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// Namespaces to take from the process given as [`Descriptors::target`].
    pub join: Namespaces,
    /// Who made the user namespace among them: [`UserMapping::maker`] of its map.
    pub maker: Option<u32>,
    /// Namespaces to make. A new cgroup namespace has the process's own groups as its root.
    pub new: Namespaces,
    /// Maps of the new user namespace when `new` has one.
    pub user_mapping: Option<UserMapping>,
    /// `cgroup.procs` files of the groups to run in.
    pub cgroup_procs: Vec<PathBuf>,
    /// -1000..=1000, raised to what the kernel allows.
    pub oom_score_adj: Option<i32>,
    /// Root file system to set up in the new mount namespace.
    pub root: Root,
    /// Host name to set in the new UTS namespace.
    pub hostname: Option<String>,
    /// Sysctls to set, dotted names.
    pub sysctls: Vec<(String, String)>,
    /// Bring the loopback interface up.
    pub loopback: bool,
    /// What to execute.
    pub program: Program,
    /// Signal the process gets when the thread that launched it ends.
    pub death_signal: Option<i32>,
}

/// What the process sees as `/`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub enum Root {
    /// What it has already.
    #[default]
    Keep,
    /// Nothing but a `/dev/shm` of this many bytes: for sandbox processes.
    Sandbox {
        /// Size of `/dev/shm`.
        shm_bytes: u64,
    },
    /// A root file system of its own.
    Tree(Box<Tree>),
}

/// A root file system and what is mounted in it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tree {
    /// Where the files come from.
    pub rootfs: RootFs,
    /// Owner of the overlay's root directory, as the caller sees ids.
    pub owner: Option<(u32, u32)>,
    /// The overlay's changes need not survive a crash of the machine; makes `fsync` cheap.
    pub volatile: bool,
    /// Mount `/` read-only.
    pub read_only: bool,
    /// Make all mounts shared, for a node that runs containers itself.
    pub shared: bool,
    /// Mount `/proc`.
    pub proc: bool,
    /// Mount `/sys`.
    pub sys: Option<Access>,
    /// Mount `/dev` with `pts` and `mqueue` and these devices, names below the caller's `/dev`.
    pub dev: Option<Vec<String>>,
    /// Where `/dev/shm` comes from.
    pub shm: Shm,
    /// Mount the process's cgroups at `/sys/fs/cgroup`.
    pub cgroup: Option<(Access, Hierarchy)>,
    /// Bind mounts.
    pub mounts: Vec<Mount>,
    /// Bind mounts that the process shall never be able to make writable, to move or to take away, though it is root of
    /// its user namespace and has all capabilities there. Their places must not be made by somebody hostile.
    pub locked: Vec<Mount>,
    /// Further devices.
    pub devices: Vec<Device>,
    /// Paths to hide.
    pub masked: Vec<PathBuf>,
    /// Paths to make read-only.
    pub read_only_paths: Vec<PathBuf>,
}

/// Whether a kernel file system may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Mounted read-only.
    Read,
    /// Mounted read-write.
    Write,
}

/// Where a container's `/dev/shm` comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shm {
    /// A new one of this many bytes.
    Own(u64),
    /// That of the sandbox process given as [`Descriptors::target`].
    Sandbox,
    /// The caller's.
    #[default]
    Caller,
}

/// What to execute.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Program {
    /// A process of two pages that only waits, as PID 1 reaps, and has no rights.
    Pause {
        /// Its user and group inside the namespace; the present one when absent.
        id: Option<u32>,
    },
    /// A program of the root file system.
    Command(Box<Command>),
}

impl Default for Program {
    fn default() -> Self {
        Self::Pause { id: None }
    }
}

/// A program of the root file system and what it may do.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Command {
    /// Program, looked up on `PATH` when without a slash, and arguments.
    pub args: Vec<String>,
    /// Environment.
    pub env: Vec<(String, String)>,
    /// Working directory, `/` when empty, made when missing.
    pub cwd: String,
    /// Who it runs as.
    pub user: UserSpec,
    /// The most it may ever be capable of.
    pub capabilities: CapabilitySet,
    /// Which system calls it may make.
    pub system_calls: SystemCalls,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privileges: bool,
    /// Give it a terminal; its master comes back as [`Launched::pty`].
    pub tty: bool,
    /// First size of the terminal, columns and rows.
    pub size: Option<(u16, u16)>,
}

/// Which system calls a program may make. Filters are inherited and stack: nothing that a program starts may make more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SystemCalls {
    /// Those that whoever launches it may make.
    #[default]
    All,
    /// All but those that user namespaces do not confine: for a node's first process, and so for everything on it.
    Floor,
    /// The default profile of containers.
    Default,
    /// Those of a profile.
    Profile(Box<crate::profile::Profile>),
}

/// Descriptors that go with a [`Spec`].
#[derive(Debug, Default)]
pub struct Descriptors<'a> {
    /// A process descriptor for [`Spec::join`] and [`Shm::Sandbox`].
    pub target: Option<std::os::fd::BorrowedFd<'a>>,
    /// A process whose PID namespace to join instead of that of `target`.
    pub pids: Option<std::os::fd::BorrowedFd<'a>>,
    /// Standard input, output and error. Without them the program gets `/dev/null`, or its terminal.
    pub stdio: Option<[std::os::fd::BorrowedFd<'a>; 3]>,
}

/// A started process.
#[derive(Debug)]
pub struct Launched {
    /// Process id as the caller sees it.
    pub pid: i32,
    /// Descriptor of the process, safe from reuse of its id.
    pub pidfd: OwnedFd,
    /// Master of its terminal.
    pub pty: Option<OwnedFd>,
    /// Its end.
    pub end: Ending,
}

/// Starts `spec` with the executable `helper`, which must call [`crate::helper_main`] when its `argv[0]` is `runtime`.
///
/// # Errors
/// [`Error::Exec`] when the program cannot be executed, [`Error::Setup`] when a step before failed, [`Error::Helper`]
/// when the helper broke off. Nothing is left running then.
pub fn launch(
    helper: &Path,
    reaper: &Arc<Reaper>,
    spec: &Spec,
    descriptors: &Descriptors<'_>,
) -> Result<Launched, Error> {
    let broken = |what: &str| {
        let what = what.to_owned();
        move |source: io::Error| Error::Helper { what, source: Some(source) }
    };
    let (ours, theirs) = wire::pair().map_err(broken("cannot make a socket pair"))?;
    let child = {
        use std::os::unix::process::CommandExt;
        // Not dropped before it is registered with the reaper: nobody else may wait for it.
        Process::new(helper)
            .arg0("runtime")
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .map_err(broken("cannot be started"))?
    };
    drop(reaper.ending(child.id().cast_signed()));

    let fds: Vec<_> =
        descriptors.stdio.iter().flatten().copied().chain(descriptors.target).chain(descriptors.pids).collect();
    let request = wire::Request {
        spec: std::borrow::Cow::Borrowed(spec),
        stdio: descriptors.stdio.is_some(),
        target: descriptors.target.is_some(),
        pids: descriptors.pids.is_some(),
    };
    wire::send(ours.as_fd(), &request, &fds).map_err(broken("does not take its orders"))?;

    let mut born: Option<(i32, Option<OwnedFd>, Ending)> = None;
    let mut pty = None;
    let failure = loop {
        match wire::receive::<Message>(ours.as_fd()) {
            Ok(Some((Message::Born { pid }, _))) => {
                born = Some((pid, sys::pidfd_open(pid).ok(), reaper.ending(pid)));
                // It does not execute anything before we know it.
                if let Err(error) = wire::go(ours.as_fd()) {
                    break Some(broken("does not answer")(error));
                }
            }
            Ok(Some((Message::Terminal, mut fds))) => pty = fds.pop(),
            Ok(Some((Message::Setup(message), _))) => break Some(Error::Setup { message }),
            Ok(Some((Message::Exec(failure), _))) => break Some(Error::Exec(failure)),
            // Everybody on the other side has executed a program or ended: nothing went wrong.
            Ok(None) => break None,
            Err(error) => break Some(broken("breaks off")(error)),
        }
    };
    match (failure, born) {
        (None, Some((pid, Some(pidfd), end))) => Ok(Launched { pid, pidfd, pty, end }),
        (None, _) => Err(Error::Helper { what: "ended without a word".to_owned(), source: None }),
        (Some(failure), born) => {
            if let Some((_, Some(pidfd), _)) = born {
                drop(sys::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL));
            }
            Err(failure)
        }
    }
}
