//! What this machine must have to run nodes, each missing piece in one sentence.

use std::path::Path;

use drydock_container_runtime::cgroup::Hierarchy;
use drydock_engine::host::HostError;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

/// Below this, sessions would fill the disk.
const FREE_BYTES: u64 = 1 << 30;

/// Looks at everything.
pub(crate) fn check(sessions: &Path) -> Result<(), HostError> {
    let missing = |sentence: &str| Err(HostError::Unsupported(sentence.to_owned()));
    if !nix::unistd::geteuid().is_root() {
        return missing("starting nodes needs root: run drydock with sudo");
    }
    let text = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    if text("/proc/sys/user/max_user_namespaces").trim() == "0" {
        return missing("user namespaces are switched off: set the sysctl user.max_user_namespaces to 15000 or more");
    }
    if !Path::new("/proc/self/ns/user").exists() {
        return missing("this kernel has no user namespaces (CONFIG_USER_NS)");
    }
    if !text("/proc/filesystems").lines().any(|line| line.trim_start_matches("nodev").trim() == "overlay") {
        return missing("this kernel has no overlay file system loaded: run modprobe overlay");
    }
    if let Err(error) = Hierarchy::detect() {
        return missing(&format!("control groups are not usable ({error}): mount /sys/fs/cgroup"));
    }
    if socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter).is_err() {
        return missing("this kernel has no nf_tables, which Services need: run modprobe nf_tables");
    }
    let disk = nix::sys::statvfs::statvfs(sessions);
    let free = disk.map(|disk| disk.blocks_available() * disk.fragment_size()).unwrap_or_default();
    if free < FREE_BYTES {
        let megabytes = free / 1_000_000;
        let sentence = format!(
            "only {megabytes} MB are free below {}: make room or name another folder with --data-dir",
            sessions.display()
        );
        return missing(&sentence);
    }
    Ok(())
}
