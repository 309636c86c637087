//! Taking everything: processes, memory and disk end where the session ends.

use std::fs;
use std::path::Path;

use drydock_tests_harness::{Cluster, Follow, wait_for};

use crate::lab::{Lab, NODE_DISK_MIB, NODE_MEMORY_MIB, NODE_PIDS, Place, background, run};
use crate::machine;

const READY: &str = "get nodes -o jsonpath='{.items[*].status.conditions[?(@.type==\"Ready\")].status}'";

pub(crate) fn ends_with_the_session(lab: &Lab<'_>) {
    let restarts = restarts(&lab.bob);
    disk(lab);
    processes(lab);
    memory(lab);
    works(&lab.bob);
    assert_eq!(self::restarts(&lab.bob), restarts, "nothing of bob's was killed");
}

/// Another session answers, starts pods and runs commands.
#[track_caller]
fn works(cluster: &Cluster<'_>) {
    cluster.wait(READY, |ready| ready == "True True");
    assert_eq!(run(cluster, Place::Plain, &["echo", "here"]).ok(), "here\n");
    cluster.kubectl("run later --image=drydock/tools:latest --restart=Never -- true").ok();
    cluster.wait("get pod later -o jsonpath={.status.phase}", |phase| phase == "Succeeded");
    cluster.kubectl("delete pod later --wait=false").ok();
    cluster.wait("get pods --no-headers", |pods| !pods.contains("later"));
}

fn restarts(cluster: &Cluster<'_>) -> String {
    cluster.kubectl("get pods -A -o jsonpath='{.items[*].status.containerStatuses[*].restartCount}'").ok()
}

fn processes(lab: &Lab<'_>) {
    let bomb = Follow::start(background(lab.product, &lab.eve, Place::Worst, &["fork", "600"]));
    bomb.wait("the bomb's end", |seen| seen.contains("EAGAIN"));
    let seen = bomb.seen();
    let count: u64 =
        seen.trim_start_matches("forked: ").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(u64::MAX);
    assert!((10..NODE_PIDS).contains(&count), "{seen}");
    // While it goes on:
    works(&lab.bob);
    let nested = Follow::start(background(lab.product, &lab.eve, Place::Workstation, &["fork", "2"]));
    drop(nested);
    drop(bomb);
    lab.eve.kubectl("delete pod worst --force --grace-period=0").ok();
    lab.eve.wait(READY, |ready| ready == "True True");
}

fn memory(lab: &Lab<'_>) {
    let most = (NODE_MEMORY_MIB * 4).to_string();
    for place in [Place::Plain, Place::Node, Place::Workstation] {
        let outcome = run(&lab.eve, place, &["/tmp/probe", "eat", &most]);
        assert!(outcome.code != 0 && !outcome.stdout.contains("eaten"), "{place:?}: {}", outcome.stdout);
        lab.eve.wait(READY, |ready| ready == "True True");
    }
    let some = run(&lab.eve, Place::Workstation, &["/tmp/probe", "eat", "16"]).ok();
    assert_eq!(some, "eaten: 16\n");
}

fn disk(lab: &Lab<'_>) {
    let folders = machine::disks(lab.product, "eve");
    // The plain pod's emptyDir lies on the node's disk: the node's turn comes when that is free again.
    for (place, file) in [(Place::Plain, "/data/full"), (Place::Node, "/var/full"), (Place::Workstation, "/root/full")]
    {
        let said = lab.probe(place, &["fill", file]);
        let (megabytes, end) = said[0].1.split_once(' ').expect("an amount and an end");
        assert_eq!(end, "ENOSPC", "{place:?}: {said:?}");
        let megabytes = megabytes.parse::<u64>().expect("a number");
        assert!((NODE_DISK_MIB / 2..NODE_DISK_MIB).contains(&megabytes), "{place:?}: {said:?}");
        let used = || folders.iter().map(|folder| used(folder)).sum::<u64>();
        let full = used();
        assert!(full > NODE_DISK_MIB << 19 && full < 3 * (NODE_DISK_MIB << 20), "{full} bytes on the machine's disk");
        if place == Place::Workstation {
            // Names cost no bytes, but they are counted, too.
            let said = lab.probe(place, &["files", "/root"]);
            assert!(said[0].1.ends_with("ENOSPC"), "{said:?}");
            works(&lab.bob);
        }
        let remove = ["busybox", "rm", file];
        run(&lab.eve, place, if place == Place::Node { &remove } else { &remove[1..] }).ok();
        // What is deleted is given back to the machine.
        wait_for("the space to come back", || {
            let now = used();
            if now + (NODE_DISK_MIB << 19) < full { Ok(()) } else { Err(format!("{now} of {full} bytes")) }
        });
    }
    lab.eve.wait(READY, |ready| ready == "True True");
}

/// Bytes that a folder takes on the machine's disk.
fn used(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, metadata)| metadata.blocks() * 512 + if metadata.is_dir() { used(&path) } else { 0 })
        .sum()
}
