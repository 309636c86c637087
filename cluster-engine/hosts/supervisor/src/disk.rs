//! A node's disk: a sparse file with a file system of its own, so that who fills it fills nothing else.
//!
//! The file grows with what the node writes and shrinks when it deletes. It is mounted in the supervisor's own mount
//! namespace and detaches itself from its loop device with the last mount, whatever way the session ends.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use drydock_container_runtime::Reaper;
use drydock_container_runtime::launch::{self, CapabilitySet, Command, Program, Spec};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// The file in a node's folder.
const IMAGE: &str = "disk.img";
/// Where it is mounted, or, where it cannot be, a plain folder.
const MOUNT: &str = "disk";
/// Journals are for machines that crash: a node's disk is checked then, and its cost is in every `fsync` of etcd.
const FORMAT: [&str; 13] = [
    "mkfs.ext4",
    "-q",
    "-F",
    "-b",
    "4096",
    "-m",
    "0",
    "-i",
    "16384",
    "-O",
    "^has_journal",
    "-E",
    "lazy_itable_init=1,nodiscard",
];
/// Inode tables are not written ahead of their use, and what is deleted is given back to the machine.
const OPTIONS: &str = "noinit_itable,discard,errors=remount-ro";
/// How long the mounts of a dead supervisor may take to go.
const PATIENCE: Duration = Duration::from_secs(15);
/// Attempts to get a free loop device that another process does not get first.
const ATTEMPTS: u32 = 64;

/// Where a node's files are.
pub(crate) fn place(folder: &Path) -> PathBuf {
    folder.join(MOUNT)
}

/// Makes the disk of the node in `folder`; it is not mounted yet.
///
/// # Errors
/// When the machine lacks what that needs; nothing is left behind then.
pub(crate) fn make(folder: &Path, templates: &Path, bytes: u64, reaper: &Arc<Reaper>) -> io::Result<()> {
    let template = templates.join(format!(".disk-{bytes}.ext4"));
    if !template.is_file() {
        format(&template, bytes, reaper)?;
    }
    copy_sparse(&template, &folder.join(IMAGE))
}

/// Formats the file that all disks of this size are copies of; two supervisors at once do no harm.
fn format(template: &Path, bytes: u64, reaper: &Arc<Reaper>) -> io::Result<()> {
    let partial = template.with_extension(std::process::id().to_string());
    let outcome = File::create(&partial).and_then(|file| {
        file.set_len(bytes)?;
        run(FORMAT.iter().copied().chain([partial.to_string_lossy().as_ref()]), &[0], reaper)?;
        fs::rename(&partial, template)
    });
    if outcome.is_err() {
        let _ = fs::remove_file(&partial);
    }
    outcome
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

fn copy_sparse(from: &Path, to: &Path) -> io::Result<()> {
    let (mut source, target) = (File::open(from)?, File::create_new(to)?);
    let length = source.metadata()?.len();
    target.set_len(length)?;
    let (mut at, mut buffer) = (0, vec![0; 64 * 1024]);
    while let Ok(data) = rustix::fs::seek(&source, rustix::fs::SeekFrom::Data(at)) {
        let hole = rustix::fs::seek(&source, rustix::fs::SeekFrom::Hole(data))?;
        source.seek(SeekFrom::Start(data))?;
        let mut piece = Read::take(&mut source, hole - data);
        at = data;
        loop {
            let read = piece.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            // Most of what mkfs wrote is zeros: those need no place on the disk.
            if buffer[..read].iter().any(|byte| *byte != 0) {
                target.write_all_at(&buffer[..read], at)?;
            }
            at += read as u64;
        }
    }
    Ok(())
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
        tracing::warn!(path = %image.display(), "a disk was not unmounted; it is checked");
        // 1 means that it mended something.
        run(["fsck.ext4", "-p", image.to_string_lossy().as_ref()].into_iter(), &[0, 1], reaper)?;
    }
    let (device, _open) = loop_device(&file)?;
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

/// The kernel's `struct loop_config` with its `struct loop_info64`.
#[repr(C)]
struct LoopConfig {
    file: u32,
    block_size: u32,
    info: [u64; 5],
    number: u32,
    encryption: [u32; 2],
    flags: u32,
    names: [u8; 160],
    rest: [u64; 10],
}

const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;

/// Binds a file to a free loop device; the binding ends when the returned file and all mounts are gone. The file's pages
/// are not cached a second time.
fn loop_device(file: &File) -> io::Result<(PathBuf, File)> {
    let control = File::options().read(true).write(true).open("/dev/loop-control")?;
    let config = LoopConfig {
        file: file.as_raw_fd().unsigned_abs(),
        block_size: 4096,
        info: [0; 5],
        number: 0,
        encryption: [0; 2],
        flags: LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
        names: [0; 160],
        rest: [0; 10],
    };
    for _ in 0..ATTEMPTS {
        // SAFETY: this request takes no argument.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = File::options().read(true).write(true).open(&path)?;
        // SAFETY: the request reads one loop_config, which outlives the call.
        if unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) } == 0 {
            return Ok((path, device));
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EBUSY) {
            return Err(error);
        }
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_kernels_structure_has_its_size() {
        // loop_config: two u32, loop_info64 of 232 bytes, eight reserved u64.
        assert_eq!(size_of::<LoopConfig>(), 8 + 232 + 64);
    }

    #[test]
    fn copies_are_as_sparse_as_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let mut file = File::create(&from).unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_all_at(b"middle", 32 << 20).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(&[0; 1 << 20]).unwrap();
        copy_sparse(&from, &to).unwrap();
        let metadata = fs::metadata(&to).unwrap();
        assert_eq!(metadata.len(), 64 << 20);
        assert!(metadata.blocks() * 512 < 1 << 20, "{} blocks", metadata.blocks());
        let mut found = [0; 6];
        File::open(&to).unwrap().read_exact_at(&mut found, 32 << 20).unwrap();
        assert_eq!(&found, b"middle");
        assert!(copy_sparse(&from, &to).is_err(), "nothing is written over");
    }
}
