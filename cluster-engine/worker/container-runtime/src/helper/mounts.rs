//! A new process's view of the file system.
//!
//! In the caller's namespaces [`prepare`] opens every mount that needs the caller's rights or names the caller's
//! paths, as detached trees. In the new mount namespace [`enter`] puts them together and makes the result `/`.
//! Nothing is ever mounted in the caller's mount namespace, and no path inside the new root is followed out of it.

use std::fs::File;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};

use super::{Failure, Step, identity};
use crate::launch::{Access, Root, Shm, Tree};
use crate::sys::{self, Change, attr};
use crate::{Mount, Propagation, RootFs, files};

/// Detached mounts, opened with the caller's rights.
#[derive(Default)]
pub(super) struct Material {
    root: Option<OwnedFd>,
    /// The root is at [`STAGE`] in this helper's own mount namespace, see [`lock`].
    staged: bool,
    binds: Vec<Bind>,
    shm: Option<OwnedFd>,
    sys: Option<OwnedFd>,
}

/// A bind mount on its way.
struct Bind {
    tree: OwnedFd,
    target: PathBuf,
    directory: bool,
    read_only: bool,
}

const TREE: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE.union(OpenTreeFlags::OPEN_TREE_CLOEXEC);

/// Opens what `root` is to be made of.
pub(super) fn prepare(root: &Root, target: Option<BorrowedFd<'_>>, maker: Option<u32>) -> Result<Material, Failure> {
    let Root::Tree(tree) = root else { return Ok(Material::default()) };
    let mut material = Material { root: Some(root_mount(tree)?), ..Material::default() };
    let devices = tree.dev.iter().flatten().map(|name| {
        let path = Path::new("/dev").join(name);
        (path.clone(), path)
    });
    let extra = tree.devices.iter().map(|device| (device.host_path.clone(), device.container_path.clone()));
    for (host_path, container_path) in devices.chain(extra) {
        material.binds.push(bind(&Mount { host_path, container_path, ..Mount::default() })?);
    }
    for mount in &tree.mounts {
        material.binds.push(bind(mount)?);
    }
    if tree.sys.is_some() {
        // Only for a network namespace that is not ours to look into: see `mount_sys`.
        material.sys = open_tree(CWD, "/sys", TREE).ok();
    }
    if tree.dev.is_some() {
        match tree.shm {
            Shm::Own(_) => {}
            Shm::Caller => material.shm = Some(open_tree(CWD, "/dev/shm", TREE).step("open /dev/shm")?),
            Shm::Sandbox => {
                let target = target.ok_or_else(|| Failure::Setup("no sandbox process".to_owned()))?;
                material.shm = Some(sandbox_shm(target, maker)?);
            }
        }
    }
    // Last: from here on this helper has another view of the file system.
    if !tree.locked.is_empty() {
        lock(tree, &mut material)?;
    }
    Ok(material)
}

/// Puts the root together with what is to be locked, in a mount namespace of this helper's own. A mount namespace that is
/// copied into another user namespace keeps what it was given: there, nobody can make a read-only mount writable or take
/// away what is mounted over something. A mount that is brought in later has no such lock.
fn lock(tree: &Tree, material: &mut Material) -> Result<(), Failure> {
    let locked = tree.locked.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
    sys::unshare(libc::CLONE_NEWNS).step("make a mount namespace")?;
    let private = Change { propagation: libc::MS_PRIVATE, recursive: true, ..Change::default() };
    sys::mount_setattr(open_root()?.as_fd(), private).step("cut off the mount namespace")?;
    let root = material.root.take().ok_or_else(|| Failure::Setup("no root file system".to_owned()))?;
    move_mount(&root, "", CWD, STAGE, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).step("stage the new root")?;
    for bind in &locked {
        mount_bind(&root, bind)?;
    }
    material.staged = true;
    Ok(())
}

/// A directory of every machine that everybody may enter and nobody needs any more when roots are staged.
const STAGE: &str = "/dev";

