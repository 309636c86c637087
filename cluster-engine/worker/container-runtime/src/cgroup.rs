//! Control groups, version 1 (one tree per controller) and version 2 (one tree), behind one set of calls.
//!
//! Paths are relative to the caller's own root, which in a node is what the supervisor delegated to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{Error, Limits, Stats};

/// Where control groups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";
/// Where the processes of a group go when it is divided.
const LEAF: &str = "agent";
/// The controllers of version 1 that we use, where present.
const V1_CONTROLLERS: [&str; 5] = ["cpu", "cpuacct", "memory", "pids", "freezer"];

/// The machine's control group trees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hierarchy {
    /// The unified tree of version 2; otherwise the trees below.
    pub unified: bool,
    /// Controller and mount point of its tree (version 1), or the one mount point (version 2, name empty).
    pub trees: Vec<(String, PathBuf)>,
}

impl Hierarchy {
    /// Looks at `/sys/fs/cgroup`. On hybrid machines the controllers of version 1 are used.
    ///
    /// # Errors
    /// [`Error::Io`] when there is no usable tree.
    pub fn detect() -> Result<Self, Error> {
        let root = Path::new(MOUNT);
        if root.join("cgroup.controllers").exists() {
            return Ok(Self { unified: true, trees: vec![(String::new(), root.into())] });
        }
        let mut trees: Vec<(String, PathBuf)> = Vec::new();
        for name in V1_CONTROLLERS {
            let Ok(dir) = root.join(name).canonicalize() else { continue };
            // Without the controller's files the directory is not a mounted tree. Co-mounted controllers share one.
            if dir.join("cgroup.procs").exists() && !trees.iter().any(|(_, other)| *other == dir) {
                trees.push((name.to_owned(), dir));
            }
        }
        if trees.iter().any(|(name, _)| name == "memory") {
            return Ok(Self { unified: false, trees });
        }
        Err(Error::io("find the memory controller below", MOUNT)(io::ErrorKind::NotFound.into()))
    }

    /// A group by its path below the caller's root.
    #[must_use]
    pub fn group(&self, path: impl AsRef<Path>) -> Group {
        let path = path.as_ref();
        let path = path.strip_prefix("/").unwrap_or(path).to_owned();
        Group { hierarchy: self.clone(), path }
    }
}

/// One control group in all trees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    hierarchy: Hierarchy,
    path: PathBuf,
}

