//! File operations in trees that somebody hostile may have built or be changing.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::sys;

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens what is at `path` below the folder `root` for reading, as if that folder were `/`: no link leads out, and a pipe or
/// terminal that lies there keeps nobody waiting.
///
/// # Errors
/// The kernel's.
pub fn open_inside(root: &Path, path: &Path) -> io::Result<OwnedFd> {
    let root = std::fs::File::open(root)?;
    sys::open_in_root(root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
}

/// Opens the directory `path` inside `root`, making what is missing; no link leads out of `root`.
///
/// # Errors
/// The kernel's; `ENOTDIR` when something else is in the way.
pub(crate) fn make_directories(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    make_directories_as(root, path, None)
}

/// What directories made below a volume take over from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Like {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
}

/// [`make_directories`], with owner and permissions for what is made.
///
/// # Errors
/// As [`make_directories`].
pub(crate) fn make_directories_as(root: BorrowedFd<'_>, path: &Path, like: Option<Like>) -> io::Result<OwnedFd> {
    let mut path = clean(path);
    // Images have links to what only a mount creates (`/var/run` -> `/run`), so a dangling link's target is made, too.
    for _ in 0..40 {
        match sys::open_in_root(root, &path, DIRECTORY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        match make_missing(root, &path, like)? {
            Ok(directory) => return Ok(directory),
            Err(target) => path = target,
        }
    }
    Err(Errno::LOOP.into())
}

/// Makes the missing parts of `path`; a dangling link on the way is answered with the path to make instead.
fn make_missing(root: BorrowedFd<'_>, path: &Path, like: Option<Like>) -> io::Result<Result<OwnedFd, PathBuf>> {
    let mut prefix = PathBuf::from(".");
    let mut at = sys::open_in_root(root, &prefix, DIRECTORY)?;
    let mut components = path.components();
    while let Some(component) = components.next() {
        let Component::Normal(name) = component else { continue };
        let below = prefix.join(name);
        let missing = match sys::open_in_root(root, &below, DIRECTORY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            other => {
                at = other?;
                false
            }
        };
        if missing {
            match rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
                Ok(()) => {
                    if let Some(like) = like {
                        adopt(at.as_fd(), name, like)?;
                    }
                }
                Err(Errno::EXIST) => match rustix::fs::readlinkat(&at, name, Vec::new()) {
                    Ok(target) => {
                        let target = Path::new(std::ffi::OsStr::from_bytes(target.to_bytes()));
                        return Ok(Err(clean(&prefix.join(target).join(components.as_path()))));
                    }
                    Err(Errno::INVAL) => {}
                    Err(error) => return Err(error.into()),
                },
                Err(error) => return Err(error.into()),
            }
            at = sys::open_in_root(root, &below, DIRECTORY)?;
        }
        prefix = below;
    }
    Ok(Ok(at))
}

/// Gives a directory just made its owner and permissions; the order keeps set-group-id bits.
fn adopt(parent: BorrowedFd<'_>, name: &std::ffi::OsStr, like: Like) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    let (uid, gid) = (rustix::fs::Uid::from_raw(like.uid), rustix::fs::Gid::from_raw(like.gid));
    rustix::fs::fchown(&made, Some(uid), Some(gid))?;
    Ok(rustix::fs::fchmod(&made, Mode::from_raw_mode(like.mode))?)
}

/// Opens the file `path` inside `root` as a place to mount on, making an empty one where nothing is.
///
/// # Errors
/// The kernel's.
pub(crate) fn make_file(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let path = clean(path);
    match sys::open_in_root(root, &path, OFlags::PATH) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = make_directories(root, parent)?;
    let made = rustix::fs::openat(
        &parent,
        name,
        OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC,
        Mode::from_raw_mode(0o644),
    );
    match made {
        // A dangling link is in the way: replace nothing, say so.
        Err(Errno::EXIST) => sys::open_in_root(root, &path, OFlags::PATH),
        Err(error) => Err(error.into()),
        Ok(_) => sys::open_in_root(root, &path, OFlags::PATH),
    }
}

/// Relative, with neither `.` nor `..`; `..` at the top stays there, as in a root directory.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => drop(out.pop()),
            _ => {}
        }
    }
    if out.as_os_str().is_empty() { ".".into() } else { out }
}