/// In the copy of the namespace that [`lock`] prepared: takes the root from where it lies.
fn staged_root() -> Result<OwnedFd, Failure> {
    open_tree(CWD, STAGE, TREE | OpenTreeFlags::AT_RECURSIVE).step("open the staged root")
}

/// The pod's `/dev/shm` is mounted nowhere but in the sandbox process's mount namespace: go there and come back.
fn sandbox_shm(sandbox: BorrowedFd<'_>, maker: Option<u32>) -> Result<OwnedFd, Failure> {
    let home = File::open("/proc/self/ns/mnt").step("open our mount namespace")?;
    if let Some(maker) = maker {
        identity::act_as(maker)?;
    }
    sys::setns(sandbox, libc::CLONE_NEWNS).step("enter the sandbox's mount namespace")?;
    let tree = open_tree(CWD, "/dev/shm", TREE).step("open the sandbox's /dev/shm");
    sys::setns(home.as_fd(), libc::CLONE_NEWNS).step("return from the sandbox's mount namespace")?;
    if maker.is_some() {
        identity::act_as_oneself()?;
    }
    tree
}

fn root_mount(tree: &Tree) -> Result<OwnedFd, Failure> {
    match &tree.rootfs {
        RootFs::Directory(dir) => {
            let fd = open_tree(CWD, dir.as_path(), TREE).step(format_args!("open root {}", dir.display()))?;
            sys::mount_setattr(fd.as_fd(), private()).step("make the root private")?;
            Ok(fd)
        }
        RootFs::Overlay { layers, writable } => overlay(tree, layers, writable),
    }
}

fn private() -> Change<'static> {
    Change { propagation: libc::MS_PRIVATE, recursive: true, ..Change::default() }
}

/// Mounts an overlay without a mount point. Option strings are short (255 bytes), so layers are named by the numbers of
/// open descriptors, relative to `/proc/self/fd`: room for some eighty of them, on old kernels, too.
fn overlay(tree: &Tree, layers: &[PathBuf], writable: &Path) -> Result<OwnedFd, Failure> {
    let (upper, work) = (writable.join("upper"), writable.join("work"));
    for dir in [&upper, &work] {
        std::fs::create_dir_all(dir).step(format_args!("create {}", dir.display()))?;
    }
    let Some(top) = layers.last() else { return Err(Failure::Setup("the image has no layers".to_owned())) };
    // The overlay's root directory is the upper one: it takes its permissions from the image and its owner from the map.
    let mode = std::fs::metadata(top).step(format_args!("look at {}", top.display()))?.mode() & 0o7777;
    std::fs::set_permissions(&upper, std::fs::Permissions::from_mode(mode)).step("set permissions of the root")?;
    if let Some((uid, gid)) = tree.owner {
        std::os::unix::fs::chown(&upper, Some(uid), Some(gid)).step("give the root to its owner")?;
    }
    stacked(layers, &[("upperdir", &upper), ("workdir", &work)], tree.volatile)
}

/// An overlay of `layers`, the lowest first, with further directories by the names of their options.
fn stacked(layers: &[PathBuf], further: &[(&str, &Path)], volatile: bool) -> Result<OwnedFd, Failure> {
    let open = |path: &Path| {
        rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .step(format_args!("open {}", path.display()))
    };
    let layers = layers.iter().map(|layer| open(layer)).collect::<Result<Vec<_>, _>>()?;
    let further = further
        .iter()
        .map(|(option, path)| Ok((*option, open(path)?)))
        .collect::<Result<Vec<(&str, OwnedFd)>, Failure>>()?;
    let number = |fd: &OwnedFd| fd.as_raw_fd().to_string();
    let lower: Vec<String> = layers.iter().rev().map(number).collect();

    let before =
        rustix::fs::open(".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).step("open the working directory")?;
    rustix::process::chdir("/proc/self/fd").step("enter /proc/self/fd")?;
    let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).step("open overlayfs")?;
    let set = |key: &str, value: &str| {
        fsconfig_set_string(fs.as_fd(), key, value).step(format_args!("overlay option {key}={value}"))
    };
    set("source", "overlay")?;
    set("lowerdir", &lower.join(":"))?;
    for (option, directory) in &further {
        set(option, &number(directory))?;
    }
    // Attributes of the overlay's own kept where an owner in a user namespace may write them.
    fsconfig_set_flag(fs.as_fd(), "userxattr").step("overlay option userxattr")?;
    if volatile {
        fsconfig_set_flag(fs.as_fd(), "volatile").step("overlay option volatile")?;
    }
    if let Err(error) = fsconfig_create(fs.as_fd()) {
        return Err(Failure::Setup(format!("mount the overlay: {error}{}", kernel_log(&fs))));
    }
    let mount =
        fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).step("mount the overlay")?;
    rustix::process::fchdir(&before).step("leave /proc/self/fd")?;
    Ok(mount)
}