impl Group {
    /// The path below the caller's root.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A group inside this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self { hierarchy: self.hierarchy.clone(), path: self.path.join(name) }
    }

    /// Directories of the group, one a tree.
    pub fn directories(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.hierarchy.trees.iter().map(|(_, mount)| mount.join(&self.path))
    }

    fn file(&self, controller: &str, name: &str) -> Option<PathBuf> {
        let trees = &self.hierarchy.trees;
        let tree =
            if self.hierarchy.unified { trees.first() } else { trees.iter().find(|(tree, _)| tree == controller) };
        // Co-mounted controllers are known by the first one's name.
        let (_, mount) = tree.or_else(|| trees.iter().find(|(_, mount)| mount.join(&self.path).join(name).exists()))?;
        Some(mount.join(&self.path).join(name))
    }

    /// The files to write a process id to.
    #[must_use]
    pub fn procs_files(&self) -> Vec<PathBuf> {
        self.directories().map(|dir| dir.join("cgroup.procs")).collect()
    }

    /// The group that takes a further process of this one: itself, or, where version 2 has it divided (it allows no
    /// process beside groups then), the leaf its own processes are in.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn leaf(&self) -> Result<Self, Error> {
        let control = self.file("", "cgroup.subtree_control").filter(|_| self.hierarchy.unified);
        let divided = control.is_some_and(|file| fs::read_to_string(file).is_ok_and(|text| !text.trim().is_empty()));
        if !divided {
            return Ok(self.clone());
        }
        let leaf = self.child(LEAF);
        for dir in leaf.directories() {
            make(&dir)?;
        }
        Ok(leaf)
    }

    /// Makes the group and its parents. On version 2 the controllers are switched on all the way down.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(&self) -> Result<(), Error> {
        for (_, mount) in &self.hierarchy.trees {
            let mut dir = mount.clone();
            for name in self.path.components() {
                if self.hierarchy.unified {
                    enable_controllers(&dir)?;
                }
                dir.push(name);
                make(&dir)?;
            }
        }
        Ok(())
    }

    /// Gives the group to another owner, so that a process with that root may divide it further.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn delegate(&self, uid: u32, gid: u32) -> Result<(), Error> {
        for dir in self.directories() {
            let chown = |path: PathBuf| match std::os::unix::fs::chown(&path, Some(uid), Some(gid)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("delegate cgroup", path)(error)),
                _ => Ok(()),
            };
            for name in ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "tasks"] {
                chown(dir.join(name))?;
            }
            chown(dir)?;
        }
        Ok(())
    }

    /// Moves a process in.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add(&self, pid: i32) -> Result<(), Error> {
        for file in self.procs_files() {
            write(&file, &pid.to_string())?;
        }
        Ok(())
    }

    /// Sets the limits that are given.
    ///
    /// # Errors
    /// [`Error::Io`] when the kernel refuses a value.
    pub fn limit(&self, limits: &Limits) -> Result<(), Error> {
        for (controller, name, value, required) in plan(limits, self.hierarchy.unified) {
            let Some(file) = self.file(controller, name) else { continue };
            if !required && !file.exists() {
                continue;
            }
            // Lowering memory before memory+swap is refused the first time, raising it after; the order is tried both ways.
            if let Err(error) = write(&file, &value) {
                if name == "memory.limit_in_bytes" {
                    if let Some(swap) =
                        self.file(controller, "memory.memsw.limit_in_bytes").filter(|file| file.exists())
                    {
                        write(&swap, &value)?;
                    }
                    write(&file, &value)?;
                    continue;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Processes of the group and all groups in it.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        let Some(root) = self.directories().next() else { return Vec::new() };
        let mut pids = Vec::new();
        for dir in subtree(&root) {
            let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
            pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
        }
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Freezes or thaws everything in the group, and waits until it is so.
    ///
    /// # Errors
    /// [`Error::Io`], also when it takes longer than ten seconds.
    pub fn freeze(&self, frozen: bool) -> Result<(), Error> {
        let (set, set_value, get, get_line) = if self.hierarchy.unified {
            let value = if frozen { "1" } else { "0" };
            ("cgroup.freeze", value, "cgroup.events", format!("frozen {value}"))
        } else {
            let value = if frozen { "FROZEN" } else { "THAWED" };
            ("freezer.state", value, "freezer.state", value.to_owned())
        };
        let (Some(file), Some(state)) = (self.file("freezer", set), self.file("freezer", get)) else {
            return Err(Error::io("find the freezer of", self.path())(io::ErrorKind::NotFound.into()));
        };
        write(&file, set_value)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while !fs::read_to_string(&state).map_err(Error::io("read", &state))?.lines().any(|line| line == get_line) {
            if Instant::now() > deadline {
                return Err(Error::io("freeze or thaw", file)(io::ErrorKind::TimedOut.into()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Kills everything in the group and waits until nothing of it is left, for ten seconds at most.
    ///
    /// # Errors
    /// [`Error::Io`] when something survived.
    pub fn kill(&self) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut pause = Duration::from_micros(100);
        loop {
            let pids = self.processes();
            if pids.is_empty() {
                return Ok(());
            }
            let at_once =
                self.hierarchy.unified && self.file("", "cgroup.kill").is_some_and(|file| fs::write(file, "1").is_ok());
            if !at_once {
                // Frozen processes cannot fork away from the loop; the kernel lets them die once thawed.
                let frozen = self.freeze(true).is_ok();
                for pid in self.processes() {
                    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
                        .unwrap_or(());
                }
                if frozen {
                    self.freeze(false)?;
                }
            }
            if Instant::now() > deadline {
                return Err(Error::io("kill all of cgroup", self.path())(io::ErrorKind::TimedOut.into()));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Removes the group and all groups in it; none there is success.
    ///
    /// # Errors
    /// [`Error::Io`] when a process is still in it after two seconds.
    pub fn remove(&self) -> Result<(), Error> {
        for root in self.directories() {
            for dir in subtree(&root).into_iter().rev() {
                let deadline = Instant::now() + Duration::from_secs(2);
                // A process that was just reaped may still count for a moment.
                while let Err(error) = fs::remove_dir(&dir) {
                    match error.kind() {
                        io::ErrorKind::NotFound => break,
                        io::ErrorKind::ResourceBusy if Instant::now() < deadline => {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                        _ => return Err(Error::io("remove cgroup", dir)(error)),
                    }
                }
            }
        }
        Ok(())
    }

    /// What the group uses now. Counters of absent controllers are zero.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let read = |controller: &str, name: &str| {
            self.file(controller, name).and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default()
        };
        let number = |controller: &str, name: &str| read(controller, name).trim().parse::<u64>().unwrap_or(0);
        let (cpu_usage_nanos, usage, stat, anonymous) = if self.hierarchy.unified {
            let cpu = keyed(&read("cpu", "cpu.stat"), "usage_usec").unwrap_or(0).saturating_mul(1000);
            (cpu, number("memory", "memory.current"), read("memory", "memory.stat"), "anon")
        } else {
            let cpu = number("cpuacct", "cpuacct.usage");
            (cpu, number("memory", "memory.usage_in_bytes"), read("memory", "memory.stat"), "total_rss")
        };
        let inactive = keyed(&stat, if self.hierarchy.unified { "inactive_file" } else { "total_inactive_file" });
        Stats {
            cpu_usage_nanos,
            memory_working_set_bytes: usage.saturating_sub(inactive.unwrap_or(0)),
            memory_rss_bytes: keyed(&stat, anonymous).unwrap_or(0),
            memory_usage_bytes: usage,
            pids: number("pids", "pids.current"),
        }
    }

    /// How many processes of the group the kernel killed for want of memory.
    #[must_use]
    pub fn oom_kills(&self) -> u64 {
        let name = if self.hierarchy.unified { "memory.events" } else { "memory.oom_control" };
        let text = self.file("memory", name).and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        keyed(&text, "oom_kill").unwrap_or(0)
    }

    /// Whether the group exists.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.directories().next().is_some_and(|dir| dir.exists())
    }
}

/// `controller, file, value, required`: what to write for some limits. Not required files may be absent.
fn plan(limits: &Limits, unified: bool) -> Vec<(&'static str, &'static str, String, bool)> {
    let mut writes = Vec::new();
    if let Some(bytes) = limits.memory_bytes {
        if unified {
            writes.push(("memory", "memory.max", bytes.to_string(), true));
            writes.push(("memory", "memory.swap.max", "0".to_owned(), false));
        } else {
            writes.push(("memory", "memory.limit_in_bytes", bytes.to_string(), true));
            writes.push(("memory", "memory.memsw.limit_in_bytes", bytes.to_string(), false));
        }
    }
    if let Some(shares) = limits.cpu_shares {
        let shares = shares.clamp(2, 262_144);
        if unified {
            // The mapping of KEP-2254, as runc and crun do it.
            let weight = 1 + ((shares - 2) * 9999) / 262_142;
            writes.push(("cpu", "cpu.weight", weight.to_string(), true));
        } else {
            writes.push(("cpu", "cpu.shares", shares.to_string(), true));
        }
    }
    let period = limits.cpu_period_us.unwrap_or(100_000);
    if unified {
        if let Some(quota) = limits.cpu_quota_us {
            let quota = if quota < 0 { "max".to_owned() } else { quota.max(1000).to_string() };
            writes.push(("cpu", "cpu.max", format!("{quota} {period}"), true));
        }
    } else if let Some(quota) = limits.cpu_quota_us {
        if quota >= 0 {
            writes.push(("cpu", "cpu.cfs_period_us", period.to_string(), true));
        }
        writes.push(("cpu", "cpu.cfs_quota_us", if quota < 0 { -1 } else { quota.max(1000) }.to_string(), true));
    }
    if let Some(pids) = limits.pids {
        writes.push(("pids", "pids.max", pids.to_string(), true));
    }
    writes
}

/// Switches the controllers that containers need on for the groups inside `dir`.
fn enable_controllers(dir: &Path) -> Result<(), Error> {
    let control = dir.join("cgroup.subtree_control");
    let available = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
    let enabled = fs::read_to_string(&control).unwrap_or_default();
    let missing: Vec<String> = ["cpu", "memory", "pids"]
        .into_iter()
        .filter(|name| available.split_whitespace().any(|other| other == *name))
        .filter(|name| !enabled.split_whitespace().any(|other| other == *name))
        .map(|name| format!("+{name}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    match write(&control, &missing.join(" ")) {
        // "No internal processes": the caller itself sits in the group it wants to divide. It moves into a leaf.
        Err(Error::Io { source, .. }) if source.raw_os_error() == Some(libc::EBUSY) => {
            let leaf = dir.join(LEAF);
            make(&leaf)?;
            for pid in fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default().lines() {
                write(&leaf.join("cgroup.procs"), pid)?;
            }
            write(&control, &missing.join(" "))
        }
        other => other,
    }
}

/// Makes a group's directory unless it is there.
fn make(dir: &Path) -> Result<(), Error> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::io("create cgroup", dir)(error)),
        _ => Ok(()),
    }
}

fn write(file: &Path, value: &str) -> Result<(), Error> {
    fs::write(file, value).map_err(Error::io("write to", file))
}

fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// A directory and all below it, parents first. Control groups have no links.
fn subtree(root: &Path) -> Vec<PathBuf> {
    let mut all = vec![root.to_owned()];
    let mut next = 0;
    while let Some(dir) = all.get(next).cloned() {
        next += 1;
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        all.extend(
            entries
                .flatten()
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limits: Limits, unified: bool, expected: &[(&str, &str)]) {
        let actual: Vec<_> = plan(&limits, unified).into_iter().map(|(_, name, value, _)| (name, value)).collect();
        let expected: Vec<_> = expected.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        assert_eq!(actual, expected);
    }

    #[test]
    fn limits_become_writes() {
        let some = Limits {
            memory_bytes: Some(64),
            cpu_shares: Some(1024),
            cpu_quota_us: Some(50_000),
            pids: Some(7),
            ..Limits::default()
        };
        check(Limits::default(), true, &[]);
        check(Limits::default(), false, &[]);
        check(
            some,
            true,
            &[
                ("memory.max", "64"),
                ("memory.swap.max", "0"),
                ("cpu.weight", "39"),
                ("cpu.max", "50000 100000"),
                ("pids.max", "7"),
            ],
        );
        check(
            some,
            false,
            &[
                ("memory.limit_in_bytes", "64"),
                ("memory.memsw.limit_in_bytes", "64"),
                ("cpu.shares", "1024"),
                ("cpu.cfs_period_us", "100000"),
                ("cpu.cfs_quota_us", "50000"),
                ("pids.max", "7"),
            ],
        );
        check(Limits { cpu_quota_us: Some(-1), ..Limits::default() }, true, &[("cpu.max", "max 100000")]);
        check(Limits { cpu_quota_us: Some(-1), ..Limits::default() }, false, &[("cpu.cfs_quota_us", "-1")]);
        check(
            Limits { cpu_quota_us: Some(10), cpu_shares: Some(0), ..Limits::default() },
            true,
            &[("cpu.weight", "1"), ("cpu.max", "1000 100000")],
        );
    }

    #[test]
    fn keyed_values_are_matched_whole() {
        assert_eq!(keyed("oom 1\noom_kill 3\noom_kill_disable 0\n", "oom_kill"), Some(3));
        assert_eq!(keyed("oom_kill_disable 0\nunder_oom 0\noom_kill 5", "oom_kill"), Some(5));
        assert_eq!(keyed("", "oom_kill"), None);
    }
}
