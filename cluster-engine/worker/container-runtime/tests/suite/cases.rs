//! The cases. Each gets a fresh runtime and directory.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use drydock_container_runtime::cgroup::Hierarchy;
use drydock_container_runtime::{
    ContainerConfig, ContainerRuntime, Error, ExecConfig, Limits, Mount, Propagation, RootFs, SandboxConfig, Security,
    UserSpec,
};

use crate::pod::{Bench, Outcome, exec, own};

type Case = fn(&Bench);

pub(crate) const ALL: &[(&str, Case)] = &[
    ("output-and-exit-code", output_and_exit_code),
    ("identity", identity),
    ("commands-that-cannot-run", commands_that_cannot_run),
    ("namespaces-of-a-pod", namespaces_of_a_pod),
    ("shared-memory-of-a-pod", shared_memory_of_a_pod),
    ("shared-processes", shared_processes),
    ("terminal", terminal),
    ("standard-input", standard_input),
    ("exec-joins", exec_joins),
    ("kill", kill),
    ("memory-limit", memory_limit),
    ("process-limit", process_limit),
    ("bind-mounts", bind_mounts),
    ("hostile-root", hostile_root),
    ("confinement", confinement),
    ("privileged", privileged),
    ("read-only-root", read_only_root),
    ("many-layers", many_layers),
    ("node-pod", node_pod),
    ("nothing-left", nothing_left),
    ("speed", speed),
];

#[track_caller]
fn says(outcome: &Outcome, expected: &str) {
    assert_eq!((outcome.exit.code, outcome.stdout.trim_end()), (0, expected), "{outcome:?}");
}

#[track_caller]
fn check(bench: &Bench, sandbox: &str, config: &ContainerConfig, expected: &str) {
    says(&bench.run(sandbox, config), expected);
}