/// What the kernel has to say about a failed mount: descriptors of `fsopen` are also its log.
fn kernel_log(fs: &OwnedFd) -> String {
    let mut text = String::new();
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = rustix::io::read(fs, &mut buffer) {
        let line = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
        text.push_str("; ");
        text.push_str(line.trim());
    }
    text
}

fn bind(mount: &Mount) -> Result<Bind, Failure> {
    if !mount.layers.is_empty() {
        let tree = image_mount(mount)?;
        return Ok(Bind { tree, target: mount.container_path.clone(), directory: true, read_only: true });
    }
    let named = |what: &str| format!("{what} {}", mount.host_path.display());
    let recursive = if mount.recursive { OpenTreeFlags::AT_RECURSIVE } else { OpenTreeFlags::empty() };
    let tree = match &mount.sub_path {
        None => open_tree(CWD, mount.host_path.as_path(), TREE | recursive).step(named("mount"))?,
        Some(sub_path) => {
            let inner = open_sub_path(&mount.host_path, sub_path)?;
            open_tree(&inner, "", TREE | recursive | OpenTreeFlags::AT_EMPTY_PATH).step(named("mount a path below"))?
        }
    };
    // Shared as it came, or cut off in one or both directions.
    let propagation = match mount.propagation {
        Propagation::Private => libc::MS_PRIVATE,
        Propagation::HostToContainer => libc::MS_SLAVE,
        Propagation::Bidirectional => 0,
    };
    if propagation != 0 {
        let change = Change { propagation, recursive: true, ..Change::default() };
        sys::mount_setattr(tree.as_fd(), change).step(named("set propagation of"))?;
    }
    let directory = is_directory(tree.as_fd()).step(named("look at"))?;
    Ok(Bind { tree, target: mount.container_path.clone(), directory, read_only: mount.read_only })
}

/// An image's files: its only layer as it is, several as an overlay without an upper directory.
fn image_mount(mount: &Mount) -> Result<OwnedFd, Failure> {
    let whole = match mount.layers.as_slice() {
        [layer] => open_tree(CWD, layer.as_path(), TREE).step(format_args!("mount {}", layer.display()))?,
        layers => stacked(layers, &[], false)?,
    };
    let Some(sub_path) = &mount.sub_path else { return Ok(whole) };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let inner = sys::retry(|| rustix::fs::openat2(&whole, sub_path, flags, Mode::empty(), resolve))
        .step(format_args!("open subPath {}", sub_path.display()))?;
    open_tree(&inner, "", TREE | OpenTreeFlags::AT_EMPTY_PATH).step("mount a path below")
}

fn is_directory(fd: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    let stat = rustix::fs::fstat(fd)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// `subPath`: what lies there may have been made by a container, so nothing on the way may lead out of the volume.
fn open_sub_path(volume: &Path, sub_path: &Path) -> Result<OwnedFd, Failure> {
    let volume = rustix::fs::open(volume, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .step(format_args!("open {}", volume.display()))?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let open = || {
        sys::retry(|| rustix::fs::openat2(&volume, sub_path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve))
    };
    match open() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let own = rustix::fs::fstat(&volume).step("look at the volume")?;
            let like = files::Like { uid: own.st_uid, gid: own.st_gid, mode: own.st_mode & 0o7777 };
            files::make_directories_as(volume.as_fd(), sub_path, Some(like))
                .step(format_args!("make subPath {}", sub_path.display()))?;
            open()
        }
        other => other,
    }
    .step(format_args!("open subPath {}", sub_path.display()))
}

