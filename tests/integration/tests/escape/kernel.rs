//! The kernel: its files, its devices, its system calls, and who a session's processes are to it.

use std::fs;

use crate::lab::{Lab, Place, on_the_machine};
use crate::machine;

/// First user id of sessions.
const FIRST_ID: u32 = 0x1000_0000;
/// The machine's settings, below any place where its file systems may be seen.
const SETTINGS: [&str; 13] = [
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/sysrq",
    "/proc/sys/kernel/unprivileged_bpf_disabled",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/drop_caches",
    "/proc/sys/fs/file-max",
    "/proc/sys/fs/inotify/max_user_instances",
    "/sys/kernel/uevent_helper",
    "/sys/power/state",
    "/sys/block/loop0/uevent",
    "/sys/module/loop/uevent",
];
/// What would tell of the machine, or be it.
const SECRETS: [&str; 8] =
    ["/proc/kcore", "/proc/kmsg", "/dev/kmsg", "/dev/mem", "/dev/loop0", "/dev/loop-control", "/dev/kvm", "/dev/vsock"];

pub(crate) fn is_not_theirs(lab: &Lab<'_>) {
    settings_and_secrets(lab);
    limits_of_the_node(lab);
    devices_and_file_systems(lab);
    system_calls(lab);
    rights_of_processes(lab);
    profiles_of_the_node(lab);
}

fn settings_and_secrets(lab: &Lab<'_>) {
    let open = on_the_machine(&[&["write"], SETTINGS.as_slice()].concat());
    assert!(open.iter().filter(|(_, outcome)| outcome == "ok").count() > 5, "as root the probe can: {open:?}");
    lab.everywhere(&[&["write"], SETTINGS.as_slice()].concat(), |_, _, outcome| outcome != "ok");
    let of_node: Vec<String> = SETTINGS.iter().map(|path| format!("/node{path}")).collect();
    let words: Vec<&str> = std::iter::once("write").chain(of_node.iter().map(String::as_str)).collect();
    lab.in_places(&[Place::Privileged, Place::Worst], &words, |_, _, outcome| outcome != "ok");
    lab.everywhere(&[&["read"], SECRETS.as_slice()].concat(), |_, _, outcome| {
        // A masked file is an empty one.
        !outcome.starts_with("read ") || outcome == "read "
    });
    lab.everywhere(&["read", "/proc/kallsyms"], |_, _, outcome| outcome.contains("read 0000000000000000 "));
}

/// The node's own limits: its root may divide what it has, not have more.
fn limits_of_the_node(lab: &Lab<'_>) {
    let files = ["memory/memory.limit_in_bytes", "pids/pids.max", "memory.max", "pids.max", "memory/release_agent"];
    let on_node: Vec<String> = files.iter().map(|file| format!("/sys/fs/cgroup/{file}")).collect();
    let from_pod: Vec<String> = on_node.iter().map(|file| format!("/node{file}")).collect();
    for (place, files) in [(Place::Node, &on_node), (Place::Worst, &from_pod), (Place::Privileged, &from_pod)] {
        let words: Vec<&str> = std::iter::once("write").chain(files.iter().map(String::as_str)).collect();
        lab.in_places(&[place], &words, |_, _, outcome| outcome != "ok");
    }
    let own = lab.run(Place::Node, &["busybox", "mkdir", "/sys/fs/cgroup/pids/own"]).code == 0
        || lab.run(Place::Node, &["busybox", "mkdir", "/sys/fs/cgroup/own"]).code == 0;
    assert!(own, "a node may divide its control group");
}

fn devices_and_file_systems(lab: &Lab<'_>) {
    let made = on_the_machine(&["devices", &lab.product.scratch().display().to_string()]);
    assert!(made.iter().any(|(what, outcome)| what == "mem" && outcome != "EPERM"), "{made:?}");
    lab.everywhere(&["devices", "/tmp"], |_, _, outcome| outcome == "EPERM");
    let folder = lab.product.scratch().join("mount");
    fs::create_dir(&folder).expect("our folder");
    let mounted = on_the_machine(&["mounts", &folder.display().to_string()]);
    assert!(mounted.iter().any(|(what, outcome)| what == "devtmpfs" && outcome == "ok"), "{mounted:?}");
    lab.everywhere(&["mounts", "/mnt"], |_, _, outcome| outcome != "ok");
}

