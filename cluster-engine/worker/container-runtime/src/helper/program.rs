//! From a command line to a program that runs.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::identity::{self, User};
use super::{Failure, Step};
use crate::launch::Command;
use crate::wire::{self, Message};
use crate::{ExecFailure, sys};

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is known before the process gives up its rights.
pub(super) struct Ready {
    pub(super) user: User,
    env: Vec<CString>,
    path: String,
    cwd: String,
}

/// All that `execve` needs.
pub(super) struct Executable {
    program: CString,
    args: Vec<CString>,
    env: Vec<CString>,
}

/// Finds the user and makes the environment and the working directory.
pub(super) fn prepare(command: &Command) -> Result<Ready, Failure> {
    let user = identity::look_up(&command.user)?;
    let mut env = command.env.clone();
    let mut add = |name: &str, value: &str| {
        if !env.iter().any(|(other, _)| other == name) {
            env.push((name.to_owned(), value.to_owned()));
        }
    };
    add("PATH", DEFAULT_PATH);
    add("HOME", &user.home);
    if command.tty {
        add("TERM", "xterm");
    }
    let path = env.iter().rev().find(|(name, _)| name == "PATH").map_or(String::new(), |(_, value)| value.clone());
    let env = env
        .into_iter()
        .map(|(name, value)| CString::new(format!("{name}={value}")).step(format_args!("environment variable {name}")))
        .collect::<Result<_, _>>()?;
    let cwd = if command.cwd.is_empty() { "/".to_owned() } else { command.cwd.clone() };
    if rustix::fs::stat(&cwd).is_err() {
        let root =
            rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).step("open /")?;
        crate::files::make_directories(root.as_fd(), Path::new(&cwd))
            .step(format_args!("make working directory {cwd:?}"))?;
    }
    Ok(Ready { user, env, path, cwd })
}

/// Opens a terminal in the container's own `/dev/pts`, sends its master to the caller and returns the other side.
pub(super) fn terminal(control: BorrowedFd<'_>, command: &Command, ready: &Ready) -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let master = rustix::fs::open("/dev/pts/ptmx", flags, Mode::empty()).step("open /dev/pts/ptmx")?;
    // What lies there is up to the container: accept nothing but the kernel's multiplexer (5:2).
    let master = std::fs::File::from(master);
    let metadata = master.metadata().step("look at /dev/pts/ptmx")?;
    if !metadata.file_type().is_char_device() || metadata.rdev() != rustix::fs::makedev(5, 2) {
        return Err(Failure::Setup("/dev/pts/ptmx is not a terminal multiplexer".to_owned()));
    }
    rustix::io::ioctl_fionbio(&master, false).step("make the terminal blocking")?;
    let slave = sys::terminal_peer(master.as_fd()).step("open the terminal")?;
    let owner = rustix::fs::Uid::from_raw(ready.user.uid);
    rustix::fs::fchown(&slave, Some(owner), None).step("give the terminal to the user")?;
    if let Some((columns, rows)) = command.size {
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&slave, size).step("set the terminal's size")?;
    }
    wire::send(control, &Message::Terminal, &[master.as_fd()]).step("hand out the terminal")?;
    Ok(slave)
}

/// As the user: enters the working directory and finds the program.
pub(super) fn resolve(command: &Command, ready: Ready) -> Result<Executable, Failure> {
    rustix::process::chdir(&ready.cwd).map_err(|error| {
        let reason = describe(error);
        Failure::Setup(format!("chdir to cwd ({:?}) set in config.json failed: {reason}", ready.cwd))
    })?;
    let Some(name) = command.args.first() else {
        return Err(Failure::Setup("no command specified".to_owned()));
    };
    let program = find(name, &ready.path).map_err(|(reason, exit_code)| {
        Failure::Exec(ExecFailure { message: format!("exec: {name:?}: {reason}"), exit_code })
    })?;
    let args = command.args.iter().map(|arg| CString::new(arg.as_str()).step("argument")).collect::<Result<_, _>>()?;
    Ok(Executable { program: CString::new(program).step("program name")?, args, env: ready.env })
}

pub(super) fn execute(ready: &Executable) -> Failure {
    let error = sys::execve(&ready.program, &ready.args, &ready.env);
    let exit_code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
    let reason =
        error.raw_os_error().map_or_else(|| error.to_string(), |code| describe(Errno::from_raw_os_error(code)));
    Failure::Exec(ExecFailure { message: format!("exec {}: {reason}", lossy(&ready.program)), exit_code })
}

fn lossy(text: &CStr) -> String {
    text.to_string_lossy().into_owned()
}

/// The kernel's reason in the words Go programs print, which is what people search for.
fn describe(error: Errno) -> String {
    match error {
        Errno::NOENT => "no such file or directory".to_owned(),
        Errno::ACCESS => "permission denied".to_owned(),
        Errno::PERM => "operation not permitted".to_owned(),
        Errno::NOTDIR => "not a directory".to_owned(),
        Errno::NOEXEC => "exec format error".to_owned(),
        Errno::ISDIR => "is a directory".to_owned(),
        Errno::TOOBIG => "argument list too long".to_owned(),
        Errno::LOOP => "too many levels of symbolic links".to_owned(),
        other => {
            let text = io::Error::from(other).to_string();
            text.split(" (os error").next().unwrap_or_default().to_lowercase()
        }
    }
}

/// Go's `exec.LookPath`: the program, or the reason and the exit code shells give for it.
fn find(name: &str, path: &str) -> Result<String, (String, i32)> {
    let code = |error: Errno| if matches!(error, Errno::NOENT | Errno::NOTDIR) { 127 } else { 126 };
    if name.contains('/') {
        return match executable(name) {
            Ok(()) => Ok(name.to_owned()),
            Err((error, true)) => Err((format!("stat {name}: {}", describe(error)), code(error))),
            Err((error, false)) => Err((describe(error), code(error))),
        };
    }
    for dir in path.split(':') {
        let candidate = format!("{}/{name}", if dir.is_empty() { "." } else { dir });
        if executable(&candidate).is_ok() {
            return Ok(candidate);
        }
    }
    Err(("executable file not found in $PATH".to_owned(), 127))
}

/// The error and whether it came from looking at the file at all.
fn executable(path: &str) -> Result<(), (Errno, bool)> {
    let stat = rustix::fs::stat(path).map_err(|error| (error, true))?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Err((Errno::ISDIR, false));
    }
    match rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        Ok(()) if stat.st_mode & 0o111 != 0 => Ok(()),
        Ok(()) => Err((Errno::ACCESS, false)),
        Err(error) => Err((error, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, path: &str, expected: Result<&str, (&str, i32)>) {
        let expected = expected.map(str::to_owned).map_err(|(text, code)| (text.to_owned(), code));
        assert_eq!(find(name, path), expected, "{name}");
    }

    #[test]
    fn programs_are_found_as_go_finds_them() {
        check("sh", "/nowhere:/bin", Ok("/bin/sh"));
        check("/bin/sh", "", Ok("/bin/sh"));
        check("no-such-program", "/bin", Err(("executable file not found in $PATH", 127)));
        check("/no/such", "", Err(("stat /no/such: no such file or directory", 127)));
        check("/etc", "", Err(("is a directory", 126)));
        check("/etc/passwd", "", Err(("permission denied", 126)));
    }
}
