//! What a machine holds that a session could have left behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Processes, mounts, network namespaces, links, rules and cgroups, each as a line of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    lines: BTreeSet<String>,
}

impl Census {
    /// Looks at the machine.
    pub fn take() -> Census {
        let mut lines = BTreeSet::new();
        processes(&mut lines);
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        // Columns after the mount's number and its parent's: numbers change by themselves.
        lines.extend(mounts.lines().filter_map(|line| line.splitn(4, ' ').nth(3)).map(|line| format!("mount {line}")));
        for (what, program, arguments) in [
            ("link", "ip", ["-o", "link"].as_slice()),
            ("rule", "nft", &["list", "ruleset"]),
            ("route", "ip", &["route"]),
        ] {
            let output = Command::new(program).args(arguments).output();
            let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
            lines.extend(text.lines().map(|line| format!("{what} {line}")));
        }
        cgroups(Path::new("/sys/fs/cgroup"), 4, &mut lines);
        Census { lines }
    }

    /// What is there now and was not before.
    pub fn added_since(&self, before: &Census) -> Vec<String> {
        self.lines.difference(&before.lines).cloned().collect()
    }
}

/// Programs of ours and network namespaces; other processes come and go by themselves.
fn processes(lines: &mut BTreeSet<String>) {
    let own = fs::read_link("/proc/self/ns/net").ok();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path = entry.path();
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

fn cgroups(folder: &Path, depth: u32, lines: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if entry.path().to_string_lossy().contains("drydock") {
                lines.insert(format!("cgroup {}", entry.path().display()));
            }
            if depth > 0 {
                cgroups(&entry.path(), depth - 1, lines);
            }
        }
    }
}