fn output_and_exit_code(bench: &Bench) {
    let pod = bench.run_sandbox("p");
    let outcome = bench.run(&pod, &bench.container("echo out; echo err >&2; exit 7"));
    assert_eq!((outcome.exit.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (7, "out\n", "err\n"));
    assert!(!outcome.exit.oom_killed && outcome.exit.signal.is_none());
    let outcome = bench.run(&pod, &bench.container("kill -9 $$; sleep 9 & kill -SEGV $!; wait $!; exit $?"));
    assert_eq!(outcome.exit.code, 139, "PID 1 cannot kill itself, and a shell counts signals from 128");
}

fn identity(bench: &Bench) {
    let pod = bench.run_sandbox("p");
    let what = "id -u; id -g; id -G; echo $HOME $PATH; pwd; hostname; echo $HOSTNAME; echo $$";
    check(
        bench,
        &pod,
        &bench.container(what),
        "0\n0\n0\n/root /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n/\nthe-pod\nthe-pod\n1",
    );
    let user = UserSpec { image_user: "user".to_owned(), supplemental_groups: vec![3000], ..UserSpec::default() };
    let config = ContainerConfig {
        user,
        cwd: "/made/for/this".to_owned(),
        env: vec![("PATH".to_owned(), "/bin".to_owned())],
        ..bench.container(what)
    };
    check(bench, &pod, &config, "1000\n1000\n1000 2000 3000\n/home/user /bin\n/made/for/this\nthe-pod\nthe-pod\n1");
    let caps = "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp:' /proc/self/status";
    check(
        bench,
        &pod,
        &bench.container(caps),
        "CapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t2",
    );
    let security =
        Security { drop_capabilities: vec!["ALL".to_owned()], no_new_privileges: true, ..Security::default() };
    let user = UserSpec { uid: Some(5), ..UserSpec::default() };
    check(
        bench,
        &pod,
        &ContainerConfig { security, user, ..bench.container(caps) },
        "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2",
    );
    check(
        bench,
        &pod,
        &bench.container("stat -c '%u %g %a' / /etc /dev /dev/null | head -3"),
        "0 0 755\n0 0 755\n0 0 755",
    );
}

fn commands_that_cannot_run(bench: &Bench) {
    let pod = bench.run_sandbox("p");
    let try_start = |args: &[&str]| {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        match bench.start(&pod, &ContainerConfig { args, ..bench.container("") }) {
            Err(Error::Exec(failure)) => (failure.message, failure.exit_code),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(try_start(&["foo"]), ("exec: \"foo\": executable file not found in $PATH".to_owned(), 127));
    assert_eq!(
        try_start(&["/bin/foo"]),
        ("exec: \"/bin/foo\": stat /bin/foo: no such file or directory".to_owned(), 127)
    );
    assert_eq!(try_start(&["/etc/notexec"]), ("exec: \"/etc/notexec\": permission denied".to_owned(), 126));
    assert_eq!(try_start(&["/etc"]), ("exec: \"/etc\": is a directory".to_owned(), 126));
    let (id, _started) = bench.start(&pod, &bench.container("sleep 100")).unwrap();
    match bench.exec(&id, &ExecConfig { args: vec!["bar".to_owned()], ..ExecConfig::default() }) {
        Err(Error::Exec(failure)) => assert_eq!(failure.message, "exec: \"bar\": executable file not found in $PATH"),
        other => panic!("{other:?}"),
    }
    let missing = ContainerConfig {
        user: UserSpec { image_user: "ghost".to_owned(), ..UserSpec::default() },
        ..bench.container("")
    };
    match bench.start(&pod, &missing) {
        Err(Error::Setup { message }) => {
            assert_eq!(message, "unable to find user ghost: no matching entries in passwd file")
        }
        other => panic!("{other:?}"),
    }
}

fn namespaces_of_a_pod(bench: &Bench) {
    let namespaces = "for ns in user net ipc uts; do readlink /proc/self/ns/$ns; done";
    let own = |name: &str| fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display().to_string();
    let (first, second) = (bench.run_sandbox("a"), bench.run_sandbox("b"));
    let of = |pod: &str| bench.run(pod, &bench.container(namespaces)).stdout;
    let (one, again, other) = (of(&first), of(&first), of(&second));
    assert_eq!(one, again, "containers of a pod share");
    for (mine, theirs) in one.lines().zip(other.lines()) {
        assert_ne!(mine, theirs, "pods do not");
    }
    for (line, name) in one.lines().zip(["user", "net", "ipc", "uts"]) {
        assert_ne!(line, own(name), "and not with the node");
    }
    check(bench, &first, &bench.container("ip link show lo | grep -c 'LOOPBACK,UP'; ls /sys/class/net"), "1\nlo");
    let sysctls = SandboxConfig {
        sysctls: vec![("net.ipv4.ip_unprivileged_port_start".to_owned(), "7".to_owned())],
        ..bench.sandbox("s")
    };
    let pod = bench.runtime.run_pod_sandbox(&sysctls).unwrap();
    check(bench, &pod.id, &bench.container("cat /proc/sys/net/ipv4/ip_unprivileged_port_start"), "7");
}

fn shared_memory_of_a_pod(bench: &Bench) {
    let (pod, other) = (bench.run_sandbox("a"), bench.run_sandbox("b"));
    check(bench, &pod, &bench.container("echo here > /dev/shm/x; stat -c %a /dev/shm"), "1777");
    check(
        bench,
        &pod,
        &bench.container("cat /dev/shm/x; grep -c ' /dev/shm tmpfs .*size=65536k' /proc/mounts"),
        "here\n1",
    );
    check(bench, &other, &bench.container("ls /dev/shm"), "");
}

fn shared_processes(bench: &Bench) {
    let config = SandboxConfig { share_process_namespace: true, ..bench.sandbox("p") };
    let pod = bench.runtime.run_pod_sandbox(&config).unwrap().id;
    let (id, _started) = bench.start(&pod, &bench.container("exec sleep 1000")).unwrap();
    check(bench, &pod, &bench.container("cat /proc/1/comm; test $$ != 1; ls /proc/1/root/ 2>/dev/null || echo shut; cat /proc/1/maps 2>/dev/null | wc -l; ps | grep -c '[s]leep 1000'"), "pause\nshut\n0\n1");
    // An orphan is reaped by the sandbox process.
    let script = "sh -c 'sh -c \"exit 0\" & true'; for i in 1 2 3 4 5 6 7 8 9; do grep -q 'State:.Z' /proc/[0-9]*/status || exit 0; done; exit 1";
    assert_eq!(bench.run(&pod, &bench.container(script)).exit.code, 0);
    bench.runtime.kill_container(&id, libc::SIGKILL).unwrap();
}

fn terminal(bench: &Bench) {
    let pod = bench.run_sandbox("p");
    let config = ContainerConfig {
        tty: true,
        ..bench.container("tty; echo $TERM; test -t 0 && test -t 1 && test -t 2; echo $?; exit 4")
    };
    let outcome = bench.run(&pod, &config);
    assert_eq!((outcome.exit.code, outcome.stdout.as_str()), (4, "/dev/pts/0\r\nxterm\r\n0\r\n"));
    let user = UserSpec { uid: Some(1000), ..UserSpec::default() };
    let (id, _started) = bench.start(&pod, &ContainerConfig { user, ..bench.container("sleep 1000") }).unwrap();
    let sized = ExecConfig {
        tty: true,
        size: Some((101, 33)),
        ..exec(
            "stty size; stat -c %u $(tty); cat /proc/self/stat | { read _ _ _ _ _ s t _; echo $((s != 0)) $((t != 0)); }",
        )
    };
    let outcome = bench.exec(&id, &sized).unwrap();
    assert_eq!(outcome.stdout, "33 101\r\n1000\r\n1 1\r\n");
}

fn standard_input(bench: &Bench) {
    let pod = bench.run_sandbox("p");
    check(bench, &pod, &bench.container("cat; readlink /proc/self/fd/0"), "/dev/null");
    let (id, mut started) =
        bench.start(&pod, &ContainerConfig { stdin: true, ..bench.container("cat; exit 3") }).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    bench.runtime.on_exit(&id, Box::new(move |exit| sender.send(exit).unwrap())).unwrap();
    fs::File::from(started.stdin.take().unwrap()).write_all(b"typed").unwrap();
    let mut text = String::new();
    fs::File::from(started.stdout.take().unwrap()).read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), receiver.recv().unwrap().code), ("typed", 3));
}

