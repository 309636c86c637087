//! The image store as nodes see it: read-only, with the ids of the session.
//!
//! Files of the store belong to the host's root. An idmapped mount shows them as belonging to the node's root, a second
//! one as belonging to the pods' root. Both live in the supervisor's own mount namespace.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drydock_container_runtime::launch::{self, Program, Spec};
use drydock_container_runtime::{Reaper, UserMapping};

use crate::Error;

/// Where the store is mounted in the supervisor.
#[derive(Clone, Debug)]
pub(crate) struct Images {
    /// With the ids of nodes.
    pub(crate) nodes: PathBuf,
    /// With the ids of pods.
    pub(crate) pods: PathBuf,
}

/// Mounts the store below `folder` twice.
pub(crate) fn mount(store: &Path, folder: &Path, first_id: u32, reaper: &Arc<Reaper>) -> Result<Images, Error> {
    let images = Images { nodes: folder.join("images"), pods: folder.join("images-pods") };
    for (target, mapping) in [
        (&images.nodes, UserMapping::range(first_id, 65_536)),
        (&images.pods, UserMapping::range(first_id + 65_536, 65_536)),
    ] {
        std::fs::create_dir_all(target).map_err(Error::io(format!("cannot create {}", target.display())))?;
        let namespace = user_namespace(mapping, reaper)?;
        idmapped(store, target, &namespace)
            .map_err(Error::io(format!("cannot mount the images at {}", target.display())))?;
    }
    Ok(images)
}

/// A user namespace with a map; a process holds it only until it is opened.
fn user_namespace(mapping: UserMapping, reaper: &Arc<Reaper>) -> Result<File, Error> {
    let spec = Spec {
        new: libc::CLONE_NEWUSER,
        user_mapping: Some(mapping),
        program: Program::Pause { id: None },
        death_signal: Some(libc::SIGKILL),
        ..Spec::default()
    };
    let held = launch::launch(Path::new("/proc/self/exe"), reaper, &spec, &launch::Descriptors::default())
        .map_err(Error::runtime("cannot make a user namespace"))?;
    let path = format!("/proc/{}/ns/user", held.pid);
    let namespace = File::open(&path).map_err(Error::io(format!("cannot open {path}")));
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(held.pid), nix::sys::signal::Signal::SIGKILL);
    let _ = held.end.wait();
    namespace
}

/// The kernel's `struct mount_attr`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

const MOUNT_ATTR_RDONLY: u64 = 0x1;
const MOUNT_ATTR_NOSUID: u64 = 0x2;
const MOUNT_ATTR_NODEV: u64 = 0x4;
const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
const OPEN_TREE_CLONE: libc::c_uint = 1;
const OPEN_TREE_CLOEXEC: libc::c_uint = libc::O_CLOEXEC as libc::c_uint;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;

fn idmapped(source: &Path, target: &Path, namespace: &File) -> io::Result<()> {
    let source = CString::new(source.as_os_str().as_bytes())?;
    let target = CString::new(target.as_os_str().as_bytes())?;
    let attributes = MountAttributes {
        set: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_IDMAP,
        clear: MOUNT_ATTR_NOSUID,
        propagation: 0,
        user_namespace: u64::from(namespace.as_raw_fd().unsigned_abs()),
    };
    // SAFETY: the path is a valid C string for the whole call; a descriptor that comes back is owned by nobody else.
    let tree = unsafe {
        libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, source.as_ptr(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
    };
    let tree = descriptor(tree)?;
    // SAFETY: the attributes outlive the call and their size is the struct's own.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    if outcome != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both paths are valid C strings and the descriptor is open.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn descriptor(outcome: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(outcome) {
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
