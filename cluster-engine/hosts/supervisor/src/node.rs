//! One node: its namespaces, its root, its first process.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use drydock_container_runtime::cgroup::{Group, Hierarchy};
use drydock_container_runtime::launch::{
    self, Access, CapabilitySet, Command, Descriptors, Launched, Program, Root, Shm, Spec, SystemCalls, Tree,
};
use drydock_container_runtime::{Limits, Mount, Reaper, RootFs, UserMapping, open_inside, remove_tree};
use drydock_engine::host::{NodeRole, NodeSpec, NodeState, NodeUsage};
use drydock_images::ImageStore;
use tokio::sync::oneshot;

use crate::images::Images;
use crate::network::Network;
use crate::protocol::IDS;
use crate::{Error, disk, owner};

/// Our executable: the helper that starts processes, and the node binary.
const SELF: &str = "/proc/self/exe";
/// Where a node finds the node binary.
const NODE_BINARY: &str = "usr/local/bin/drydock-node";
/// The names under which a node's programs are found.
const APPLETS: [&str; 7] =
    ["kubelet", "kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler", "kube-proxy", "cluster-dns"];
/// Folders that every node has.
const FOLDERS: [&str; 11] = [
    "proc",
    "sys",
    "dev",
    "tmp",
    "run",
    "run/drydock",
    "etc",
    "var/log",
    "var/lib/images",
    "var/lib/images-pods",
    "usr/local/bin",
];
/// What a node may see of the machine's devices.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Size of a node's /dev/shm.
const SHM: u64 = 64 << 20;
const NODE_NAMESPACES: i32 =
    libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWCGROUP;
const OWN_NAMESPACES: i32 = libc::CLONE_NEWUSER | libc::CLONE_NEWNET;

/// What all nodes of a session share.
pub(crate) struct Shared {
    pub(crate) folder: PathBuf,
    pub(crate) session: String,
    /// The session's control group.
    pub(crate) group: PathBuf,
    pub(crate) first_id: u32,
    pub(crate) images: Images,
    pub(crate) network: Network,
    pub(crate) reaper: Arc<Reaper>,
    pub(crate) cgroups: Hierarchy,
}

/// A node, running or not.
pub(crate) struct Node {
    pub(crate) spec: NodeSpec,
    /// Name of its cable on the bridge; short, as the kernel wants it.
    port: String,
    process: Option<Running>,
    frozen: bool,
    /// Cut off the network, now and after the next start.
    pub(crate) unplugged: bool,
}

struct Running {
    init: Launched,
    /// The node's network namespace.
    network: File,
    ended: Option<oneshot::Receiver<()>>,
}

/// One life of a node, from a start to the end of its first process.
pub(crate) struct Life {
    /// The first process.
    pub(crate) pid: i32,
    /// Resolves when it has ended.
    pub(crate) ended: oneshot::Receiver<()>,
}

impl Node {
    pub(crate) fn new(spec: NodeSpec, number: usize) -> Node {
        Node { spec, port: format!("n{number}"), process: None, frozen: false, unplugged: false }
    }

    pub(crate) fn state(&self) -> NodeState {
        match (&self.process, self.frozen) {
            (None, _) => NodeState::Stopped,
            (Some(_), true) => NodeState::Paused,
            (Some(_), false) => NodeState::Running,
        }
    }

