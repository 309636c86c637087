//! The kernel calls that neither std nor rustix offers, each behind a safe function.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};

/// Flags of `mount_setattr(2)`.
pub(crate) mod attr {
    /// `MOUNT_ATTR_RDONLY`.
    pub(crate) const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
}

#[repr(C)]
#[derive(Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

fn checked(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Gives memory that was freed back to the kernel, wherever in the heap it lies; the allocator itself gives back only what is at its end.
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: the function takes no pointers, and may be called by any thread at any time.
        unsafe { libc::malloc_trim(0) };
    }
}

/// Which attributes `mount_setattr` changes.
#[derive(Default, Clone, Copy)]
pub(crate) struct Change<'a> {
    /// Attributes to set, see [`attr`].
    pub(crate) set: u64,
    /// Propagation type (`MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`), 0 to keep.
    pub(crate) propagation: u64,
    pub(crate) userns: Option<BorrowedFd<'a>>,
    /// Apply to all mounts below, too.
    pub(crate) recursive: bool,
}

/// `mount_setattr(2)` on the mount that `fd` is the root of.
pub(crate) fn mount_setattr(fd: BorrowedFd<'_>, change: Change<'_>) -> io::Result<()> {
    let attr = MountAttr {
        set: change.set,
        clear: 0,
        propagation: change.propagation,
        userns: change.userns.map_or(0, |fd| u64::from(fd.as_raw_fd().unsigned_abs())),
    };
    let flags = libc::AT_EMPTY_PATH | if change.recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the empty path and `attr` outlive the call, and the size given is that of `attr`.
    checked(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// Forks with new namespaces. In the child returns 0, in the parent the child's process id. `as_sibling` makes the
/// child one of our parent's.
///
/// Only for single-threaded processes: the child goes on with a copy of everything.
pub(crate) fn fork(namespaces: i32, as_sibling: bool) -> io::Result<i32> {
    #[repr(C)]
    #[derive(Default)]
    struct CloneArgs([u64; 11]);
    let mut args = CloneArgs::default();
    let sibling = if as_sibling { libc::CLONE_PARENT } else { 0 };
    args.0[0] = u64::from((namespaces | sibling).cast_unsigned());
    // clone3 wants no exit signal with CLONE_PARENT: the sibling gets ours, SIGCHLD.
    args.0[4] = if as_sibling { 0 } else { libc::SIGCHLD.unsigned_abs().into() };
    // SAFETY: without CLONE_VM the child has its own copy of memory and stack, like fork(2); the helper is
    // single-threaded, so no lock can be held by a thread that does not exist in the child.
    let result = checked(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) })?;
    i32::try_from(result).map_err(io::Error::other)
}

/// `setns(2)`.
pub(crate) fn setns(fd: BorrowedFd<'_>, namespaces: i32) -> io::Result<()> {
    // SAFETY: no memory is passed; the helper is single-threaded, so no other thread's view changes.
    checked(unsafe { libc::setns(fd.as_raw_fd(), namespaces) }.into()).map(drop)
}

/// `unshare(2)`.
pub(crate) fn unshare(namespaces: i32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    checked(unsafe { libc::unshare(namespaces) }.into()).map(drop)
}

/// `pidfd_open(2)`; the descriptor is close-on-exec.
pub(crate) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let fd = checked(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `pidfd_send_signal(2)`.
pub(crate) fn pidfd_send_signal(fd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a null siginfo is allowed and means the default one.
    checked(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), 0)
    })
    .map(drop)
}

/// `prctl(2)` with up to two integer arguments.
pub(crate) fn prctl(option: i32, second: u64, third: u64) -> io::Result<()> {
    // SAFETY: only used with options whose arguments are integers.
    checked(unsafe { libc::prctl(option, second, third, 0, 0) }.into()).map(drop)
}

