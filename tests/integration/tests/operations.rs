//! What an operator does: configure, look at metrics, back up, upgrade, restore.

use std::fs;
use std::time::Duration;

use drydock_tests_harness::http::{raw, request};
use drydock_tests_harness::{Product, Server, wait_for_within};
use nix::sys::signal::Signal;

/// How long a session may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
fn ready(server: &Server, id: &str) {
    wait_for_within(PATIENCE, "a session", || {
        let session = request(server.address(), "GET", &format!("/api/v1/sessions/{id}"), "");
        if session["state"] == "Ready" { Ok(()) } else { Err(session.to_string()) }
    });
}

fn metric(server: &Server, row: &str) -> Option<f64> {
    let page = raw(server.address(), "GET", "/metrics", "");
    page.lines().find_map(|line| line.strip_prefix(row)?.trim().parse().ok())
}

#[test]
fn a_server_is_backed_up_upgraded_and_restored_around_its_sessions() {
    let product = Product::new();
    let backup = product.scratch().join("backup.tgz").display().to_string();
    let mut server = Server::start(&product, &["--keep-sessions"]);
    let session = request(server.address(), "POST", "/api/v1/sessions", r#"{"lesson":"first-pod"}"#);
    let id = session["id"].as_str().expect("an id").to_owned();
    ready(&server, &id);
    assert_eq!(metric(&server, "drydock_sessions{state=\"Ready\"}"), Some(1.0));
    assert_eq!(metric(&server, "drydock_session_start_seconds_count"), Some(1.0));
    assert!(
        metric(&server, "drydock_http_requests_total{method=\"POST\",route=\"/api/v1/sessions\",code=\"2xx\"}")
            == Some(1.0)
    );

    // While the server runs, a backup is taken, and none is put back.
    let said = product.drydock(["backup", &backup]).ok();
    assert!(said.contains("1 sessions"), "{said}");
    let refused = product.drydock(["restore", &backup]).failed();
    assert!(refused.contains("a server runs with the data folder"), "{refused}");
    let second = product.drydock(["serve", "--listen", "127.0.0.1:0"]).failed();
    assert!(second.contains("a server runs with the data folder"), "{second}");

    // The upgrade: the server ends, its sessions do not, and the next server has them.
    server.signal(Signal::SIGTERM);
    server.wait();
    let server = Server::start(&product, &[]);
    let found = request(server.address(), "GET", &format!("/api/v1/sessions/{id}"), "");
    assert_eq!(found["state"], "Ready", "{found}");
    assert_eq!(found["created_millis"], session["created_millis"]);
    // Without --keep-sessions its end is theirs.
    drop(server);

    let said = product.drydock(["restore", &backup]).ok();
    assert!(said.contains("What was there before is in"), "{said}");
    let server = Server::start(&product, &[]);
    let found = request(server.address(), "GET", &format!("/api/v1/sessions/{id}"), "");
    assert_eq!(found["state"], "Ended", "the backup knows a session whose cluster is gone: {found}");
}

#[test]
fn the_configuration_says_what_holds_and_what_is_wrong_with_it() {
    let product = Product::new();
    let file = product.scratch().join("drydock.toml");
    let name = file.display().to_string();
    fs::write(&file, "max-sessions = 7\nimage-registries = [\"docker.io\"]\nmetrics-token = \"hush\"\n")
        .expect("written");
    let said = product.drydock(["--config", &name, "config", "--session-minutes", "5"]).ok();
    let row = |key: &str| {
        let words = said.lines().find(|line| line.split_whitespace().next() == Some(key));
        words.map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")).unwrap_or_default()
    };
    assert_eq!(row("max-sessions"), format!("7 {name}:1"));
    assert_eq!(row("session-minutes"), "5 flag --session-minutes");
    assert_eq!(row("data-dir"), format!("{} environment DRYDOCK_DATA_DIR", product.data().display()));
    assert_eq!(row("log-format"), "text default");
    assert!(!said.contains("hush"), "{said}");
    fs::write(&file, "\nmax_sessions = 7\n").expect("written");
    let wrong = product.drydock(["--config", &name, "serve"]).failed();
    assert!(
        wrong.contains(&format!("{name}, line 2: there is no setting max_sessions; did you mean max-sessions?")),
        "{wrong}"
    );
}
