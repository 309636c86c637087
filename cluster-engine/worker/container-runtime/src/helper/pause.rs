//! The sandbox process's program: a complete executable of a few dozen instructions.
//!
//! It stands in for upstream's `pause`. Every pod has one for as long as it lives, so it is no copy of the big node
//! binary: two pages of memory, no libc, no heap. It names itself, makes itself undumpable and waits for ever. As PID 1
//! of a shared PID namespace it reaps by ignoring `SIGCHLD`, which it inherits from who executes it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, memfd_create};

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "x86_64")]
const CODE: &[u8] = &[
    0xbf, 0x0f, 0x00, 0x00, 0x00, // mov edi, PR_SET_NAME
    0x48, 0x8d, 0x35, 0x1e, 0x00, 0x00, 0x00, // lea rsi, [rip + name]
    0xb8, 0x9d, 0x00, 0x00, 0x00, // mov eax, SYS_prctl
    0x0f, 0x05, // syscall
    0xbf, 0x04, 0x00, 0x00, 0x00, // mov edi, PR_SET_DUMPABLE
    0x31, 0xf6, // xor esi, esi
    0xb8, 0x9d, 0x00, 0x00, 0x00, // mov eax, SYS_prctl
    0x0f, 0x05, // syscall
    0xb8, 0x22, 0x00, 0x00, 0x00, // wait: mov eax, SYS_pause
    0x0f, 0x05, // syscall
    0xeb, 0xf7, // jmp wait
    b'p', b'a', b'u', b's', b'e', 0,
];

#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;
#[cfg(target_arch = "aarch64")]
const CODE: &[u8] = &[
    0xe0, 0x01, 0x80, 0xd2, // mov x0, PR_SET_NAME
    0x81, 0x01, 0x00, 0x10, // adr x1, name
    0xe8, 0x14, 0x80, 0xd2, // mov x8, SYS_prctl
    0x01, 0x00, 0x00, 0xd4, // svc 0
    0x80, 0x00, 0x80, 0xd2, // mov x0, PR_SET_DUMPABLE
    0x01, 0x00, 0x80, 0xd2, // mov x1, 0
    0x01, 0x00, 0x00, 0xd4, // svc 0
    0x00, 0x00, 0x80, 0xd2, // wait: mov x0, 0 (x1 to x3 are 0: ppoll on nothing, without end)
    0x02, 0x00, 0x80, 0xd2, // mov x2, 0
    0x03, 0x00, 0x80, 0xd2, // mov x3, 0
    0x28, 0x09, 0x80, 0xd2, // mov x8, SYS_ppoll
    0x01, 0x00, 0x00, 0xd4, // svc 0
    0xfb, 0xff, 0xff, 0x17, // b wait
    b'p', b'a', b'u', b's', b'e', 0, 0, 0,
];

const BASE: u64 = 0x0040_0000;
const HEADER: u64 = 64 + 2 * 56;

/// The executable in memory, ready to be executed by descriptor.
pub(super) fn file() -> io::Result<OwnedFd> {
    // Where vm.memfd_noexec is set, execution must be asked for; older kernels do not know the flag.
    let fd = memfd_create("pause", MemfdFlags::CLOEXEC | MemfdFlags::EXEC)
        .or_else(|_| memfd_create("pause", MemfdFlags::CLOEXEC))?;
    File::from(fd.try_clone()?).write_all(&image())?;
    // Executing a file that somebody has open for writing is refused: go on with a read-only descriptor.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
    Ok(File::open(path)?.into())
}

fn image() -> Vec<u8> {
    let mut image = Vec::with_capacity(512);
    let mut put = |bytes: &[u8]| image.extend_from_slice(bytes);
    let size = HEADER + CODE.len() as u64;
    // ELF header: 64 bit, little-endian, executable.
    put(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    put(&2u16.to_le_bytes());
    put(&MACHINE.to_le_bytes());
    put(&1u32.to_le_bytes());
    for word in [BASE + HEADER, 64, 0] {
        put(&word.to_le_bytes());
    }
    put(&0u32.to_le_bytes());
    for half in [64u16, 56, 2, 0, 0, 0] {
        put(&half.to_le_bytes());
    }
    // One segment, read and execute; and a stack that cannot be executed.
    for (kind, flags, address, size) in [(1u32, 5u32, BASE, size), (0x6474_e551, 6, 0, 0)] {
        put(&kind.to_le_bytes());
        put(&flags.to_le_bytes());
        for word in [0, address, address, size, size, 0x1000] {
            put(&word.to_le_bytes());
        }
    }
    put(CODE);
    image
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::process::Command;
    use std::time::{Duration, Instant};

    #[test]
    fn it_runs_names_itself_and_is_tiny() {
        let file = file().unwrap();
        let mut child = Command::new(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())).spawn().unwrap();
        let proc = std::path::PathBuf::from(format!("/proc/{}", child.id()));
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::fs::read_to_string(proc.join("comm")).unwrap() != "pause\n" {
            assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "it never called itself pause");
            std::thread::yield_now();
        }
        let status = std::fs::read_to_string(proc.join("status")).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let stack = status.lines().find(|line| line.starts_with("VmData:")).unwrap();
        let kilobytes: u64 = stack.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(kilobytes < 64, "{status}");
    }
}