fn exec_joins(bench: &Bench) {
    let pod = bench.run_sandbox("p");
    let config = ContainerConfig {
        env: vec![("A".to_owned(), "1".to_owned()), ("B".to_owned(), "1".to_owned())],
        cwd: "/tmp".to_owned(),
        user: UserSpec { image_user: "user".to_owned(), ..UserSpec::default() },
        ..bench.container("sleep 1000")
    };
    let (id, _started) = bench.start(&pod, &config).unwrap();
    let script = ExecConfig {
        env: vec![("B".to_owned(), "2".to_owned())],
        ..exec("echo $A$B; pwd; id -u; grep -E 'CapBnd|Seccomp:' /proc/self/status; exit 5")
    };
    let outcome = bench.exec(&id, &script).unwrap();
    assert_eq!(
        (outcome.exit.code, outcome.stdout.as_str()),
        (5, "12\n/tmp\n1000\nCapBnd:\t00000000a80425fb\nSeccomp:\t2\n")
    );
    // As root: the first process's descriptors can only be looked at by the same user or CAP_SYS_PTRACE.
    let root = ExecConfig {
        user: Some(UserSpec::default()),
        ..exec("cat /proc/1/comm; cat /proc/self/cgroup /proc/1/cgroup | grep -v ':/$'")
    };
    says(
        &Outcome {
            exit: drydock_container_runtime::Exit { code: 0, signal: None, oom_killed: false },
            ..bench.exec(&id, &root).unwrap()
        },
        "sleep",
    );
    for name in ["user", "net", "ipc", "uts", "pid", "mnt", "cgroup"] {
        let script = format!("readlink /proc/self/ns/{name}; readlink /proc/1/ns/{name}");
        let user = Some(UserSpec { image_user: "user".to_owned(), ..UserSpec::default() });
        let out = bench.exec(&id, &ExecConfig { user, ..exec(&script) }).unwrap().stdout;
        let lines: Vec<_> = out.lines().collect();
        assert!(lines.len() == 2 && lines[0] == lines[1], "{name}: {out}");
    }
    bench.runtime.kill_container(&id, libc::SIGKILL).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    bench.runtime.on_exit(&id, Box::new(move |exit| sender.send(exit).unwrap())).unwrap();
    receiver.recv().unwrap();
    assert!(matches!(bench.exec(&id, &exec("true")), Err(Error::State { .. })));
}

