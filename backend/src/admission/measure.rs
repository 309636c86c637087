//! What the machine has and what of it is free: memory, disk, processes, CPU; where the server is in a control group with
//! limits of its own, those count.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Amount, Measured};

/// Looks at the machine; `data` is the folder in which sessions keep their files. What cannot be read counts as plenty: then
/// the kernel decides.
pub(crate) fn machine(data: &Path) -> Measured {
    let text = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let meminfo = text("/proc/meminfo");
    let mut memory = Room {
        total: kib(&meminfo, "MemTotal:").unwrap_or(u64::MAX),
        free: kib(&meminfo, "MemAvailable:").unwrap_or(u64::MAX),
    };
    let (load, threads) = load(&text("/proc/loadavg"));
    let most = ["/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"]
        .into_iter()
        .filter_map(|file| text(file).trim().parse::<u64>().ok())
        .min()
        .unwrap_or(u64::MAX);
    let mut pids = Room { total: most, free: most.saturating_sub(threads) };
    for (groups, files) in own_groups(&text("/proc/self/cgroup"), Path::new("/sys/fs/cgroup")) {
        for folder in groups {
            memory = memory.within(limit(&folder, files.memory_limit), used_memory(&folder, &files));
            pids = pids.within(limit(&folder, "pids.max"), number(&folder.join("pids.current")).unwrap_or(0));
        }
    }
    let disk = rustix::fs::statvfs(data).map_or(Room { total: u64::MAX, free: u64::MAX }, |it| Room {
        total: it.f_blocks.saturating_mul(it.f_frsize),
        free: it.f_bavail.saturating_mul(it.f_frsize),
    });
    Measured {
        total: Amount { memory: memory.total, disk: disk.total, pids: pids.total },
        free: Amount { memory: memory.free, disk: disk.free, pids: pids.free },
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        load,
        memory_stall: stall(&text("/proc/pressure/memory")),
    }
}

/// What there is of something, and what of it is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    total: u64,
    free: u64,
}

impl Room {
    /// The same inside a control group with this limit.
    fn within(self, limit: Option<u64>, used: u64) -> Room {
        let Some(limit) = limit else { return self };
        Room { total: self.total.min(limit), free: self.free.min(limit.saturating_sub(used)) }
    }
}

/// Names of a controller's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Files {
    memory_limit: &'static str,
    memory_used: &'static str,
    cache: &'static str,
}

const V1: Files =
    Files { memory_limit: "memory.limit_in_bytes", memory_used: "memory.usage_in_bytes", cache: "total_inactive_file" };
const V2: Files = Files { memory_limit: "memory.max", memory_used: "memory.current", cache: "inactive_file" };

/// The control groups that this process is in and those around them, from `/proc/self/cgroup`.
fn own_groups(cgroup: &str, mount: &Path) -> Vec<(Vec<PathBuf>, Files)> {
    let mut trees = Vec::new();
    for line in cgroup.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (tree, files) = match controllers {
            "" => (mount.to_owned(), V2),
            "memory" | "pids" => (mount.join(controllers), V1),
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        trees.push((path.ancestors().map(|it| tree.join(it)).collect(), files));
    }
    trees
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// A limit; none where the file says `max`, or a number that is none on any machine, as version 1 does.
fn limit(folder: &Path, name: &str) -> Option<u64> {
    number(&folder.join(name)).filter(|limit| *limit < 1 << 60)
}

/// Memory without what the kernel would give back at once.
fn used_memory(folder: &Path, files: &Files) -> u64 {
    let used = number(&folder.join(files.memory_used)).unwrap_or(0);
    let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let cache = stat.lines().find_map(|line| line.strip_prefix(files.cache)?.trim().parse::<u64>().ok());
    used.saturating_sub(cache.unwrap_or(0))
}

fn kib(meminfo: &str, key: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The mean of one minute, and how many threads there are.
fn load(loadavg: &str) -> (f64, u64) {
    let mut words = loadavg.split_whitespace();
    let load = words.next().and_then(|it| it.parse().ok()).unwrap_or(0.0);
    let threads = words.nth(2).and_then(|it| it.split_once('/')?.1.parse().ok()).unwrap_or(0);
    (load, threads)
}

/// `full avg10` of a pressure file.
fn stall(pressure: &str) -> f64 {
    let full = pressure.lines().find_map(|line| line.strip_prefix("full "));
    full.and_then(|line| line.split_whitespace().find_map(|it| it.strip_prefix("avg10=")?.parse().ok())).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts() {
        assert_eq!(kib("MemTotal:       24683520 kB\nMemAvailable:   100 kB\n", "MemAvailable:"), Some(102_400));
        assert_eq!(kib("", "MemTotal:"), None);
        assert_eq!(load("0.57 0.38 0.97 2/345 12345\n"), (0.57, 345));
        assert_eq!(load(""), (0.0, 0));
        let pressure =
            "some avg10=14.50 avg60=3.94 avg300=2.52 total=2\nfull avg10=3.25 avg60=0.00 avg300=0.00 total=0\n";
        assert!((stall(pressure) - 3.25).abs() < 1e-9);
        assert!(stall("").abs() < 1e-9);
    }

    #[test]
    fn a_group_with_limits_is_a_smaller_machine() {
        let folder = tempfile::tempdir().expect("tempdir");
        let inner = folder.path().join("system.slice/drydock.service");
        fs::create_dir_all(&inner).expect("a folder");
        let write = |name: &str, text: &str| fs::write(inner.join(name), text).expect("a file");
        write("memory.max", "4096\n");
        write("memory.current", "1024\n");
        write("memory.stat", "anon 5\ninactive_file 24\n");
        fs::write(folder.path().join("system.slice/memory.max"), "max\n").expect("a file");
        let groups = own_groups("4:memory:/a\n0::/system.slice/drydock.service\n1:name=systemd:/x\n", folder.path());
        assert_eq!(groups[0].0, [folder.path().join("memory/a"), folder.path().join("memory")]);
        assert_eq!((groups.len(), groups[1].0.len(), groups[1].1), (2, 3, V2));
        let mut room = Room { total: 10_000, free: 9_000 };
        for group in &groups[1].0 {
            room = room.within(limit(group, V2.memory_limit), used_memory(group, &V2));
        }
        assert_eq!(room, Room { total: 4096, free: 4096 - 1000 });
        assert_eq!(Room { total: 5, free: 5 }.within(Some(9), 8), Room { total: 5, free: 1 });
    }

    #[test]
    fn this_machine_has_something() {
        let measured = machine(Path::new("/"));
        assert!(measured.cpus > 0 && measured.total.memory > 1 << 20 && measured.total.pids > 100);
        assert!(measured.free.memory <= measured.total.memory && measured.free.disk <= measured.total.disk);
    }
}
