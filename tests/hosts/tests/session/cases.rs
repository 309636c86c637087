//! The cases. Each gets a fresh host; what it leaves behind is counted afterwards.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use drydock_engine::host::{HostError, NodeLimits, NodeState, Terminal};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::docker;
use crate::lab::{Kind, Lab, SESSION, wait_for};

pub(crate) type Case = for<'a> fn(&'a Lab<'a>) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

macro_rules! cases {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), |lab| Box::pin($name(lab)))),*] };
}

pub(crate) const ALL: &[(&str, Case)] = cases![
    life_of_a_session,
    nodes_are_confined,
    counted_for_the_session,
    nodes_reach_each_other,
    gateway_and_dial,
    switched_off_and_on,
    removed_and_made_anew,
    frozen,
    asleep,
    a_node_that_dies_is_started_again,
    a_killed_supervisor_comes_back,
    terminals,
    found_again,
    floods,
    commands,
    files_are_read_inside_only,
    limits,
    disks,
    several_sessions,
];

async fn life_of_a_session(lab: &Lab<'_>) {
    lab.host.preflight().await.unwrap();
    let start = Instant::now();
    let session = lab.session().await;
    println!("a session in {:?}", start.elapsed());
    assert!(session.endpoint.ip().is_loopback() && session.endpoint.port() != 0 && session.note == "a note");
    assert!(matches!(lab.host.create_session(&Lab::spec(SESSION)).await, Err(HostError::Exists { .. })));
    let start = Instant::now();
    lab.host.create_node(SESSION, &Lab::node(2, "")).await.unwrap();
    println!("a node in {:?}", start.elapsed());
    lab.host.create_node(SESSION, &Lab::workstation()).await.unwrap();
    assert!(matches!(lab.host.create_node(SESSION, &Lab::node(2, "")).await, Err(HostError::Exists { .. })));
    let listed = lab.host.list_sessions().await.unwrap();
    let nodes: Vec<_> =
        listed[0].nodes.iter().map(|node| (node.name.as_str(), node.ip.octets()[3], node.state)).collect();
    assert_eq!(nodes, [("node-2", 2, NodeState::Running), ("workstation", 250, NodeState::Running)]);
    assert_eq!(
        lab.run("node-2", "cat /etc/kubernetes/secret; /bin/busybox hostname; echo $NODE; /bin/busybox id -u").await,
        "writtennode-2\n2\n0"
    );
    assert_eq!(
        lab.run("workstation", "cat /root/.kube/config; hostname; pwd; id -u").await,
        "kubeconfigworkstation\n/root\n0"
    );
    assert!(matches!(lab.host.start_node(SESSION, "ghost").await, Err(HostError::NoNode { .. })));
    assert!(matches!(lab.host.session("ghost").await, Err(HostError::NoSession { .. })));
    assert!(matches!(lab.host.session("../session-test").await, Err(HostError::NoSession { .. })));
    let usage = lab.host.usage(SESSION).await.unwrap();
    for node in &usage {
        println!("{}: {} kB, {} processes", node.node, node.memory_bytes / 1024, node.pids);
        assert!(node.memory_bytes > 0 && node.pids > 0, "{node:?}");
    }
    lab.host.remove_node(SESSION, "ghost").await.unwrap();
    lab.host.remove_session("ghost").await.unwrap();
    lab.host.remove_session(SESSION).await.unwrap();
    assert!(lab.host.list_sessions().await.unwrap().is_empty());
}