fn system_calls(lab: &Lab<'_>) {
    let here = on_the_machine(&["calls"]);
    assert!(here.iter().filter(|(_, outcome)| outcome != "EPERM").count() > 12, "as root the probe can: {here:?}");
    lab.everywhere(&["calls"], |_, what, outcome| outcome == "EPERM" || what.ends_with("x32") && outcome == "SIGSYS");
    // Local, IP, netlink and packet sockets; not those that reach the machine's own host.
    let known = ["1", "2", "10", "16", "17"];
    lab.everywhere(&["sockets"], |_, family, _| known.contains(&family));
}

/// What each place's processes may ever do, and what the machine's kernel thinks who they are.
fn rights_of_processes(lab: &Lab<'_>) {
    let field = |place: Place, name: &str| {
        let status = lab.run(place, &["cat", "/proc/self/status"]).ok();
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).map(str::trim);
        line.unwrap_or_default().to_owned()
    };
    for (place, bounding, no_new_privileges) in
        [(Place::Plain, "00000000a80425fb", "0"), (Place::Workstation, "00000000a80425fb", "1")]
    {
        assert_eq!(field(place, "CapBnd"), bounding, "{place:?}");
        assert_eq!(field(place, "NoNewPrivs"), no_new_privileges, "{place:?}");
        assert_eq!(field(place, "Seccomp"), "2", "{place:?}");
    }
    let of_session = machine::processes(lab.product, "eve");
    assert!(of_session.len() > 10, "{} processes of the session were found", of_session.len());
    let own = fs::read_link("/proc/self/ns/user").expect("our user namespace");
    for pid in of_session {
        // It may have ended meanwhile.
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        let ids = field("Uid:").split_whitespace().chain(field("Gid:").split_whitespace());
        assert!(ids.filter_map(|id| id.parse::<u32>().ok()).all(|id| id >= FIRST_ID), "{status}");
        assert_ne!(fs::read_link(format!("/proc/{pid}/ns/user")).ok().as_ref(), Some(&own), "{status}");
        if field("Name:") != "pause" {
            assert_eq!(field("Seccomp:"), "2", "{status}");
        }
    }
}

/// `seccompProfile.type: Localhost`: from the node's folder, and never more than everybody may.
fn profiles_of_the_node(lab: &Lab<'_>) {
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}"#;
    let folder = "/node/var/lib/kubelet/seccomp/profiles";
    lab.run(Place::Worst, &["sh", "-c", &format!("mkdir -p {folder}; echo '{profile}' > {folder}/no-mkdir.json")]).ok();
    let pod = |name: &str, file: &str, command: &str| {
        format!(
            "# YAML\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{restartPolicy: Never, containers: [{{name: c, image: 'drydock/tools:latest', \
             command: [sh, -c, '{command}'], securityContext: {{seccompProfile: {{type: Localhost, localhostProfile: {file}}}}}}}]}}}}\n---\n"
        )
    };
    let pods =
        pod("own", "profiles/no-mkdir.json", "mkdir /tmp/x; dmesg; true") + &pod("none", "profiles/none.json", "true");
    lab.eve.kubectl_with("apply -f -", &pods).ok();
    lab.eve.wait("get pod own -o jsonpath={.status.phase}", |phase| phase == "Succeeded");
    let log = lab.eve.kubectl("logs own").ok();
    assert!(log.contains("/tmp/x’: Function not implemented"), "{log}");
    assert!(log.contains("read kernel buffer failed: Operation not permitted"), "{log}");
    let reason = "get pod none -o jsonpath={.status.containerStatuses[0].state.waiting}";
    let reason = lab.eve.wait(reason, |reason| reason.contains("CreateContainerError"));
    assert!(reason.contains("/var/lib/kubelet/seccomp/profiles/none.json: no such file or directory"), "{reason}");
}
