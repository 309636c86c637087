//! From the wish to the end: the queue, the warm pool, sleep, what is kept, and that nothing outlives its time even when the
//! server is killed at any moment.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use drydock_tests_harness::http::{Browser, cookies, raw, request};
use drydock_tests_harness::{Census, Product, Server, wait_for, wait_for_within};
use nix::sys::signal::Signal;
use serde_json::Value;

const MINUTE: Duration = Duration::from_secs(60);

fn get(server: &Server, id: &str) -> Value {
    request(server.address(), "GET", &format!("/api/v1/sessions/{id}"), "")
}

#[track_caller]
fn create(server: &Server) -> String {
    let session = request(server.address(), "POST", "/api/v1/sessions", "{}");
    session["id"].as_str().unwrap_or_else(|| panic!("{session}")).to_owned()
}

#[track_caller]
fn until(server: &Server, id: &str, state: &str) -> Value {
    wait_for_within(2 * MINUTE, &format!("a session that is {state}"), || {
        let session = get(server, id);
        if session["state"] == state { Ok(session) } else { Err(session.to_string()) }
    })
}

fn end(server: &Server, id: &str) {
    request(server.address(), "DELETE", &format!("/api/v1/sessions/{id}"), "");
}

/// An open page, as far as the server can tell; closed when dropped.
struct Page {
    _stream: TcpStream,
}

impl Page {
    #[track_caller]
    fn open(server: &Server, id: &str) -> Page {
        let address = server.address();
        let mut stream = TcpStream::connect(address).expect("the server listens");
        let head = format!(
            "GET /api/v1/sessions/{id}/events HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\n\r\n",
            cookies(address)
        );
        stream.write_all(head.as_bytes()).expect("the request is sent");
        // The first bytes say that the server knows of the page.
        let mut first = [0; 12];
        stream.read_exact(&mut first).expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200");
        Page { _stream: stream }
    }
}

fn kill(mut server: Server) {
    server.signal(Signal::SIGKILL);
    server.wait();
}

fn stop(mut server: Server) {
    server.signal(Signal::SIGTERM);
    server.wait();
}

/// Folders of sessions and loop devices bound to their disks.
fn files(data: &Path) -> Vec<String> {
    let folders = std::fs::read_dir(data.join("sessions")).into_iter().flatten().flatten();
    let mut left: Vec<String> = folders
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path().display().to_string())
        .collect();
    for entry in std::fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let bound = std::fs::read_to_string(entry.path().join("loop/backing_file")).unwrap_or_default();
        if Path::new(bound.trim()).starts_with(data) {
            left.push(format!("loop device of {}", bound.trim()));
        }
    }
    left
}

/// Without what belongs to other servers that run on this machine: their supervisors tell which sessions are theirs.
fn of_nobody_else(mut lines: Vec<String>, data: &Path) -> Vec<String> {
    let mut foreign = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let mut words = command.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        if words.next().is_some_and(|program| program == "drydock-supervisor")
            && let Some(folder) = words.skip_while(|word| word != "--session-dir").nth(1)
            && !Path::new(&folder).starts_with(data)
        {
            foreign.push(folder.rsplit('/').next().unwrap_or_default().to_owned());
        }
    }
    // Whose a network namespace is, and what a node calls itself, cannot be told.
    let alone = foreign.is_empty();
    lines.retain(|line| {
        alone
            || !line.starts_with("network namespace") && !line.starts_with("process ")
            || line.contains(&data.display().to_string())
    });
    lines.retain(|line| !foreign.iter().any(|name| line.contains(name.as_str())));
    lines
}

#[track_caller]
fn nothing_is_left(what: &str, product: &Product, before: &Census) {
    wait_for(&format!("a machine as before, after {what}"), || {
        let now = Census::take(&product.data());
        let mut added = of_nobody_else(now.added_since(before), &product.data());
        added.extend(files(&product.data()));
        if added.is_empty() { Ok(()) } else { Err(added.join("\n")) }
    });
}

/// How far a session is: a stage of its start has begun.
fn began(session: &Value, stage: &str) -> bool {
    let steps = session["start"].as_array().into_iter().flatten();
    stage.is_empty()
        || session["state"] == "Ready"
        || steps.into_iter().any(|it| it["stage"] == stage && it["state"] != "waiting")
}

