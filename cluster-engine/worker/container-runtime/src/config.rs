//! What the caller of the runtime describes: sandboxes, containers and processes.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One line of a user or group map: `size` ids from `inside` appear outside as those from `outside`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMapping {
    /// First id inside the new namespace.
    pub inside: u32,
    /// First id in the caller's namespace.
    pub outside: u32,
    /// Number of ids.
    pub size: u32,
}

/// The id maps of a new user namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserMapping {
    /// Lines of `uid_map`.
    pub uids: Vec<IdMapping>,
    /// Lines of `gid_map`.
    pub gids: Vec<IdMapping>,
}

impl UserMapping {
    /// The map that puts ids `0..size` at `outside..`.
    #[must_use]
    pub fn range(outside: u32, size: u32) -> Self {
        let line = IdMapping { inside: 0, outside, size };
        Self { uids: vec![line], gids: vec![line] }
    }

    /// The caller's uid and gid of the namespace's root, when 0 is mapped.
    #[must_use]
    pub fn root(&self) -> Option<(u32, u32)> {
        let find = |lines: &[IdMapping]| lines.iter().find(|line| line.inside == 0).map(|line| line.outside);
        Some((find(&self.uids)?, find(&self.gids)?))
    }

    /// The caller's uid as which a user namespace with this map is made, and as which alone it may be entered and looked
    /// into without the capability to trace everybody; the caller itself when absent.
    #[must_use]
    pub fn maker(&self) -> Option<u32> {
        self.root().map(|(uid, _)| uid)
    }
}

/// Limits of one cgroup. `None` leaves a value as it is (unlimited in a new cgroup).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Hard limit of memory in bytes; swap is never given on top.
    pub memory_bytes: Option<u64>,
    /// Relative weight, 2..=262144, as in cgroup v1 (1024 = one CPU).
    pub cpu_shares: Option<u64>,
    /// CPU time in microseconds per period; a negative value removes the limit.
    pub cpu_quota_us: Option<i64>,
    /// Length of the period in microseconds; 100000 when only a quota is given.
    pub cpu_period_us: Option<u64>,
    /// Greatest number of processes and threads.
    pub pids: Option<u64>,
}

/// A pod sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxConfig {
    /// Identifier chosen by the caller, unique in this runtime: letters, digits, `-`, `_`, `.`.
    pub id: String,
    /// `metadata.name` of the pod.
    pub pod_name: String,
    /// `metadata.namespace` of the pod.
    pub pod_namespace: String,
    /// `metadata.uid` of the pod.
    pub pod_uid: String,
    /// Host name inside the pod; ignored with `host_network`, which keeps the node's.
    pub hostname: String,
    /// Use the caller's network (and UTS) namespace.
    pub host_network: bool,
    /// Use the caller's PID namespace.
    pub host_pid: bool,
    /// Use the caller's IPC namespace and `/dev/shm`.
    pub host_ipc: bool,
    /// `shareProcessNamespace`: all containers in one PID namespace whose init is the sandbox process.
    pub share_process_namespace: bool,
    /// New user namespace of the pod; `None` runs it in the caller's. Not to be combined with any `host_*`.
    pub user_mapping: Option<UserMapping>,
    /// Cgroup of the pod below the caller's cgroup root, e.g. `kubepods/burstable/pod<uid>`; created with its parents.
    pub cgroup_parent: String,
    /// Limits of the pod's cgroup.
    pub limits: Limits,
    /// Namespaced sysctls, dotted names.
    pub sysctls: Vec<(String, String)>,
    /// Size of the pod's `/dev/shm` in bytes; 64 MiB when absent.
    pub shm_bytes: Option<u64>,
}

/// Where a container's root file system comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RootFs {
    /// An overlay over unpacked image layers.
    Overlay {
        /// Layer directories, lowest first, top last (the order of `drydock_images::Image::layers`).
        layers: Vec<PathBuf>,
        /// Directory of the container's own changes; created with its parents, removed with the container. Must not lie on an overlay.
        writable: PathBuf,
    },
    /// A plain directory, used in place.
    Directory(PathBuf),
}

impl Default for RootFs {
    fn default() -> Self {
        Self::Directory(PathBuf::new())
    }
}

/// How mounts made later travel between the two sides of a bind mount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    /// Not at all (`None` in the pod API).
    #[default]
    Private,
    /// From the node into the container (`HostToContainer`).
    HostToContainer,
    /// Both ways (`Bidirectional`); only for containers without a user namespace of their own.
    Bidirectional,
}