async fn nodes_are_confined(lab: &Lab<'_>) {
    lab.session().await;
    lab.host.create_node(SESSION, &Lab::node(2, "")).await.unwrap();
    lab.host.create_node(SESSION, &Lab::workstation()).await.unwrap();
    assert_eq!(lab.run("node-2", "cat /proc/self/uid_map").await.split_whitespace().last(), Some("131072"));
    // Root of a node is nobody outside: it can neither change the kernel's settings nor read its memory.
    let refused = "echo 1 > /proc/sys/kernel/panic; cat /proc/kcore; /bin/busybox mknod /tmp/sda b 8 0; echo 0 > /sys/kernel/mm/ksm/run; echo x > /var/lib/images/index.json; echo x > /usr/local/bin/drydock-node; echo x > /bin/busybox";
    for command in refused.split("; ") {
        assert_ne!(
            lab.run("node-2", &format!("{{ {command}; }} >/dev/null 2>&1 && echo allowed; echo asked")).await,
            "allowed\nasked",
            "{command}"
        );
    }
    // The images, once for the node's root, once for pods'.
    let owners = "for dir in images images-pods; do /bin/busybox stat -c %u /var/lib/$dir/layers/*/usr/local/bin/drydock-node; done";
    assert_eq!(lab.run("node-2", owners).await, "0\n65536");
    let shell = "grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status";
    assert_eq!(lab.run("workstation", shell).await, "CapBnd:\t00000000a80425fb\nNoNewPrivs:\t1\nSeccomp:\t2");
    let links = "ls /sys/class/net";
    assert_eq!(lab.run("workstation", links).await, "eth0\nlo");
    if lab.bench.kind == Kind::Docker {
        docker::check_rights().await;
    }
}

/// What the kernel counts for users counts for the session and not for the machine's root: signals that wait stand for all of it.
async fn counted_for_the_session(lab: &Lab<'_>) {
    const SIGNALS: u64 = 200;
    lab.session().await;
    lab.host.create_node(SESSION, &Lab::node(2, "")).await.unwrap();
    lab.host.create_node(SESSION, &Lab::workstation()).await.unwrap();
    let waiting = |status: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix("SigQ:")).expect("the kernel counts signals");
        line.trim().split('/').next().and_then(|count| count.parse().ok()).expect("a number")
    };
    let of_root = || waiting(&std::fs::read_to_string("/proc/self/status").unwrap());
    let before = of_root();
    for (node, busybox) in [("node-2", "/bin/busybox "), ("workstation", "")] {
        // Only what has stopped leaves them waiting.
        let script = format!(
            "{busybox}sleep 1000 >/dev/null 2>&1 & kill -STOP $!; until grep -q 'State:.T' /proc/$!/status; do :; done; \
             for i in $({busybox}seq {SIGNALS}); do kill -40 $!; done; grep SigQ: /proc/$!/status"
        );
        let inside = lab.run(node, &script).await;
        assert!(waiting(&inside) >= SIGNALS, "{node}: {inside}");
    }
    let after = of_root();
    assert!(after < before + SIGNALS, "signals of the machine's root: {before} before, {after} now");
}

async fn nodes_reach_each_other(lab: &Lab<'_>) {
    lab.session().await;
    for number in [2, 3] {
        lab.host.create_node(SESSION, &Lab::node(number, "")).await.unwrap();
    }
    let ping = "/bin/busybox ping -c 1 -W 1 10.20.0.3 >/dev/null && echo reached";
    wait_for("the cable", || lab.run("node-2", ping), |text| text == "reached").await;
    assert_eq!(lab.run("node-2", "/bin/busybox ip route | grep -c 'default via 10.20.0.1'; /bin/busybox ip addr show lo | grep -c 'inet 127.0.0.1'").await, "1\n1");
    lab.host.detach_node(SESSION, "node-3").await.unwrap();
    assert_ne!(lab.run("node-2", ping).await, "reached");
    // Still cut off after it was switched off and on.
    lab.host.stop_node(SESSION, "node-3", Duration::ZERO).await.unwrap();
    lab.host.start_node(SESSION, "node-3").await.unwrap();
    assert_ne!(lab.run("node-2", ping).await, "reached");
    lab.host.attach_node(SESSION, "node-3").await.unwrap();
    wait_for("the cable", || lab.run("node-2", ping), |text| text == "reached").await;
    // Nothing but the session is out there: not even the machine itself.
    assert_ne!(lab.run("node-2", "/bin/busybox ping -c 1 -W 1 192.0.2.1 >/dev/null && echo reached").await, "reached");
}