/// Whether the capability bounding set holds `capability`; an error for numbers the kernel does not know.
pub(crate) fn bounding_has(capability: u8) -> io::Result<bool> {
    // SAFETY: integers only.
    checked(unsafe { libc::prctl(libc::PR_CAPBSET_READ, u64::from(capability), 0, 0, 0) }.into()).map(|set| set == 1)
}

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Default, Clone, Copy)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Sets the calling thread's capability sets.
pub(crate) fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> io::Result<()> {
    let header = CapHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let half = |shift: u32| CapData {
        effective: (effective >> shift) as u32,
        permitted: (permitted >> shift) as u32,
        inheritable: (inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: header and two data blocks are what version 3 reads.
    checked(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
}

/// The calling thread's permitted capabilities.
pub(crate) fn permitted_capabilities() -> io::Result<u64> {
    let mut header = CapHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: header and two data blocks are what version 3 writes.
    checked(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) })?;
    Ok(u64::from(data[0].permitted) | u64::from(data[1].permitted) << 32)
}

/// Installs a compiled seccomp filter on the calling thread.
pub(crate) fn seccomp(program: &[seccompiler::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(io::Error::other)?,
        filter: program.as_ptr().cast_mut().cast(),
    };
    const SECCOMP_SET_MODE_FILTER: i32 = 1;
    // SAFETY: `program` points to `len` filters that outlive the call; seccompiler's sock_filter has the kernel's layout.
    checked(unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &raw const program) }).map(drop)
}

/// Marks every descriptor from `first` on close-on-exec.
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: u32 = 1 << 2;
    // SAFETY: only a flag of descriptors changes.
    checked(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) }).map(drop)
}

/// `execve(2)`: only returns to report an error.
pub(crate) fn execve(program: &CStr, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: both arrays end with a null pointer and their strings outlive the call.
    unsafe { libc::execve(program.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// `execveat(2)` of an open file: only returns to report an error.
pub(crate) fn fexecve(file: BorrowedFd<'_>, name: &CStr) -> io::Error {
    let args = [name.as_ptr(), std::ptr::null()];
    let env = [std::ptr::null::<libc::c_char>()];
    // SAFETY: both arrays end with a null pointer and the strings outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            args.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    io::Error::last_os_error()
}

/// Default action for all signals but those in `ignored`, and none blocked: what a new program expects.
pub(crate) fn reset_signals(ignored: &[i32]) {
    for signal in 1..=64 {
        let action = if ignored.contains(&signal) { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: neither action is a function of ours; invalid numbers are refused by the kernel.
        unsafe { libc::signal(signal, action) };
    }
    // SAFETY: `set` is initialised by sigemptyset before use.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// Brings the loopback interface of the current network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    // SAFETY: ifreq is plain data, zero is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l'.cast_signed() as libc::c_char;
    request.ifr_name[1] = b'o'.cast_signed() as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: SIOCSIFFLAGS reads one ifreq.
    checked(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) }.into()).map(drop)
}

/// Makes the terminal `fd` the controlling one of this new session.
pub(crate) fn set_controlling_terminal(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes an integer.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSCTTY as _, 0) }.into()).map(drop)
}

/// Opens the other side of a terminal's master, without looking at any path.
pub(crate) fn terminal_peer(master: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let unlocked: i32 = 0;
    // SAFETY: TIOCSPTLCK reads one int.
    checked(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK as _, &raw const unlocked) }.into())?;
    // SAFETY: TIOCGPTPEER takes open flags as an integer.
    let fd = checked(
        unsafe {
            libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER as _, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC)
        }
        .into(),
    )?;
    // SAFETY: the kernel just gave us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `dup2(2)`: afterwards `number` is a copy of `fd` that survives execution of a program.
pub(crate) fn duplicate_to(fd: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    if fd.as_raw_fd() == number {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
        return Ok(());
    }
    // SAFETY: `number` is one of the standard streams, which the helper does not hold as an owned descriptor any more.
    checked(unsafe { libc::dup2(fd.as_raw_fd(), number) }.into()).map(drop)
}

/// Opens `path` as if `root` were `/`: neither `..` nor any link leads out.
pub(crate) fn open_in_root(root: impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    retry(|| rustix::fs::openat2(root.as_fd(), path, flags | OFlags::CLOEXEC, Mode::empty(), resolve))
}

/// The kernel answers EAGAIN when the tree changes while it looks: try again, not for ever.
pub(crate) fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    for _ in 0..128 {
        match call() {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
    Err(io::Error::from(io::ErrorKind::WouldBlock))
}
