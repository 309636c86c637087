//! The single-threaded process that makes namespaces and fills them.
//!
//! It does in the caller's namespaces what only works there (opening what is to be mounted, the overlay, cgroups),
//! then joins or makes namespaces and forks the new process as *its caller's* child. That child finishes the mounts
//! with the rights it has inside, waits until its caller knows it, and executes the program.
//!
//! What enters somebody else's namespaces is never dumpable, so nobody in there can reach into it or its descriptors.

mod identity;
mod mounts;
mod pause;
mod program;
mod seccomp;

use std::fmt::Display;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use crate::launch::{Program, Root, Spec};
use crate::wire::{self, Message, Request};
use crate::{ExecFailure, IdMapping, UserMapping, sys};

/// Why the process could not be started.
pub(crate) enum Failure {
    /// A step before the program.
    Setup(String),
    /// The program itself.
    Exec(ExecFailure),
}

/// Names the step that failed.
pub(crate) trait Step<T> {
    fn step(self, what: impl Display) -> Result<T, Failure>;
}

impl<T, E: Display> Step<T> for Result<T, E> {
    fn step(self, what: impl Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::Setup(format!("{what}: {error}")))
    }
}

/// Descriptors that came with the request.
struct Given {
    stdio: Option<[OwnedFd; 3]>,
    target: Option<OwnedFd>,
    pids: Option<OwnedFd>,
}

/// The whole life of a process started as `runtime`: reads its orders from descriptor 0, carries them out, ends.
pub fn helper_main() -> ! {
    // SAFETY: the caller of the helper put its socket at descriptor 0 and nothing here owns it yet.
    let input = unsafe { OwnedFd::from_raw_fd(0) };
    // The control socket must not be inherited by the program; descriptor 0 itself is replaced before.
    let control = rustix::io::fcntl_dupfd_cloexec(&input, 3);
    std::mem::forget(input);
    let code = match control {
        Ok(control) => match helper(control.as_fd()) {
            Ok(()) => 0,
            Err(failure) => {
                report(control.as_fd(), failure);
                1
            }
        },
        Err(_) => 2,
    };
    std::process::exit(code)
}

/// The whole life of a process started as `pause`: becomes the tiny program that only waits and reaps.
pub fn pause_main() -> ! {
    sys::reset_signals(&[libc::SIGCHLD]);
    if let Ok(file) = pause::file() {
        sys::fexecve(file.as_fd(), c"/pause");
    }
    std::process::exit(1)
}

fn report(control: BorrowedFd<'_>, failure: Failure) {
    let message = match failure {
        Failure::Setup(message) => Message::Setup(message),
        Failure::Exec(failure) => Message::Exec(failure),
    };
    // Nobody left to tell when this fails.
    drop(wire::send(control, &message, &[]));
}

