//! The rules in a real kernel: a node that routes between two pods and a client outside, each a network namespace of its
//! own, and real connections between them. Needs root and iproute2; everything is made and removed by the test.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking and shows the rules")]

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use drydock_network_policy::TABLE;
use drydock_network_policy::objects::{NetworkPolicy, Pod};
use drydock_network_policy::plan::{Labels, plan};
use drydock_nftables::ruleset::{Ruleset, steps};
use drydock_nftables::{Socket, apply, remove_table, table_exists};
use serde_json::{Value, json};

/// Longer than any answer takes, short enough to wait for a dropped packet.
const TIMEOUT: Duration = Duration::from_millis(400);
const A: &str = "10.244.1.2";
const B: &str = "10.244.1.6";

static WORLDS: AtomicU32 = AtomicU32::new(0);

struct World {
    prefix: String,
}

impl World {
    fn new() -> World {
        assert!(nix::unistd::geteuid().is_root(), "network namespaces need root");
        let world = World { prefix: format!("np{}x{}", std::process::id(), WORLDS.fetch_add(1, Ordering::Relaxed)) };
        for (name, gateway, address) in
            [("node", "", ""), ("a", "10.244.1.1", A), ("b", "10.244.1.5", B), ("client", "10.20.0.2", "10.20.0.9")]
        {
            let own = world.namespace(name);
            ip(&["netns", "add", &own]);
            ip(&["-n", &own, "link", "set", "lo", "up"]);
            if gateway.is_empty() {
                world.inside(name, || std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
                continue;
            }
            let (node, link) = (world.namespace("node"), format!("to-{name}"));
            ip(&["-n", &node, "link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &own]);
            ip(&["-n", &node, "addr", "add", &format!("{gateway}/30"), "dev", &link]);
            ip(&["-n", &node, "link", "set", &link, "up"]);
            ip(&["-n", &own, "addr", "add", &format!("{address}/32"), "dev", "eth0"]);
            ip(&["-n", &own, "link", "set", "eth0", "up"]);
            ip(&["-n", &own, "route", "add", gateway, "dev", "eth0"]);
            ip(&["-n", &own, "route", "add", "default", "via", gateway]);
            if name == "client" {
                ip(&["-n", &node, "route", "add", address, "dev", &link]);
            }
            world.serve(name);
        }
        world
    }

    fn namespace(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn inside<T: Send>(&self, name: &str, work: impl FnOnce() -> T + Send) -> T {
        let path = format!("/run/netns/{}", self.namespace(name));
        std::thread::scope(|scope| scope.spawn(move || in_namespace(&path, work)).join().unwrap())
    }

    /// Servers that greet, TCP on ports 80 and 81, UDP on 53.
    fn serve(&self, name: &str) {
        for port in [80, 81] {
            let listener = self.inside(name, || TcpListener::bind(("0.0.0.0", port)).unwrap());
            std::thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    let _ = stream.write_all(b"hello");
                }
            });
        }
        let socket = self.inside(name, || UdpSocket::bind("0.0.0.0:53").unwrap());
        std::thread::spawn(move || {
            let mut buffer = [0; 8];
            while let Ok((_, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(b"hello", from);
            }
        });
    }

    fn tcp(&self, from: &str, to: &str, port: u16) -> bool {
        let address = format!("{to}:{port}").parse().unwrap();
        self.inside(from, || {
            let Ok(mut stream) = TcpStream::connect_timeout(&address, TIMEOUT) else { return false };
            greeted(&mut stream).is_ok()
        })
    }

    fn udp(&self, from: &str, to: &str) -> bool {
        self.inside(from, || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.set_read_timeout(Some(TIMEOUT)).unwrap();
            socket.send_to(b"hi", (to, 53)).unwrap();
            socket.recv(&mut [0; 8]).is_ok()
        })
    }

    /// Brings the node's rules to those for these policies.
    fn apply(&self, before: Option<&Ruleset>, specs: &[Value]) -> Ruleset {
        let policies: Vec<Arc<NetworkPolicy>> = specs
            .iter()
            .enumerate()
            .map(|(index, spec)| {
                read(json!({"metadata": {"name": format!("p{index}"), "namespace": "ns"}, "spec": spec}))
            })
            .collect();
        let pod = |name: &str, address: &str| {
            read(json!({
                "metadata": {"name": name, "namespace": "ns", "labels": {"app": name}},
                "spec": {"nodeName": "n1", "containers": [{"ports": [{"name": "web", "containerPort": 81}]}]},
                "status": {"podIP": address, "phase": "Running"},
            }))
        };
        let pods: Vec<Arc<Pod>> = vec![pod("a", A), pod("b", B)];
        let namespaces = BTreeMap::from([("ns".to_owned(), Labels::new())]);
        let ruleset = plan(&policies, &pods, &namespaces, "n1").unwrap();
        self.inside("node", || {
            if let Err(error) = apply(&Socket::open().unwrap(), TABLE, &steps(before, &ruleset)) {
                panic!("{error}: {:?}\n{ruleset}", std::error::Error::source(&error));
            }
        });
        ruleset
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Arc<T> {
    Arc::new(serde_json::from_value(value).unwrap())
}

fn greeted(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.read_exact(&mut [0; 5])
}

fn in_namespace<T>(path: &str, work: impl FnOnce() -> T) -> T {
    let namespace = std::fs::File::open(path).unwrap();
    nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    work()
}

#[track_caller]
fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().expect("iproute2's ip");
    assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Drop for World {
    fn drop(&mut self) {
        for name in ["a", "b", "client", "node"] {
            let _ = Command::new("ip").args(["netns", "del", &self.namespace(name)]).status();
        }
    }
}

#[test]
fn default_deny_leaves_the_node_and_open_connections() {
    let world = World::new();
    // The kernel follows connections from the first rule on that asks for them; kube-proxy always has some.
    let open_to_all = world.apply(None, &[json!({"podSelector": {}, "ingress": [{}]})]);
    assert!(world.tcp("b", A, 80) && world.tcp("client", A, 80) && world.udp("b", A));
    let socket = world.inside("b", || TcpListener::bind((B, 9)).unwrap());
    let mut open =
        world.inside("a", || TcpStream::connect_timeout(&format!("{B}:9").parse().unwrap(), TIMEOUT).unwrap());
    let (mut accepted, _) = socket.accept().unwrap();

    world.apply(Some(&open_to_all), &[json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})]);
    assert!(!world.tcp("b", A, 80) && !world.tcp("client", A, 80) && !world.tcp("a", B, 80) && !world.udp("b", A));
    assert!(!world.tcp("a", "10.20.0.9", 80));
    assert!(world.tcp("node", A, 80), "probes come from the node");
    accepted.write_all(b"hello").unwrap();
    greeted(&mut open).unwrap();

    // Without the policy everything is as before.
    world.inside("node", || {
        let socket = Socket::open().unwrap();
        assert!(table_exists(&socket, TABLE).unwrap());
        remove_table(&socket, TABLE).unwrap();
        assert!(!table_exists(&socket, TABLE).unwrap());
        remove_table(&socket, TABLE).unwrap();
    });
    assert!(world.tcp("b", A, 80) && world.tcp("client", A, 80));
}

#[test]
fn what_policies_allow_passes_and_nothing_else() {
    let world = World::new();
    let to_a = |rule: Value| json!({"podSelector": {"matchLabels": {"app": "a"}}, "policyTypes": ["Ingress"], "ingress": [rule]});
    // A peer, a port by number.
    let first = world.apply(
        None,
        &[to_a(json!({"from": [{"podSelector": {"matchLabels": {"app": "b"}}}], "ports": [{"port": 80}]}))],
    );
    assert!(world.tcp("b", A, 80));
    assert!(!world.tcp("b", A, 81) && !world.tcp("client", A, 80) && !world.udp("b", A));
    // Addresses with an exception, a port by name, a range.
    let block =
        json!({"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.244.1.4/30"]}}], "ports": [{"port": "web"}]});
    let range = json!({"ports": [{"port": 50, "endPort": 60, "protocol": "UDP"}]});
    let second = world.apply(Some(&first), &[to_a(block), to_a(range)]);
    assert!(world.tcp("client", A, 81) && world.udp("b", A) && world.udp("client", A));
    assert!(!world.tcp("b", A, 81) && !world.tcp("client", A, 80));
    // Egress to a named port, and to any port of the protocol outside.
    let egress = json!({"podSelector": {"matchLabels": {"app": "a"}}, "policyTypes": ["Egress"], "egress": [
        {"to": [{"podSelector": {}}], "ports": [{"port": "web"}]},
        {"to": [{"ipBlock": {"cidr": "10.20.0.0/24"}}], "ports": [{"protocol": "UDP"}]},
    ]});
    world.apply(Some(&second), &[egress]);
    assert!(world.tcp("a", B, 81) && world.udp("a", "10.20.0.9"));
    assert!(!world.tcp("a", B, 80) && !world.tcp("a", "10.20.0.9", 80) && !world.udp("a", B));
    assert!(world.tcp("b", A, 80), "nothing isolates it for ingress any more");
}