    /// The process id of its first process, while it runs.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.process.as_ref().map(|process| process.init.pid)
    }

    pub(crate) fn port(&self) -> &str {
        &self.port
    }

    /// Plugs its cable in or out; a node that is off starts that way.
    pub(crate) async fn plug(&mut self, shared: &Shared, plugged: bool) -> Result<(), Error> {
        if self.process.is_some() {
            shared.network.plug(&self.port, plugged).await?;
        }
        self.unplugged = !plugged;
        Ok(())
    }

    fn folder(&self, shared: &Shared) -> PathBuf {
        shared.folder.join("nodes").join(&self.spec.name)
    }

    /// Everything the node writes.
    fn disk(&self, shared: &Shared) -> PathBuf {
        disk::place(&self.folder(shared))
    }

    /// The node's root on its disk; for a node made from an image, where its own files are.
    pub(crate) fn root(&self, shared: &Shared) -> PathBuf {
        self.disk(shared).join("rootfs")
    }

    fn group(&self, shared: &Shared) -> Group {
        shared.cgroups.group(shared.group.join(&self.spec.name))
    }

    /// Writes the node's disk, once.
    pub(crate) fn prepare(&self, shared: &Shared) -> Result<(), Error> {
        let root = self.root(shared);
        let owner = shared.first_id;
        let own = |path: &Path| {
            chown(path, Some(owner), Some(owner)).map_err(Error::io(format!("cannot give away {}", path.display())))
        };
        let create =
            |path: &Path| fs::create_dir_all(path).map_err(Error::io(format!("cannot create {}", path.display())));
        // Nobody but the machine's root and the session reads a node's disk.
        let folder = self.folder(shared);
        create(&folder)?;
        fs::set_permissions(&shared.folder, fs::Permissions::from_mode(0o700))
            .map_err(Error::io("cannot set permissions"))?;
        self.format(shared, &folder);
        create(&root)?;
        own(&root)?;
        if self.spec.image.is_none() {
            for path in FOLDERS {
                create(&root.join(path))?;
            }
            File::create(root.join(NODE_BINARY))
                .map_err(Error::io("cannot create the mount point of the node binary"))?;
            for applet in APPLETS {
                symlink("drydock-node", root.join("usr/local/bin").join(applet))
                    .map_err(Error::io(format!("cannot link {applet}")))?;
            }
        }
        for file in &self.spec.files {
            let path = root.join(file.path.trim_start_matches('/'));
            let fail = || Error::io(format!("cannot write {} of node {}", file.path, self.spec.name));
            create(path.parent().unwrap_or(&root))?;
            fs::write(&path, &file.contents).map_err(fail())?;
            fs::set_permissions(&path, fs::Permissions::from_mode(file.mode)).map_err(fail())?;
        }
        own_all(&root, owner).map_err(Error::io(format!("cannot give away {}", folder.display())))?;
        if self.spec.image.is_none() {
            fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))
                .map_err(Error::io("cannot set permissions"))?;
        }
        Ok(())
    }

    /// Gives the node a disk of its own size, where this machine can.
    fn format(&self, shared: &Shared, folder: &Path) {
        let Some(bytes) = self.spec.limits.disk_bytes else { return };
        if let Err(error) = disk::make(folder, bytes).and_then(|()| disk::attach(folder, &shared.reaper)) {
            tracing::warn!(node.name = self.spec.name, %error, "the node has no disk of its own: nothing bounds what it writes");
            disk::forget(folder);
        }
    }

    /// Starts the first process. Already running is fine.
    pub(crate) async fn start(&mut self, shared: &Shared) -> Result<(), Error> {
        if self.process.is_some() {
            return Ok(());
        }
        let name = self.spec.name.clone();
        disk::attach(&self.folder(shared), &shared.reaper)
            .map_err(Error::io(format!("cannot mount the disk of node {name}")))?;
        let group = self.group(shared);
        group.create().map_err(Error::runtime("cannot make a cgroup"))?;
        group.limit(&limits(&self.spec)).map_err(Error::runtime(format!("cannot limit node {name}")))?;
        group.delegate(shared.first_id, shared.first_id).map_err(Error::runtime("cannot hand over a cgroup"))?;
        let fail = || Error::runtime(format!("cannot start node {name}"));

        // The namespaces come first and without a program, so that the network is there when the first process looks.
        let holder = Spec {
            new: OWN_NAMESPACES,
            user_mapping: Some(UserMapping::range(shared.first_id, IDS)),
            program: Program::Pause { id: None },
            death_signal: Some(libc::SIGKILL),
            ..Spec::default()
        };
        let holder =
            launch::launch(Path::new(SELF), &shared.reaper, &holder, &Descriptors::default()).map_err(fail())?;
        let launched = self.start_in(shared, &group, &holder).await;
        // The first process keeps the namespaces from here on.
        let _ = rustix::process::pidfd_send_signal(&holder.pidfd, rustix::process::Signal::KILL);
        let (init, network) = launched?;
        let (tell, ended) = oneshot::channel();
        // Nobody waits any more when the node was stopped on purpose.
        init.end.on_exit(Box::new(move |_| tell.send(()).unwrap_or(())));
        self.process = Some(Running { init, network, ended: Some(ended) });
        self.frozen = false;
        Ok(())
    }

    async fn start_in(&self, shared: &Shared, group: &Group, holder: &Launched) -> Result<(Launched, File), Error> {
        let name = &self.spec.name;
        let path = format!("/proc/{}/ns/net", holder.pid);
        let network =
            owner::open(shared.first_id, Path::new(&path)).map_err(Error::io(format!("cannot open {path}")))?;
        let attached = network.try_clone().map_err(Error::io("cannot duplicate a descriptor"))?;
        shared.network.attach(&self.port, attached, self.spec.ip).await?;
        if self.unplugged {
            shared.network.plug(&self.port, false).await?;
        }
        let spec = Spec {
            join: OWN_NAMESPACES,
            maker: Some(shared.first_id),
            new: NODE_NAMESPACES,
            cgroup_procs: group.procs_files(),
            root: Root::Tree(Box::new(self.tree(shared)?)),
            hostname: Some(name.clone()),
            program: self.program(),
            death_signal: Some(libc::SIGKILL),
            ..Spec::default()
        };
        let log = self.disk(shared).join("console.log");
        let log = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(Error::io(format!("cannot write {}", log.display())))?;
        let null = File::open("/dev/null").map_err(Error::io("cannot open /dev/null"))?;
        let descriptors = Descriptors {
            target: Some(holder.pidfd.as_fd()),
            stdio: Some([null.as_fd(), log.as_fd(), log.as_fd()]),
            ..Descriptors::default()
        };
        let init = launch::launch(Path::new(SELF), &shared.reaper, &spec, &descriptors)
            .map_err(Error::runtime(format!("cannot start node {name}")))?;
        Ok((init, network))
    }

    fn program(&self) -> Program {
        if self.spec.argv.first().is_some_and(|program| program == "pause") {
            return Program::Pause { id: None };
        }
        Program::Command(Box::new(Command {
            args: self.spec.argv.clone(),
            env: self.spec.env.clone().into_iter().collect(),
            capabilities: CapabilitySet::ALL,
            system_calls: SystemCalls::Floor,
            ..Command::default()
        }))
    }

    fn tree(&self, shared: &Shared) -> Result<Tree, Error> {
        let root = self.root(shared);
        let bind = |host: &Path, inside: &str, read_only: bool| Mount {
            host_path: host.to_owned(),
            container_path: inside.into(),
            read_only,
            ..Mount::default()
        };
        // The node is root of its namespaces: what it must never write to is locked.
        let mut locked: Vec<_> =
            self.spec.binds.iter().map(|it| bind(Path::new(&it.source), &it.target, true)).collect();
        let mut mounts = Vec::new();
        let is_node = self.spec.role != NodeRole::Workstation;
        let rootfs = match &self.spec.image {
            None => {
                let binary = fs::read_link(SELF).map_err(Error::io("cannot find our own executable"))?;
                locked.push(bind(&binary, &format!("/{NODE_BINARY}"), true));
                locked.push(bind(&shared.images.nodes, "/var/lib/images", true));
                locked.push(bind(&shared.images.pods, "/var/lib/images-pods", true));
                locked.push(bind(&shared.images.private_nodes, "/var/lib/images/private", true));
                locked.push(bind(&shared.images.private_pods, "/var/lib/images-pods/private", true));
                locked.push(bind(&shared.images.service, "/run/drydock", true));
                RootFs::Directory(root)
            }
            Some(image) => {
                mounts.extend(
                    self.spec
                        .files
                        .iter()
                        .map(|file| bind(&root.join(file.path.trim_start_matches('/')), &file.path, false)),
                );
                let layers = ImageStore::open(&shared.images.nodes)?.resolve(image)?.layers;
                RootFs::Overlay { layers, writable: self.disk(shared).join("changes") }
            }
        };
        Ok(Tree {
            rootfs,
            owner: Some((shared.first_id, shared.first_id)),
            shared: is_node,
            proc: true,
            sys: Some(if is_node { Access::Write } else { Access::Read }),
            dev: Some(DEVICES.map(str::to_owned).to_vec()),
            shm: Shm::Own(SHM),
            cgroup: Some((if is_node { Access::Write } else { Access::Read }, shared.cgroups.clone())),
            mounts,
            locked,
            ..Tree::default()
        })
    }

    /// Its present life, for who watches over its end; once per start.
    pub(crate) fn take_life(&mut self) -> Option<Life> {
        let running = self.process.as_mut()?;
        Some(Life { pid: running.init.pid, ended: running.ended.take()? })
    }

    /// Asks the first process to end and kills all that is left after `grace`.
    pub(crate) async fn stop(&mut self, shared: &Shared, grace: Duration) -> Result<(), Error> {
        let group = self.group(shared);
        if let Some(running) = self.process.take() {
            if self.frozen {
                group.freeze(false).map_err(Error::runtime("cannot thaw a node"))?;
            }
            let (tell, ended) = oneshot::channel();
            running.init.end.on_exit(Box::new(move |_| tell.send(()).unwrap_or(())));
            if !grace.is_zero() {
                let _ = rustix::process::pidfd_send_signal(&running.init.pidfd, rustix::process::Signal::TERM);
                let _ = tokio::time::timeout(grace, ended).await;
            }
        }
        self.frozen = false;
        group.kill().map_err(Error::runtime(format!("cannot kill node {}", self.spec.name)))?;
        group.remove().map_err(Error::runtime("cannot remove a cgroup"))
    }

    /// Notes that the first process is gone.
    pub(crate) fn ended(&mut self) {
        self.process = None;
        self.frozen = false;
    }

    pub(crate) fn freeze(&mut self, shared: &Shared, frozen: bool) -> Result<(), Error> {
        if self.process.is_none() {
            return Err(Error::NotRunning(self.spec.name.clone()));
        }
        self.group(shared).freeze(frozen).map_err(Error::runtime(format!("cannot freeze node {}", self.spec.name)))?;
        self.frozen = frozen;
        Ok(())
    }

    /// Removes the node's disk.
    pub(crate) fn remove(&self, shared: &Shared) -> Result<(), Error> {
        let folder = self.folder(shared);
        disk::detach(&folder);
        match remove_tree(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(format!("cannot remove {}", folder.display()))(error))
            }
            _ => Ok(()),
        }
    }

    /// Starts another process in the node's namespaces.
    pub(crate) fn enter(
        &self,
        shared: &Shared,
        command: Command,
        stdio: Option<[BorrowedFd<'_>; 3]>,
    ) -> Result<Launched, Error> {
        let running = self.process.as_ref().ok_or_else(|| Error::NotRunning(self.spec.name.clone()))?;
        let is_node = self.spec.role != NodeRole::Workstation;
        let mut env: Vec<_> = self.spec.env.clone().into_iter().collect();
        env.extend(command.env);
        let spec = Spec {
            join: NODE_NAMESPACES | OWN_NAMESPACES,
            maker: Some(shared.first_id),
            cgroup_procs: self
                .group(shared)
                .leaf()
                .map_err(Error::runtime("cannot find the node's cgroup"))?
                .procs_files(),
            program: Program::Command(Box::new(Command {
                env,
                cwd: if is_node { "/".to_owned() } else { "/root".to_owned() },
                capabilities: if is_node { CapabilitySet::ALL } else { CapabilitySet::container_default() },
                system_calls: if is_node { SystemCalls::Floor } else { SystemCalls::Default },
                no_new_privileges: !is_node,
                ..command
            })),
            ..Spec::default()
        };
        let descriptors = Descriptors { target: Some(running.init.pidfd.as_fd()), stdio, ..Descriptors::default() };
        launch::launch(Path::new(SELF), &shared.reaper, &spec, &descriptors)
            .map_err(Error::runtime(format!("cannot run a command on {}", self.spec.name)))
    }

    pub(crate) fn usage(&self, shared: &Shared) -> NodeUsage {
        let group = self.group(shared);
        let processes = group.processes();
        // Nobody can be asked when no thread can be had.
        let memory = owner::acting_as(shared.first_id, || processes.iter().map(|pid| pss(*pid)).sum());
        NodeUsage {
            node: self.spec.name.clone(),
            memory_bytes: memory.unwrap_or_default(),
            cpu_micros: group.stats().cpu_usage_nanos / 1000,
            pids: processes.len() as u64,
        }
    }

    /// The network namespace of the node, while it runs.
    pub(crate) fn network(&self) -> Result<File, Error> {
        let name = &self.spec.name;
        let running = self.process.as_ref().ok_or_else(|| Error::Network {
            action: format!("connect from {name}"),
            reason: "the node is stopped".to_owned(),
        })?;
        running.network.try_clone().map_err(Error::io(format!("cannot duplicate the network of {name}")))
    }

    /// A part of a file of the node; links never lead out of its root, and only plain files are read.
    pub(crate) fn read(&self, shared: &Shared, path: &str, offset: u64, limit: usize) -> Result<Vec<u8>, Error> {
        read_inside(&self.root(shared), path, offset, limit)
    }
}

