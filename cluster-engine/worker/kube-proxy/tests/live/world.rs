//! Four network namespaces: a node, two pods routed through it, a client beside it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use drydock_client::types::{EndpointSlice, Service};
use drydock_kube_proxy::plan::{NodeInfo, plan};
use drydock_kube_proxy::{TABLE, stale};
use drydock_nftables::ruleset::{Prefix, Ruleset, steps};
use drydock_nftables::{Socket, apply, conntrack};
use serde_json::Value;

pub(crate) const NODE: &str = "10.20.0.2";
pub(crate) const CLIENT: &str = "10.20.0.9";
pub(crate) const A: &str = "10.244.1.2";
pub(crate) const B: &str = "10.244.1.6";
pub(crate) const CLUSTER_IP: &str = "10.96.5.5";
pub(crate) const EXTERNAL_IP: &str = "203.0.113.5";

/// Longer than any answer takes, short enough to wait for a dropped packet.
const TIMEOUT: Duration = Duration::from_millis(700);

static WORLDS: AtomicU32 = AtomicU32::new(0);

pub(crate) struct World {
    prefix: String,
}

/// Who answered, and whom it saw.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) server: String,
    pub(crate) client: String,
}

impl World {
    pub(crate) fn new() -> World {
        assert!(nix::unistd::geteuid().is_root(), "network namespaces need root");
        let world = World { prefix: format!("dd{}x{}", std::process::id(), WORLDS.fetch_add(1, Ordering::Relaxed)) };
        for name in ["node", "a", "b", "client"] {
            ip(&["netns", "add", &world.namespace(name)]);
            world.run(name, &["ip", "link", "set", "lo", "up"]);
        }
        world.link("a", "10.244.1.1/30", "10.244.1.2/30");
        world.link("b", "10.244.1.5/30", "10.244.1.6/30");
        world.link("client", "10.20.0.2/24", "10.20.0.9/24");
        for name in ["a", "b", "client"] {
            let gateway = match name {
                "a" => "10.244.1.1",
                "b" => "10.244.1.5",
                _ => "10.20.0.2",
            };
            world.run(name, &["ip", "route", "add", "default", "via", gateway]);
        }
        // As on a real node: somewhere to send packets for service addresses. Not back to where they come from:
        // the kernel would send a redirect first, and count it against the refusal.
        world.run("node", &["ip", "route", "add", "default", "via", B]);
        world.run("node", &["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        // Packets for addresses that nothing handles end there, and do not come back.
        world.run("b", &["sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"]);
        for name in ["a", "b"] {
            world.serve(name);
        }
        world
    }

    fn namespace(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn link(&self, name: &str, node_address: &str, address: &str) {
        let (node, other) = (self.namespace("node"), self.namespace(name));
        let link = format!("to-{name}");
        ip(&["-n", &node, "link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &other]);
        ip(&["-n", &node, "addr", "add", node_address, "dev", &link]);
        ip(&["-n", &node, "link", "set", &link, "up"]);
        ip(&["-n", &other, "addr", "add", address, "dev", "eth0"]);
        ip(&["-n", &other, "link", "set", "eth0", "up"]);
    }

    /// Runs a program in one of the namespaces.
    #[track_caller]
    pub(crate) fn run(&self, name: &str, command: &[&str]) -> String {
        let namespace = self.namespace(name);
        let mut all = vec!["netns", "exec", &namespace];
        all.extend(command);
        ip(&all)
    }

    /// Runs `work` on a thread in the namespace.
    fn inside<T: Send>(&self, name: &str, work: impl FnOnce() -> T + Send) -> T {
        let path = format!("/run/netns/{}", self.namespace(name));
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                enter(&path);
                work()
            });
            thread.join().unwrap()
        })
    }

    pub(crate) fn on_node<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.inside("node", work)
    }

    /// A server on port 8080, TCP and UDP, that tells its name and the client's address.
    fn serve(&self, name: &str) {
        let path = format!("/run/netns/{}", self.namespace(name));
        let (ready, wait) = std::sync::mpsc::channel();
        let name = name.to_owned();
        std::thread::spawn(move || {
            enter(&path);
            let listener = TcpListener::bind("0.0.0.0:8080").unwrap();
            let socket = UdpSocket::bind("0.0.0.0:8080").unwrap();
            ready.send(()).unwrap();
            let udp_name = name.clone();
            // A thread inherits its parent's namespace.
            std::thread::spawn(move || {
                let mut buffer = [0; 64];
                while let Ok((_, client)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(udp_name.as_bytes(), client);
                }
            });
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let client = stream.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default();
                let _ = stream.write_all(format!("{name} {client}").as_bytes());
            }
        });
        wait.recv().unwrap();
    }

    /// One TCP connection.
    pub(crate) fn connect(&self, from: &str, to: &str) -> io::Result<Answer> {
        let to: SocketAddr = to.parse().unwrap();
        self.inside(from, || {
            let mut stream = TcpStream::connect_timeout(&to, TIMEOUT)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            let (server, client) = text.split_once(' ').unwrap();
            Ok(Answer { server: server.to_owned(), client: client.to_owned() })
        })
    }

    /// A UDP socket that stays the same for all its questions.
    pub(crate) fn udp(&self, from: &str) -> Asking {
        self.inside(from, || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.set_read_timeout(Some(TIMEOUT)).unwrap();
            Asking { socket }
        })
    }

    /// Brings the node's rules from `before` to those for these objects, as the proxy does.
    pub(crate) fn apply(&self, before: Option<&Ruleset>, services: &[Value], slices: &[Value]) -> Ruleset {
        let services: Vec<Box<Service>> =
            services.iter().map(|value| Box::new(serde_json::from_value(value.clone()).unwrap())).collect();
        let slices: Vec<Box<EndpointSlice>> =
            slices.iter().map(|value| Box::new(serde_json::from_value(value.clone()).unwrap())).collect();
        let node = NodeInfo {
            name: "node-1".to_owned(),
            cluster_cidr: Prefix::parse("10.244.0.0/16"),
            addresses: vec![NODE.parse().unwrap()],
            ..NodeInfo::default()
        };
        let planned = plan(&services, &slices, &node);
        self.on_node(|| {
            let socket = Socket::open().unwrap();
            let steps = steps(before, &planned.ruleset);
            if let Err(error) = apply(&socket, TABLE, &steps) {
                panic!("{error}: {:?}", std::error::Error::source(&error));
            }
            conntrack::forget(&socket, |connection| stale::is_stale(connection, &planned.udp)).unwrap();
        });
        planned.ruleset
    }
}

pub(crate) struct Asking {
    socket: UdpSocket,
}

impl Asking {
    pub(crate) fn ask(&self, to: &str) -> io::Result<String> {
        self.socket.send_to(b"who", to)?;
        let mut buffer = [0; 64];
        let length = self.socket.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.run("node", &["nft", "list", "ruleset"]));
        }
        for name in ["a", "b", "client", "node"] {
            let _ = Command::new("ip").args(["netns", "del", &self.namespace(name)]).status();
        }
    }
}

fn enter(path: &str) {
    let namespace = std::fs::File::open(path).unwrap();
    nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
}

#[track_caller]
fn ip(args: &[&str]) -> String {
    let output = Command::new("ip").args(args).output().expect("iproute2's ip");
    assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