fn pause(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::thread::yield_now();
    }
}

#[test]
fn a_server_that_is_killed_at_any_stage_of_a_start_goes_on_where_it_was() {
    let product = Product::new();
    let before = Census::take(&product.data());
    for stage in ["", "network", "etcd", "controllers", "nodes", "workstation"] {
        let server = Server::start(&product, &[]);
        let id = create(&server);
        let limit = Instant::now() + MINUTE;
        while !began(&get(&server, &id), stage) {
            assert!(Instant::now() < limit, "{stage} was never reached");
        }
        kill(server);
        let server = Server::start(&product, &[]);
        // Whoever was about to get a cluster gets one.
        until(&server, &id, "Ready");
        let clusters = product.drydock(["cluster", "list", "--output", "json"]).ok();
        let clusters: Value = serde_json::from_str(&clusters).expect("JSON");
        assert_eq!(clusters.as_array().map(Vec::len), Some(1), "{stage}: {clusters}");
        end(&server, &id);
        assert_eq!(until(&server, &id, "Ended")["ended"], "owner");
        stop(server);
        nothing_is_left(&format!("{stage:?}"), &product, &before);
    }
}

#[test]
fn a_server_that_is_killed_while_sessions_end_ends_them_later() {
    let product = Product::new();
    let before = Census::take(&product.data());
    for millis in [0, 2, 10, 30, 60, 120, 400] {
        let server = Server::start(&product, &[]);
        let id = create(&server);
        until(&server, &id, "Ready");
        end(&server, &id);
        pause(Duration::from_millis(millis));
        kill(server);
        let server = Server::start(&product, &[]);
        assert_eq!(until(&server, &id, "Ended")["reason"], "You ended this session.", "{millis} ms");
        nothing_of_a_session(&product, millis);
        stop(server);
        nothing_is_left(&format!("{millis} ms"), &product, &before);
    }
}

/// The server that runs has no cluster any more.
#[track_caller]
fn nothing_of_a_session(product: &Product, millis: u64) {
    wait_for(&format!("no cluster, {millis} ms"), || {
        let clusters = product.drydock(["cluster", "list", "--output", "json"]).ok();
        if clusters == "[]\n" { Ok(()) } else { Err(clusters) }
    });
}

#[test]
fn a_server_that_is_killed_while_it_fills_its_pool_leaves_nothing() {
    let product = Product::new();
    let before = Census::take(&product.data());
    for millis in [0, 50, 150, 300, 1500] {
        let server = Server::start(&product, &["--warm", "2"]);
        pause(Duration::from_millis(millis));
        kill(server);
        // No session had any of it.
        let server = Server::start(&product, &["--warm", "0", "--keep-sessions"]);
        let id = create(&server);
        until(&server, &id, "Ready");
        end(&server, &id);
        until(&server, &id, "Ended");
        stop(server);
        let server = Server::start(&product, &["--warm", "0"]);
        stop(server);
        nothing_is_left(&format!("{millis} ms"), &product, &before);
    }
}

#[test]
fn who_comes_too_late_waits_in_order_and_gets_in() {
    let product = Product::new();
    let before = Census::take(&product.data());
    let flags = ["--max-sessions", "1", "--queue-lease", "3"];
    let server = Server::start(&product, &flags);
    let first = create(&server);
    until(&server, &first, "Ready");
    let [second, third] = [(); 2].map(|()| create(&server));
    let page = Page::open(&server, &second);
    let place = |server: &Server, id: &str| get(server, id)["queue"].clone();
    assert_eq!(place(&server, &second)["position"], 1);
    assert_eq!(place(&server, &second)["waits_for"], "places");
    assert!(place(&server, &second)["expected_millis"].as_u64().is_some_and(|it| it > 60_000), "nobody ends soon");
    assert_eq!(place(&server, &third)["position"], 2);
    // Nobody has the third one's page open.
    assert_eq!(until(&server, &third, "Ended")["ended"], "queue");
    drop(page);
    kill(server);
    let server = Server::start(&product, &flags);
    let _page = Page::open(&server, &second);
    assert_eq!(get(&server, &first)["state"], "Ready");
    assert_eq!(place(&server, &second)["position"], 1, "the place outlives the server");
    let fourth = create(&server);
    assert_eq!(place(&server, &fourth)["position"], 2);
    end(&server, &fourth);
    assert_eq!(get(&server, &fourth)["state"], "Ended", "who waits can leave at once");
    end(&server, &first);
    until(&server, &second, "Ready");
    stop(server);
    nothing_is_left("the queue", &product, &before);
}

