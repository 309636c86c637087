//! Nothing is left behind, whatever the end.

use std::time::Duration;

use drydock_tests_harness::http::request;
use drydock_tests_harness::{Census, Cluster, Product, Server, wait_for, wait_for_within};
use nix::mount::{MsFlags, mount, umount};
use nix::sys::signal::Signal;

#[track_caller]
fn nothing_is_left(product: &Product, before: &Census) {
    wait_for("a machine as before", || {
        let added = Census::take(&product.data()).added_since(before);
        if added.is_empty() { Ok(()) } else { Err(added.join("\n")) }
    });
}

#[test]
fn a_deleted_cluster_leaves_nothing() {
    let product = Product::new();
    let before = Census::take(&product.data());
    {
        let cluster = Cluster::create(&product, "clean", 2);
        cluster.kubectl("create deployment web --image=drydock/demo:v1 --replicas=3").ok();
        cluster.wait("get deployment web -o jsonpath={.status.readyReplicas}", |text| text == "3");
        assert!(!Census::take(&product.data()).added_since(&before).is_empty(), "the census sees a running cluster");
    }
    nothing_is_left(&product, &before);
    assert_eq!(product.drydock(["cluster", "list", "--output", "json"]).ok(), "[]\n");
}

#[test]
fn clusters_have_one_clear_sentence_for_each_mistake() {
    let product = Product::new();
    let table: [(&[&str], &str); 5] = [
        (
            &["cluster", "create", "No-Good"],
            "drydock: \"No-Good\" cannot name a cluster: use 1 to 40 lowercase letters, digits and '-', starting and ending with a letter or digit\n",
        ),
        (
            &["cluster", "create", "big", "--workers", "99"],
            "drydock: a cluster has at most 20 workers, 99 were asked for\n",
        ),
        (&["cluster", "delete", "nope"], "drydock: there is no cluster named \"nope\"\n"),
        (&["cluster", "exec", "nope", "master", "--", "true"], "drydock: there is no cluster named \"nope\"\n"),
        (&["cluster", "kubeconfig", "nope"], "drydock: there is no cluster named \"nope\"\n"),
    ];
    for (arguments, expected) in table {
        assert_eq!(product.drydock(arguments).failed(), expected, "{arguments:?}");
    }
    assert!(product.drydock(["serve", "--nonsense"]).failed().contains("unexpected argument '--nonsense'"));
    let server = Server::start(&product, &[]);
    let taken = product.drydock(["serve", "--listen", server.address()]).failed();
    assert!(
        taken.starts_with(&format!(
            "drydock: cannot listen on {}: choose another address with --listen",
            server.address()
        )),
        "{taken}"
    );
}

#[test]
fn the_servers_end_ends_its_sessions_and_a_killed_server_finds_them_again() {
    let product = Product::new();
    let before = Census::take(&product.data());
    let mut server = Server::start(&product, &[]);
    let id = start_session(server.address());
    server.signal(Signal::SIGKILL);
    server.wait();
    let mut server = Server::start(&product, &[]);
    let session = get(server.address(), &format!("/api/v1/sessions/{id}"));
    assert_eq!(session["state"], "Ready", "{session}");
    server.signal(Signal::SIGTERM);
    assert!(server.wait().success(), "it ended by itself, not by the signal: {}", server.said());
    nothing_is_left(&product, &before);
    for _ in 0..10 {
        // Asked to stop as soon as it says that it is ready.
        let mut server = Server::start(&product, &[]);
        server.signal(Signal::SIGTERM);
        assert!(server.wait().success(), "{}", server.said());
    }
}

#[test]
fn a_session_ends_with_its_time_or_when_asked_to() {
    let product = Product::new();
    let before = Census::take(&product.data());
    let server = Server::start(&product, &["--session-minutes", "1", "--session-minutes-max", "1"]);
    let with_server = Census::take(&product.data());
    let timed = start_session(server.address());
    let asked = start_session(server.address());
    request(server.address(), "DELETE", &format!("/api/v1/sessions/{asked}"), "");
    let ended = |id: &str| {
        wait_for_within(Duration::from_secs(90), "the session's end", || {
            let session = get(server.address(), &format!("/api/v1/sessions/{id}"));
            if session["state"] == "Ended" { Ok(session) } else { Err(session.to_string()) }
        })
    };
    ended(&asked);
    assert_eq!(get(server.address(), &format!("/api/v1/sessions/{timed}"))["state"], "Ready");
    assert_eq!(ended(&timed)["reason"], "The time of this session is over.");
    nothing_is_left(&product, &with_server);
    drop(server);
    nothing_is_left(&product, &before);
}

#[test]
fn what_the_machine_lacks_is_one_sentence_and_nothing_is_left() {
    let product = Product::new();
    // Root without its rights, as in a container that was given none.
    let mut command = std::process::Command::new("setpriv");
    let dropped = ["--bounding-set=-all", "--inh-caps=-all", "--"];
    command.args(dropped).arg(product.binary()).args(["--host", "embedded", "cluster", "create", "x"]);
    let output = command.env("DRYDOCK_DATA_DIR", product.data()).output().expect("setpriv of util-linux");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "drydock: root lacks the capability CAP_SYS_ADMIN: in a container, add it (--cap-add SYS_ADMIN) and lift seccomp\n"
    );
    assert!(!product.data().exists(), "a machine that cannot run nodes keeps its disk");

    let small = product.scratch().join("small");
    std::fs::create_dir(&small).expect("a folder");
    let options = Some("size=100m");
    mount(Some("tmpfs"), &small, Some("tmpfs"), MsFlags::empty(), options).expect("a small disk");
    let refused =
        product.command().args(["--host", "embedded", "cluster", "create", "x", "--data-dir"]).arg(&small).output();
    let left = std::fs::read_dir(&small).map(Iterator::count);
    umount(&small).expect("the small disk goes");
    let message = String::from_utf8_lossy(&refused.expect("drydock can be started").stderr).into_owned();
    assert!(message.contains("MB are free below"), "{message}");
    assert!(message.contains("make room or name another folder with --data-dir"), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert_eq!(left.expect("the small disk can be read"), 0);
}

fn start_session(address: &str) -> String {
    let body = r#"{"lesson":"first-pod"}"#;
    let session = request(address, "POST", "/api/v1/sessions", body);
    let id = session["id"].as_str().unwrap_or_else(|| panic!("{session}")).to_owned();
    wait_for("a ready session", || {
        let session = get(address, &format!("/api/v1/sessions/{id}"));
        if session["state"] == "Ready" { Ok(()) } else { Err(session.to_string()) }
    });
    id
}

fn get(address: &str, path: &str) -> serde_json::Value {
    request(address, "GET", path, "")
}
