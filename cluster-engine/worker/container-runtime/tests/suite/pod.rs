//! A pod to try things in, and what it leaves behind.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use drydock_container_runtime::{
    ContainerConfig, ContainerRuntime, Error, ExecConfig, Exit, NativeRuntime, Options, RootFs, SandboxConfig,
    StartedContainer, UserMapping, remove_tree,
};

/// The surroundings of one case.
pub(crate) struct Bench {
    pub(crate) runtime: NativeRuntime,
    /// A directory for the case alone.
    pub(crate) dir: PathBuf,
    /// `host` or `node`.
    pub(crate) place: String,
    name: String,
}

/// How a container ended and what it wrote.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bench {
    pub(crate) fn new(place: &str, work: &Path, name: &str) -> Self {
        let dir = work.join(name);
        fs::create_dir_all(&dir).unwrap();
        let runtime = NativeRuntime::new(Options::default()).unwrap();
        let bench = Self { runtime, dir, place: place.to_owned(), name: name.to_owned() };
        bench.make_layer("layer", 65536);
        bench
    }

    /// A minimal image: busybox and what looks like a system. Owned by the pods' root.
    pub(crate) fn make_layer(&self, name: &str, owner: u32) -> PathBuf {
        let layer = self.dir.join(name);
        for dir in ["bin", "etc", "tmp", "root", "home/user"] {
            fs::create_dir_all(layer.join(dir)).unwrap();
        }
        fs::copy("/bin/busybox", layer.join("bin/busybox")).unwrap();
        for applet in [
            "sh", "cat", "echo", "id", "sleep", "hostname", "grep", "ls", "readlink", "stty", "tty", "head", "tail",
            "mount", "touch", "ps", "kill", "wc", "env", "pwd", "dd", "true", "mkdir", "stat", "ip", "nc", "unshare",
            "chown", "umount",
        ] {
            symlink("busybox", layer.join("bin").join(applet)).unwrap();
        }
        fs::write(layer.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
            .unwrap();
        fs::write(layer.join("etc/group"), "root:x:0:\nuser:x:1000:\nextra:x:2000:user\n").unwrap();
        fs::write(layer.join("etc/notexec"), "x").unwrap();
        symlink("/run", layer.join("var")).unwrap();
        own(&layer, owner);
        layer
    }

    fn cgroup(&self) -> String {
        format!("suite-{}-{}", std::process::id(), self.name)
    }

    /// A pod in a user namespace of its own.
    pub(crate) fn sandbox(&self, id: &str) -> SandboxConfig {
        SandboxConfig {
            id: id.to_owned(),
            hostname: "the-pod".to_owned(),
            user_mapping: Some(UserMapping::range(65536, 65536)),
            cgroup_parent: format!("{}/{id}", self.cgroup()),
            ..SandboxConfig::default()
        }
    }

    pub(crate) fn run_sandbox(&self, id: &str) -> String {
        self.runtime.run_pod_sandbox(&self.sandbox(id)).unwrap().id
    }

    pub(crate) fn container(&self, script: &str) -> ContainerConfig {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        ContainerConfig {
            name: "c".to_owned(),
            rootfs: RootFs::Overlay {
                layers: vec![self.dir.join("layer")],
                writable: self.dir.join(format!("c{number}")),
            },
            args: ["sh", "-c", script].map(str::to_owned).to_vec(),
            ..ContainerConfig::default()
        }
    }

    pub(crate) fn start(&self, sandbox: &str, config: &ContainerConfig) -> Result<(String, StartedContainer), Error> {
        let id = self.runtime.create_container(sandbox, config)?;
        let started = self.runtime.start_container(&id)?;
        Ok((id, started))
    }

    /// Runs a container to its end.
    pub(crate) fn run(&self, sandbox: &str, config: &ContainerConfig) -> Outcome {
        let (id, started) = self.start(sandbox, config).unwrap();
        let (sender, receiver) = mpsc::channel();
        self.runtime.on_exit(&id, Box::new(move |exit| sender.send(exit).unwrap())).unwrap();
        let outcome = collect(started, &receiver);
        self.runtime.remove_container(&id).unwrap();
        outcome
    }

    pub(crate) fn exec(&self, container: &str, config: &ExecConfig) -> Result<Outcome, Error> {
        let started = self.runtime.exec(container, config)?;
        let (sender, receiver) = mpsc::channel();
        self.runtime.on_exec_exit(started.pid, Box::new(move |exit| sender.send(exit).unwrap()));
        Ok(collect(started, &receiver))
    }

    pub(crate) fn exec_script(&self, container: &str, script: &str) -> Outcome {
        self.exec(container, &exec(script)).unwrap()
    }

    pub(crate) fn clean_up(&self) {
        // What a failed case left running.
        if let Ok(hierarchy) = drydock_container_runtime::cgroup::Hierarchy::detect() {
            let group = hierarchy.group(self.cgroup());
            group.kill().unwrap();
            group.remove().unwrap();
        }
        remove_tree(&self.dir).unwrap();
    }
}

pub(crate) fn exec(script: &str) -> ExecConfig {
    ExecConfig { args: ["sh", "-c", script].map(str::to_owned).to_vec(), ..ExecConfig::default() }
}

fn collect(started: StartedContainer, exit: &mpsc::Receiver<Exit>) -> Outcome {
    let read = |fd: Option<std::os::fd::OwnedFd>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(fd) = fd {
                // A terminal's master reports EIO at its end.
                let _ = fs::File::from(fd).read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    drop(started.stdin);
    let (stdout, stderr) = (read(started.stdout.or(started.pty)), read(started.stderr));
    let exit = exit.recv_timeout(Duration::from_secs(20)).expect("the container never ended");
    Outcome { exit, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

/// Gives a tree to an id of the caller's.
pub(crate) fn own(path: &Path, id: u32) {
    std::os::unix::fs::lchown(path, Some(id), Some(id)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).unwrap() {
            own(&entry.unwrap().path(), id);
        }
    }
}