#[test]
fn one_person_has_so_many_sessions_and_places_in_the_queue_as_one_may() {
    let product = Product::new();
    let server = Server::start(&product, &["--max-sessions", "1", "--sessions-each", "2"]);
    let (ada, bob, ines) = (Browser::default(), Browser::default(), Browser::default());
    let address = server.address();
    let ask = |who: &Browser, path: &str, method: &str| who.request(address, method, &format!("/api/v1{path}"), "{}");
    let create = |who: &Browser| ask(who, "/sessions", "POST");
    let first = create(&ada);
    let waits = create(&ada);
    assert_eq!(waits["state"], "Pending", "{waits}");
    let refused = create(&ada);
    assert_eq!(refused["error"]["code"], "too_many", "{refused}");
    let sentence =
        "You have 2 sessions already, as many as one person may have here at once. End one, then start this one.";
    assert_eq!(refused["error"]["message"], sentence);
    // Others stand in the queue, who gives up a place may have another one, and staff is not counted.
    assert_eq!(create(&bob)["state"], "Pending");
    let path = format!("/sessions/{}", waits["id"].as_str().expect("an id"));
    ask(&ada, &path, "DELETE");
    assert_eq!(create(&ada)["state"], "Pending");
    assert_eq!(create(&ada)["error"]["code"], "too_many");
    server.set_up(&ines);
    for _ in 0..3 {
        assert_eq!(create(&ines)["state"], "Pending");
    }
    // Two wishes at once are two.
    let eve = Browser::default();
    create(&eve);
    let codes = std::thread::scope(|scope| {
        let both = [(); 4].map(|()| scope.spawn(|| create(&eve)["error"]["code"].clone()));
        both.map(|one| one.join().expect("an answer"))
    });
    assert_eq!(codes.iter().filter(|code| code.is_null()).count(), 1, "{codes:?}");
    ask(&ada, &format!("/sessions/{}", first["id"].as_str().expect("an id")), "DELETE");
}

#[test]
fn a_disk_that_is_full_makes_people_wait_and_no_longer_than_it_is() {
    let product = Product::new();
    let large = product.scratch().join("large");
    let filled = Command::new("fallocate").args(["-l", "1536M"]).arg(&large).status();
    assert!(filled.expect("fallocate of util-linux").success(), "the disk has no room for what the test deletes");
    let disk = nix::sys::statvfs::statvfs(product.scratch()).expect("a disk");
    let free = (disk.blocks_available() * disk.fragment_size()) >> 20;
    // The server believes all that is left, and some more, to be the machine's own: a test cannot know how large the
    // disk is, and filling it would be felt by others.
    let reserve = (free + 384).to_string();
    let server = Server::start(&product, &["--reserve-disk", &reserve, "--queue-lease", "600"]);
    let id = create(&server);
    let session = get(&server, &id);
    assert_eq!((session["state"].as_str(), session["queue"]["waits_for"].as_str()), (Some("Pending"), Some("disk")));
    std::fs::remove_file(&large).expect("it is there");
    until(&server, &id, "Ready");
}