fn helper(control: BorrowedFd<'_>) -> Result<(), Failure> {
    let (request, fds) = wire::receive::<Request<'static>>(control)
        .step("read orders")?
        .ok_or_else(|| Failure::Setup("no orders".to_owned()))?;
    let mut fds = fds.into_iter();
    let stdio = if request.stdio {
        let (Some(input), Some(output), Some(error)) = (fds.next(), fds.next(), fds.next()) else {
            return Err(Failure::Setup("standard streams are missing".to_owned()));
        };
        Some([input, output, error])
    } else {
        None
    };
    let target = if request.target { fds.next() } else { None };
    let given = Given { stdio, target, pids: if request.pids { fds.next() } else { None } };
    let spec = request.spec.into_owned();

    // First of all what depends on being exactly who and where the caller is.
    if let Some(score) = spec.oom_score_adj {
        set_oom_score(score).step("set oom_score_adj")?;
    }
    let cgroups = spec
        .cgroup_procs
        .iter()
        .map(|file| File::options().write(true).open(file).step(format_args!("open {}", file.display())))
        .collect::<Result<Vec<_>, _>>()?;
    let filter = seccomp::program(&spec.program).step("compile the seccomp filter")?;
    let pause = match &spec.program {
        Program::Pause { .. } => Some(pause::file().step("make the pause program")?),
        Program::Command(_) => None,
    };
    let material = mounts::prepare(&spec.root, given.target.as_ref().map(AsFd::as_fd), spec.maker)?;

    if spec.join != 0 {
        let target = given.target.as_ref().ok_or_else(|| Failure::Setup("no process to join".to_owned()))?;
        // Whoever is in there already must not be able to trace us.
        sys::prctl(libc::PR_SET_DUMPABLE, 0, 0).step("clear dumpable")?;
        if let Some(maker) = spec.maker {
            identity::act_as(maker)?;
        }
        sys::setns(target.as_fd(), spec.join).step("join namespaces")?;
    }
    if let Some(process) = &given.pids {
        sys::setns(process.as_fd(), libc::CLONE_NEWPID).step("join the target's PID namespace")?;
    }
    // The cgroup namespace is made later, from inside the groups.
    let namespaces = spec.new & !libc::CLONE_NEWCGROUP;
    let (wait, release) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).step("make a pipe")?;
    // The kernel counts what users have (namespaces, inotify instances, queued signals …) for the maker of a user
    // namespace, too: let that be nobody who has others.
    let maker =
        spec.user_mapping.as_ref().filter(|_| namespaces & libc::CLONE_NEWUSER != 0).and_then(UserMapping::maker);
    if let Some(uid) = maker {
        identity::act_as(uid)?;
    }
    let pid = sys::fork(namespaces, true).step("make namespaces")?;
    if maker.is_some() && pid != 0 {
        identity::act_as_oneself()?;
    }
    if pid == 0 {
        drop(release);
        let luggage = Luggage { given, cgroups, material, filter, pause };
        let Err(failure) = child(control, &spec, luggage, wait);
        report(control, failure);
        std::process::exit(1);
    }
    drop(wait);
    wire::send(control, &Message::Born { pid }, &[]).step("report the process")?;
    if let Some(mapping) = &spec.user_mapping {
        write_map(pid, "uid_map", &mapping.uids)?;
        write_map(pid, "gid_map", &mapping.gids)?;
    }
    File::from(release).write_all(b"m").step("release the process")
}

/// A line at a time would be refused: the kernel takes a map in one write.
fn write_map(pid: i32, name: &str, lines: &[IdMapping]) -> Result<(), Failure> {
    let text: String = lines.iter().map(|line| format!("{} {} {}\n", line.inside, line.outside, line.size)).collect();
    std::fs::write(format!("/proc/{pid}/{name}"), text).step(format_args!("write {name}"))
}

/// Without `CAP_SYS_RESOURCE` the score cannot go below the lowest it has had; then it stays where it is.
fn set_oom_score(score: i32) -> std::io::Result<()> {
    const FILE: &str = "/proc/self/oom_score_adj";
    let score = score.clamp(-1000, 1000);
    match std::fs::write(FILE, score.to_string()) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM)) => {
            let present = std::fs::read_to_string(FILE)?.trim().parse::<i32>().unwrap_or(0);
            if score < present { Ok(()) } else { Err(error) }
        }
        other => other,
    }
}

/// What the new process takes along.
struct Luggage {
    given: Given,
    cgroups: Vec<File>,
    material: mounts::Material,
    filter: Option<seccomp::Filter>,
    pause: Option<OwnedFd>,
}

