//! What there is on the machine, to compare before and after.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::docker;
use crate::lab::{Kind, SESSION};

/// Everything a session could leave behind.
pub(crate) struct Census(Kind, BTreeSet<String>);

impl Census {
    pub(crate) async fn take(kind: Kind) -> Self {
        let mut all = BTreeSet::new();
        if kind == Kind::Docker {
            all.extend(docker::objects().await);
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        all.extend(
            mounts.lines().map(|line| format!("mount {}", line.split(' ').skip(3).collect::<Vec<_>>().join(" "))),
        );
        for entry in fs::read_dir("/sys/class/net").unwrap() {
            all.insert(format!("link {}", entry.unwrap().file_name().display()));
        }
        for file in ["/proc/net/route", "/proc/sys/net/ipv4/ip_forward"] {
            all.insert(format!("{file} {}", fs::read_to_string(file).unwrap_or_default()));
        }
        // Other servers on this machine have sessions of their own.
        for parent in drydock_container_runtime::cgroup::Hierarchy::detect().unwrap().group("drydock").directories() {
            for entry in fs::read_dir(&parent).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(SESSION) {
                    groups(&entry.path(), &mut all);
                }
            }
        }
        for entry in fs::read_dir("/proc").unwrap() {
            let path = entry.unwrap().path();
            let text = |name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
            let command = text("cmdline");
            if command.contains("--session-dir\0/tmp/drydock-session-test")
                || text("cgroup").contains(&format!("/drydock/{SESSION}"))
            {
                all.insert(format!("process {} {}", path.display(), command.replace('\0', " ")));
            }
        }
        Self(kind, all)
    }

    /// What is there now and was not before. Dying things get a moment.
    pub(crate) async fn compare(&self) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let left: Vec<_> = Self::take(self.0).await.1.difference(&self.1).cloned().collect();
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn groups(directory: &Path, all: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    all.insert(format!("cgroup {}", directory.display()));
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        groups(&entry.path(), all);
    }
}
