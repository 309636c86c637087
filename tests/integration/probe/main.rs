//! The burglar of the escape tests: tries one thing at a time and says `what: outcome`, a line each.
//!
//! It is one static file that runs anywhere, so it is built by `build.rs` with nothing but the standard library.

use std::ffi::{CString, c_char, c_int, c_long, c_ulong, c_void};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int;
    fn mount(from: *const c_char, to: *const c_char, kind: *const c_char, flags: c_ulong, data: *const c_void)
    -> c_int;
    fn umount2(target: *const c_char, flags: c_int) -> c_int;
    fn mknod(path: *const c_char, mode: u32, device: u64) -> c_int;
    fn fork() -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn _exit(code: c_int) -> !;
    fn inotify_init1(flags: c_int) -> c_int;
    fn unshare(flags: c_int) -> c_int;
}

const MS_RDONLY: c_ulong = 1;
const MS_NODEV: c_ulong = 4;
const MS_REMOUNT: c_ulong = 32;
const MS_BIND: c_ulong = 4096;
const MS_REC: c_ulong = 16384;
const MS_MOVE: c_ulong = 8192;
const MNT_DETACH: c_int = 2;
const CLONE_NEWNS: c_int = 0x0002_0000;
const CLONE_NEWUSER: c_int = 0x1000_0000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["calls"] => calls(),
        ["sockets"] => sockets(),
        ["devices", folder] => devices(folder),
        ["mounts", folder] => mounts(folder),
        ["read", paths @ ..] => paths.iter().for_each(|path| say(path, read(path))),
        ["write", paths @ ..] => paths.iter().for_each(|path| say(path, open_to_write(path))),
        ["remount", place] => remount(place),
        ["connect", addresses @ ..] => addresses.iter().for_each(|address| say(address, connect(address))),
        ["scan", address] => scan(address),
        ["abstract", name] => say(name, local(name)),
        ["inotify", seconds] => inotify(seconds.parse().unwrap_or(0)),
        ["fork", seconds] => fork_bomb(seconds.parse().unwrap_or(0)),
        ["eat", megabytes] => eat(megabytes.parse().unwrap_or(0)),
        ["fill", file] => fill(file),
        ["files", folder] => many_files(folder),
        _ => {
            eprintln!("not understood: {words:?}");
            std::process::exit(2);
        }
    }
}

fn say(what: &str, outcome: io::Result<String>) {
    println!("{what}: {}", outcome.unwrap_or_else(|error| name(&error)));
}

fn name(error: &io::Error) -> String {
    let known = [
        (1, "EPERM"),
        (2, "ENOENT"),
        (5, "EIO"),
        (6, "ENXIO"),
        (11, "EAGAIN"),
        (12, "ENOMEM"),
        (13, "EACCES"),
        (14, "EFAULT"),
        (15, "ENOTBLK"),
        (16, "EBUSY"),
        (19, "ENODEV"),
        (22, "EINVAL"),
        (24, "EMFILE"),
        (27, "EFBIG"),
        (28, "ENOSPC"),
        (30, "EROFS"),
        (38, "ENOSYS"),
        (97, "EAFNOSUPPORT"),
        (110, "ETIMEDOUT"),
        (111, "ECONNREFUSED"),
        (113, "EHOSTUNREACH"),
        (101, "ENETUNREACH"),
    ];
    let code = error.raw_os_error().unwrap_or(0);
    known.iter().find(|(number, _)| *number == code).map_or_else(|| error.to_string(), |(_, text)| (*text).to_owned())
}

fn checked(result: c_long) -> io::Result<String> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok("ok".to_owned()) }
}

fn text(word: &str) -> CString {
    CString::new(word).expect("no zero in it")
}