fn kill(bench: &Bench) {
    let pod = bench.run_sandbox("p");
    let (id, mut started) =
        bench.start(&pod, &bench.container("trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done")).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    bench.runtime.on_exit(&id, Box::new(move |exit| sender.send(exit).unwrap())).unwrap();
    fs::File::from(started.stdout.take().unwrap()).read_exact(&mut [0; 6]).unwrap();
    bench.runtime.kill_container(&id, libc::SIGTERM).unwrap();
    assert_eq!(receiver.recv_timeout(Duration::from_secs(10)).unwrap().code, 9);
    // Long gone: neither an error nor a signal to somebody else.
    bench.runtime.kill_container(&id, libc::SIGKILL).unwrap();
    let (id, _started) = bench.start(&pod, &bench.container("sleep 1000")).unwrap();
    bench.runtime.kill_container(&id, libc::SIGKILL).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    bench.runtime.on_exit(&id, Box::new(move |exit| sender.send(exit).unwrap())).unwrap();
    let exit = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!((exit.code, exit.signal, exit.oom_killed), (137, Some(9), false));
}

fn memory_limit(bench: &Bench) {
    let pod = bench.run_sandbox("p");
    let limits = Limits { memory_bytes: Some(32 << 20), ..Limits::default() };
    let outcome = bench.run(
        &pod,
        &ContainerConfig {
            limits,
            oom_score_adj: 1000,
            ..bench.container("head -c 200m /dev/zero | tail >/dev/null; exit 1")
        },
    );
    assert!(outcome.exit.oom_killed, "{outcome:?}");
    let (id, _started) = bench.start(&pod, &ContainerConfig { limits, ..bench.container("sleep 1000") }).unwrap();
    let stats = bench.runtime.stats(&id).unwrap();
    assert!(stats.memory_usage_bytes > 0 && stats.memory_working_set_bytes <= 32 << 20 && stats.pids >= 1, "{stats:?}");
    assert!(bench.runtime.sandbox_stats(&pod).unwrap().pids >= 2);
    bench.runtime.update_container(&id, &Limits { memory_bytes: Some(64 << 20), ..Limits::default() }).unwrap();
    bench.runtime.update_container(&id, &limits).unwrap();
}

fn process_limit(bench: &Bench) {
    let pod = bench.run_sandbox("p");
    let limits = Limits { pids: Some(5), ..Limits::default() };
    let config =
        ContainerConfig { limits, ..bench.container("for i in 1 2 3 4 5 6 7 8 9; do sleep 100 & done; echo all") };
    let outcome = bench.run(&pod, &config);
    assert!(outcome.stderr.contains("fork"), "{outcome:?}");
}

