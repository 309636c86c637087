//! The image stores as nodes see them: read-only, with the ids of the session.
//!
//! Files of a store belong to the host's root. An idmapped mount shows them as belonging to the node's root, a second
//! one as belonging to the pods' root. All live in the supervisor's own mount namespace. There are two stores: that of
//! the machine, which every session sees, and the session's own with what was fetched with its credentials.

mod pull;

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drydock_container_runtime::launch::{self, Program, Spec};
use drydock_container_runtime::{Reaper, UserMapping};
use drydock_image_service::Service;
use tokio::net::UnixListener;

use crate::{Error, owner};

/// Where the store is mounted in the supervisor.
#[derive(Clone, Debug)]
pub(crate) struct Images {
    /// With the ids of nodes.
    pub(crate) nodes: PathBuf,
    /// With the ids of pods.
    pub(crate) pods: PathBuf,
    /// The session's own, with the ids of nodes.
    pub(crate) private_nodes: PathBuf,
    /// The session's own, with the ids of pods.
    pub(crate) private_pods: PathBuf,
    /// Folder with the image service's socket.
    pub(crate) service: PathBuf,
}

/// Mounts the stores of the machine and of the session in `session` below its `mounts`, twice each.
pub(crate) fn mount(store: &Path, session: &Path, first_id: u32, reaper: &Arc<Reaper>) -> Result<Images, Error> {
    let folder = session.join("mounts");
    let private = drydock_image_service::private_store(session);
    let images = Images {
        nodes: folder.join("images"),
        pods: folder.join("images-pods"),
        private_nodes: folder.join("private"),
        private_pods: folder.join("private-pods"),
        service: session.join("service"),
    };
    // The place in the machine's store where nodes see the session's own.
    for path in [&private, &store.join(drydock_images::PRIVATE), &images.service] {
        std::fs::create_dir_all(path).map_err(Error::io(format!("cannot create {}", path.display())))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
            .map_err(Error::io(format!("cannot open {}", path.display())))?;
    }
    let nodes = user_namespace(first_id, reaper)?;
    let pods = user_namespace(first_id + 65_536, reaper)?;
    for (store, target, namespace) in [
        (store, &images.nodes, &nodes),
        (store, &images.pods, &pods),
        (&private, &images.private_nodes, &nodes),
        (&private, &images.private_pods, &pods),
    ] {
        std::fs::create_dir_all(target).map_err(Error::io(format!("cannot create {}", target.display())))?;
        idmapped(store, target, namespace)
            .map_err(Error::io(format!("cannot mount the images at {}", target.display())))?;
    }
    Ok(images)
}

/// Starts the session's image service, on this thread. Its socket belongs to the nodes' root.
pub(crate) fn serve(
    images: &Images,
    store: &Path,
    session: &Path,
    first_id: u32,
    reaper: &Arc<Reaper>,
) -> Result<(), Error> {
    let folder = File::open(&images.service).map_err(Error::io("cannot open the image service's folder"))?;
    // Short enough for a socket's address, however deep the session's folder is.
    let socket = PathBuf::from(format!("/proc/self/fd/{}/images.sock", folder.as_raw_fd()));
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).map_err(Error::io("cannot listen for nodes that want images"))?;
    std::os::unix::fs::chown(&socket, Some(first_id), Some(first_id))
        .and_then(|()| std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)))
        .map_err(Error::io("cannot protect the image service's socket"))?;
    let name = crate::protocol::group(session).map_err(Error::io(format!("cannot read {}", session.display())))?;
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let private = drydock_image_service::private_store(session);
    let service = Service::new(&name, store.to_owned(), private, pull::Launch::new(reaper.clone()));
    tokio::task::spawn_local(service.serve(listener));
    Ok(())
}

/// A user namespace of 65,536 ids; a process holds it only until it is opened.
fn user_namespace(first_id: u32, reaper: &Arc<Reaper>) -> Result<File, Error> {
    let spec = Spec {
        new: libc::CLONE_NEWUSER,
        user_mapping: Some(UserMapping::range(first_id, 65_536)),
        program: Program::Pause { id: None },
        death_signal: Some(libc::SIGKILL),
        ..Spec::default()
    };
    let held = launch::launch(Path::new("/proc/self/exe"), reaper, &spec, &launch::Descriptors::default())
        .map_err(Error::runtime("cannot make a user namespace"))?;
    let path = format!("/proc/{}/ns/user", held.pid);
    let namespace = owner::open(first_id, Path::new(&path)).map_err(Error::io(format!("cannot open {path}")));
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