/// System calls that reach beyond namespaces, with arguments that do nothing wherever they are allowed.
#[cfg(target_arch = "x86_64")]
fn calls() {
    const NULL: c_long = 0;
    let table: [(&str, c_long, [c_long; 5]); 16] = [
        ("keyctl", 250, [0, -3, 0, 0, 0]),
        ("add_key", 248, [NULL, NULL, NULL, 0, 0]),
        ("request_key", 249, [NULL, NULL, NULL, 0, 0]),
        ("bpf", 321, [9999, NULL, 0, 0, 0]),
        ("userfaultfd", 323, [1, 0, 0, 0, 0]),
        ("perf_event_open", 298, [NULL, 0, -1, -1, 0]),
        ("io_uring_setup", 425, [1, NULL, 0, 0, 0]),
        ("io_uring_enter", 426, [-1, 0, 0, 0, 0]),
        ("open_by_handle_at", 304, [-1, NULL, 0, 0, 0]),
        ("syslog", 103, [10, NULL, 0, 0, 0]),
        ("swapon", 167, [NULL, 0, 0, 0, 0]),
        ("clock_settime", 227, [0, NULL, 0, 0, 0]),
        ("fanotify_init", 300, [-1, -1, 0, 0, 0]),
        ("quotactl", 179, [0, NULL, 0, NULL, 0]),
        ("init_module", 175, [NULL, 0, NULL, 0, 0]),
        ("kexec_load", 246, [0, 0, NULL, -1, 0]),
    ];
    for (what, number, [a, b, c, d, e]) in table {
        // SAFETY: the arguments are numbers and null pointers.
        say(what, checked(unsafe { syscall(number, a, b, c, d, e) }));
    }
    // Some filters end a process that calls as another architecture: a child tries it.
    // SAFETY: the child only makes calls and ends.
    let child = unsafe { fork() };
    if child == 0 {
        // SAFETY: the arguments are numbers.
        let refused = unsafe { syscall(0x4000_0000 + 250, 0, -3, 0, 0, 0) } < 0;
        let code = if refused { io::Error::last_os_error().raw_os_error().unwrap_or(0) } else { 0 };
        std::process::exit(code);
    }
    let mut status = 0;
    // SAFETY: the status is ours.
    unsafe { waitpid(child, &mut status, 0) };
    let said = match (status & 0x7f, status >> 8 & 0xff) {
        (31, _) => "SIGSYS".to_owned(),
        (0, 0) => "ok".to_owned(),
        (_, code) => name(&io::Error::from_raw_os_error(code)),
    };
    println!("keyctl of x32: {said}");
}

#[cfg(not(target_arch = "x86_64"))]
fn calls() {}

fn sockets() {
    for family in 1..46 {
        // SAFETY: only numbers are passed; the kind is one that most families know.
        let opened = [2, 1, 3, 5].into_iter().any(|kind| unsafe { socket(family, kind, 0) } >= 0);
        if opened {
            println!("{family}: ok");
        }
    }
}

/// Makes device nodes and opens them.
fn devices(folder: &str) {
    const CHARACTER: u32 = 0o020_600;
    const BLOCK: u32 = 0o060_600;
    let table = [
        ("mem", CHARACTER, 1, 1),
        ("kmsg", CHARACTER, 1, 11),
        ("fuse", CHARACTER, 10, 229),
        ("kvm", CHARACTER, 10, 232),
        ("loop-control", CHARACTER, 10, 237),
        ("loop0", BLOCK, 7, 0),
        ("sda", BLOCK, 8, 0),
        ("vda", BLOCK, 254, 0),
    ];
    for (what, mode, major, minor) in table {
        let path = format!("{folder}/{what}");
        // SAFETY: the path is a C string for the whole call.
        let made = checked(unsafe { mknod(text(&path).as_ptr(), mode, major << 8 | minor) }.into());
        say(what, made.and_then(|_| read(&path)));
        let _ = fs::remove_file(&path);
    }
}

/// Mounts file systems that show more than a namespace holds.
fn mounts(folder: &str) {
    for kind in
        ["devtmpfs", "debugfs", "tracefs", "securityfs", "pstore", "ext4", "xfs", "btrfs", "hugetlbfs", "fusectl"]
    {
        // SAFETY: all strings are C strings for the whole call.
        let outcome = unsafe {
            let none = text("/dev/loop0");
            mount(none.as_ptr(), text(folder).as_ptr(), text(kind).as_ptr(), MS_RDONLY, std::ptr::null())
        };
        say(kind, checked(outcome.into()));
        if outcome == 0 {
            // SAFETY: as above.
            unsafe { umount2(text(folder).as_ptr(), MNT_DETACH) };
        }
    }
}

fn read(path: &str) -> io::Result<String> {
    let mut start = [0; 4096];
    let length = OpenOptions::new().read(true).open(path)?.read(&mut start)?;
    Ok(format!("read {}", String::from_utf8_lossy(&start[..length]).trim_end().replace('\n', " | ")))
}

/// Opens without writing: on a machine where it works, nothing happens.
fn open_to_write(path: &str) -> io::Result<String> {
    OpenOptions::new().write(true).open(path).map(|_| "ok".to_owned())
}