/// Makes the new root of this process, which is alone in a new mount namespace.
pub(super) fn enter(root: &Root, material: Material) -> Result<(), Failure> {
    // Whatever we do here must not travel back to where this namespace was copied from.
    let old = open_root()?;
    let slave = Change { propagation: libc::MS_SLAVE, recursive: true, ..Change::default() };
    sys::mount_setattr(old.as_fd(), slave).step("cut off the mount namespace")?;
    match root {
        Root::Keep => Ok(()),
        Root::Sandbox { shm_bytes } => {
            let new = file_system("tmpfs", &[("mode", "555"), ("size", "64k")], MountAttrFlags::empty())?;
            cover(&new)?;
            let at = files::make_directories(new.as_fd(), Path::new("dev/shm")).step("make /dev/shm")?;
            mount_shm(&at, *shm_bytes)?;
            sys::mount_setattr(new.as_fd(), Change { set: attr::READ_ONLY, ..Change::default() })
                .step("make / read-only")?;
            pivot(&new)
        }
        Root::Tree(tree) => {
            let staged = material.staged.then(staged_root).transpose()?;
            let new = staged.as_ref().or(material.root.as_ref());
            let new = new.ok_or_else(|| Failure::Setup("no root file system".to_owned()))?;
            cover(new)?;
            fill(tree, new, &material)?;
            pivot(new)?;
            if tree.shared {
                let change = Change { propagation: libc::MS_SHARED, recursive: true, ..Change::default() };
                sys::mount_setattr(open_root()?.as_fd(), change).step("make mounts shared")?;
            }
            Ok(())
        }
    }
}

fn open_root() -> Result<OwnedFd, Failure> {
    rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).step("open /")
}

/// Attaches a detached mount on top of `/`; it stays reachable through its descriptor only.
fn cover(new: &OwnedFd) -> Result<(), Failure> {
    move_mount(new, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).step("attach the new root")
}

fn pivot(new: &OwnedFd) -> Result<(), Failure> {
    rustix::process::fchdir(new).step("enter the new root")?;
    // Both at the same place: the old root ends up on top of the new one, where it is taken away at once.
    rustix::process::pivot_root(".", ".").step("change the root")?;
    unmount(".", UnmountFlags::DETACH).step("leave the old root")?;
    rustix::process::chdir("/").step("enter /")
}

fn attach(mount: &OwnedFd, target: &OwnedFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", target, "", flags)
}

/// A new mount of a kernel file system. An empty value stands for a flag.
fn file_system(kind: &str, options: &[(&str, &str)], attributes: MountAttrFlags) -> Result<OwnedFd, Failure> {
    try_file_system(kind, options, attributes).step(format_args!("mount {kind}"))
}

fn try_file_system(kind: &str, options: &[(&str, &str)], attributes: MountAttrFlags) -> rustix::io::Result<OwnedFd> {
    let fs = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(fs.as_fd(), "source", kind)?;
    for (key, value) in options {
        if value.is_empty() {
            fsconfig_set_flag(fs.as_fd(), *key)?;
        } else {
            fsconfig_set_string(fs.as_fd(), *key, *value)?;
        }
    }
    fsconfig_create(fs.as_fd())?;
    fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

const STRICT: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV).union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

fn mount_shm(at: &OwnedFd, bytes: u64) -> Result<(), Failure> {
    let shm = file_system("tmpfs", &[("mode", "1777"), ("size", &bytes.to_string())], STRICT)?;
    attach(&shm, at).step("mount /dev/shm")
}

