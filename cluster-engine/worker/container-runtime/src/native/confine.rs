//! From a container's configuration to what its process sees and may do: Docker's and containerd's defaults.

use std::path::PathBuf;

use crate::cgroup::Hierarchy;
use crate::launch::{Access, CapabilitySet, Command, Shm, SystemCalls, Tree};
use crate::{ContainerConfig, Error, ExecConfig, SandboxConfig, Seccomp, Security};

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What the container's process may be capable of.
pub(super) fn capabilities(security: &Security) -> Result<CapabilitySet, Error> {
    if security.privileged {
        return Ok(CapabilitySet::ALL);
    }
    CapabilitySet::changed(&security.add_capabilities, &security.drop_capabilities)
        .map_err(|reason| Error::Invalid { reason })
}

/// The container's file system.
pub(super) fn tree(pod: &SandboxConfig, config: &ContainerConfig, hierarchy: &Hierarchy) -> Tree {
    let security = &config.security;
    let access = if security.privileged { Access::Write } else { Access::Read };
    let open = security.privileged || security.unmasked_proc;
    let list = |paths: &[&str]| if open { Vec::new() } else { paths.iter().map(PathBuf::from).collect() };
    Tree {
        rootfs: config.rootfs.clone(),
        owner: pod.user_mapping.as_ref().and_then(crate::UserMapping::root),
        // A container's changes go with it: nothing of them is read after a crash.
        volatile: true,
        read_only: security.read_only_root,
        shared: false,
        proc: true,
        sys: Some(access),
        dev: Some(if security.privileged { all_devices() } else { DEVICES.map(str::to_owned).to_vec() }),
        shm: if pod.host_ipc { Shm::Caller } else { Shm::Sandbox },
        cgroup: Some((access, hierarchy.clone())),
        mounts: config.mounts.clone(),
        locked: Vec::new(),
        devices: config.devices.clone(),
        masked: list(&MASKED),
        read_only_paths: list(&READ_ONLY),
    }
}

/// Every device file in the node's own `/dev`.
fn all_devices() -> Vec<String> {
    use std::os::unix::fs::FileTypeExt;
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    // Asked of the file itself: the directory knows only the mount point that a node's device lies over.
    let device = |entry: &std::fs::DirEntry| {
        entry.metadata().is_ok_and(|data| data.file_type().is_char_device() || data.file_type().is_block_device())
    };
    let names = entries.filter(device).filter_map(|entry| entry.file_name().into_string().ok());
    // The terminal multiplexer is the container's own.
    names.filter(|name| !matches!(name.as_str(), "ptmx" | "console")).collect()
}

/// The container's own command.
pub(super) fn command(pod: &SandboxConfig, config: &ContainerConfig) -> Result<Command, Error> {
    let security = &config.security;
    let mut env = config.env.clone();
    if !pod.hostname.is_empty() && !env.iter().any(|(name, _)| name == "HOSTNAME") {
        env.push(("HOSTNAME".to_owned(), pod.hostname.clone()));
    }
    Ok(Command {
        args: config.args.clone(),
        env,
        cwd: config.cwd.clone(),
        user: config.user.clone(),
        capabilities: capabilities(security)?,
        system_calls: match &security.seccomp {
            // The supervisor gave the floor to the whole node.
            _ if security.privileged => SystemCalls::All,
            Seccomp::Unconfined => SystemCalls::All,
            Seccomp::RuntimeDefault => SystemCalls::Default,
            Seccomp::Localhost(profile) => SystemCalls::Profile(profile.clone()),
        },
        no_new_privileges: security.no_new_privileges,
        tty: config.tty,
        size: None,
    })
}

/// A further command in the container, confined as the first.
pub(super) fn exec(pod: &SandboxConfig, container: &ContainerConfig, config: &ExecConfig) -> Result<Command, Error> {
    let mut command = command(pod, container)?;
    command.args.clone_from(&config.args);
    for (name, value) in &config.env {
        command.env.retain(|(other, _)| other != name);
        command.env.push((name.clone(), value.clone()));
    }
    if !config.cwd.is_empty() {
        command.cwd.clone_from(&config.cwd);
    }
    if let Some(user) = &config.user {
        command.user = user.clone();
    }
    command.tty = config.tty;
    command.size = config.size;
    Ok(command)
}
