//! What this machine must have to run nodes, each missing piece in one sentence.

use std::path::Path;

use drydock_container_runtime::cgroup::Hierarchy;
use drydock_engine::host::HostError;
use drydock_supervisor::hosting;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

/// Below this, sessions would fill the disk.
const FREE_BYTES: u64 = 1 << 30;

fn missing(sentence: &str) -> Result<(), HostError> {
    Err(HostError::Unsupported(sentence.to_owned()))
}

/// Whether this user may have to do with nodes at all.
///
/// # Errors
/// One sentence on what to do.
pub fn rights() -> Result<(), HostError> {
    if !nix::unistd::geteuid().is_root() {
        return missing("starting nodes needs root: run drydock with sudo");
    }
    let capabilities = text("/proc/self/status");
    let capabilities =
        capabilities.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok());
    for (bit, name) in [(21, "SYS_ADMIN"), (12, "NET_ADMIN")] {
        if capabilities.unwrap_or(0) & (1 << bit) == 0 {
            return missing(&format!(
                "root lacks the capability CAP_{name}: in a container, add it (--cap-add {name}) and lift seccomp"
            ));
        }
    }
    Ok(())
}

fn text(file: &str) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

/// Whether nodes can be started with their files in `folder`.
///
/// # Errors
/// One sentence on what this machine lacks.
pub fn machine(folder: &Path) -> Result<(), HostError> {
    rights()?;
    let release = text("/proc/sys/kernel/osrelease");
    if let Some(oldest) = hosting::needs_kernel(&release) {
        return missing(&format!("Linux {} is too old: nodes need {oldest} or newer", release.trim()));
    }
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
    if nix::sys::statfs::statfs(folder)
        .is_ok_and(|disk| disk.filesystem_type() == nix::sys::statfs::OVERLAYFS_SUPER_MAGIC)
    {
        return missing(&format!(
            "{} is on an overlay file system, which cannot carry another one: put --data-dir on a volume",
            folder.display()
        ));
    }
    let disk = nix::sys::statvfs::statvfs(folder);
    let free = disk.map(|disk| disk.blocks_available() * disk.fragment_size()).unwrap_or_default();
    if free < FREE_BYTES {
        let megabytes = free / 1_000_000;
        let sentence = format!(
            "only {megabytes} MB are free below {}: make room or name another folder with --data-dir",
            folder.display()
        );
        return missing(&sentence);
    }
    Ok(())
}
