//! The rights of a container that nodes run in: never all of them.

use serde_json::json;

/// What a supervisor needs beyond Docker's usual set: namespaces and mounts, and the network in them.
pub(crate) const CAPABILITIES: [&str; 2] = [MOUNTING, "NET_ADMIN"];
/// The part of it with which a disk is mounted.
pub(crate) const MOUNTING: &str = "SYS_ADMIN";

/// What a supervisor needs for nodes' disks: loop devices, whose names it makes itself. A node's root reaches none of them, for
/// user namespaces make no device nodes.
pub(crate) const DEVICES: [&str; 2] = ["c 10:237 rwm", "b 7:* rwm"];

/// System calls that neither a supervisor nor any node has a use for and that reach the machine itself: its modules, clock,
/// power, swap, keys, ports and files by handle, and what looks into other processes or the kernel.
const REFUSED: [&str; 40] = [
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "clock_adjtime",
    "clock_settime",
    "create_module",
    "delete_module",
    "finit_module",
    "get_kernel_syms",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "migrate_pages",
    "move_pages",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "perf_event_open",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "set_mempolicy",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "_sysctl",
    "uselib",
    "userfaultfd",
    "ustat",
];

/// `--security-opt` of a container, for a daemon with these security options.
///
/// Docker's own seccomp profile lacks `pivot_root`, without which no container starts inside a container; its AppArmor
/// profile and SELinux's type for containers refuse mounts.
pub(crate) fn security_options(daemon: &[String]) -> Vec<String> {
    let has = |name: &str| daemon.iter().any(|option| option.split(',').any(|part| part == format!("name={name}")));
    let mut options = Vec::new();
    if has("seccomp") {
        let rule = json!({"names": REFUSED.as_slice(), "action": "SCMP_ACT_ERRNO"});
        options.push(format!("seccomp={}", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})));
    }
    if has("apparmor") {
        options.push("apparmor=unconfined".to_owned());
    }
    if has("selinux") {
        options.push("label=disable".to_owned());
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_daemon_has_is_lifted() {
        let options = |daemon: &[&str]| {
            let daemon: Vec<String> = daemon.iter().map(|it| (*it).to_owned()).collect();
            let kept = security_options(&daemon);
            kept.into_iter().map(|option| option.chars().take(16).collect::<String>()).collect::<Vec<_>>()
        };
        assert_eq!(options(&[]), Vec::<String>::new());
        assert_eq!(options(&["name=seccomp,profile=default"]), ["seccomp={\"defaul"]);
        assert_eq!(options(&["name=apparmor", "name=selinux"]), ["apparmor=unconfi", "label=disable"]);
    }
}
