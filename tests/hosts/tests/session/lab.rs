//! A host with two images and, mostly, one session.
//!
//! Whatever host a case is given, it asks the same of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use drydock_engine::host::{
    HostSession, NodeBind, NodeFile, NodeHost, NodeLimits, NodeRole, NodeSpec, SessionNetwork, SessionSpec,
    TerminalSpec,
};
use drydock_host_embedded::Embedded;
use drydock_images::ImageStore;

use crate::archive::{self, Archive};
use crate::docker;

/// The session most cases use; all others' names start with it.
pub(crate) const SESSION: &str = "session-test";

/// The hosts that the suite is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Embedded,
    Docker,
}

/// What all cases on one host share.
pub(crate) struct Bench {
    pub(crate) kind: Kind,
    pub(crate) data: tempfile::TempDir,
    pub(crate) archives: [Archive; 2],
}

impl Bench {
    pub(crate) fn new(kind: Kind) -> Self {
        let data = tempfile::Builder::new().prefix("drydock-session-test-").tempdir_in("/tmp").unwrap();
        let archives = archive::images(data.path());
        Self { kind, data, archives }
    }

    pub(crate) fn lab(&self) -> Lab<'_> {
        let host: Box<dyn NodeHost> = match self.kind {
            Kind::Embedded => {
                let store = ImageStore::open(self.data.path().join("images")).unwrap();
                for archive in &self.archives {
                    store.import_docker_archive(std::fs::File::open(&archive.path).unwrap()).unwrap();
                }
                Box::new(Embedded::new(self.data.path()).unwrap())
            }
            Kind::Docker => {
                let settings = drydock_host_docker::Settings {
                    node_archive: self.archives[0].path.clone(),
                    image_rules: None,
                    image_archives: self.archives.iter().map(|archive| archive.path.clone()).collect(),
                    store: docker::STORE.to_owned(),
                };
                Box::new(drydock_host_docker::Docker::new(self.data.path(), settings).unwrap())
            }
        };
        Lab { bench: self, host }
    }
}

/// A host that knows nothing of the case before.
pub(crate) struct Lab<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) host: Box<dyn NodeHost>,
}

impl Lab<'_> {
    pub(crate) fn spec(name: &str) -> SessionSpec {
        SessionSpec {
            name: name.to_owned(),
            network: SessionNetwork {
                gateway: Ipv4Addr::new(10, 20, 0, 1),
                prefix: 24,
                api_server: SocketAddr::from(([10, 20, 0, 2], 6443)),
            },
            note: "a note".to_owned(),
            limits: NodeLimits { pids: Some(500), ..NodeLimits::default() },
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

    /// Process ids of the session's supervisors.
    pub(crate) fn supervisors(&self, session: &str) -> Vec<i32> {
        let folder = format!("--session-dir\0{}\0", self.bench.data.path().join("sessions").join(session).display());
        let name = format!("DRYDOCK_SESSION={{\"spec\":{{\"name\":\"{session}\"");
        let wanted = |path: PathBuf| match self.bench.kind {
            Kind::Embedded => std::fs::read_to_string(path.join("cmdline")).is_ok_and(|text| text.contains(&folder)),
            Kind::Docker => {
                std::fs::read_to_string(path.join("environ")).is_ok_and(|text| text.contains(&name))
                    && std::fs::read_to_string(path.join("cmdline"))
                        .is_ok_and(|text| text.contains("drydock-supervisor"))
            }
        };
        let found = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            wanted(entry.path()).then_some(pid)
        });
        let found: Vec<_> = found.collect();
        assert!(!found.is_empty(), "no supervisor");
        found
    }

    pub(crate) async fn show_logs(&self) {
        if self.bench.kind == Kind::Docker {
            return docker::show_logs().await;
        }
        for entry in std::fs::read_dir(self.bench.data.path().join("sessions")).unwrap().flatten() {
            let log = std::fs::read_to_string(entry.path().join("supervisor.log")).unwrap_or_default();
            println!("--- {}\n{log}", entry.path().display());
        }
    }

    pub(crate) async fn end(self) {
        for session in self.host.list_sessions().await.unwrap() {
            self.host.remove_session(&session.name).await.unwrap();
        }
        if self.bench.kind == Kind::Embedded {
            let left: Vec<_> = std::fs::read_dir(self.bench.data.path().join("sessions"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            // One formatted disk of each size stays, for the next nodes to be copies of.
            let stays = |name: &std::ffi::OsString| name == ".lock" || name.to_string_lossy().starts_with(".disk-");
            assert!(left.iter().all(stays), "{left:?}");
        }
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