/// Bytes of a file that are read at once.
const READ_LIMIT: usize = 1 << 20;

/// A part of a plain file below a folder as if that were `/`.
pub(crate) fn read_inside(root: &Path, path: &str, offset: u64, limit: usize) -> Result<Vec<u8>, Error> {
    let read = || {
        let mut file = File::from(open_inside(root, Path::new(path))?);
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(limit.min(READ_LIMIT) as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(Error::io(format!("cannot read {path}")))
}

/// Proportional set size of a process, bytes; 0 when it is gone.
pub(crate) fn pss(pid: i32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes: Option<u64> = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kilobytes.unwrap_or_default() * 1024
}

fn limits(spec: &NodeSpec) -> Limits {
    const PERIOD: u64 = 100_000;
    Limits {
        memory_bytes: spec.limits.memory_bytes,
        cpu_quota_us: spec.limits.cpu_millis.and_then(|millis| i64::try_from(millis * PERIOD / 1000).ok()),
        pids: spec.limits.pids,
        ..Limits::default()
    }
}

/// Gives everything below a folder that we have just written to the node's root.
fn own_all(folder: &Path, owner: u32) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        std::os::unix::fs::lchown(entry.path(), Some(owner), Some(owner))?;
        if entry.file_type()?.is_dir() {
            own_all(&entry.path(), owner)?;
        }
    }
    Ok(())
}