fn fill(tree: &Tree, root: &OwnedFd, material: &Material) -> Result<(), Failure> {
    let place = |path: &Path| {
        files::make_directories(root.as_fd(), path).step(format_args!("make mount point {}", path.display()))
    };
    if tree.proc {
        let proc = file_system("proc", &[], STRICT)?;
        attach(&proc, &place(Path::new("/proc"))?).step("mount /proc")?;
    }
    if tree.dev.is_some() {
        fill_dev(tree, &place(Path::new("/dev"))?, material)?;
    }
    if let Some(access) = tree.sys {
        let at = place(Path::new("/sys"))?;
        mount_sys(access, &at, material)?;
    }
    if let Some((access, hierarchy)) = &tree.cgroup {
        mount_cgroups(*access, hierarchy, &place(Path::new("/sys/fs/cgroup"))?)?;
    }
    // Outer before inner ones, as containerd orders them; equal ones as given.
    let mut binds: Vec<&Bind> = material.binds.iter().collect();
    binds.sort_by_key(|bind| bind.target.components().count());
    for bind in binds {
        mount_bind(root, bind)?;
    }
    for path in &tree.masked {
        mask(root, path).step(format_args!("mask {}", path.display()))?;
    }
    for path in &tree.read_only_paths {
        seal(root, path).step(format_args!("make {} read-only", path.display()))?;
    }
    if tree.read_only {
        sys::mount_setattr(root.as_fd(), Change { set: attr::READ_ONLY, ..Change::default() })
            .step("make / read-only")?;
    }
    Ok(())
}

fn mount_bind(root: &OwnedFd, bind: &Bind) -> Result<(), Failure> {
    let name = bind.target.display();
    let at = if bind.directory {
        files::make_directories(root.as_fd(), &bind.target)
    } else {
        files::make_file(root.as_fd(), &bind.target)
    };
    let at = at.step(format_args!("make mount point {name}"))?;
    if bind.read_only {
        let change = Change { set: attr::READ_ONLY, recursive: true, ..Change::default() };
        sys::mount_setattr(bind.tree.as_fd(), change).step(format_args!("make {name} read-only"))?;
    }
    attach(&bind.tree, &at).step(format_args!("mount {name}"))
}

fn fill_dev(tree: &Tree, at: &OwnedFd, material: &Material) -> Result<(), Failure> {
    let dev = file_system("tmpfs", &[("mode", "755"), ("size", "65536k")], MountAttrFlags::MOUNT_ATTR_NOSUID)?;
    attach(&dev, at).step("mount /dev")?;
    let place = |name: &str| {
        files::make_directories(dev.as_fd(), Path::new(name)).step(format_args!("make mount point /dev/{name}"))
    };
    let pts_attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let pts = |options: &[(&str, &str)]| try_file_system("devpts", options, pts_attributes);
    let options = [("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")];
    // Group 5 (tty) may have no place in a small user namespace.
    let pts = pts(&options).or_else(|_| pts(options.get(..3).unwrap_or_default())).step("mount devpts")?;
    attach(&pts, &place("pts")?).step("mount /dev/pts")?;
    let at = place("shm")?;
    match (&material.shm, tree.shm) {
        (Some(shm), _) => attach(shm, &at).step("mount /dev/shm")?,
        (None, Shm::Own(bytes)) => mount_shm(&at, bytes)?,
        (None, _) => {}
    }
    let mqueue = file_system("mqueue", &[], STRICT)?;
    attach(&mqueue, &place("mqueue")?).step("mount /dev/mqueue")?;
    for (target, name) in [
        ("pts/ptmx", "ptmx"),
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
        ("/proc/kcore", "core"),
    ] {
        rustix::fs::symlinkat(target, &dev, name).step(format_args!("link /dev/{name}"))?;
    }
    Ok(())
}