fn bind_mounts(bench: &Bench) {
    let volume = bench.dir.join("volume");
    fs::create_dir_all(volume.join("sub")).unwrap();
    fs::write(volume.join("sub/file"), "text").unwrap();
    symlink("/etc", volume.join("escape")).unwrap();
    own(&volume, 65536);
    let pod = bench.run_sandbox("p");
    let mount = |sub: Option<&str>, target: &str, read_only: bool| Mount {
        host_path: volume.clone(),
        sub_path: sub.map(Into::into),
        container_path: target.into(),
        read_only,
        ..Mount::default()
    };
    let with = |mounts: Vec<Mount>, script: &str| ContainerConfig { mounts, ..bench.container(script) };
    check(
        bench,
        &pod,
        &with(vec![mount(None, "/mnt/a", false)], "cat /mnt/a/sub/file; echo new > /mnt/a/made"),
        "text",
    );
    assert_eq!(fs::read_to_string(volume.join("made")).unwrap(), "new\n");
    check(bench, &pod, &with(vec![mount(None, "/mnt/a", true)], "echo x > /mnt/a/made || cat /mnt/a/made"), "new");
    check(bench, &pod, &with(vec![mount(Some("sub/file"), "/etc/hosts", false)], "cat /etc/hosts"), "text");
    // Inner after outer whatever the order, and through the image's dangling link /var -> /run.
    let nested = vec![
        mount(Some("sub"), "/var/x/y", true),
        mount(None, "/var/x", false),
        mount(Some("sub/file"), "/dev/termination-log", false),
    ];
    check(bench, &pod, &with(nested, "cat /run/x/made /var/x/y/file /dev/termination-log"), "new\ntexttext");
    check(
        bench,
        &pod,
        &with(vec![mount(Some("fresh/dir"), "/f", false)], "ls /f; touch /f 2>/dev/null; echo ok"),
        "ok",
    );
    assert!(volume.join("fresh/dir").is_dir());
    for bad in ["escape", "../x", "escape/passwd"] {
        match bench.start(&pod, &with(vec![mount(Some(bad), "/f", false)], "true")) {
            Err(Error::Setup { message }) => assert!(message.contains("subPath"), "{message}"),
            other => panic!("{bad}: {other:?}"),
        }
    }
    match bench.start(&pod, &with(vec![Mount { host_path: "/no/such".into(), ..mount(None, "/f", false) }], "true")) {
        Err(Error::Setup { message }) => assert!(message.starts_with("mount /no/such: No such file"), "{message}"),
        other => panic!("{other:?}"),
    }
    // A mount made on the node after the start arrives inside.
    if bench.place == "node" {
        let slave = Mount { propagation: Propagation::HostToContainer, recursive: true, ..mount(None, "/v", false) };
        let (id, _started) = bench.start(&pod, &with(vec![slave], "sleep 1000")).unwrap();
        nix::mount::mount(
            Some("tmpfs"),
            &volume.join("sub"),
            Some("tmpfs"),
            nix::mount::MsFlags::empty(),
            None::<&str>,
        )
        .unwrap();
        fs::write(volume.join("sub/later"), "seen").unwrap();
        let outcome = bench.exec_script(&id, "cat /v/sub/later");
        nix::mount::umount(&volume.join("sub")).unwrap();
        says(&outcome, "seen");
    }
}

/// An image full of links may not make us mount or write anywhere but inside.
fn hostile_root(bench: &Bench) {
    let layer = bench.make_layer("evil", 65536);
    let outside = bench.dir.join("outside");
    fs::create_dir(&outside).unwrap();
    for name in ["proc", "sys", "dev"] {
        symlink(&outside, layer.join(name)).unwrap();
    }
    fs::remove_dir_all(layer.join("etc")).unwrap();
    symlink("../../../../../../../../../../../etc", layer.join("etc")).unwrap();
    own(&layer, 65536);
    let pod = bench.run_sandbox("p");
    let rootfs = RootFs::Overlay { layers: vec![layer], writable: bench.dir.join("evil-changes") };
    let mounts = vec![Mount {
        host_path: bench.dir.join("layer/etc/passwd"),
        container_path: "/etc/hosts".into(),
        ..Mount::default()
    }];
    let config = ContainerConfig { rootfs, mounts, cwd: "/etc/made".to_owned(), ..bench.container("true") };
    // Whether it starts does not matter; where it writes does.
    let _ = bench.start(&pod, &config);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(!Path::new("/etc/made").exists());
}

