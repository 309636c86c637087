//! What the node has: CPUs, memory, disk and its identity, limits of its control groups taken into account.

use std::path::Path;

/// The node as it is at start.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) cpus: u64,
    pub(crate) memory: u64,
    pub(crate) disk: u64,
    pub(crate) machine_id: String,
    pub(crate) boot_id: String,
    pub(crate) kernel: String,
    pub(crate) os_image: String,
}

impl Machine {
    pub(crate) fn detect(root: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        let os_image = read("/etc/os-release")
            .lines()
            .find_map(|line| Some(line.strip_prefix("PRETTY_NAME=")?.trim_matches('"').to_owned()));
        let boot_id = read("/proc/sys/kernel/random/boot_id");
        let machine_id = Some(read("/etc/machine-id")).filter(|id| !id.is_empty());
        Self {
            cpus: cpus(),
            memory: memory(),
            disk: disk(root).0,
            machine_id: machine_id.unwrap_or_else(|| boot_id.replace('-', "")),
            boot_id,
            kernel,
            os_image: os_image.unwrap_or_else(|| "Drydock".to_owned()),
        }
    }
}

/// What this process has used: CPU seconds and resident bytes.
pub(crate) fn own_use() -> (f64, u64) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    // Behind the name in parentheses; user and system time are the 14th and 15th field, in hundredths of a second.
    let stat = read("/proc/self/stat");
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    let status = read("/proc/self/status");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    (ticks as f64 / 100.0, resident.unwrap_or(0_u64) * 1024)
}

/// Total and free bytes of the file system that holds `path`.
pub(crate) fn disk(path: &Path) -> (u64, u64) {
    match rustix::fs::statvfs(path) {
        Ok(stat) => (stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize),
        Err(_) => (0, 0),
    }
}

/// Whole CPUs: the smaller of what may be scheduled on and what the control group's quota allows.
fn cpus() -> u64 {
    let online = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<i64>().ok();
    let quota = match (number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), number("/sys/fs/cgroup/cpu/cpu.cfs_period_us")) {
        (Some(quota), Some(period)) if quota > 0 && period > 0 => Some((quota, period)),
        _ => std::fs::read_to_string("/sys/fs/cgroup/cpu.max").ok().and_then(|text| {
            let (quota, period) = text.trim().split_once(' ')?;
            Some((quota.parse().ok()?, period.parse().ok()?))
        }),
    };
    let allowed = quota.map(|(quota, period)| u64::try_from((quota + period - 1) / period).unwrap_or(1));
    allowed.map_or(online, |allowed| allowed.clamp(1, online))
}

/// Bytes of memory: the smaller of the machine's and the control group's limit.
fn memory() -> u64 {
    let machine = meminfo("MemTotal:").unwrap_or(0);
    let limit = ["/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory.max"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    limit.map_or(machine, |limit| limit.min(machine))
}

/// How many processes and threads there may be, and how many there are: in the control group if it is limited.
pub(crate) fn pids() -> Option<(u64, u64)> {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let limited = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].iter().find_map(|directory| {
        Some((number(&format!("{directory}/pids.max"))?, number(&format!("{directory}/pids.current"))?))
    });
    limited.or_else(|| {
        let load = std::fs::read_to_string("/proc/loadavg").ok()?;
        let running = load.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()?;
        Some((number("/proc/sys/kernel/pid_max")?, running))
    })
}

fn meminfo(key: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Bytes of memory that could still be given out: of the control group if it is limited, else of the machine.
pub(crate) fn memory_available(capacity: u64) -> u64 {
    let machine = meminfo("MemAvailable:").unwrap_or(u64::MAX);
    memory_held().map_or(machine, |held| capacity.saturating_sub(held).min(machine))
}

/// Bytes of memory that the node holds and could not give back at once; the machine's where no control group tells.
pub(crate) fn memory_working_set(capacity: u64) -> u64 {
    memory_held().unwrap_or_else(|| capacity.saturating_sub(memory_available(capacity)))
}

/// The same as the node's control group tells it.
fn memory_held() -> Option<u64> {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let stat = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).ok()?;
        text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok())
    };
    let v1 = || {
        let usage = number("/sys/fs/cgroup/memory/memory.usage_in_bytes")?;
        Some((usage, stat("/sys/fs/cgroup/memory/memory.stat", "total_inactive_file ").unwrap_or(0)))
    };
    let v2 = || {
        let usage = number("/sys/fs/cgroup/memory.current")?;
        Some((usage, stat("/sys/fs/cgroup/memory.stat", "inactive_file ").unwrap_or(0)))
    };
    v1().or_else(v2).map(|(usage, inactive)| usage.saturating_sub(inactive))
}