/// All ways to write to what is mounted read-only.
fn remount(place: &str) {
    let target = text(place);
    let poison = |what: &str, changed: c_long, at: &str| {
        let changed = checked(changed).unwrap_or_else(|error| name(&error));
        let file = Path::new(at).join("poison");
        let written = fs::write(&file, "poison").map(|()| "written".to_owned()).unwrap_or_else(|error| name(&error));
        println!("{what}: {changed}, {written}");
    };
    // SAFETY: strings are C strings and structs live for the whole of every call here.
    unsafe {
        let null = std::ptr::null();
        poison("plain", 0, place);
        poison("remount", mount(null, target.as_ptr(), null, MS_REMOUNT, null.cast()).into(), place);
        poison(
            "remount bind",
            mount(null, target.as_ptr(), null, MS_REMOUNT | MS_BIND | MS_NODEV, null.cast()).into(),
            place,
        );
        // struct mount_attr: set, clear, propagation, user namespace.
        let attributes: [u64; 4] = [0, 1, 0, 0];
        let mount_setattr = 442;
        poison(
            "mount_setattr",
            syscall(mount_setattr, -100_i64, target.as_ptr(), 0_i64, &raw const attributes, 32_i64),
            place,
        );
        let second = std::env::temp_dir().join("second").display().to_string();
        let _ = fs::create_dir_all(&second);
        let copy = text(&second);
        let copied = mount(target.as_ptr(), copy.as_ptr(), null, MS_BIND | MS_REC, null.cast());
        let changed = mount(null, copy.as_ptr(), null, MS_REMOUNT | MS_BIND | MS_NODEV, null.cast());
        poison("copy", copied.min(changed).into(), if copied == 0 { &second } else { place });
        umount2(copy.as_ptr(), MNT_DETACH);
        let moved = mount(target.as_ptr(), copy.as_ptr(), null, MS_MOVE, null.cast());
        poison("move", moved.into(), if moved == 0 { &second } else { place });
        poison("unmount", umount2(target.as_ptr(), MNT_DETACH).into(), place);
        let child = fork();
        if child == 0 {
            let fresh = unshare(CLONE_NEWUSER | CLONE_NEWNS);
            let changed = mount(null, target.as_ptr(), null, MS_REMOUNT | MS_BIND | MS_NODEV, null.cast());
            poison("new namespaces", c_long::from(fresh.min(changed)), place);
            io::stdout().flush().unwrap_or(());
            _exit(0);
        }
        waitpid(child, std::ptr::null_mut(), 0);
    }
}

fn connect(address: &str) -> io::Result<String> {
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    TcpStream::connect_timeout(&address, Duration::from_millis(300)).map(|mut stream| {
        let mut greeting = [0; 64];
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap_or(());
        let length = stream.read(&mut greeting).unwrap_or(0);
        format!("connected {}", String::from_utf8_lossy(&greeting[..length]).trim_end())
    })
}

/// Ports that answer at an address; none of them is a line.
fn scan(address: &str) {
    for port in 1..=u16::MAX {
        let Ok(target) = format!("{address}:{port}").parse::<SocketAddr>() else { return };
        if TcpStream::connect_timeout(&target, Duration::from_millis(300)).is_ok() {
            println!("{port}: open");
        }
    }
    println!("scanned");
}

fn local(name: &str) -> io::Result<String> {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    std::os::unix::net::UnixStream::connect_addr(&address).map(|_| "connected".to_owned())
}

/// Takes all that there is, and keeps it for a while.
fn inotify(seconds: u64) {
    let mut count = 0;
    // SAFETY: only a number is passed.
    while count < 100_000 && unsafe { inotify_init1(0) } >= 0 {
        count += 1;
    }
    println!("taken: {count} {}", name(&io::Error::last_os_error()));
    io::stdout().flush().unwrap_or(());
    std::thread::sleep(Duration::from_secs(seconds));
}

fn fork_bomb(seconds: u64) {
    let mut count = 0;
    loop {
        // SAFETY: one thread; the child only sleeps.
        match unsafe { fork() } {
            0 => {
                std::thread::sleep(Duration::from_secs(seconds));
                // SAFETY: ends this process.
                unsafe { _exit(0) };
            }
            -1 => break,
            _ => count += 1,
        }
        if count == 50_000 {
            break;
        }
    }
    println!("forked: {count} {}", name(&io::Error::last_os_error()));
    io::stdout().flush().unwrap_or(());
    std::thread::sleep(Duration::from_secs(seconds));
}

fn eat(megabytes: usize) {
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    for count in 0..megabytes {
        eaten.push(vec![u8::try_from(count % 250 + 1).unwrap_or(1); 1 << 20]);
    }
    println!("eaten: {}", eaten.len());
}

fn fill(path: &str) {
    let block = vec![0x5a; 1 << 20];
    let mut written = 0;
    let outcome = OpenOptions::new().create(true).append(true).open(path).and_then(|mut file| {
        loop {
            file.write_all(&block)?;
            written += 1;
            if written == 1 << 16 {
                return Ok(());
            }
        }
    });
    println!("filled: {written} {}", outcome.map_or_else(|error| name(&error), |()| "without end".to_owned()));
}

fn many_files(folder: &str) {
    let mut count = 0;
    let end = loop {
        if count == 3_000_000 {
            break "without end".to_owned();
        }
        match fs::File::create(format!("{folder}/f{count}")) {
            Ok(_) => count += 1,
            Err(error) => break name(&error),
        }
    };
    println!("files: {count} {end}");
}