fn confinement(bench: &Bench) {
    let pod = bench.run_sandbox("p");
    check(
        bench,
        &pod,
        &bench.container("head -c 10 /proc/kcore | wc -c; ls /proc/scsi /sys/firmware | grep -v : | wc -w; echo 1 2>/dev/null > /proc/sys/kernel/panic || echo ro"),
        "0\n0\nro",
    );
    let refused = "mount -t tmpfs x /tmp 2>/dev/null || echo mount; unshare -n true 2>/dev/null || echo unshare; hostname x 2>/dev/null || echo hostname; mkdir /sys/fs/cgroup/x /sys/fs/cgroup/memory/x 2>/dev/null || echo cgroup; touch /dev/shm/x && echo shm";
    check(bench, &pod, &bench.container(refused), "mount\nunshare\nhostname\ncgroup\nshm");
    // Adding the capability is not enough for what the node may not do itself, but for what its namespaces own.
    let security = Security { add_capabilities: vec!["SYS_ADMIN".to_owned()], ..Security::default() };
    check(
        bench,
        &pod,
        &ContainerConfig { security, ..bench.container("mount -t tmpfs x /tmp && grep -c ' /tmp tmpfs' /proc/mounts") },
        "1",
    );
    let unmasked = Security { unmasked_proc: true, ..Security::default() };
    check(
        bench,
        &pod,
        &ContainerConfig { security: unmasked, ..bench.container("grep -c ' /proc/' /proc/mounts; true") },
        "0",
    );
    let devices = "ls /dev | sort | tr '\\n' ' '; echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c";
    let devices = devices.replace("sort | tr '\\n' ' '", "wc -l");
    check(bench, &pod, &bench.container(&devices), "15\n3\n3");
    let cgroups = "grep -vc ':/$' /proc/self/cgroup; true";
    assert_eq!(
        bench.run(&pod, &bench.container(cgroups)).stdout,
        "0\n",
        "the container sees its own groups as the root"
    );
    match bench.start(
        &pod,
        &ContainerConfig {
            security: Security { add_capabilities: vec!["FLY".to_owned()], ..Security::default() },
            ..bench.container("true")
        },
    ) {
        Err(Error::Invalid { reason }) => assert_eq!(reason, "unknown capability \"FLY\""),
        other => panic!("{other:?}"),
    }
}

fn privileged(bench: &Bench) {
    let pod = bench.run_sandbox("p");
    let security = Security { privileged: true, ..Security::default() };
    let script = "mount -t tmpfs x /tmp && umount /tmp && ip link add d0 type dummy 2>/dev/null; grep Seccomp: /proc/self/status; grep -c ' /proc/' /proc/mounts; test -d /proc/sys/net && echo 1 > /proc/sys/net/ipv4/ip_forward && cat /proc/sys/net/ipv4/ip_forward";
    check(bench, &pod, &ContainerConfig { security, ..bench.container(script) }, "Seccomp:\t0\n0\n1");
}

fn read_only_root(bench: &Bench) {
    let pod = bench.run_sandbox("p");
    let security = Security { read_only_root: true, ..Security::default() };
    check(
        bench,
        &pod,
        &ContainerConfig { security, ..bench.container("touch /x 2>/dev/null || touch /dev/shm/y && echo ro") },
        "ro",
    );
    let (id, _started) = bench.start(&pod, &bench.container("echo 1 > /etc/passwd; sleep 1000")).unwrap();
    check(bench, &pod, &bench.container("head -1 /etc/passwd"), "root:x:0:0:root:/root:/bin/sh");
    bench.runtime.remove_container(&id).unwrap();
}

fn many_layers(bench: &Bench) {
    let pod = bench.run_sandbox("p");
    let mut layers = vec![bench.dir.join("layer")];
    for number in 0..60 {
        let layer = bench.dir.join(format!("a-name-as-long-as-a-digest-{number:0>64}"));
        fs::create_dir(&layer).unwrap();
        fs::write(layer.join("top"), number.to_string()).unwrap();
        own(&layer, 65536);
        layers.push(layer);
    }
    // The top layer hides a file and makes a directory opaque.
    let top = layers.last().unwrap();
    fs::create_dir(top.join("home")).unwrap();
    let whiteout = top.join("tmp");
    nix::sys::stat::mknod(&whiteout, nix::sys::stat::SFlag::S_IFCHR, nix::sys::stat::Mode::empty(), 0).unwrap();
    rustix::fs::setxattr(top.join("home"), "user.overlay.opaque", b"y", rustix::fs::XattrFlags::empty()).unwrap();
    own(top, 65536);
    let rootfs = RootFs::Overlay { layers, writable: bench.dir.join("changes") };
    check(
        bench,
        &pod,
        &ContainerConfig { rootfs, ..bench.container("cat /top; ls /home | wc -l; test -e /tmp || echo hidden") },
        "590\nhidden",
    );
}