async fn gateway_and_dial(lab: &Lab<'_>) {
    let session = lab.session().await;
    let mut server = Lab::node(2, "");
    server.argv[3] = "while :; do echo answer | /bin/busybox nc -l -p 6443; done".to_owned();
    lab.host.create_node(SESSION, &server).await.unwrap();
    let read = |endpoint| async move {
        let mut text = String::new();
        let Ok(mut stream) = tokio::net::TcpStream::connect(endpoint).await else { return text };
        let _ = stream.shutdown().await;
        let _ = stream.read_to_string(&mut text).await;
        text
    };
    wait_for("the gateway", || read(session.endpoint), |text| text == "answer\n").await;
    let dialled = || async {
        let mut text = String::new();
        if let Ok(mut stream) = lab.host.dial(SESSION, ([10, 20, 0, 2], 6443).into()).await {
            let _ = stream.shutdown().await;
            let _ = stream.read_to_string(&mut text).await;
        }
        text
    };
    wait_for("dial", dialled, |text| text == "answer\n").await;
    let Err(error) = lab.host.dial(SESSION, ([10, 20, 0, 2], 1).into()).await else { panic!("nobody listens there") };
    assert!(
        error.to_string().contains("10.20.0.2:1")
            || matches!(&error, HostError::Failed { reason, .. } if reason.contains("10.20.0.2:1")),
        "{error:?}"
    );
    // A node's localhost is the node's own.
    let local = ([127, 0, 0, 1], 6443).into();
    let from_node = || async {
        let mut text = String::new();
        if let Ok(mut stream) = lab.host.dial_from(SESSION, "node-2", local).await {
            let _ = stream.shutdown().await;
            let _ = stream.read_to_string(&mut text).await;
        }
        text
    };
    wait_for("dial from a node", from_node, |text| text == "answer\n").await;
    assert!(lab.host.dial(SESSION, local).await.is_err(), "the session's network has no such listener");
    let Err(error) = lab.host.dial_from(SESSION, "node-9", local).await else { panic!("there is no such node") };
    assert!(matches!(error, HostError::NoNode { .. }), "{error:?}");
    lab.host.stop_node(SESSION, "node-2", Duration::ZERO).await.unwrap();
    assert!(lab.host.dial_from(SESSION, "node-2", local).await.is_err(), "the node is off");
}

async fn switched_off_and_on(lab: &Lab<'_>) {
    lab.session().await;
    let script = "trap '/bin/busybox touch /var/log/goodbye; exit 0' TERM; echo started >> /var/log/starts; while :; do /bin/busybox sleep 0.05; done";
    lab.host.create_node(SESSION, &Lab::node(2, script)).await.unwrap();
    wait_for("the first start", || lab.run("node-2", "cat /var/log/starts"), |text| text == "started").await;
    let start = Instant::now();
    lab.host.stop_node(SESSION, "node-2", Duration::from_secs(15)).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(10), "it goes by itself when asked");
    lab.host.stop_node(SESSION, "node-2", Duration::ZERO).await.unwrap();
    assert_eq!(lab.host.session(SESSION).await.unwrap().nodes[0].state, NodeState::Stopped);
    let Err(error) = lab.host.exec(SESSION, "node-2", &["true".to_owned()]).await else { panic!("it is off") };
    assert!(matches!(&error, HostError::Failed { reason, .. } if reason.contains("not running")), "{error:?}");
    lab.host.start_node(SESSION, "node-2").await.unwrap();
    lab.host.start_node(SESSION, "node-2").await.unwrap();
    let both = wait_for(
        "the second start",
        || lab.run("node-2", "cat /var/log/starts; ls /var/log"),
        |text| text.contains("started\nstarted"),
    )
    .await;
    assert!(both.contains("goodbye"), "its disk is the old one: {both}");
}

