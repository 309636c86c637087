//! Two sessions side by side: eve tries to get out of hers, bob minds his own business.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use drydock_tests_harness::{Cluster, Outcome, Product};

/// The burglar's tool, see `probe/main.rs`.
const PROBE: &str = env!("ESCAPE_PROBE");
/// Where it lies wherever it is used.
const TOOL: &str = "/tmp/probe";
/// Small sessions are filled quickly.
pub(crate) const NODE_PIDS: u64 = 400;
pub(crate) const NODE_MEMORY_MIB: u64 = 512;
pub(crate) const NODE_DISK_MIB: u64 = 256;

/// Where a learner can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A pod as most are.
    Plain,
    /// Privileged, with the node's whole disk, in a user namespace of its own.
    Privileged,
    /// The same in all of the node's namespaces.
    Worst,
    /// The learner's shell.
    Workstation,
    /// A shell on the node itself.
    Node,
}

pub(crate) const PLACES: [Place; 5] = [Place::Plain, Place::Privileged, Place::Worst, Place::Workstation, Place::Node];

const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: plain}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: drydock/tools:latest
    command: [sleep, infinity]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, emptyDir: {}}]
---
apiVersion: v1
kind: Pod
metadata: {name: privileged}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: drydock/tools:latest
    command: [sleep, infinity]
    securityContext: {privileged: true, capabilities: {add: [ALL]}, seccompProfile: {type: Unconfined}}
    volumeMounts: [{name: node, mountPath: /node}]
  volumes: [{name: node, hostPath: {path: /}}]
---
apiVersion: v1
kind: Pod
metadata: {name: worst}
spec:
  terminationGracePeriodSeconds: 0
  hostPID: true
  hostNetwork: true
  hostIPC: true
  hostUsers: true
  containers:
  - name: c
    image: drydock/tools:latest
    command: [sleep, infinity]
    securityContext: {privileged: true, capabilities: {add: [ALL]}, seccompProfile: {type: Unconfined}, runAsUser: 0}
    volumeMounts: [{name: node, mountPath: /node, mountPropagation: Bidirectional}]
  volumes: [{name: node, hostPath: {path: /}}]
"#;

/// Both sessions; gone when the test is over.
pub(crate) struct Lab<'a> {
    pub(crate) product: &'a Product,
    pub(crate) eve: Cluster<'a>,
    pub(crate) bob: Cluster<'a>,
}

impl<'a> Lab<'a> {
    /// Starts both sessions with the burglar's tool in every place of eve's.
    #[track_caller]
    pub(crate) fn start(product: &'a Product) -> Lab<'a> {
        // What protects files of the machine is not to be this folder's permissions.
        fs::set_permissions(product.scratch(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("our folder");
        let limits = [
            format!("--node-pids={NODE_PIDS}"),
            format!("--node-memory={NODE_MEMORY_MIB}"),
            format!("--node-disk={NODE_DISK_MIB}"),
        ];
        let limits = [limits[0].as_str(), &limits[1], &limits[2]];
        let eve = Cluster::create_with(product, "eve", 1, &limits);
        let bob = Cluster::create_with(product, "bob", 1, &limits);
        for cluster in [&eve, &bob] {
            cluster.kubectl_with("apply -f -", PODS).ok();
        }
        let lab = Lab { product, eve, bob };
        for cluster in [&lab.eve, &lab.bob] {
            cluster.kubectl("wait --for=condition=Ready pod --all --timeout=60s").ok();
            for pod in ["plain", "privileged", "worst"] {
                let install = format!("exec -i {pod} -- sh -c 'cat > {TOOL} && chmod 755 {TOOL}'");
                let mut command: Command = cluster.kubectl_command(&install);
                command.stdin(Stdio::from(File::open(PROBE).expect("the probe was built")));
                let installed = command.output().expect("kubectl can be started");
                assert!(installed.status.success(), "{pod}: {}", String::from_utf8_lossy(&installed.stderr));
            }
            cluster.kubectl(&format!("exec worst -- cp {TOOL} /node{TOOL}")).ok();
            let fetch = format!("kubectl exec plain -- cat {TOOL} > {TOOL} && chmod 755 {TOOL}");
            cluster.exec("workstation", &["sh", "-c", &fetch]).ok();
        }
        lab
    }

    /// Runs a command in a place of eve's.
    pub(crate) fn run(&self, place: Place, words: &[&str]) -> Outcome {
        run(&self.eve, place, words)
    }

    /// What the probe says in a place of eve's: what was tried, and the outcome.
    #[track_caller]
    pub(crate) fn probe(&self, place: Place, words: &[&str]) -> Vec<(String, String)> {
        let outcome = self.run(place, &[&[TOOL], words].concat());
        assert_eq!(outcome.code, 0, "{place:?} {words:?}: {}{}", outcome.stdout, outcome.stderr);
        pairs(&outcome.stdout)
    }

    /// Lets the probe try something in all places at once, and judges each outcome.
    #[track_caller]
    pub(crate) fn everywhere(&self, words: &[&str], judge: impl Fn(Place, &str, &str) -> bool) {
        self.in_places(&PLACES, words, judge);
    }

    /// The same in some places.
    #[track_caller]
    pub(crate) fn in_places(&self, places: &[Place], words: &[&str], judge: impl Fn(Place, &str, &str) -> bool) {
        let said: Vec<_> = std::thread::scope(|scope| {
            let runs: Vec<_> = places.iter().map(|place| scope.spawn(|| self.probe(*place, words))).collect();
            runs.into_iter().map(|run| run.join().expect("the probe was asked")).collect()
        });
        for (place, said) in places.iter().zip(said) {
            assert!(!said.is_empty(), "{place:?} said nothing to {words:?}");
            let wrong: Vec<_> = said.iter().filter(|(what, outcome)| !judge(*place, what, outcome)).collect();
            assert!(wrong.is_empty(), "{place:?} {words:?}: {wrong:?}");
        }
    }
}

/// Runs a command in a place of a session.
pub(crate) fn run(cluster: &Cluster<'_>, place: Place, words: &[&str]) -> Outcome {
    let pod = match place {
        Place::Workstation => return cluster.exec("workstation", words),
        Place::Node => return cluster.exec("worker-1", words),
        Place::Plain => "plain",
        Place::Privileged => "privileged",
        Place::Worst => "worst",
    };
    let mut command = cluster.kubectl_command(&format!("exec {pod} --"));
    command.args(words).output().expect("kubectl can be started").into()
}

/// A command of the probe that goes on, in a place of a session.
pub(crate) fn background(product: &Product, cluster: &Cluster<'_>, place: Place, words: &[&str]) -> Command {
    let mut command = match place {
        Place::Workstation | Place::Node => {
            let node = if place == Place::Node { "worker-1" } else { "workstation" };
            let mut command = product.command();
            command.args(["cluster", "exec", cluster.name(), node, "--"]);
            command
        }
        Place::Plain => cluster.kubectl_command("exec plain --"),
        Place::Privileged => cluster.kubectl_command("exec privileged --"),
        Place::Worst => cluster.kubectl_command("exec worst --"),
    };
    command.arg(TOOL).args(words);
    command
}

/// What the probe says on the machine itself: the proof that it can tell an open door from a closed one.
#[track_caller]
pub(crate) fn on_the_machine(words: &[&str]) -> Vec<(String, String)> {
    let output = Command::new(PROBE).args(words).output().expect("the probe runs here");
    pairs(&String::from_utf8_lossy(&output.stdout))
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |line: &str| line.split_once(": ").map(|(what, outcome)| (what.to_owned(), outcome.to_owned()));
    text.lines().filter_map(pair).collect()
}