/// What a static pod is: in the node's own user and network namespaces.
fn node_pod(bench: &Bench) {
    let config = SandboxConfig { host_network: true, user_mapping: None, ..bench.sandbox("p") };
    let pod = bench.runtime.run_pod_sandbox(&config).unwrap();
    let own_net = fs::read_link("/proc/self/ns/net").unwrap();
    let layer = bench.make_layer("node-layer", 0);
    let rootfs = RootFs::Overlay { layers: vec![layer], writable: bench.dir.join("changes") };
    let config = ContainerConfig {
        rootfs,
        ..bench.container(
            "readlink /proc/self/ns/net; hostname; stat -c %u /bin/busybox; echo $$; ls -d /sys/class/net/lo",
        )
    };
    let node = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    check(bench, &pod.id, &config, &format!("{}\n{}\n0\n1\n/sys/class/net/lo", own_net.display(), node.trim()));
    let everything = SandboxConfig {
        host_pid: true,
        host_ipc: true,
        host_network: true,
        user_mapping: None,
        ..bench.sandbox("all")
    };
    let pod = bench.runtime.run_pod_sandbox(&everything).unwrap();
    let rootfs = RootFs::Overlay { layers: vec![bench.dir.join("node-layer")], writable: bench.dir.join("changes-2") };
    let (id, _started) =
        bench.start(&pod.id, &ContainerConfig { rootfs, ..bench.container("sleep 1000 & sleep 1000") }).unwrap();
    says(&bench.exec_script(&id, &format!("test -d /proc/{} && echo seen", std::process::id())), "seen");
    // Everything of it ends, although it has no PID namespace of its own.
    bench.runtime.kill_container(&id, libc::SIGKILL).unwrap();
    bench.runtime.remove_pod_sandbox(&pod.id).unwrap();
    let mixed = SandboxConfig { host_network: true, ..bench.sandbox("mixed") };
    assert!(matches!(bench.runtime.run_pod_sandbox(&mixed), Err(Error::Invalid { .. })));
}

fn nothing_left(bench: &Bench) {
    // Whoever else runs containers on this machine is left out.
    let mounts = || -> Vec<String> {
        let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
        all.lines().filter(|line| !line.contains("/docker/")).map(str::to_owned).collect()
    };
    let before = mounts();
    let pod = bench.run_sandbox("p");
    assert!(matches!(bench.runtime.run_pod_sandbox(&bench.sandbox("p")), Err(Error::AlreadyExists { .. })));
    let mut pids = Vec::new();
    for _ in 0..3 {
        let (_, started) = bench.start(&pod, &bench.container("mkdir -p /d/e/f; sleep 1000 & sleep 1000")).unwrap();
        pids.push(started.pid);
    }
    let group = Hierarchy::detect().unwrap().group(bench.sandbox("p").cgroup_parent);
    assert!(group.processes().len() > 3 && group.exists());
    bench.runtime.stop_pod_sandbox(&pod).unwrap();
    bench.runtime.stop_pod_sandbox(&pod).unwrap();
    bench.runtime.remove_pod_sandbox(&pod).unwrap();
    bench.runtime.remove_pod_sandbox(&pod).unwrap();
    assert!(!group.exists() && group.processes().is_empty());
    assert_eq!(mounts(), before);
    let left: Vec<_> = fs::read_dir(&bench.dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["layer"]);
    assert!(matches!(bench.runtime.stats("x"), Err(Error::NotFound { .. })));
}

/// Not judged, shown.
fn speed(bench: &Bench) {
    let mut best = [Duration::MAX; 3];
    let mut memory = 0;
    for number in 0..20 {
        let start = Instant::now();
        let sandbox = bench.runtime.run_pod_sandbox(&bench.sandbox(&format!("p{number}"))).unwrap();
        best[0] = best[0].min(start.elapsed());
        let start = Instant::now();
        let (id, _started) = bench.start(&sandbox.id, &bench.container("exec sleep 1000")).unwrap();
        best[1] = best[1].min(start.elapsed());
        let start = Instant::now();
        let process = bench.runtime.exec(&id, &exec("true")).unwrap();
        best[2] = best[2].min(start.elapsed());
        drop(process);
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", sandbox.pid)).unwrap_or_default();
        let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or("0 kB");
        memory = pss.trim().trim_end_matches(" kB").parse().unwrap_or(0);
        bench.runtime.remove_pod_sandbox(&sandbox.id).unwrap();
    }
    println!(
        "{}: sandbox {:?}, container {:?}, exec {:?}, sandbox memory {memory} kB",
        bench.place, best[0], best[1], best[2]
    );
}