/// A fresh sysfs shows the network namespace of who mounts it, and only its owner may. A pod on the node's network in
/// a user namespace of its own sees the node's instead.
fn mount_sys(access: Access, at: &OwnedFd, material: &Material) -> Result<(), Failure> {
    let attributes = match access {
        Access::Read => STRICT | MountAttrFlags::MOUNT_ATTR_RDONLY,
        Access::Write => STRICT,
    };
    match (try_file_system("sysfs", &[], attributes), &material.sys) {
        (Ok(fresh), _) => attach(&fresh, at).step("mount /sys"),
        (Err(rustix::io::Errno::PERM), Some(callers)) => {
            attach(callers, at).step("mount /sys")?;
            let change = Change { set: attr::READ_ONLY, recursive: true, ..Change::default() };
            sys::mount_setattr(callers.as_fd(), change).step("make /sys read-only")
        }
        (Err(error), _) => Err(error).step("mount sysfs"),
    }
}

/// Shows the process its own groups as the roots of the trees: we are in a new cgroup namespace.
fn mount_cgroups(access: Access, hierarchy: &crate::cgroup::Hierarchy, at: &OwnedFd) -> Result<(), Failure> {
    let attributes = match access {
        Access::Read => STRICT | MountAttrFlags::MOUNT_ATTR_RDONLY,
        Access::Write => STRICT,
    };
    if hierarchy.unified {
        let unified = file_system("cgroup2", &[], attributes)?;
        return attach(&unified, at).step("mount /sys/fs/cgroup");
    }
    let base = file_system("tmpfs", &[("mode", "755"), ("size", "64k")], STRICT)?;
    attach(&base, at).step("mount /sys/fs/cgroup")?;
    for (_, mount) in &hierarchy.trees {
        // Co-mounted controllers lie in a directory named after all of them.
        let Some(names) = mount.file_name().and_then(|name| name.to_str()) else { continue };
        let options: Vec<(&str, &str)> = names.split(',').map(|name| (name, "")).collect();
        let tree = file_system("cgroup", &options, attributes)?;
        let at = files::make_directories(base.as_fd(), Path::new(names)).step("make a cgroup mount point")?;
        attach(&tree, &at).step(format_args!("mount /sys/fs/cgroup/{names}"))?;
        for (alias, _) in options.iter().filter(|(name, _)| *name != names) {
            rustix::fs::symlinkat(names, &base, *alias).step("link a cgroup controller")?;
        }
    }
    if access == Access::Read {
        let change = Change { set: attr::READ_ONLY, ..Change::default() };
        sys::mount_setattr(base.as_fd(), change).step("make /sys/fs/cgroup read-only")?;
    }
    Ok(())
}

/// Hides a path: a file behind `/dev/null`, a directory behind an empty one. Absent paths are fine.
fn mask(root: &OwnedFd, path: &Path) -> std::io::Result<()> {
    let Some(at) = present(root, path)? else { return Ok(()) };
    if is_directory(at.as_fd())? {
        let attributes = STRICT | MountAttrFlags::MOUNT_ATTR_RDONLY;
        let empty = try_file_system("tmpfs", &[("mode", "555"), ("size", "4k"), ("nr_inodes", "1")], attributes)?;
        return Ok(attach(&empty, &at)?);
    }
    let null = sys::open_in_root(root, Path::new("dev/null"), OFlags::PATH)?;
    let null = open_tree(&null, "", TREE | OpenTreeFlags::AT_EMPTY_PATH)?;
    Ok(attach(&null, &at)?)
}

fn seal(root: &OwnedFd, path: &Path) -> std::io::Result<()> {
    let Some(at) = present(root, path)? else { return Ok(()) };
    let tree = open_tree(&at, "", TREE | OpenTreeFlags::AT_EMPTY_PATH | OpenTreeFlags::AT_RECURSIVE)?;
    sys::mount_setattr(tree.as_fd(), Change { set: attr::READ_ONLY, recursive: true, ..Change::default() })?;
    Ok(attach(&tree, &at)?)
}

fn present(root: &OwnedFd, path: &Path) -> std::io::Result<Option<OwnedFd>> {
    let path = path.strip_prefix("/").unwrap_or(path);
    match sys::open_in_root(root, path, OFlags::PATH) {
        Ok(fd) => Ok(Some(fd)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
