//! Other processes and other networks: the machine's and another session's.

use std::io::Write;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Child, Command};

use drydock_tests_harness::{Follow, wait_for};

use crate::lab::{Lab, PLACES, Place, background, on_the_machine, run};

pub(crate) fn are_out_of_reach(lab: &Lab<'_>) {
    other_processes(lab);
    the_machines_ports(lab);
    the_other_session(lab);
    counters_of_users(lab);
}

fn other_processes(lab: &Lab<'_>) {
    let _canary = Canary::start("31536001");
    let bobs = lab.bob.kubectl_command("exec plain -- sleep 31536002");
    let _bobs = Follow::start(bobs);
    let list = "for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $file; echo; done 2>/dev/null; true";
    let seen_here =
        || String::from_utf8_lossy(&Command::new("sh").args(["-c", list]).output().expect("sh").stdout).into_owned();
    wait_for("both canaries on the machine", || {
        let seen = seen_here();
        if seen.contains("sleep 31536001") && seen.contains("sleep 31536002") { Ok(()) } else { Err(seen) }
    });
    for place in PLACES {
        let words: &[&str] = if place == Place::Node { &["busybox", "sh", "-c", list] } else { &["sh", "-c", list] };
        let seen = lab.run(place, words).ok();
        assert!(!seen.contains("3153600"), "{place:?}: {seen}");
        if matches!(place, Place::Worst | Place::Node) {
            assert!(seen.contains("kubelet") && !seen.contains("supervisor"), "{place:?} sees its node: {seen}");
        }
    }
}

struct Canary(Child);

impl Canary {
    fn start(seconds: &str) -> Canary {
        Canary(Command::new("sleep").arg(seconds).spawn().expect("sleep can be started"))
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn the_machines_ports(lab: &Lab<'_>) {
    let listener = TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0")).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"canary\n");
        }
    });
    let name = format!("drydock-canary-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let _listener = UnixListener::bind_addr(&address).expect("an abstract socket");
    assert_eq!(on_the_machine(&["connect", &format!("127.0.0.1:{port}")])[0].1, "connected canary");
    assert_eq!(on_the_machine(&["abstract", &name])[0].1, "connected");

    let own = Command::new("hostname").arg("-I").output().expect("hostname");
    let own = String::from_utf8_lossy(&own.stdout).into_owned();
    // The session's gateway, the machine itself under every name, Docker's bridge, clouds' metadata.
    let mut hosts: Vec<String> = own.split_whitespace().map(str::to_owned).collect();
    hosts.extend(["127.0.0.1", "::1", "10.20.0.1", "172.17.0.1", "::ffff:10.20.0.1"].map(str::to_owned));
    let address =
        |host: &String| if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut addresses: Vec<String> = hosts.iter().map(address).collect();
    let endpoint = lab.eve.kubectl("config view -o jsonpath={.clusters[0].cluster.server}").ok();
    let gateway = endpoint.rsplit(':').next().unwrap_or_default().to_owned();
    addresses.push(format!("127.0.0.1:{gateway}"));
    addresses.push(format!("10.20.0.1:{gateway}"));
    addresses.push("169.254.169.254:80".to_owned());
    let words: Vec<&str> = std::iter::once("connect").chain(addresses.iter().map(String::as_str)).collect();
    lab.everywhere(&words, |_, _, outcome| !outcome.starts_with("connected"));
    lab.everywhere(&["abstract", &name], |_, _, outcome| outcome != "connected");
    // Nothing at all listens on the session's bridge.
    assert_eq!(lab.run(Place::Node, &["/tmp/probe", "scan", "10.20.0.1"]).ok(), "scanned\n");
    assert!(lab.run(Place::Node, &["/tmp/probe", "scan", "127.0.0.1"]).ok().contains("10250: open"));
}

/// Both sessions use the same addresses; what bob listens on, eve does not find behind any of them.
fn the_other_session(lab: &Lab<'_>) {
    let serve = "while true; do echo bobs | nc -l -N 7777; done";
    let mut command = lab.bob.kubectl_command("exec worst -- sh -c");
    command.arg(serve);
    let _bobs = Follow::start(command);
    let pod = lab.bob.kubectl("get pod plain -o jsonpath={.status.podIP}").ok();
    wait_for("bob's own connection", || {
        let seen = run(&lab.bob, Place::Workstation, &["/tmp/probe", "connect", "10.20.0.3:7777"]).stdout;
        if seen.contains("connected bobs") { Ok(()) } else { Err(seen) }
    });
    let addresses: Vec<String> = ["10.20.0.1", "10.20.0.2", "10.20.0.3", "10.20.0.250", &pod]
        .iter()
        .map(|host| format!("{host}:7777"))
        .collect();
    let words: Vec<&str> = std::iter::once("connect").chain(addresses.iter().map(String::as_str)).collect();
    lab.everywhere(&words, |_, _, outcome| !outcome.starts_with("connected"));
    // Another's credentials are nobody's here: both clusters have the same names and addresses.
    lab.eve.kubectl("create configmap whose --from-literal=who=eve").ok();
    assert!(lab.bob.kubectl("get configmap whose").failed().contains("NotFound"));
}

/// What the kernel counts for a user is counted for each session alone: inotify instances stand for all of it.
fn counters_of_users(lab: &Lab<'_>) {
    let holds: Vec<Follow> = [Place::Worst, Place::Privileged]
        .into_iter()
        .map(|place| {
            let hold = Follow::start(background(lab.product, &lab.eve, place, &["inotify", "600"]));
            hold.wait("all instances to be taken", |seen| seen.contains("EMFILE"));
            hold
        })
        .collect();
    let seen: Vec<String> = holds.iter().map(Follow::seen).collect();
    let root = on_the_machine(&["inotify", "0"]);
    let taken = |outcome: &str| outcome.split(' ').next().and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
    assert!(taken(&root[0].1) > 10, "the machine's root has its own: {root:?}, eve: {seen:?}");
    let bobs = run(&lab.bob, Place::Plain, &["/tmp/probe", "inotify", "0"]).ok();
    assert!(taken(bobs.trim().trim_start_matches("taken: ")) > 10, "{bobs}");
}