async fn removed_and_made_anew(lab: &Lab<'_>) {
    lab.session().await;
    for number in [2, 3, 4] {
        lab.host.create_node(SESSION, &Lab::node(number, "")).await.unwrap();
    }
    lab.run("node-3", "echo old > /etc/mark").await;
    lab.host.remove_node(SESSION, "node-3").await.unwrap();
    for number in [5, 3] {
        lab.host.create_node(SESSION, &Lab::node(number, "")).await.unwrap();
    }
    assert_eq!(lab.run("node-3", "cat /etc/mark 2>/dev/null || echo new").await, "new");
    for number in [2, 3, 4] {
        let ping = format!("/bin/busybox ping -c 1 -W 1 10.20.0.{number} >/dev/null && echo reached");
        wait_for("the cable", || lab.run("node-5", &ping), |text| text == "reached").await;
    }
}

async fn frozen(lab: &Lab<'_>) {
    lab.session().await;
    lab.host
        .create_node(SESSION, &Lab::node(2, "(while :; do echo . >> /var/log/ticks; /bin/busybox sleep 0.01; done) &"))
        .await
        .unwrap();
    lab.host.create_node(SESSION, &Lab::node(3, "")).await.unwrap();
    let ticks = || async {
        lab.host.read_file(SESSION, "node-2", "/var/log/ticks", 0, 1 << 20).await.map_or(0, |bytes| bytes.len())
    };
    wait_for("ticks", ticks, |count| *count > 4).await;
    lab.host.pause_node(SESSION, "node-2").await.unwrap();
    let paused = ticks().await;
    assert_eq!(lab.host.session(SESSION).await.unwrap().nodes[0].state, NodeState::Paused);
    lab.run("node-3", "/bin/busybox sleep 0.2").await;
    assert_eq!(ticks().await, paused);
    lab.host.resume_node(SESSION, "node-2").await.unwrap();
    wait_for("ticks after the pause", ticks, |count| *count > paused + 2).await;
    // A frozen node can be switched off.
    lab.host.pause_node(SESSION, "node-2").await.unwrap();
    lab.host.stop_node(SESSION, "node-2", Duration::from_secs(1)).await.unwrap();
    lab.host.start_node(SESSION, "node-2").await.unwrap();
    lab.host.pause_node(SESSION, "node-3").await.unwrap();
}

async fn asleep(lab: &Lab<'_>) {
    lab.session().await;
    let tick = "(while :; do echo . >> /var/log/ticks; /bin/busybox sleep 0.01; done) &";
    for number in [2, 3, 4] {
        lab.host.create_node(SESSION, &Lab::node(number, tick)).await.unwrap();
    }
    let ticks = |node: &'static str| async move {
        lab.host.read_file(SESSION, node, "/var/log/ticks", 0, 1 << 20).await.map_or(0, |bytes| bytes.len())
    };
    for node in ["node-2", "node-3", "node-4"] {
        wait_for("ticks", || ticks(node), |count| *count > 4).await;
    }
    lab.host.pause_node(SESSION, "node-4").await.unwrap();
    let paused = ticks("node-4").await;
    // Both can be said twice.
    for _ in 0..2 {
        lab.host.freeze_session(SESSION, true).await.unwrap();
    }
    let states = lab.host.session(SESSION).await.unwrap().nodes.len();
    assert_eq!(states, 3, "a session that sleeps can be described");
    let refused = lab.host.exec(SESSION, "node-2", &["/bin/busybox".to_owned(), "true".to_owned()]).await;
    assert!(refused.unwrap_err().to_string().contains("asleep"));
    for _ in 0..2 {
        lab.host.freeze_session(SESSION, false).await.unwrap();
    }
    for node in ["node-2", "node-3"] {
        let before = ticks(node).await;
        wait_for("ticks after sleep", || ticks(node), |count| *count > before + 2).await;
    }
    assert_eq!(ticks("node-4").await, paused, "who was frozen by itself still is");
    // What sleeps can be ended: the end of the case does.
    lab.host.freeze_session(SESSION, true).await.unwrap();
}

