//! The processes of sessions on this machine: memory and CPU from /proc.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context;

/// Clock ticks of /proc/PID/stat per second, on every Linux that Rust runs on.
const TICKS: u64 = 100;

/// All processes that run the node binary.
pub(crate) struct Processes {
    /// Process number and name.
    found: Vec<(u32, String)>,
}

impl Processes {
    /// Looks through /proc for those of the sessions whose supervisors name `folder` on their command lines: their
    /// descendants, for what a session starts stays below its supervisor.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub(crate) fn find(folder: &str) -> anyhow::Result<Processes> {
        let mut found = Vec::new();
        let mut parents = BTreeMap::new();
        let mut supervisors = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
            let program = fs::read_link(entry.path().join("exe")).unwrap_or_default();
            parents.insert(pid, parent(pid).unwrap_or_default());
            if program.to_string_lossy().contains("drydock-node") {
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                if String::from_utf8_lossy(&line).contains(folder) {
                    supervisors.push(pid);
                }
                let mut words = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
                let first = words.next().unwrap_or_default();
                let name = first.rsplit('/').next().unwrap_or_default();
                let name = if name == "drydock-node" { words.next().unwrap_or_default() } else { name.to_owned() };
                found.push((pid, name));
            }
        }
        anyhow::ensure!(!supervisors.is_empty(), "no supervisor of {folder}");
        let is_below = |pid: u32| {
            std::iter::successors(Some(pid), |pid| parents.get(pid).copied())
                .any(|ancestor| supervisors.contains(&ancestor))
        };
        found.retain(|(pid, _)| is_below(*pid));
        Ok(Processes { found })
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// Proportional set size by name, bytes.
    pub(crate) fn memory(&self) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for (pid, name) in &self.found {
            *sums.entry(name.clone()).or_default() += pss(*pid).unwrap_or_default();
        }
        sums
    }

    /// Proportional set size of all, bytes.
    pub(crate) fn total(&self) -> u64 {
        self.memory().values().sum()
    }

    /// CPU time of all, microseconds.
    pub(crate) fn cpu_micros(&self) -> u64 {
        self.found.iter().map(|(pid, _)| cpu_micros(*pid).unwrap_or_default()).sum()
    }

    /// The first process of a name.
    pub(crate) fn one(&self, name: &str) -> Option<u32> {
        self.found.iter().find(|(_, known)| known == name).map(|(pid, _)| *pid)
    }
}

/// CPU time of one process, microseconds.
///
/// # Errors
/// When it is gone.
pub(crate) fn cpu_micros(pid: u32) -> anyhow::Result<u64> {
    let fields = stat(pid)?;
    let ticks = |index: usize| fields.get(index).copied().unwrap_or_default();
    Ok((ticks(11) + ticks(12)) * 1_000_000 / TICKS)
}

fn parent(pid: u32) -> anyhow::Result<u32> {
    Ok(u32::try_from(stat(pid)?.get(1).copied().unwrap_or_default())?)
}

/// The fields of /proc/PID/stat behind the process's name; those that are no numbers are 0.
fn stat(pid: u32) -> anyhow::Result<Vec<u64>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name is in parentheses and may hold anything; fields are counted behind it.
    let rest = stat.rsplit_once(')').context("stat")?.1;
    Ok(rest.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect())
}

fn pss(pid: u32) -> anyhow::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("Pss")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
}
