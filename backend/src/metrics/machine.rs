//! What this machine and this process use, from /proc; read when asked, never in between.

use std::fs;
use std::path::Path;

use drydock_protocol::operator::{Machine, ServerProcess};

/// Clock ticks of /proc a second, on every Linux that Rust runs on.
const TICKS: f64 = 100.0;
/// Size of a page of memory on x86_64 and, as a rule, elsewhere.
const PAGE: u64 = 4096;

/// CPU time, counted since the machine started, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cpu {
    busy: u64,
    all: u64,
    own: u64,
    cpus: u32,
}

impl Cpu {
    /// As it is now.
    pub(crate) fn read() -> Cpu {
        let stat = text("/proc/stat");
        let cpus = stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count();
        let (busy, all) = busy(&stat);
        Cpu { busy, all, own: own(&text("/proc/self/stat")).0, cpus: u32::try_from(cpus).unwrap_or(1).max(1) }
    }

    /// Shares of the machine's processors together, and of one by this process, since then.
    pub(crate) fn since(&self, before: &Cpu) -> (f64, f64) {
        let all = self.all.saturating_sub(before.all);
        if all == 0 {
            return (0.0, 0.0);
        }
        let share = |ticks: u64| (ticks as f64 / all as f64 * 1000.0).round() / 10.0;
        let own = self.own.saturating_sub(before.own) * u64::from(self.cpus);
        (share(self.busy.saturating_sub(before.busy)), share(own))
    }

    /// Seconds that the machine's processors were busy.
    pub(crate) fn busy_seconds(&self) -> f64 {
        self.busy as f64 / TICKS
    }

    /// Seconds of CPU time of this process.
    pub(crate) fn own_seconds(&self) -> f64 {
        self.own as f64 / TICKS
    }
}

/// The machine now; `cpu_percent` is left to who knows how it was before.
pub(crate) fn machine(data: &Path, cpu: &Cpu) -> Machine {
    let (memory_total_bytes, memory_available_bytes) = memory(&text("/proc/meminfo"));
    let (load, pids) = load(&text("/proc/loadavg"));
    let (disk_total_bytes, disk_free_bytes) = disk(data);
    let number = |file: &str| text(file).trim().parse().unwrap_or(u64::MAX);
    let pids_max = number("/proc/sys/kernel/pid_max").min(number("/proc/sys/kernel/threads-max"));
    Machine {
        cpus: cpu.cpus,
        cpu_percent: 0.0,
        load,
        memory_total_bytes,
        memory_available_bytes,
        disk_total_bytes,
        disk_free_bytes,
        pids,
        pids_max,
    }
}

/// This process now; `cpu_percent` is left to who knows how it was before.
pub(crate) fn server(database: &Path) -> ServerProcess {
    let size = |ending: &str| {
        let mut name = database.as_os_str().to_owned();
        name.push(ending);
        fs::metadata(name).map_or(0, |meta| meta.len())
    };
    ServerProcess {
        memory_bytes: own(&text("/proc/self/stat")).1,
        cpu_percent: 0.0,
        open_files: fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64),
        database_bytes: ["", "-wal", "-shm"].map(size).iter().sum(),
    }
}

fn text(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

/// Ticks of all processors, busy and in all.
fn busy(stat: &str) -> (u64, u64) {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    // Guests' time is counted in user time already, hence the first eight columns.
    let columns: Vec<u64> = line.split_whitespace().take(8).map(|word| word.parse().unwrap_or(0)).collect();
    let all: u64 = columns.iter().sum();
    let idle: u64 = columns.iter().skip(3).take(2).sum();
    (all - idle, all)
}

/// CPU ticks and bytes of memory of a process.
fn own(stat: &str) -> (u64, u64) {
    // The name is in parentheses and may hold anything; columns are counted behind it.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let columns: Vec<u64> = rest.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect();
    let column = |index: usize| columns.get(index).copied().unwrap_or(0);
    (column(11) + column(12), column(21) * PAGE)
}

/// Bytes of memory, in all and to be had.
fn memory(meminfo: &str) -> (u64, u64) {
    let row = |name: &str| {
        let rest = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(rest.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    };
    (row("MemTotal").unwrap_or(0), row("MemAvailable").unwrap_or(0))
}

/// Load average of the last minute, and how many processes and threads there are.
fn load(loadavg: &str) -> (f64, u64) {
    let mut words = loadavg.split_whitespace();
    let load = words.next().and_then(|word| word.parse().ok()).unwrap_or(0.0);
    let pids = words.nth(2).and_then(|word| word.split_once('/')?.1.parse().ok()).unwrap_or(0);
    (load, pids)
}

/// Bytes of a folder's file system, in all and free.
fn disk(folder: &Path) -> (u64, u64) {
    let found = rustix::fs::statvfs(folder);
    found.map_or((0, 0), |disk| (disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_proc() {
        let stat =
            "cpu  100 5 20 800 50 0 15 10 3 0\ncpu0 50 5 10 400 25 0 7 5 0 0\ncpu1 50 0 10 400 25 0 8 5 0 0\nintr 1";
        assert_eq!(busy(stat), (150, 1000));
        assert_eq!(busy(""), (0, 0));
        let line = "12 (a) b) S 1 1 1 0 -1 0 0 0 0 0 70 30 0 0 20 0 5 0 100 200000 250 0";
        assert_eq!(own(line), (100, 250 * 4096));
        assert_eq!(memory("MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:   600 kB\n"), (1_024_000, 614_400));
        assert_eq!(load("0.52 0.58 0.59 3/467 12345\n"), (0.52, 467));
        assert_eq!(load("nonsense"), (0.0, 0));
    }

    #[test]
    fn shares_are_of_the_time_between() {
        let before = Cpu { busy: 100, all: 1000, own: 50, cpus: 2 };
        let now = Cpu { busy: 200, all: 1400, own: 150, cpus: 2 };
        assert_eq!(now.since(&before), (25.0, 50.0));
        assert_eq!(now.since(&now), (0.0, 0.0));
        assert_eq!(before.since(&now), (0.0, 0.0), "counters that went back say nothing");
    }

    #[test]
    fn this_machine_has_something() {
        let cpu = Cpu::read();
        let machine = machine(Path::new("/"), &cpu);
        assert!(machine.cpus > 0 && machine.memory_total_bytes > machine.memory_available_bytes, "{machine:?}");
        assert!(machine.disk_total_bytes >= machine.disk_free_bytes && machine.pids > 0, "{machine:?}");
        let server = server(Path::new("/nonexistent"));
        assert!(server.memory_bytes > 1_000_000 && server.open_files > 2 && server.database_bytes == 0, "{server:?}");
    }
}