async fn a_node_that_dies_is_started_again(lab: &Lab<'_>) {
    lab.session().await;
    let mut node = Lab::node(2, "");
    node.argv[3] = "echo started >> /var/log/starts; test -e /var/log/again && exec /bin/busybox sleep 1000; /bin/busybox touch /var/log/again; (/bin/busybox sleep 1000 &); /bin/busybox sleep 0.1".to_owned();
    lab.host.create_node(SESSION, &node).await.unwrap();
    let starts = || async {
        lab.host.read_file(SESSION, "node-2", "/var/log/starts", 0, 100).await.map_or(0, |bytes| bytes.len() / 8)
    };
    wait_for("the second start", starts, |count| *count == 2).await;
    assert_eq!(
        lab.run("node-2", "/bin/busybox ps | grep -c '[s]leep 1000'").await,
        "1",
        "nothing of the first life is left"
    );
}

/// Signals all supervisors of the session.
fn signal(lab: &Lab<'_>, signal: Signal) -> Vec<i32> {
    let pids = lab.supervisors(SESSION);
    for pid in &pids {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), signal).unwrap();
    }
    pids
}

async fn a_killed_supervisor_comes_back(lab: &Lab<'_>) {
    let before = lab.session().await;
    for number in [2, 3] {
        lab.host.create_node(SESSION, &Lab::node(number, "")).await.unwrap();
    }
    lab.host.stop_node(SESSION, "node-3", Duration::ZERO).await.unwrap();
    lab.run("node-2", "echo kept > /var/log/mark").await;
    signal(lab, Signal::SIGKILL);
    let sessions = wait_for(
        "the session",
        || lab.host.list_sessions(),
        |sessions| matches!(sessions, Ok(list) if list.len() == 1),
    )
    .await
    .unwrap();
    let states: Vec<_> = sessions[0].nodes.iter().map(|node| node.state).collect();
    assert_eq!((sessions[0].endpoint, states), (before.endpoint, vec![NodeState::Running, NodeState::Stopped]));
    assert_eq!(lab.run("node-2", "cat /var/log/mark").await, "kept");
    // Killed and never started again: removing the session sweeps what it left.
    signal(lab, Signal::SIGKILL);
    lab.host.remove_session(SESSION).await.unwrap();
    // And one that does not react is not waited for.
    lab.session().await;
    lab.host.create_node(SESSION, &Lab::node(2, "")).await.unwrap();
    // In Docker that would be asking the node to end, which takes as long as the node wants.
    let pids = signal(lab, if lab.bench.kind == Kind::Docker { Signal::SIGKILL } else { Signal::SIGTERM });
    let gone = |pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    wait_for("their end", || async { pids.iter().copied().all(gone) }, |gone| *gone).await;
    lab.host.remove_session(SESSION).await.unwrap();
}

async fn until(terminal: &mut Terminal, wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        match tokio::time::timeout(Duration::from_secs(20), terminal.output.recv()).await {
            Ok(Some(bytes)) => text.push_str(&String::from_utf8_lossy(&bytes)),
            end => panic!("{wanted:?} never came ({end:?}), only {text:?}"),
        }
    }
    text
}

