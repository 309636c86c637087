//! A host with two images and, mostly, one session.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use drydock_engine::host::{
    HostSession, NodeBind, NodeFile, NodeHost, NodeLimits, NodeRole, NodeSpec, SessionNetwork, SessionSpec,
    TerminalSpec,
};
use drydock_host_embedded::Embedded;
use drydock_images::{ImageConfig, ImageStore, Source};

/// The session most cases use; all others' names start with it.
pub(crate) const SESSION: &str = "session-test";

pub(crate) struct Lab {
    pub(crate) data: tempfile::TempDir,
    pub(crate) host: Embedded,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let data = tempfile::Builder::new().prefix("drydock-session-test-").tempdir_in("/tmp").unwrap();
        let store = ImageStore::open(data.path().join("images")).unwrap();
        // A copy: the executable itself may be written to by the next build.
        let (binary, link) = (data.path().join("drydock-node"), data.path().join("link"));
        std::fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
        std::os::unix::fs::symlink("busybox", &link).unwrap();
        let files = [("usr/local/bin/drydock-node".into(), binary)];
        store.build("drydock/node:latest", &Source::Files(&files), &ImageConfig::default()).unwrap();
        let mut files: Vec<(PathBuf, PathBuf)> = vec![("bin/busybox".into(), "/bin/busybox".into())];
        files.extend(
            [
                "sh", "cat", "echo", "sleep", "id", "stty", "ping", "nc", "seq", "head", "ls", "grep", "touch", "trap",
                "true", "hostname",
            ]
            .map(|name| (PathBuf::from("bin").join(name), link.clone())),
        );
        store.build("drydock/tools:latest", &Source::Files(&files), &ImageConfig::default()).unwrap();
        let host = Embedded::new(data.path()).unwrap();
        Self { data, host }
    }

    pub(crate) fn spec(name: &str) -> SessionSpec {
        SessionSpec {
            name: name.to_owned(),
            network: SessionNetwork {
                gateway: Ipv4Addr::new(10, 20, 0, 1),
                prefix: 24,
                api_server: SocketAddr::from(([10, 20, 0, 2], 6443)),
            },
            note: "a note".to_owned(),
        }
    }

    pub(crate) async fn session(&self) -> HostSession {
        self.host.create_session(&Self::spec(SESSION)).await.unwrap()
    }

    /// A node that runs `script` first and then waits.
    pub(crate) fn node(number: u8, script: &str) -> NodeSpec {
        NodeSpec {
            name: format!("node-{number}"),
            role: NodeRole::Worker,
            ip: Ipv4Addr::new(10, 20, 0, number),
            argv: ["/bin/busybox", "sh", "-c", &format!("{script}\nwhile :; do /bin/busybox sleep 1000; done")]
                .map(str::to_owned)
                .to_vec(),
            env: BTreeMap::from([("NODE".to_owned(), number.to_string())]),
            image: None,
            files: vec![NodeFile {
                path: "/etc/kubernetes/secret".to_owned(),
                mode: 0o600,
                contents: "written".to_owned(),
            }],
            binds: vec![NodeBind { source: "/bin/busybox".to_owned(), target: "/bin/busybox".to_owned() }],
            limits: NodeLimits::default(),
        }
    }

    pub(crate) fn workstation() -> NodeSpec {
        NodeSpec {
            name: "workstation".to_owned(),
            role: NodeRole::Workstation,
            ip: Ipv4Addr::new(10, 20, 0, 250),
            argv: vec!["pause".to_owned()],
            image: Some("drydock/tools:latest".to_owned()),
            files: vec![NodeFile {
                path: "/root/.kube/config".to_owned(),
                mode: 0o600,
                contents: "kubeconfig".to_owned(),
            }],
            ..Self::node(250, "")
        }
    }

    pub(crate) fn shell(id: &str, script: &str) -> TerminalSpec {
        TerminalSpec {
            id: id.to_owned(),
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            env: BTreeMap::from([("PS1".to_owned(), "$ ".to_owned())]),
            cols: 80,
            rows: 24,
        }
    }

    /// Runs a script in a node; its output, trimmed.
    pub(crate) async fn run(&self, node: &str, script: &str) -> String {
        let busybox =
            if node == "workstation" { vec!["sh", "-c", script] } else { vec!["/bin/busybox", "sh", "-c", script] };
        let argv: Vec<String> = busybox.into_iter().map(str::to_owned).collect();
        let output = self.host.exec(SESSION, node, &argv).await.unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
            .trim()
            .to_owned()
    }

    /// Process id of the session's supervisor.
    pub(crate) fn supervisor(&self, session: &str) -> i32 {
        let wanted = format!("--session-dir\0{}\0", self.data.path().join("sessions").join(session).display());
        let found = std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            std::fs::read_to_string(entry.path().join("cmdline")).ok()?.contains(&wanted).then_some(pid)
        });
        found.expect("no supervisor")
    }

    pub(crate) fn show_logs(&self) {
        for entry in std::fs::read_dir(self.data.path().join("sessions")).unwrap().flatten() {
            let log = std::fs::read_to_string(entry.path().join("supervisor.log")).unwrap_or_default();
            println!("--- {}\n{log}", entry.path().display());
        }
    }

    pub(crate) async fn end(self) {
        for session in self.host.list_sessions().await.unwrap() {
            self.host.remove_session(&session.name).await.unwrap();
        }
        let left: Vec<_> = std::fs::read_dir(self.data.path().join("sessions"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        // One formatted disk of each size stays, for the next nodes to be copies of.
        let stays = |name: &std::ffi::OsString| name == ".lock" || name.to_string_lossy().starts_with(".disk-");
        assert!(left.iter().all(stays), "{left:?}");
    }
}

/// Asks until the answer is as wanted; tells the last one when it never is.
pub(crate) async fn wait_for<T: std::fmt::Debug, F: Future<Output = T>>(
    what: &str,
    mut ask: impl FnMut() -> F,
    wanted: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = ask().await;
        if wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: last was {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