/// Removes a file or a directory with everything below it; nothing there is success.
///
/// Neither the depth of the tree nor links in it matter: it never follows one, keeps a fixed number of descriptors
/// open and uses no recursion, so that a learner cannot bring down who cleans up after them.
///
/// # Errors
/// The kernel's.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let parent = match rustix::fs::open(parent, DIRECTORY, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let name = CString::new(name.as_encoded_bytes()).map_err(io::Error::other)?;
    match rustix::fs::unlinkat(&parent, &name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    empty_directory(parent.as_fd(), &name)?;
    match rustix::fs::unlinkat(&parent, &name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Empties `top` by moving every directory found below it up into `top` itself before emptying it: depth never exceeds one.
fn empty_directory(parent: BorrowedFd<'_>, top: &CStr) -> io::Result<()> {
    let open = |at: BorrowedFd<'_>, name: &CStr| -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(at, name, flags, Mode::empty()) {
            // Overlay's work directory has no permissions at all; the owner may give them.
            Err(Errno::ACCESS) => {
                rustix::fs::chmodat(at, name, Mode::from_raw_mode(0o700), AtFlags::empty())?;
                rustix::fs::openat(at, name, flags, Mode::empty())
            }
            other => other,
        }
    };
    let top = open(parent, top)?;
    let mut moved: u64 = 0;
    loop {
        let mut found = false;
        for entry in Dir::read_from(&top)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            found = true;
            if entry.file_type() != FileType::Directory && unlink(top.as_fd(), name)? {
                continue;
            }
            let directory = match open(top.as_fd(), name) {
                Err(Errno::NOENT) => continue,
                // Not a directory, and yet it could not be unlinked above: say why.
                Err(Errno::NOTDIR | Errno::LOOP) => match rustix::fs::unlinkat(&top, name, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => continue,
                    Err(error) => return Err(error.into()),
                },
                other => other?,
            };
            for inner in Dir::read_from(&directory)? {
                let inner = inner?;
                let inner_name = inner.file_name();
                if inner_name == c"." || inner_name == c".." {
                    continue;
                }
                if inner.file_type() != FileType::Directory && unlink(directory.as_fd(), inner_name)? {
                    continue;
                }
                // Mostly an empty or flat directory; only others pay for a move.
                match rustix::fs::unlinkat(&directory, inner_name, AtFlags::REMOVEDIR) {
                    Ok(()) | Err(Errno::NOENT) => continue,
                    Err(_) => {}
                }
                loop {
                    moved += 1;
                    let target = format!(".removed-{moved}");
                    match rustix::fs::renameat_with(
                        &directory,
                        inner_name,
                        &top,
                        target.as_str(),
                        rustix::fs::RenameFlags::NOREPLACE,
                    ) {
                        Err(Errno::EXIST) => {}
                        Ok(()) | Err(Errno::NOENT) => break,
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            match rustix::fs::unlinkat(&top, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if !found {
            return Ok(());
        }
    }
}

/// True when the entry is gone, false when it turned out to be a directory.
fn unlink(at: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    match rustix::fs::unlinkat(at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR | Errno::PERM) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("drydock-files-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn a_very_deep_tree_is_removed() {
        let scratch = Scratch::new("deep");
        let top = scratch.0.join("top");
        std::fs::create_dir(&top).unwrap();
        let mut at = rustix::fs::open(&top, DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..5000 {
            rustix::fs::mkdirat(&at, "d", Mode::from_raw_mode(0o700)).unwrap();
            at = rustix::fs::openat(&at, "d", DIRECTORY, Mode::empty()).unwrap();
        }
        drop(at);
        remove_tree(&top).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn links_are_removed_not_followed() {
        let scratch = Scratch::new("links");
        let (top, outside) = (scratch.0.join("top"), scratch.0.join("outside"));
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("kept"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, top.join("a/b/link")).unwrap();
        std::os::unix::fs::symlink(&outside, scratch.0.join("direct")).unwrap();
        remove_tree(&top).unwrap();
        remove_tree(&scratch.0.join("direct")).unwrap();
        remove_tree(&scratch.0.join("never-there")).unwrap();
        assert!(!top.exists() && outside.join("kept").exists());
    }

    #[test]
    fn made_paths_stay_inside_the_root() {
        let scratch = Scratch::new("make");
        let (root, outside) = (scratch.0.join("root"), scratch.0.join("outside"));
        std::fs::create_dir_all(root.join("inner")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, root.join("abs")).unwrap();
        std::os::unix::fs::symlink("../../..", root.join("up")).unwrap();
        std::os::unix::fs::symlink("/inner", root.join("in")).unwrap();
        std::os::unix::fs::symlink("/run", root.join("var-run")).unwrap();
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        let fd = rustix::fs::open(&root, DIRECTORY, Mode::empty()).unwrap();
        make_directories(fd.as_fd(), Path::new("/in/x/y")).unwrap();
        make_directories(fd.as_fd(), Path::new("/../../z")).unwrap();
        make_directories(fd.as_fd(), Path::new("/up/w")).unwrap();
        make_file(fd.as_fd(), Path::new("/etc/hosts")).unwrap();
        make_file(fd.as_fd(), Path::new("/abs/file")).unwrap();
        make_directories(fd.as_fd(), Path::new("/var-run/secrets")).unwrap();
        assert!(make_directories(fd.as_fd(), Path::new("/loop/x")).is_err());
        assert!(root.join("run/secrets").is_dir());
        assert!(root.join("inner/x/y").is_dir() && root.join("z").is_dir() && root.join("w").is_dir());
        assert!(root.join("etc/hosts").is_file());
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    }
}
