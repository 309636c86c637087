//! Capabilities by name and as sets.

use serde::{Deserialize, Serialize};

/// Names without `CAP_`, by number.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The default set of Docker and containerd.
const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// A set of capabilities, one bit each. The default is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CapabilitySet(pub u64);

impl CapabilitySet {
    /// All capabilities there are.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// Docker's and containerd's default set.
    #[must_use]
    pub fn container_default() -> Self {
        Self(DEFAULT.iter().filter_map(|name| bit(name)).sum())
    }

    /// The default set with some added and some dropped; `ALL` stands for every one. Adding wins over `drop: ALL` only.
    ///
    /// # Errors
    /// The first name that is none.
    pub fn changed(add: &[String], drop: &[String]) -> Result<Self, String> {
        let parse = |names: &[String]| -> Result<(bool, u64), String> {
            let mut all = false;
            let mut bits = 0;
            for name in names {
                let upper = name.to_ascii_uppercase();
                match upper.strip_prefix("CAP_").unwrap_or(&upper) {
                    "ALL" => all = true,
                    name => bits |= bit(name).ok_or_else(|| format!("unknown capability \"{upper}\""))?,
                }
            }
            Ok((all, bits))
        };
        let ((add_all, add), (drop_all, drop)) = (parse(add)?, parse(drop)?);
        // The order of containerd's CRI plugin: add ALL, drop ALL, then the single ones, drops last.
        let mut set = if add_all { Self::ALL.0 } else { Self::container_default().0 };
        if drop_all {
            set = 0;
        }
        Ok(Self((set | add) & !drop))
    }

    /// Whether the set holds the capability of that name (without `CAP_`).
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        bit(name).is_some_and(|bit| self.0 & bit != 0)
    }
}

fn bit(name: &str) -> Option<u64> {
    NAMES.iter().position(|other| *other == name).map(|number| 1 << number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(add: &[&str], drop: &[&str], expected: Result<u64, &str>) {
        let owned = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        let actual = CapabilitySet::changed(&owned(add), &owned(drop)).map(|set| set.0);
        assert_eq!(actual, expected.map_err(str::to_owned), "add {add:?} drop {drop:?}");
    }

    #[test]
    fn sets_follow_containerd() {
        // The mask that /proc/self/status shows in a Docker container.
        check(&[], &[], Ok(0xa804_25fb));
        check(&[], &["ALL"], Ok(0));
        check(&["NET_BIND_SERVICE"], &["ALL"], Ok(1 << 10));
        check(&["CAP_NET_ADMIN"], &[], Ok(0xa804_25fb | 1 << 12));
        check(&["all"], &[], Ok((1 << 41) - 1));
        check(&["ALL"], &["CHOWN"], Ok((1 << 41) - 2));
        check(&[], &["cap_kill"], Ok(0xa804_25fb & !(1 << 5)));
        check(&["FLY"], &[], Err("unknown capability \"FLY\""));
    }
}