async fn terminals(lab: &Lab<'_>) {
    lab.session().await;
    lab.host.create_node(SESSION, &Lab::workstation()).await.unwrap();
    let spec = Lab::shell(
        "one",
        "echo hello; while read line; do echo got $line; stty size; test $line = bye && exit 7; done",
    );
    let mut terminal = lab.host.terminal(SESSION, "workstation", &spec).await.unwrap();
    until(&mut terminal, "hello").await;
    terminal.input.send(b"first\n".to_vec()).await.unwrap();
    until(&mut terminal, "24 80").await;
    drop(terminal);
    // Attached again, twice: what was said before comes first, then both see the same.
    let mut one = lab.host.terminal(SESSION, "workstation", &spec).await.unwrap();
    let replay = until(&mut one, "24 80").await;
    assert!(replay.starts_with("hello\r\n") && replay.contains("got first"), "{replay:?}");
    let mut two = lab.host.terminal(SESSION, "workstation", &spec).await.unwrap();
    until(&mut two, "24 80").await;
    one.resize.send((101, 33)).unwrap();
    two.input.send(b"second\n".to_vec()).await.unwrap();
    until(&mut one, "got second").await;
    until(&mut two, "got second").await;
    one.input.send(b"again\n".to_vec()).await.unwrap();
    until(&mut one, "33 101").await;
    one.input.send(b"bye\n".to_vec()).await.unwrap();
    one.exit.wait_for(|code| *code == Some(7)).await.unwrap();
    two.exit.wait_for(|code| *code == Some(7)).await.unwrap();
    // The id is free again; a background process does not keep a terminal whose shell is gone.
    let spec = Lab::shell("one", "trap '' HUP; sleep 1000 & echo new; exit 3");
    let mut again = lab.host.terminal(SESSION, "workstation", &spec).await.unwrap();
    until(&mut again, "new").await;
    let code =
        tokio::time::timeout(Duration::from_secs(10), again.exit.wait_for(Option::is_some)).await.unwrap().unwrap();
    assert_eq!(*code, Some(3));
    drop(code);
    let mut closed = lab
        .host
        .terminal(SESSION, "workstation", &Lab::shell("two", "trap '' HUP; echo up; sleep 1000"))
        .await
        .unwrap();
    until(&mut closed, "up").await;
    lab.host.close_terminal(SESSION, "two").await.unwrap();
    closed.exit.wait_for(Option::is_some).await.unwrap();
    lab.host.close_terminal(SESSION, "two").await.unwrap();
}

/// A server that was started again knows nothing but what the host itself kept.
async fn found_again(lab: &Lab<'_>) {
    let before = lab.session().await;
    lab.host.create_node(SESSION, &Lab::workstation()).await.unwrap();
    lab.host.create_node(SESSION, &Lab::node(2, "")).await.unwrap();
    lab.host.pause_node(SESSION, "node-2").await.unwrap();
    let spec = Lab::shell("one", "echo hello; while read line; do echo got $line; done");
    let mut terminal = lab.host.terminal(SESSION, "workstation", &spec).await.unwrap();
    until(&mut terminal, "hello").await;
    let again = lab.bench.lab();
    let found = again.host.list_sessions().await.unwrap();
    let nodes: Vec<_> = found[0].nodes.iter().map(|node| (node.name.as_str(), node.state)).collect();
    assert_eq!((found.len(), found[0].endpoint, found[0].note.as_str()), (1, before.endpoint, "a note"));
    assert_eq!(nodes, [("workstation", NodeState::Running), ("node-2", NodeState::Paused)]);
    drop(terminal);
    let mut terminal = again.host.terminal(SESSION, "workstation", &spec).await.unwrap();
    until(&mut terminal, "hello").await;
    terminal.input.send(b"still here\n".to_vec()).await.unwrap();
    until(&mut terminal, "got still here").await;
}

/// A flood that nobody reads costs neither memory nor the others' time.
async fn floods(lab: &Lab<'_>) {
    lab.session().await;
    lab.host.create_node(SESSION, &Lab::workstation()).await.unwrap();
    let flood = lab.host.terminal(SESSION, "workstation", &Lab::shell("flood", "seq 1 100000000")).await.unwrap();
    let mut calm = lab
        .host
        .terminal(SESSION, "workstation", &Lab::shell("calm", "while read line; do echo got $line; done"))
        .await
        .unwrap();
    for number in 0..20 {
        let start = Instant::now();
        calm.input.send(format!("{number}\n").into_bytes()).await.unwrap();
        until(&mut calm, &format!("got {number}")).await;
        assert!(start.elapsed() < Duration::from_secs(2));
    }
    let usage = lab.host.usage(SESSION).await.unwrap();
    let supervisor = usage.iter().find(|usage| usage.node == "supervisor").unwrap();
    assert!(supervisor.memory_bytes < 64 << 20, "{supervisor:?}");
    drop(flood);
    lab.host.close_terminal(SESSION, "flood").await.unwrap();
}

