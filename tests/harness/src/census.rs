//! What a machine holds that a session could have left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Processes, mounts, network namespaces, links, rules and cgroups, each as a line of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    lines: BTreeSet<String>,
}

impl Census {
    /// Looks at the machine, but for what belongs to sessions of other data folders than `own`: others may work here, too.
    pub fn take(own: &Path) -> Census {
        let mut lines = BTreeSet::new();
        let others = Others::find(own);
        processes(&others, &mut lines);
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        // Columns after the mount's number and its parent's: numbers change by themselves.
        lines.extend(mounts.lines().filter_map(|line| line.splitn(4, ' ').nth(3)).map(|line| format!("mount {line}")));
        for (what, program, arguments) in [
            ("link", "ip", ["-o", "link"].as_slice()),
            ("rule", "nft", &["--stateless", "list", "ruleset"]),
            ("route", "ip", &["route"]),
        ] {
            let output = Command::new(program).args(arguments).output();
            let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
            lines.extend(text.lines().map(|line| format!("{what} {line}")));
        }
        cgroups(Path::new("/sys/fs/cgroup"), 4, &others, &mut lines);
        Census { lines }
    }

    /// What is there now and was not before.
    pub fn added_since(&self, before: &Census) -> Vec<String> {
        self.lines.difference(&before.lines).cloned().collect()
    }
}

/// What belongs to sessions of other data folders.
#[derive(Default)]
struct Others {
    processes: BTreeSet<u32>,
    /// Names of their control groups below `drydock`.
    groups: BTreeSet<String>,
}

impl Others {
    fn find(own: &Path) -> Others {
        let mut children = BTreeMap::<u32, Vec<u32>>::new();
        let mut pending = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok());
            children.entry(parent.unwrap_or(0)).or_default().push(pid);
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if session_folder(&String::from_utf8_lossy(&command))
                .is_some_and(|folder| !Path::new(folder).starts_with(own))
            {
                pending.push(pid);
            }
        }
        let mut others = Others::default();
        while let Some(pid) = pending.pop() {
            if others.processes.insert(pid) {
                pending.extend(children.remove(&pid).unwrap_or_default());
                let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
                others.groups.extend(groups.lines().filter_map(|line| session_group(line)).map(str::to_owned));
            }
        }
        others
    }
}

/// The folder of the session whose supervisor has this command line, its words ended by zeros.
fn session_folder(command: &str) -> Option<&str> {
    let mut words = command.split('\0');
    words.next().filter(|program| program.ends_with("drydock-supervisor"))?;
    words.find(|word| *word == "--session-dir")?;
    words.next()
}

/// The name of the session's own group in a path of a control group.
fn session_group(path: &str) -> Option<&str> {
    path.split_once("/drydock/")?.1.split('/').next()
}

/// Programs of ours and network namespaces; other processes come and go by themselves.
fn processes(others: &Others, lines: &mut BTreeSet<String>) {
    let own = fs::read_link("/proc/self/ns/net").ok();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path = entry.path();
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if pid.is_some_and(|pid| others.processes.contains(&pid)) {
            continue;
        }
        let Ok(command) = fs::read(path.join("cmdline")) else { continue };
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let program = fs::read_link(path.join("exe")).unwrap_or_default().display().to_string();
        if program.contains("drydock-node") || command.starts_with("kubelet ") || command.starts_with("pause") {
            lines.insert(format!("process {command}"));
        }
        if let Ok(namespace) = fs::read_link(path.join("ns/net"))
            && Some(&namespace) != own.as_ref()
        {
            lines.insert(format!("network namespace {}", namespace.display()));
        }
    }
}

fn cgroups(folder: &Path, depth: u32, others: &Others, lines: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let path = entry.path().to_string_lossy().into_owned();
            if session_group(&path).is_some_and(|name| others.groups.contains(name)) {
                continue;
            }
            if path.contains("drydock") {
                lines.insert(format!("cgroup {}", entry.path().display()));
            }
            if depth > 0 {
                cgroups(&entry.path(), depth - 1, others, lines);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_known_by_their_supervisors_and_groups() {
        let command = "drydock-supervisor\0--session-dir\0/var/tmp/a/sessions/s\0--images\0/x\0";
        assert_eq!(session_folder(command), Some("/var/tmp/a/sessions/s"));
        assert_eq!(session_folder("drydock-node\0--session-dir\0/a\0"), None);
        assert_eq!(session_group("5:memory:/drydock/lab.1f/master/kubepods"), Some("lab.1f"));
        assert_eq!(session_group("/sys/fs/cgroup/cpu/drydock/lab.1f"), Some("lab.1f"));
        assert_eq!(session_group("0::/"), None);
    }
}
