//! A genuine etcdctl against our server.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::process::Process;

/// `etcdctl ARGS`; panics with its output when it fails. Without a scheme in the endpoint: etcdctl 3.4 sends
/// the scheme as part of the HTTP/2 authority in maintenance calls, which Rust's h2 refuses.
fn command(server: &Process, args: &[&str]) -> Command {
    let program = "/usr/bin/etcdctl";
    assert!(std::path::Path::new(program).exists(), "{program} is missing: apt-get install etcd-client");
    let mut command = Command::new(program);
    command.env("ETCDCTL_API", "3").arg(format!("--endpoints=127.0.0.1:{}", server.port)).args(args);
    command
}

#[track_caller]
fn etcdctl(server: &Process, args: &[&str]) -> String {
    let output = command(server, args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "etcdctl {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

async fn started(data: &std::path::Path, flags: &[&str]) -> Process {
    let server = Process::ours(data, flags);
    server.client().await;
    server
}

#[tokio::test]
async fn reads_writes_and_transactions() {
    let directory = tempfile::tempdir().unwrap();
    let server = started(&directory.path().join("data"), &["--unsafe-no-fsync"]).await;
    assert_eq!(etcdctl(&server, &["put", "a/1", "one"]), "OK\n");
    assert_eq!(etcdctl(&server, &["put", "a/2", "two"]), "OK\n");
    assert_eq!(etcdctl(&server, &["put", "--prev-kv", "a/1", "uno"]), "OK\na/1\none\n");
    assert_eq!(etcdctl(&server, &["get", "--prefix", "a/"]), "a/1\nuno\na/2\ntwo\n");
    assert_eq!(etcdctl(&server, &["get", "--rev=2", "a/1"]), "a/1\none\n");
    assert_eq!(
        etcdctl(&server, &["get", "--prefix", "", "--sort-by=MODIFY", "--order=DESCEND", "--keys-only"]),
        "a/1\n\na/2\n\n"
    );
    assert_eq!(etcdctl(&server, &["del", "--prefix", "a/"]), "2\n");
    let mut txn = command(&server, &["txn"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    txn.stdin.take().unwrap().write_all(b"version(\"a/1\") = \"0\"\n\nput a/1 new\nget a/1\n\nget a/2\n\n").unwrap();
    let output = txn.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "SUCCESS\n\nOK\n\na/1\nnew\n");
    etcdctl(&server, &["compaction", "5"]);
    let old = command(&server, &["get", "--rev=2", "a/1"]).output().unwrap();
    assert!(!old.status.success());
    assert!(String::from_utf8_lossy(&old.stderr).contains("etcdserver: mvcc: required revision has been compacted"));
}

#[tokio::test]
async fn watches() {
    let directory = tempfile::tempdir().unwrap();
    let server = started(&directory.path().join("data"), &["--unsafe-no-fsync"]).await;
    etcdctl(&server, &["put", "k/1", "one"]);
    let mut watch =
        command(&server, &["watch", "--prefix", "k/", "--rev=1", "--prev-kv"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = |count: usize| (&mut lines).take(count).map(|line| line.unwrap()).collect::<Vec<_>>();
    assert_eq!(next(3), ["PUT", "k/1", "one"]);
    etcdctl(&server, &["put", "elsewhere", "x"]);
    etcdctl(&server, &["del", "k/1"]);
    assert_eq!(next(5), ["DELETE", "k/1", "one", "k/1", ""]);
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[tokio::test]
async fn leases() {
    let directory = tempfile::tempdir().unwrap();
    let server = started(&directory.path().join("data"), &["--unsafe-no-fsync"]).await;
    let granted = etcdctl(&server, &["lease", "grant", "100"]);
    let id = granted.split(' ').nth(1).unwrap();
    assert_eq!(granted, format!("lease {id} granted with TTL(100s)\n"));
    etcdctl(&server, &["put", &format!("--lease={id}"), "leased", "v"]);
    assert_eq!(
        etcdctl(&server, &["lease", "keep-alive", "--once", id]),
        format!("lease {id} keepalived with TTL(100)\n")
    );
    let left = etcdctl(&server, &["lease", "timetolive", "--keys", id]);
    assert!(left.contains("granted with TTL(100s)") && left.contains("attached keys([leased])"), "{left}");
    assert_eq!(etcdctl(&server, &["lease", "list"]), format!("found 1 leases\n{id}\n"));
    etcdctl(&server, &["lease", "revoke", id]);
    assert_eq!(etcdctl(&server, &["get", "leased"]), "");
}

#[tokio::test]
async fn maintenance() {
    let directory = tempfile::tempdir().unwrap();
    let server = started(&directory.path().join("data"), &["--unsafe-no-fsync", "--name=master"]).await;
    assert!(etcdctl(&server, &["endpoint", "status"]).contains(", 3.6.6, "));
    assert!(etcdctl(&server, &["member", "list"]).contains(", started, master, "));
    assert_eq!(etcdctl(&server, &["alarm", "list"]), "");
    etcdctl(&server, &["endpoint", "hashkv"]);
    etcdctl(&server, &["defrag"]);
}

/// Runs etcdctl on a file, without a server.
#[track_caller]
fn on_file(args: &[&str]) -> String {
    let output = Command::new("/usr/bin/etcdctl").env("ETCDCTL_API", "3").args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "etcdctl {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

const EVERYTHING: [&str; 5] = ["get", "--prefix", "", "-w", "simple"];

/// Keys with a history, a lease, a deletion, a compaction and values of more than one page.
fn fill(server: &Process) {
    for number in 0..60 {
        etcdctl(server, &["put", &format!("k{}", number % 20), &number.to_string()]);
    }
    etcdctl(server, &["put", "long", &"x".repeat(20_000)]);
    let granted = etcdctl(server, &["lease", "grant", "1000"]);
    etcdctl(server, &["put", &format!("--lease={}", granted.split(' ').nth(1).unwrap()), "leased", "v"]);
    etcdctl(server, &["del", "k3"]);
    etcdctl(server, &["compaction", "30"]);
}

#[tokio::test]
async fn a_snapshot_starts_a_new_server() {
    let directory = tempfile::tempdir().unwrap();
    let server = started(&directory.path().join("data"), &["--unsafe-no-fsync"]).await;
    fill(&server);
    let file = directory.path().join("snapshot.db");
    let path = file.to_str().unwrap();
    etcdctl(&server, &["snapshot", "save", path]);
    let restore = format!("--restore={path}");
    let other = started(&directory.path().join("other"), &[&restore]).await;
    let fields = ["get", "--prefix", "", "-w", "fields"];
    assert_eq!(etcdctl(&server, &fields), etcdctl(&other, &fields));
    assert_eq!(etcdctl(&other, &["get", "--rev=40", "k0"]), "k0\n20\n");
    assert_eq!(etcdctl(&other, &["lease", "list"]), etcdctl(&server, &["lease", "list"]));

    // Onto existing data, and from a file with a wrong byte, it refuses.
    let mut again = Process::ours(&server.data.with_file_name("other"), &[&restore]);
    drop(other);
    assert!(!again.wait().success());
    assert!(again.output().contains("holds data already"), "{}", again.output());
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let mut broken = Process::ours(&directory.path().join("broken"), &[&restore]);
    assert!(!broken.wait().success());
    assert!(broken.output().contains("not a complete snapshot"), "{}", broken.output());
}

#[tokio::test]
async fn etcdctl_judges_and_restores_snapshots() {
    let directory = tempfile::tempdir().unwrap();
    let server = started(&directory.path().join("data"), &["--unsafe-no-fsync"]).await;
    fill(&server);
    let file = directory.path().join("snapshot.db");
    let path = file.to_str().unwrap();
    etcdctl(&server, &["snapshot", "save", path]);
    let status = on_file(&["snapshot", "status", path]);
    assert_eq!(status.split(", ").nth(1), Some("64"), "the revision: {status}");
    let restored = |name: &str, from: &str| {
        let data = directory.path().join(name);
        on_file(&["snapshot", "restore", from, "--data-dir", data.to_str().unwrap()]);
        data
    };
    let here = etcdctl(&server, &EVERYTHING);
    let ours = started(&restored("ours", path), &["--unsafe-no-fsync"]).await;
    assert_eq!(etcdctl(&ours, &EVERYTHING), here);
    let genuine = Process::genuine(&restored("genuine", path));
    genuine.client().await;
    assert_eq!(etcdctl(&genuine, &EVERYTHING), here);
    assert_eq!(etcdctl(&genuine, &["get", "--rev=40", "k0"]), "k0\n20\n");

    // And the other way: what a genuine etcd saved.
    etcdctl(&genuine, &["put", "k0", "from etcd"]);
    let theirs = directory.path().join("theirs.db");
    etcdctl(&genuine, &["snapshot", "save", theirs.to_str().unwrap()]);
    let again = started(&restored("again", theirs.to_str().unwrap()), &["--unsafe-no-fsync"]).await;
    assert_eq!(etcdctl(&again, &EVERYTHING), etcdctl(&genuine, &EVERYTHING));
    // Once it has begun, it goes on with its own log.
    etcdctl(&again, &["put", "k0", "later"]);
    let data = again.data.clone();
    drop(again);
    let again = started(&data, &["--unsafe-no-fsync"]).await;
    assert_eq!(etcdctl(&again, &["get", "k0"]), "k0\nlater\n");
}