async fn commands(lab: &Lab<'_>) {
    lab.session().await;
    lab.host.create_node(SESSION, &Lab::workstation()).await.unwrap();
    let exec = |script: &str| {
        let argv = ["sh", "-c", script].map(str::to_owned);
        async move { lab.host.exec(SESSION, "workstation", &argv).await.unwrap() }
    };
    let output = exec("echo out; echo err >&2; exit 4").await;
    assert_eq!(
        (output.code, output.stdout.as_slice(), output.stderr.as_slice()),
        (4, b"out\n".as_slice(), b"err\n".as_slice())
    );
    // More than is kept; and a process that stays behind with the pipe open.
    let output = tokio::time::timeout(Duration::from_secs(20), exec("head -c 3000000 /dev/zero; sleep 1000 & exit 0"))
        .await
        .unwrap();
    assert_eq!((output.code, output.stdout.len()), (0, 1 << 20));
    assert_eq!(exec("kill -9 $$").await.code, 137);
    let Err(error) = lab.host.exec(SESSION, "workstation", &["no-such".to_owned()]).await else {
        panic!("there is none")
    };
    assert!(
        matches!(&error, HostError::Failed { reason, .. } if reason.contains("executable file not found in $PATH")),
        "{error:?}"
    );
}

async fn files_are_read_inside_only(lab: &Lab<'_>) {
    lab.session().await;
    lab.host.create_node(SESSION, &Lab::node(2, "")).await.unwrap();
    lab.run(
        "node-2",
        "cd /var/log; printf 0123456789 > file; /bin/busybox ln -s /etc/shadow outside; /bin/busybox ln -s ../../../../../../../../etc/shadow up; /bin/busybox ln -s /var/log/file inside; /bin/busybox mkfifo pipe; /bin/busybox mkdir dir; /bin/busybox ln -s /proc/1/environ proc",
    )
    .await;
    let read = |path: &'static str, offset, limit| lab.host.read_file(SESSION, "node-2", path, offset, limit);
    assert_eq!(read("/var/log/file", 0, 100).await.unwrap(), b"0123456789");
    assert_eq!(read("/var/log/file", 4, 3).await.unwrap(), b"456");
    assert_eq!(read("/var/log/file", 10, 3).await.unwrap(), b"");
    assert_eq!(read("/var/log/file", 1 << 40, 3).await.unwrap(), b"");
    assert_eq!(read("/var/log/inside", 0, 2).await.unwrap(), b"01");
    for path in [
        "/var/log/outside",
        "/var/log/up",
        "/var/log/pipe",
        "/var/log/dir",
        "/var/log/proc",
        "/none",
        "../../../../etc/shadow",
    ] {
        assert!(read(path, 0, 10).await.is_err(), "{path}");
    }
}

