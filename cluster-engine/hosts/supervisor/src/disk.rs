//! A node's disk: a sparse file with a file system of its own, so that who fills it fills nothing else.
//!
//! The file grows with what the node writes and shrinks when it deletes. It is mounted in the supervisor's own mount
//! namespace and detaches itself from its loop device with the last mount, whatever way the session ends.

mod devices;
mod format;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use drydock_container_runtime::Reaper;
use drydock_container_runtime::launch::{self, CapabilitySet, Command, Program, Spec};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// The file in a node's folder.
const IMAGE: &str = "disk.img";
/// Where it is mounted, or, where it cannot be, a plain folder.
const MOUNT: &str = "disk";
/// What is deleted is given back to the machine.
const OPTIONS: &str = "discard,errors=remount-ro";
/// Mends disks that were not unmounted; containers do not have it.
const CHECKER: &str = "fsck.ext4";
/// Where it is, if it is anywhere.
const CHECKERS: [&str; 2] = ["/sbin", "/usr/sbin"];
/// How long the mounts of a dead supervisor may take to go.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where a node's files are.
pub(crate) fn place(folder: &Path) -> PathBuf {
    folder.join(MOUNT)
}

/// Makes the disk of the node in `folder`; it is not mounted yet.
///
/// # Errors
/// When the size is out of reach or the machine's own disk is full; nothing is left behind then.
pub(crate) fn make(folder: &Path, bytes: u64) -> io::Result<()> {
    let mut id = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut id)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let image = folder.join(IMAGE);
    let file = File::create_new(&image)?;
    let made = format::format(&file, bytes, id, u32::try_from(now).unwrap_or(u32::MAX));
    if made.is_err() {
        let _ = fs::remove_file(&image);
    }
    made
}

/// Runs a program of the machine to its end, which must be one of these.
fn run<'a>(words: impl Iterator<Item = &'a str>, good: &[i32], reaper: &Arc<Reaper>) -> io::Result<()> {
    let args: Vec<String> = words.map(str::to_owned).collect();
    let name = args.first().cloned().unwrap_or_default();
    let command = Command { args, capabilities: CapabilitySet::ALL, ..Command::default() };
    let spec = Spec { program: Program::Command(Box::new(command)), ..Spec::default() };
    let launched = launch::launch(Path::new("/proc/self/exe"), reaper, &spec, &launch::Descriptors::default())
        .map_err(io::Error::other)?;
    match launched.end.wait().code {
        code if good.contains(&code) => Ok(()),
        code => Err(io::Error::other(format!("{name} ended with {code}"))),
    }
}

/// Goes back to a plain folder.
pub(crate) fn forget(folder: &Path) {
    detach(folder);
    // It may never have been there.
    let _ = fs::remove_file(folder.join(IMAGE));
}

/// Mounts the disk of the node in `folder`, if it has one. Mounted already is fine.
///
/// # Errors
/// When there is no loop device to be had or the file system is beyond repair.
pub(crate) fn attach(folder: &Path, reaper: &Arc<Reaper>) -> io::Result<()> {
    let (image, target) = (folder.join(IMAGE), folder.join(MOUNT));
    fs::create_dir_all(&target)?;
    if !image.is_file() || fs::metadata(&target)?.dev() != fs::metadata(folder)?.dev() {
        return Ok(());
    }
    let file = File::options().read(true).write(true).open(&image)?;
    lock(&file)?;
    if !is_clean(&file)? {
        let is_here = CHECKERS.iter().any(|folder| Path::new(folder).join(CHECKER).is_file());
        tracing::warn!(path = %image.display(), checked = is_here, "a disk was not unmounted");
        if is_here {
            // 1 means that it mended something.
            run([CHECKER, "-p", image.to_string_lossy().as_ref()].into_iter(), &[0, 1], reaper)?;
        }
    }
    let (device, _open) = devices::bind(&file)?;
    mount(Some(&device), &target, Some("ext4"), MsFlags::MS_NODEV, Some(OPTIONS))?;
    Ok(())
}

/// Mounts the disk of a node that may be another supervisor's at this moment, only to read it.
///
/// # Errors
/// When there is no loop device to be had or the file system is beyond repair.
pub(crate) fn look(folder: &Path) -> io::Result<()> {
    let (image, target) = (folder.join(IMAGE), folder.join(MOUNT));
    if !image.is_file() {
        return Ok(());
    }
    let file = File::options().read(true).write(true).open(&image)?;
    // The kernel gives everybody who mounts a device the same file system, so this sees what is there now.
    let (device, _open) = match devices::bound(&file)? {
        Some((device, open)) => (device, open),
        None => {
            lock(&file)?;
            devices::bind(&file)?
        }
    };
    fs::create_dir_all(&target)?;
    mount(Some(&device), &target, Some("ext4"), MsFlags::MS_NODEV, Some(OPTIONS))?;
    Ok(())
}

/// The lock stays with the loop device, which holds this very file: so it is free when nobody has the disk mounted. The mounts
/// of a supervisor that was killed go a moment after it.
fn lock(image: &File) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match image.try_lock() {
            Ok(()) => return Ok(()),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The superblock's flag that is down while the file system is mounted.
fn is_clean(image: &File) -> io::Result<bool> {
    let mut state = [0; 2];
    image.read_exact_at(&mut state, 1024 + 58)?;
    Ok(u16::from_le_bytes(state) & 1 == 1)
}

/// Takes the disk away; its processes are gone already.
pub(crate) fn detach(folder: &Path) {
    // One that is not mounted is fine.
    let _ = umount2(&folder.join(MOUNT), MntFlags::MNT_DETACH);
}