#[test]
fn a_warm_cluster_is_handed_out_at_once_and_found_again() {
    let product = Product::new();
    let before = Census::take(&product.data());
    let names = || {
        let clusters: Value =
            serde_json::from_str(&product.drydock(["cluster", "list", "--output", "json"]).ok()).expect("JSON");
        let names = clusters.as_array().into_iter().flatten().filter_map(|it| it["name"].as_str());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    // It is in the database, too, once it is ready: a start that finds it keeps it.
    let server = Server::start(&product, &["--warm", "1"]);
    let warm = wait_for("a warm cluster", || match names().as_slice() {
        [name] => Ok(name.clone()),
        other => Err(format!("{other:?}")),
    });
    wait_for_within(2 * MINUTE, "the warm cluster to be ready", || {
        let metrics = raw(server.address(), "GET", "/metrics", "");
        if metrics.contains("\ndrydock_warm_clusters 1\n") { Ok(()) } else { Err(metrics) }
    });
    kill(server);
    let server = Server::start(&product, &["--warm", "1"]);
    let id = create(&server);
    let session = until(&server, &id, "Ready");
    assert_eq!(session["name"], warm.as_str(), "the one that was there");
    // The next one is made ahead at once; a lesson of another size cannot have it.
    wait_for("another one", || if names().len() == 2 { Ok(()) } else { Err(format!("{:?}", names())) });
    let other = request(server.address(), "POST", "/api/v1/sessions", r#"{"workers":1}"#);
    let other = until(&server, other["id"].as_str().unwrap_or_default(), "Ready");
    assert_eq!(other["nodes"], 2);
    stop(server);
    nothing_is_left("the pool", &product, &before);
}

#[test]
fn who_is_not_used_sleeps_and_wakes_as_if_nothing_had_been() {
    let product = Product::new();
    let server = Server::start(&product, &["--suspend-minutes", "1"]);
    let id = create(&server);
    let name = until(&server, &id, "Ready")["name"].as_str().unwrap_or_default().to_owned();
    let kubectl = |line: &str| {
        let head = ["cluster", "exec", &name, "workstation", "--", "kubectl"];
        product.drydock(head.into_iter().chain(line.split(' '))).ok()
    };
    kubectl("create deployment web --image=drydock/demo:v1 --replicas=2");
    wait_for("two pods", || {
        let ready = kubectl("get deployment web -o jsonpath={.status.readyReplicas}");
        if ready == "2" { Ok(()) } else { Err(ready) }
    });
    let page = Page::open(&server, &id);
    drop(page);
    until(&server, &id, "Suspended");
    let said = product.drydock(["cluster", "exec", &name, "master", "--", "true"]).failed();
    assert!(said.contains("asleep"), "{said}");
    // Longer than nodes may be silent.
    pause(Duration::from_secs(15));
    // The server may go and come meanwhile.
    kill(server);
    let server = Server::start(&product, &["--suspend-minutes", "1"]);
    assert_eq!(get(&server, &id)["state"], "Suspended", "looking at its description is no use");
    let _page = Page::open(&server, &id);
    assert_eq!(get(&server, &id)["state"], "Ready", "an open page is");
    let nodes = kubectl("get nodes --no-headers");
    assert_eq!(nodes.lines().filter(|line| line.contains(" Ready ")).count(), 3, "{nodes}");
    pause(Duration::from_secs(15));
    let events = kubectl("get events -A --no-headers");
    assert!(!events.contains("NodeNotReady"), "{events}");
    assert_eq!(kubectl("get deployment web -o jsonpath={.status.readyReplicas}"), "2");
    // What was made can be had now, and after the end.
    let path = format!("/api/v1/sessions/{id}/manifests.yaml");
    for again in [false, true] {
        let text = raw(server.address(), "GET", &path, "");
        assert!(text.contains("kind: Deployment") && text.contains("name: web"), "{text}");
        for word in ["uid:", "status:", "kube-root-ca.crt", "ReplicaSet", "kind: Pod\n", "kube-system", "cluster-dns"] {
            assert!(!text.contains(word), "{word} in {text}");
        }
        if !again {
            end(&server, &id);
            let ended = until(&server, &id, "Ended");
            assert_eq!((&ended["ended"], &ended["manifests"]), (&Value::from("owner"), &Value::from(true)));
        }
    }
    // It can be applied as it is.
    let text = raw(server.address(), "GET", &path, "");
    let (_, body) = text.split_once("\r\n\r\n").expect("a body");
    let other = create(&server);
    let name = until(&server, &other, "Ready")["name"].as_str().unwrap_or_default().to_owned();
    let applied = serde_json::json!({"name": "m.yaml", "text": body, "action": "apply"}).to_string();
    let outcome = request(server.address(), "POST", &format!("/api/v1/sessions/{other}/manifest"), &applied);
    assert_eq!(outcome["ok"], true, "{outcome} {name}");
}