async fn limits(lab: &Lab<'_>) {
    lab.session().await;
    let limits = NodeLimits { memory_bytes: Some(64 << 20), cpu_millis: Some(500), pids: Some(40), disk_bytes: None };
    let node = drydock_engine::host::NodeSpec { limits, ..Lab::node(2, "") };
    lab.host.create_node(SESSION, &node).await.unwrap();
    let groups = drydock_container_runtime::cgroup::Hierarchy::detect().unwrap();
    if lab.bench.kind == Kind::Embedded {
        // The session as a whole is bounded, too.
        let folder = lab.bench.data.path().join("sessions").join(SESSION);
        let group = groups.group(drydock_supervisor::protocol::group(&folder).unwrap());
        let bound = group.directories().map(|it| it.join("pids.max")).find(|it| it.exists()).expect("a limit");
        assert_eq!(std::fs::read_to_string(bound).unwrap().trim(), "500");
    }
    if !groups.unified {
        assert_eq!(lab.run("node-2", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us").await, "67108864\n40\n50000");
        // A node may divide what it has, and not change how much that is.
        let own = "/bin/busybox mkdir /sys/fs/cgroup/memory/pod && echo 1000000 > /sys/fs/cgroup/memory/pod/memory.limit_in_bytes && echo divided; echo 1000000000 2>/dev/null > /sys/fs/cgroup/memory/memory.limit_in_bytes || echo refused";
        assert_eq!(lab.run("node-2", own).await, "divided\nrefused");
    }
    let bomb = lab
        .run("node-2", "i=0; while test $i -lt 100; do /bin/busybox sleep 5 & i=$((i+1)); done 2>&1 | head -c 300")
        .await;
    assert!(bomb.contains("fork"), "{bomb}");
}

async fn disks(lab: &Lab<'_>) {
    // Docker gives its containers no loop devices: nothing bounds a node's disk there, as docs/SECURITY.md says.
    if lab.bench.kind == Kind::Docker {
        return;
    }
    lab.session().await;
    let limits = NodeLimits { disk_bytes: Some(64 << 20), ..NodeLimits::default() };
    for number in [2, 3] {
        let node = drydock_engine::host::NodeSpec { limits, ..Lab::node(number, "") };
        lab.host.create_node(SESSION, &node).await.unwrap();
    }
    let fill = "/bin/busybox dd if=/dev/zero of=/var/full bs=1M 2>&1 | /bin/busybox grep -o 'No space left on device'";
    assert_eq!(lab.run("node-2", fill).await, "No space left on device");
    assert_eq!(lab.run("node-3", "echo kept > /var/mark && /bin/busybox cat /var/mark").await, "kept");
    // A node that is off keeps its disk, and so does one whose supervisor was killed; each disk is mounted once at most.
    lab.host.stop_node(SESSION, "node-3", Duration::ZERO).await.unwrap();
    lab.host.start_node(SESSION, "node-3").await.unwrap();
    assert_eq!(lab.run("node-3", "/bin/busybox cat /var/mark").await, "kept");
    for pid in lab.supervisors(SESSION) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
    wait_for("the session", || lab.host.session(SESSION), Result::is_ok).await.unwrap();
    assert_eq!(lab.run("node-3", "/bin/busybox cat /var/mark").await, "kept");
    assert_eq!(bound_loops(lab).len(), 2);
    lab.host.remove_node(SESSION, "node-2").await.unwrap();
    wait_for("one loop device", || async { bound_loops(lab) }, |bound| bound.len() == 1).await;
    lab.host.remove_session(SESSION).await.unwrap();
    wait_for("no loop device", || async { bound_loops(lab) }, Vec::is_empty).await;
}

/// Loop devices that hold a file of this host.
fn bound_loops(lab: &Lab<'_>) -> Vec<String> {
    let devices = std::fs::read_dir("/sys/block").unwrap().flatten();
    let files = devices.filter_map(|device| std::fs::read_to_string(device.path().join("loop/backing_file")).ok());
    files.filter(|file| file.contains(&lab.bench.data.path().display().to_string())).collect()
}

async fn several_sessions(lab: &Lab<'_>) {
    let (one, two) =
        tokio::join!(async { lab.host.create_session(&Lab::spec("session-test-one")).await.unwrap() }, async {
            lab.host.create_session(&Lab::spec("session-test-two")).await.unwrap()
        });
    assert_ne!(one.endpoint, two.endpoint);
    for session in ["session-test-one", "session-test-two"] {
        lab.host.create_node(session, &Lab::node(2, &format!("echo {session} > /etc/name"))).await.unwrap();
    }
    let argv = |script: &str| ["/bin/busybox", "sh", "-c", script].map(str::to_owned);
    let mut maps = Vec::new();
    for session in ["session-test-one", "session-test-two"] {
        let name = || async {
            String::from_utf8(lab.host.exec(session, "node-2", &argv("cat /etc/name")).await.unwrap().stdout).unwrap()
        };
        wait_for("the name", name, |name| name.trim() == session).await;
        maps.push(lab.host.exec(session, "node-2", &argv("cat /proc/self/uid_map")).await.unwrap().stdout);
    }
    assert_ne!(maps[0], maps[1], "sessions have ids of their own");
    lab.host.remove_session("session-test-one").await.unwrap();
    assert_eq!(lab.host.list_sessions().await.unwrap().len(), 1);
    assert_eq!(lab.host.exec("session-test-two", "node-2", &argv("echo alive")).await.unwrap().stdout, b"alive\n");
}
