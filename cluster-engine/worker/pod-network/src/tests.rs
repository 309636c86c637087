//! The network in real namespaces: a node made of a namespace, pods made of others, traffic between them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use nix::sched::{CloneFlags, setns, unshare};

use super::*;

/// Runs `work` on a thread with a network namespace of its own that looks like a node's.
fn in_node<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("the tests need root");
        work()
    });
    thread.join().unwrap()
}

/// A new network namespace; it lives as long as the file.
fn namespace() -> std::fs::File {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        std::fs::File::open("/proc/thread-self/ns/net").unwrap()
    });
    thread.join().unwrap()
}

/// Runs `work` inside `namespace`.
fn inside<T: Send>(namespace: &std::fs::File, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let handle = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        handle.join().unwrap()
    })
}

fn config(directory: &Path) -> Config {
    Config {
        bridge: "cni0".to_owned(),
        pod_cidr: "10.244.7.0/24".parse().unwrap(),
        cluster_cidr: Some("10.244.0.0/16".parse().unwrap()),
        service_cidr: Some("10.96.0.0/12".parse().unwrap()),
        node_ip: Ipv4Addr::LOCALHOST,
        state_dir: directory.to_owned(),
    }
}

/// Opens a listener in the pod that answers each connection with the address it came from.
fn echo(pod: &std::fs::File, port: u16) {
    let listener = inside(pod, || TcpListener::bind(("0.0.0.0", port)).unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let from = stream.peer_addr().unwrap().ip().to_string();
            stream.write_all(from.as_bytes()).unwrap();
        }
    });
}

fn ask(to: &str) -> std::io::Result<String> {
    let to: SocketAddr = to.parse().unwrap();
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn pods_reach_each_other_the_node_and_host_ports() {
    in_node(|| {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (namespace(), namespace());
        let lo = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap();
        assert!(lo.success());
        let network = PodNetwork::open(config(directory.path())).unwrap();
        let port = HostPort { protocol: Protocol::Tcp, host_ip: None, host_port: 8080, container_port: 80 };
        let a = network.attach_fd("aaaa", first.try_clone().unwrap().into(), &[port]).unwrap();
        let b = network.attach_fd("bbbb", second.try_clone().unwrap().into(), &[]).unwrap();
        assert_eq!(a.ip.to_string(), "10.244.7.2");
        assert_eq!(b.ip.to_string(), "10.244.7.3");
        echo(&first, 80);
        let asked = |from: &std::fs::File, to: &'static str| inside(from, move || ask(to));
        assert_eq!(asked(&second, "10.244.7.2:80").unwrap(), "10.244.7.3", "pod to pod keeps the source");
        assert_eq!(ask("10.244.7.2:80").unwrap(), "10.244.7.1", "node to pod");
        assert_eq!(asked(&second, "10.244.7.1:8080").unwrap(), "10.244.7.3", "pod to host port");
        assert_eq!(asked(&first, "10.244.7.1:8080").unwrap(), "10.244.7.1", "pod to its own host port");
        assert_eq!(ask("127.0.0.1:8080").unwrap(), "10.244.7.1", "node to host port by loopback");
        network.detach("aaaa");
        assert!(ask("127.0.0.1:8080").is_err(), "the host port is gone with the pod");
        assert!(link::index_of("vethaaaa").is_err());
        network.detach("aaaa");
        // A second start over what the first left.
        let network = PodNetwork::open(config(directory.path())).unwrap();
        network.retain(&[]);
        assert!(link::index_of("vethbbbb").is_err());
    });
}

#[test]
fn a_failed_attach_leaves_nothing() {
    in_node(|| {
        let directory = tempfile::tempdir().unwrap();
        let network = PodNetwork::open(config(directory.path())).unwrap();
        let not_a_namespace = std::fs::File::open("/dev/null").unwrap();
        network.attach_fd("cccc", not_a_namespace.into(), &[]).unwrap_err();
        assert!(network.lock().addresses.holders().is_empty());
        assert!(link::index_of("vethcccc").is_err());
    });
}

#[test]
fn routes_to_peers_follow_the_list() {
    in_node(|| {
        let directory = tempfile::tempdir().unwrap();
        let network = PodNetwork::open(config(directory.path())).unwrap();
        let peer = |pods: &str, via: &str| PeerRoute { pods: pods.parse().unwrap(), via: via.parse().unwrap() };
        // The bridge's network stands in for the one between nodes.
        let (one, two) = (peer("10.244.1.0/24", "10.244.7.11"), peer("10.244.2.0/24", "10.244.7.12"));
        let moved = peer("10.244.1.0/24", "10.244.7.13");
        let routes = || {
            let table = std::fs::read_to_string("/proc/thread-self/net/route").unwrap();
            let ours = table.lines().filter_map(|line| {
                let columns: Vec<_> = line.split_whitespace().collect();
                columns[1].ends_with("F40A").then(|| format!("{} {}", columns[1], columns[2]))
            });
            let mut ours: Vec<_> = ours.filter(|line| !line.ends_with("00000000")).collect();
            ours.sort();
            ours
        };
        network.sync_peers(vec![two, one]).unwrap();
        assert_eq!(routes(), ["0001F40A 0B07F40A", "0002F40A 0C07F40A"]);
        network.sync_peers(vec![moved]).unwrap();
        assert_eq!(routes(), ["0001F40A 0D07F40A"]);
        network.sync_peers(Vec::new()).unwrap();
        assert!(routes().is_empty());
    });
}
