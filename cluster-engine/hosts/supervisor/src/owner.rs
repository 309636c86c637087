//! What the kernel shows of a session's processes only to the maker of their user namespace.
//!
//! That is the session's own id, so that what is counted for users counts for the session and not for the machine's root.
//! Who may trace everybody could look as root, but a container of Docker's may not.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens a file as the user `uid`, who made the user namespace that it belongs to.
pub(crate) fn open(uid: u32, path: &Path) -> io::Result<File> {
    acting_as(uid, || File::open(path))?
}

/// Runs `work` as an effective user, without capabilities outside of the namespaces that are this user's.
///
/// It has a thread of its own, which ends with the work: that is what the kernel changes users of. The real and the saved
/// user stay root, so that nobody of that id may send it signals; nor trace it, for the kernel notes that it changed.
pub(crate) fn acting_as<T: Send>(uid: u32, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let act = move || {
        effective_user(uid)?;
        Ok(work())
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("owner".to_owned()).spawn_scoped(scope, act)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread broke off")))
    })
}

/// Not libc's function, which changes all threads.
fn effective_user(uid: u32) -> io::Result<()> {
    const KEEP: libc::c_long = -1;
    // SAFETY: no memory is passed; only the calling thread's user changes.
    match unsafe { libc::syscall(libc::SYS_setresuid, KEEP, libc::c_long::from(uid), KEEP) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
