//! Loop devices: the files that stand for disks. Where their names are missing, as in a container, they are made.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

/// Attempts to get a free loop device that another process does not get first.
const ATTEMPTS: u32 = 64;
const CONTROL: &str = "/dev/loop-control";
/// Its numbers, by the kernel's `misc` devices.
const CONTROL_NUMBERS: (u64, u64) = (10, 237);
/// The kernel's list of block devices.
const BLOCK_DEVICES: &str = "/sys/block";

/// The kernel's `struct loop_info64`, as far as it tells which file a device stands for.
#[repr(C)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rest: [u64; 27],
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

const LOOP_GET_STATUS: libc::Ioctl = 0x4C05;
const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;

/// Binds a file to a free loop device; the binding ends when the returned file and all mounts are gone. The file's pages
/// are not cached a second time.
pub(super) fn bind(file: &File) -> io::Result<(PathBuf, File)> {
    let control = open(Path::new(CONTROL), SFlag::S_IFCHR, CONTROL_NUMBERS)?;
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
        let (path, device) = loop_device(&format!("loop{number}"))?;
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

/// The loop device to which a file is bound already, whoever did that.
pub(super) fn bound(file: &File) -> io::Result<Option<(PathBuf, File)>> {
    let wanted = file.metadata()?;
    for entry in fs::read_dir(BLOCK_DEVICES)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // Only those that stand for a file have such a folder.
        if !name.starts_with("loop") || !entry.path().join("loop").is_dir() {
            continue;
        }
        let (path, device) = loop_device(&name)?;
        let mut info = LoopInfo { device: 0, inode: 0, rest: [0; 27] };
        // SAFETY: the request writes one loop_info64, which outlives the call.
        let outcome = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_GET_STATUS, &raw mut info) };
        if outcome == 0 && (info.device, info.inode) == (wanted.dev(), wanted.ino()) {
            return Ok(Some((path, device)));
        }
    }
    Ok(None)
}

fn loop_device(name: &str) -> io::Result<(PathBuf, File)> {
    let path = Path::new("/dev").join(name);
    let numbers = fs::read_to_string(Path::new(BLOCK_DEVICES).join(name).join("dev"))?;
    let numbers =
        numbers.trim().split_once(':').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let device = open(&path, SFlag::S_IFBLK, numbers.ok_or(io::ErrorKind::InvalidData)?)?;
    Ok((path, device))
}

/// Opens a device, and makes its name first where that is missing.
fn open(path: &Path, kind: SFlag, (major, minor): (u64, u64)) -> io::Result<File> {
    let open = || File::options().read(true).write(true).open(path);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match mknod(path, kind, Mode::S_IRUSR | Mode::S_IWUSR, makedev(major, minor)) {
                Ok(()) | Err(nix::Error::EEXIST) => open(),
                Err(error) => Err(error.into()),
            }
        }
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_structures_have_their_size() {
        // loop_config: two u32, loop_info64 of 232 bytes, eight reserved u64.
        assert_eq!(size_of::<LoopInfo>(), 232);
        assert_eq!(size_of::<LoopConfig>(), 8 + 232 + 64);
    }
}