/// The new process, up to the execution of its program. Only returns to report a failure.
fn child(
    control: BorrowedFd<'_>,
    spec: &Spec,
    luggage: Luggage,
    wait: OwnedFd,
) -> Result<std::convert::Infallible, Failure> {
    let Luggage { given, cgroups, material, filter, pause } = luggage;
    // The user namespace has its maps from here on.
    if File::from(wait).read(&mut [0]).step("wait for the id maps")? == 0 {
        return Err(Failure::Setup("the helper broke off".to_owned()));
    }
    // While we still are who opened these files: version 1 compares the mover's user with the moved one's.
    for mut file in cgroups {
        file.write_all(b"0").step("enter the cgroup")?;
    }
    sys::prctl(libc::PR_SET_DUMPABLE, 0, 0).step("clear dumpable")?;
    // A session and process group of its own, so that nothing typed at the caller's terminal reaches it.
    rustix::process::setsid().step("start a session")?;
    if (spec.join | spec.new) & libc::CLONE_NEWUSER != 0 {
        identity::become_root()?;
    }
    if spec.new & libc::CLONE_NEWCGROUP != 0 {
        sys::unshare(libc::CLONE_NEWCGROUP).step("make a cgroup namespace")?;
    }
    if let Some(name) = &spec.hostname {
        rustix::system::sethostname(name.as_bytes()).step("set the host name")?;
    }
    if spec.loopback {
        sys::loopback_up().step("bring lo up")?;
    }
    for (name, value) in &spec.sysctls {
        set_sysctl(name, value)?;
    }
    if !matches!(spec.root, Root::Keep) {
        mounts::enter(&spec.root, material)?;
    }
    match &spec.program {
        Program::Pause { id } => {
            let file = pause.ok_or_else(|| Failure::Setup("no pause program".to_owned()))?;
            let devnull =
                rustix::fs::memfd_create("null", rustix::fs::MemfdFlags::CLOEXEC).step("make an empty file")?;
            for number in 0..3 {
                sys::duplicate_to(devnull.as_fd(), number).step("redirect standard streams")?;
            }
            sys::close_on_exec_from(3).step("close descriptors")?;
            identity::renounce(*id)?;
            set_death_signal(spec)?;
            wire::wait_for_go(control).step("wait for the caller")?;
            // The kernel reaps the children of a process that ignores SIGCHLD.
            sys::reset_signals(&[libc::SIGCHLD]);
            Err(Failure::Setup(format!("execute pause: {}", sys::fexecve(file.as_fd(), c"/pause"))))
        }
        Program::Command(command) => {
            let ready = program::prepare(command)?;
            let pty = if command.tty { Some(program::terminal(control, command, &ready)?) } else { None };
            connect(given.stdio, pty)?;
            identity::assume(command, &ready.user, filter.as_ref())?;
            set_death_signal(spec)?;
            let ready = program::resolve(command, ready)?;
            wire::wait_for_go(control).step("wait for the caller")?;
            sys::reset_signals(&[]);
            sys::close_on_exec_from(3).step("close descriptors")?;
            Err(program::execute(&ready))
        }
    }
}

/// Only after the last change of user: that clears it.
fn set_death_signal(spec: &Spec) -> Result<(), Failure> {
    match spec.death_signal {
        Some(signal) => {
            sys::prctl(libc::PR_SET_PDEATHSIG, u64::from(signal.unsigned_abs()), 0).step("set the death signal")
        }
        None => Ok(()),
    }
}

fn connect(stdio: Option<[OwnedFd; 3]>, pty: Option<OwnedFd>) -> Result<(), Failure> {
    let streams = match (pty, stdio) {
        (Some(terminal), _) => {
            sys::set_controlling_terminal(terminal.as_fd()).step("set the controlling terminal")?;
            for number in 0..3 {
                sys::duplicate_to(terminal.as_fd(), number).step("redirect standard streams")?;
            }
            if terminal.as_raw_fd() < 3 {
                std::mem::forget(terminal);
            }
            return Ok(());
        }
        (None, Some(streams)) => streams,
        (None, None) => {
            let open =
                || File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from).step("open /dev/null");
            [open()?, open()?, open()?]
        }
    };
    // All are above 2: descriptors 0 to 2 are taken since the helper started.
    for (number, stream) in (0..).zip(&streams) {
        sys::duplicate_to(stream.as_fd(), number).step("redirect standard streams")?;
    }
    Ok(())
}

fn set_sysctl(name: &str, value: &str) -> Result<(), Failure> {
    // Dots separate, and a slash stands for a dot inside a part, as sysctl(8) has it.
    let path: String = name
        .chars()
        .map(|c| {
            if c == '.' {
                '/'
            } else if c == '/' {
                '.'
            } else {
                c
            }
        })
        .collect();
    if path.split('/').any(|part| part.is_empty() || part == "..") {
        return Err(Failure::Setup(format!("invalid sysctl \"{name}\"")));
    }
    std::fs::write(Path::new("/proc/sys").join(path), value).step(format_args!("set sysctl {name}"))
}