/// A bind mount into a container. The source may be a file or a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// Source in the caller's mount namespace.
    pub host_path: PathBuf,
    /// Instead of `host_path`: unpacked image layers, lowest first, shown read-only (image volumes).
    pub layers: Vec<PathBuf>,
    /// A path below `host_path`, followed without ever leaving it and created as a directory when missing (`subPath`),
    /// with the owner, group and permissions of the volume's own directory.
    pub sub_path: Option<PathBuf>,
    /// Absolute path in the container; created when missing.
    pub container_path: PathBuf,
    /// Mount read-only.
    pub read_only: bool,
    /// Take mounts below the source along.
    pub recursive: bool,
    /// See [`Propagation`].
    pub propagation: Propagation,
}

/// A device given to a container by bind mount (nodes may not make device nodes).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Device file of the node.
    pub host_path: PathBuf,
    /// Absolute path in the container.
    pub container_path: PathBuf,
}

/// Which system calls a container may make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// The runtime's default profile.
    #[default]
    RuntimeDefault,
    /// No filter but the one that everything on the node has.
    Unconfined,
    /// A profile of the node's.
    Localhost(Box<crate::profile::Profile>),
}

/// What confines a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Security {
    /// All capabilities, no seccomp filter but the node's own, nothing masked, all devices of the node.
    pub privileged: bool,
    /// Capabilities beyond the default set (`NET_ADMIN`, with or without `CAP_`; `ALL`).
    pub add_capabilities: Vec<String>,
    /// Capabilities to take from the default set.
    pub drop_capabilities: Vec<String>,
    /// `allowPrivilegeEscalation: false`.
    pub no_new_privileges: bool,
    /// System call filter; ignored for privileged containers.
    pub seccomp: Seccomp,
    /// `readOnlyRootFilesystem`.
    pub read_only_root: bool,
    /// `procMount: Unmasked`: leave `/proc` and `/sys` without masked and read-only paths.
    pub unmasked_proc: bool,
}

/// The user a process runs as. Numbers win over names; names are looked up in the container's own files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserSpec {
    /// The image's `User` (`""`, `name`, `1000`, `name:group`, `1000:1000`).
    pub image_user: String,
    /// `runAsUser`.
    pub uid: Option<u32>,
    /// `runAsGroup`.
    pub gid: Option<u32>,
    /// `fsGroup` and `supplementalGroups`.
    pub supplemental_groups: Vec<u32>,
    /// `supplementalGroupsPolicy: Strict`: do not add the groups the image's `/etc/group` names the user in.
    pub strict_groups: bool,
}

/// One container of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerConfig {
    /// Name within the pod.
    pub name: String,
    /// Root file system.
    pub rootfs: RootFs,
    /// Command and arguments, already merged from image and pod; must not be empty.
    pub args: Vec<String>,
    /// Environment. `PATH` and `HOME` are added when absent.
    pub env: Vec<(String, String)>,
    /// Working directory; `/` when empty; created when missing.
    pub cwd: String,
    /// Who the process runs as.
    pub user: UserSpec,
    /// Bind mounts, in order. `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` are ordinary entries.
    pub mounts: Vec<Mount>,
    /// Devices beyond the default ones.
    pub devices: Vec<Device>,
    /// Confinement.
    pub security: Security,
    /// Limits of the container's cgroup.
    pub limits: Limits,
    /// -1000..=1000; what the kernel does not allow is raised to what it does.
    pub oom_score_adj: i32,
    /// Give the process a terminal.
    pub tty: bool,
    /// Keep standard input open; otherwise it is `/dev/null`.
    pub stdin: bool,
    /// Id of the container whose PID namespace to share (`targetContainerName` of an ephemeral container).
    pub pid_target: Option<String>,
}

/// A process to start inside a running container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecConfig {
    /// Command and arguments.
    pub args: Vec<String>,
    /// Environment added to (and winning over) the container's own.
    pub env: Vec<(String, String)>,
    /// Working directory; the container's when empty.
    pub cwd: String,
    /// Who it runs as; the container's user when `None`.
    pub user: Option<UserSpec>,
    /// Give it a terminal.
    pub tty: bool,
    /// Connect standard input.
    pub stdin: bool,
    /// First size of the terminal, columns and rows.
    pub size: Option<(u16, u16)>,
}
