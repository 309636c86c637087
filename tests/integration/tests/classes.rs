//! A class from its plan to its removal, over HTTP: an instructor, learners who join with a code, the live grid, what is told,
//! terminals that are looked at, progress as CSV.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use drydock_tests_harness::http::Browser;
use drydock_tests_harness::{Product, Server, wait_for, wait_for_within};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

const LESSON: &str = r#"
order = 1
minutes = 4
workers = 1

[[step]]
id = "read"

[[step]]
id = "first"
[[step.check]]
id = "there"
resource = "v1/configmaps"
namespace = "default"
expression = "objects.exists(c, c.metadata.name == 'first')"
detail = "string(objects.size()) + ' ConfigMaps'"

[[step]]
id = "second"
[[step.check]]
id = "there"
resource = "v1/configmaps"
namespace = "default"
expression = "objects.exists(c, c.metadata.name == 'second')"
"#;

const TEXT: &str = r#"+++
title = "Maps"
summary = "ConfigMaps."
topic = "Tests"
+++
## Read {#read}
Read.
## First {#first}
### Checks
- `there`: The first one
## Second {#second}
### Checks
- `there`: The second one
"#;

fn import(product: &Product, slug: &str) {
    let folder = product.scratch().join(slug);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("lesson.toml"), LESSON).expect("lesson.toml");
    fs::write(folder.join("en.md"), TEXT).expect("en.md");
    product.drydock([Path::new("lesson").as_os_str(), "import".as_ref(), folder.as_os_str()]).ok();
}

/// Somebody with a browser of their own.
struct Somebody<'a> {
    server: &'a Server,
    browser: Browser,
}

impl<'a> Somebody<'a> {
    fn new(server: &'a Server) -> Somebody<'a> {
        Somebody { server, browser: Browser::default() }
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.browser.request(self.server.address(), method, &format!("/api/v1{path}"), &body)
    }

    /// The status alone.
    #[track_caller]
    fn status(&self, method: &str, path: &str, body: &Value) -> u16 {
        let answer = self.raw(method, path, body);
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
    }

    fn raw(&self, method: &str, path: &str, body: &Value) -> String {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.browser.raw(self.server.address(), method, &format!("/api/v1{path}"), &body, &[])
    }

    /// The first event of a stream.
    fn event(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(self.server.address()).expect("the server listens");
        let head = format!(
            "GET /api/v1{path} HTTP/1.0\r\nHost: {}\r\nCookie: {}\r\n\r\n",
            self.server.address(),
            self.browser.cookies()
        );
        stream.write_all(head.as_bytes()).expect("the request is sent");
        let mut lines = BufReader::new(stream).lines().map(|line| line.expect("a line"));
        let data = lines.find_map(|line| line.strip_prefix("data:").map(|data| data.trim().to_owned()));
        serde_json::from_str(&data.expect("an event")).expect("JSON")
    }

    /// Opens a WebSocket; the status where it is refused.
    fn socket(&self, path: &str) -> Result<WebSocket<TcpStream>, u16> {
        let stream = TcpStream::connect(self.server.address()).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time limit");
        let address = format!("ws://{}/api/v1{path}", self.server.address());
        let mut asked = address.into_client_request().expect("a request");
        asked.headers_mut().insert("cookie", self.browser.cookies().parse().expect("cookies"));
        match tungstenite::client(asked, stream) {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                Err(answer.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Joins and waits until the session is ready: its identifier.
    #[track_caller]
    fn join(&self, code: &str, name: &str) -> String {
        let place = self.ask("POST", &format!("/join/{code}"), &json!({"name": name}));
        let session = place["session"].as_str().unwrap_or_else(|| panic!("{place}")).to_owned();
        wait_for_within(Duration::from_secs(60), "a ready session", || {
            let session = self.ask("GET", &format!("/sessions/{session}"), &Value::Null);
            if session["state"] == "Ready" { Ok(()) } else { Err(session.to_string()) }
        });
        session
    }

    /// The class as this learner's page sees it.
    fn seat(&self, session: &str) -> Value {
        self.event(&format!("/sessions/{session}/events"))["class"].clone()
    }
}

/// Reads until the terminal's bytes hold a text; what was said between.
#[track_caller]
fn read_until(socket: &mut WebSocket<TcpStream>, wanted: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(wanted) {
        match socket.read() {
            Ok(Message::Binary(bytes)) => seen.push_str(&String::from_utf8_lossy(&bytes)),
            Ok(Message::Text(text)) => seen.push_str(&text),
            Ok(_) => {}
            Err(error) => panic!("{error} after {seen:?}, without {wanted:?}"),
        }
    }
    seen
}

fn type_text(socket: &mut WebSocket<TcpStream>, text: &str) {
    socket.send(Message::Binary(text.as_bytes().to_vec().into())).expect("it is sent");
}

#[track_caller]
fn learner(instructor: &Somebody<'_>, class: &str, number: u64, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    wait_for_within(Duration::from_secs(30), what, || {
        let grid = instructor.event(&format!("/classes/{class}/events"));
        let learners = grid["learners"].as_array().cloned().unwrap_or_default();
        match learners.into_iter().find(|learner| learner["id"] == number) {
            Some(learner) if is(&learner) => Ok(learner),
            other => Err(format!("{other:?}")),
        }
    })
}

/// A learner's own kubectl in a Pod, through the kubeconfig of the session's page.
struct Shell(Child);

impl Shell {
    /// Opens one that says what it is told.
    #[track_caller]
    fn open(product: &Product, who: &Somebody<'_>, session: &str) -> Shell {
        let answer = who.raw("GET", &format!("/sessions/{session}/kubeconfig"), &Value::Null);
        let (_, text) = answer.split_once("\r\n\r\n").expect("a body");
        let file = product.scratch().join("learner.kubeconfig");
        fs::write(&file, text).expect("the kubeconfig");
        let kubectl = |line: &str| {
            let mut command = Command::new("kubectl");
            command.arg("--kubeconfig").arg(&file).args(line.split(' '));
            command
        };
        for line in [
            "run shell --image=drydock/tools --restart=Never --command -- sleep 600",
            "wait pod/shell --for=condition=Ready --timeout=60s",
        ] {
            let done = kubectl(line).output().expect("kubectl");
            assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        }
        let mut exec = kubectl("exec -i shell -- cat");
        exec.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = exec.spawn().expect("kubectl");
        child.stdin.as_mut().expect("its input").write_all(b"anybody there?\n").expect("it listens");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("its output")).read_line(&mut line).expect("it answers");
        assert_eq!(line, "anybody there?\n");
        Shell(child)
    }

    /// Waits until it ended, and not of its own.
    #[track_caller]
    fn ends(&mut self) {
        let status = wait_for("the end of a shell that was open", || {
            self.0.try_wait().expect("its state").ok_or_else(|| "it is open".to_owned())
        });
        assert!(!status.success(), "{status}");
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What changes a learner's cluster, and what only looks, while the class is paused or not.
#[track_caller]
fn held(who: &Somebody<'_>, session: &str, paused: bool) {
    let manifest = |action: &str| {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: by-hand}\n";
        json!({"action": action, "name": "map.yaml", "text": text})
    };
    let sentence = "The class is paused: nothing changes the cluster until your instructor goes on.";
    let stop = json!({"kind": "stop-node", "node": "worker-1"});
    for (path, body) in
        [("manifest", manifest("apply")), ("faults/heal", stop.clone()), ("nodes/worker-9/stop", Value::Null)]
    {
        let answer = who.raw("POST", &format!("/sessions/{session}/{path}"), &body);
        assert_eq!(answer.contains(sentence) && answer.contains(" 409 "), paused, "{path}: {answer}");
    }
    if paused {
        for (method, path) in [("POST", "reset"), ("POST", "nodes"), ("DELETE", "nodes/worker-1"), ("POST", "faults")] {
            let answer = who.raw(method, &format!("/sessions/{session}/{path}"), &stop);
            assert!(answer.contains(sentence), "{path}: {answer}");
        }
    }
    assert_eq!(who.status("POST", &format!("/sessions/{session}/manifest"), &manifest("diff")), 200);
    let file = format!("/api/v1/sessions/{session}/files/notes.txt");
    let saved = who.browser.raw(who.server.address(), "PUT", &file, "what was said", &[]);
    assert!(saved.contains(" 200 "), "{saved}");
    // A kubeconfig's programs: what they read, and what they change.
    let kubeconfig = who.raw("GET", &format!("/sessions/{session}/kubeconfig"), &Value::Null);
    let token = kubeconfig.split("token: ").nth(1).and_then(|it| it.split_whitespace().next()).expect("a token");
    let bearer = format!("Bearer {token}");
    let kube = |method: &str, body: &str| {
        let path = format!("/api/v1/sessions/{session}/kube/api/v1/namespaces/default/configmaps");
        let headers = [("Authorization", bearer.as_str())];
        Browser::default().ask(who.server.address(), method, &path, body, &headers)
    };
    assert_eq!(kube("GET", "").0, 200);
    let (status, _, said) = kube("POST", r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"by-program"}}"#);
    assert_eq!(status, if paused { 403 } else { 201 }, "{said}");
    assert_eq!(said.contains(sentence), paused, "{said}");
}

#[test]
fn a_class_from_its_plan_to_its_removal() {
    let product = Product::new();
    for slug in ["maps", "more-maps"] {
        import(&product, slug);
    }
    let mut server = Server::start(&product, &[]);
    let ines = Browser::default();
    server.set_up(&ines);
    let cookies = ines;
    let ines = Somebody { server: &server, browser: cookies };
    let plan = json!({"title": "Maps <b>", "lessons": ["maps", "more-maps"], "minutes": 60, "size": 3});
    assert_eq!(Somebody::new(&server).status("POST", "/classes", &plan), 401, "only instructors hold classes");
    for wrong in [
        json!({"title": " ", "minutes": 60, "size": 3}),
        json!({"title": "x", "minutes": 0, "size": 3}),
        json!({"title": "x", "minutes": 60, "size": 501}),
    ] {
        assert_eq!(ines.status("POST", "/classes", &wrong), 400, "{wrong}");
    }
    let class = ines.ask("POST", "/classes", &plan);
    let (id, code) =
        (class["id"].as_str().expect("an id").to_owned(), class["code"].as_str().expect("a code").to_owned());
    assert_eq!((&class["state"], &class["title"]), (&json!("open"), &json!("Maps <b>")));

    // Three learners, two of one name; a fourth has no place; a wrong code leads nowhere.
    let learners = [Somebody::new(&server), Somebody::new(&server), Somebody::new(&server)];
    let [ada, other, wang] = &learners;
    let small = code.to_lowercase();
    assert_eq!(ada.ask("GET", &format!("/join/{small}"), &Value::Null)["title"], "Maps <b>");
    let first = ada.join(&small, "  Ada ");
    let second = other.join(&code, "Ada");
    let third = wang.join(&code, "=王小明");
    let late = Somebody::new(&server);
    assert_eq!(late.ask("GET", &format!("/join/{code}"), &Value::Null)["full"], true);
    assert_eq!(late.status("POST", &format!("/join/{code}"), &json!({"name": "Late"})), 503);
    assert_eq!(late.status("POST", "/join/ZZZZZZZ", &json!({"name": "Late"})), 404);
    assert_eq!(late.status("POST", "/join/..%2F..%2Fclasses", &json!({"name": "Late"})), 404);
    assert_eq!(other.ask("GET", &format!("/join/{code}"), &Value::Null)["place"]["name"], "Ada (2)");
    // Who comes back is where they were.
    assert_eq!(
        ada.ask("POST", &format!("/join/{code}"), &json!({"name": "Eve"})),
        json!({"name": "Ada", "session": first})
    );

    // The class is its instructor's alone, and a session its learner's.
    for path in ["", "/events", "/progress.csv"] {
        assert_eq!(ada.status("GET", &format!("/classes/{id}{path}"), &Value::Null), 401, "{path}");
    }
    assert_eq!(ada.status("GET", &format!("/sessions/{second}"), &Value::Null), 404);
    assert_eq!(ada.status("POST", &format!("/sessions/{second}/class"), &json!({"type": "hand", "up": true})), 404);
    assert_eq!(ada.socket(&format!("/classes/{id}/learners/2/terminal")).err(), Some(401));

    // The grid: what was typed, what fails, a hand, a step that is done.
    let mut terminal = ada.socket(&format!("/sessions/{first}/terminals/main?cols=90&rows=30")).expect("a terminal");
    type_text(&mut terminal, "kubectl get configmaps -A\r");
    read_until(&mut terminal, "kube-root-ca.crt");
    let row = learner(&ines, &id, 1, "the command", |row| row["last_command"] == "kubectl get configmaps -A");
    assert_eq!((&row["name"], &row["step"], &row["step_number"]), (&json!("Ada"), &json!("first"), &json!(2)), "{row}");
    assert_eq!((&row["step_count"], &row["steps_done"], &row["stuck"]), (&json!(3), &json!(0), &json!("no")), "{row}");
    let row = learner(&ines, &id, 1, "what fails", |row| row["failing"].is_string());
    assert_eq!(row["failing"], "there: 1 ConfigMaps", "{row}");
    ada.ask("POST", &format!("/sessions/{first}/class"), &json!({"type": "hand", "up": true}));
    learner(&ines, &id, 1, "the hand", |row| row["hand_millis"].is_u64());
    assert_eq!(ines.status("DELETE", &format!("/classes/{id}/learners/1/hand"), &Value::Null), 204);
    learner(&ines, &id, 1, "no hand", |row| row["hand_millis"].is_null());
    type_text(&mut terminal, "kubectl create configmap first\r");
    let row = learner(&ines, &id, 1, "the step", |row| row["steps_done"] == 1);
    assert_eq!((&row["step"], &row["step_number"]), (&json!("second"), &json!(3)), "{row}");

    // What is told: to all, later comers included, and to one.
    ines.ask("POST", &format!("/classes/{id}/posts"), &json!({"text": "Welcome <script>"}));
    ines.ask(
        "POST",
        &format!("/classes/{id}/posts"),
        &json!({"to": 2, "kind": "command", "text": "kubectl get nodes"}),
    );
    assert_eq!(ines.status("POST", &format!("/classes/{id}/posts"), &json!({"kind": "command", "text": "a\nb"})), 400);
    assert_eq!(ines.status("POST", &format!("/classes/{id}/posts"), &json!({"to": 9, "text": "x"})), 404);
    let texts = |seat: &Value| -> Vec<String> {
        let posts = seat["posts"].as_array().cloned().unwrap_or_default();
        posts.iter().map(|post| post["text"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(texts(&ada.seat(&first)), ["Welcome <script>"]);
    assert_eq!(texts(&other.seat(&second)), ["Welcome <script>", "kubectl get nodes"]);
    assert_eq!(ines.status("DELETE", &format!("/classes/{id}/posts/1"), &Value::Null), 204);
    assert!(texts(&ada.seat(&first)).is_empty());

    // A terminal that is looked at; keys count only with consent, and the size is the learner's.
    let mut watch = ines.socket(&format!("/classes/{id}/learners/1/terminal")).expect("a terminal to look at");
    let shown = read_until(&mut watch, "configmap/first created");
    assert!(shown.contains(r#"{"type":"shows","node":"workstation","cols":90,"rows":30}"#), "{shown}");
    wait_for("the mark on the learner's page", || {
        let seat = ada.seat(&first);
        if seat["watched"] == true { Ok(()) } else { Err(seat.to_string()) }
    });
    type_text(&mut watch, "touch /tmp/without-consent\r");
    let joint = format!("/sessions/{first}/class");
    assert_eq!(ada.status("POST", &joint, &json!({"type": "joint", "agree": true})), 409, "nobody asked");
    assert_eq!(ines.status("POST", &format!("/classes/{id}/learners/1/joint"), &Value::Null), 204);
    assert_eq!(ada.seat(&first)["joint"], "asked");
    ada.ask("POST", &joint, &json!({"type": "joint", "agree": true}));
    read_until(&mut watch, r#"{"type":"joint","may_type":true}"#);
    type_text(&mut watch, "ls /tmp; echo to'get'her\r");
    let seen = read_until(&mut terminal, "together\r\n");
    assert!(!seen.contains("without-consent"), "{seen}");
    ada.ask("POST", &joint, &json!({"type": "joint", "agree": false}));
    read_until(&mut watch, r#"{"type":"joint","may_type":false}"#);
    drop(watch);
    wait_for("no mark on the learner's page", || {
        let seat = ada.seat(&first);
        if seat["watched"] == false && seat["joint"] == "no" { Ok(()) } else { Err(seat.to_string()) }
    });

    // Attention: keys do not count.
    let act = |action: Value| ines.ask("POST", &format!("/classes/{id}/actions"), &action);
    let mut shell = Shell::open(&product, ada, &first);
    assert_eq!(act(json!({"type": "pause"}))["state"], "paused");
    shell.ends();
    assert_eq!(ada.seat(&first)["state"], "paused");
    type_text(&mut terminal, "touch /tmp/in-the-pause\r");
    // A question about the size is answered in their order: what was typed before it was thrown away by then.
    terminal.send(Message::Text(json!({"type": "resize", "cols": 91, "rows": 30}).to_string().into())).expect("sent");
    learner(&ines, &id, 1, "the learner, still there", |row| row["online"].is_boolean());
    let mut watch = ines.socket(&format!("/classes/{id}/learners/1/terminal")).expect("a terminal to look at");
    read_until(&mut watch, r#""cols":91"#);
    drop(watch);
    held(ada, &first, true);
    assert_eq!(act(json!({"type": "resume"}))["state"], "open");
    held(ada, &first, false);
    type_text(&mut terminal, "ls /tmp; echo af'ter'wards\r");
    let seen = read_until(&mut terminal, "afterwards\r\n");
    assert!(!seen.contains("in-the-pause"), "{seen}");

    // More time for the class is more time for its sessions.
    let ends = |session: &str, who: &Somebody<'_>| {
        who.ask("GET", &format!("/sessions/{session}"), &Value::Null)["expires_millis"].as_u64().expect("an end")
    };
    let before = ends(&first, ada);
    act(json!({"type": "extend", "minutes": 30}));
    assert_eq!(ends(&first, ada), before + 30 * 60_000);

    // The next lesson: offered, then followed to a new session; progress of both counts.
    act(json!({"type": "move", "to": 1}));
    assert_eq!(ada.seat(&first)["next"], "more-maps");
    let seat = ada.ask("POST", &joint, &json!({"type": "follow"}));
    let next = seat["session"].as_str().unwrap_or_else(|| panic!("{seat}")).to_owned();
    assert_ne!(next, first);
    wait_for_within(Duration::from_secs(60), "the next lesson's session", || {
        let session = ada.ask("GET", &format!("/sessions/{next}"), &Value::Null);
        if session["state"] == "Ready" && session["lesson"] == "more-maps" { Ok(()) } else { Err(session.to_string()) }
    });
    learner(&ines, &id, 1, "the other lesson", |row| row["lesson"] == "more-maps" && row["steps_done"] == 0);
    let csv = ines.raw("GET", &format!("/classes/{id}/progress.csv"), &Value::Null);
    let (head, table) = csv.split_once("\r\n\r\n").expect("an answer");
    assert!(head.contains("text/csv") && head.contains("attachment"), "{head}");
    assert!(
        table.contains("\u{feff}Name,Joined,Steps done,Steps,maps / first,maps / second,more-maps / first"),
        "{table}"
    );
    assert!(table.lines().any(|line| line.starts_with("Ada,") && line.contains(",1,4,")), "{table}");
    assert!(table.contains("\r\n'=王小明,"), "{table}");

    // Another server finds the class again.
    server.signal(nix::sys::signal::Signal::SIGKILL);
    drop(learners);
    let cookies = ines.browser;
    server.wait();
    let server = Server::start(&product, &[]);
    let ines = Somebody { server: &server, browser: cookies };
    let grid = ines.event(&format!("/classes/{id}/events"));
    assert_eq!((&grid["type"], grid["learners"].as_array().map(Vec::len)), (&json!("snapshot"), Some(3)), "{grid}");
    assert_eq!(grid["posts"].as_array().map(Vec::len), Some(1), "{grid}");

    // Removal: one learner, then all. Nothing of them is left, not even in the database.
    assert_eq!(ines.status("DELETE", &format!("/classes/{id}/learners/3"), &Value::Null), 204);
    let grid = ines.event(&format!("/classes/{id}/events"));
    assert_eq!(grid["learners"].as_array().map(Vec::len), Some(2), "{grid}");
    assert_eq!(ines.status("DELETE", &format!("/classes/{id}"), &Value::Null), 204);
    assert_eq!(ines.status("GET", &format!("/classes/{id}"), &Value::Null), 404);
    assert_eq!(ines.status("GET", &format!("/join/{code}"), &Value::Null), 404);
    wait_for_within(Duration::from_secs(60), "no cluster of the class", || {
        let clusters = product.drydock(["cluster", "list", "--output", "json"]).ok();
        if clusters.trim() == "[]" { Ok(()) } else { Err(clusters) }
    });
    let _ = third;
}

/// As many as a large room at once: each has a place at once, and a session or a number in the queue.
#[test]
fn two_hundred_joins_in_ten_seconds() {
    let product = Product::new();
    let server = Server::start(&product, &["--max-sessions", "3"]);
    let ines = Browser::default();
    server.set_up(&ines);
    let ines = Somebody { server: &server, browser: ines };
    let plan = json!({"title": "Everybody", "minutes": 60, "size": 200, "workers": 1});
    let class = ines.ask("POST", "/classes", &plan);
    let (id, code) =
        (class["id"].as_str().expect("an id").to_owned(), class["code"].as_str().expect("a code").to_owned());
    let began = Instant::now();
    let places: Vec<(Value, Browser)> = std::thread::scope(|scope| {
        let one = |_| {
            scope.spawn(|| {
                let learner = Somebody::new(&server);
                let place = learner.ask("POST", &format!("/join/{code}"), &json!({"name": "Kim"}));
                (place, learner.browser)
            })
        };
        let all: Vec<_> = (0..200).map(one).collect();
        all.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    // Told, not asserted: a machine under load may take longer.
    println!("200 joins took {:?}", began.elapsed());
    let mut names: Vec<_> =
        places.iter().map(|(place, _)| place["name"].as_str().expect("a name").to_owned()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 200, "every name is its own");
    for (place, _) in &places {
        assert!(place["session"].is_string() || place["ahead"].is_u64(), "a session or a place in the queue: {place}");
    }
    let grid = ines.event(&format!("/classes/{id}/events"));
    assert_eq!(grid["learners"].as_array().map(Vec::len), Some(200));
    // Whoever leaves makes room for the next one.
    let runs = |learner: &Value| !matches!(learner["state"].as_str(), None | Some("Pending" | "Ending" | "Ended"));
    let running = || {
        let grid = ines.event(&format!("/classes/{id}/events"));
        let learners = grid["learners"].as_array().cloned().unwrap_or_default();
        let sessions =
            learners.iter().filter(|learner| runs(learner)).filter_map(|learner| learner["session"].as_str());
        sessions.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = wait_for_within(Duration::from_secs(90), "three who work", || {
        let running = running();
        if running.len() == 3 { Ok(running) } else { Err(format!("{running:?}")) }
    });
    let (place, browser) = places
        .into_iter()
        .find(|(place, _)| before.iter().any(|id| place["session"] == id.as_str()))
        .expect("one of them came in here");
    let left = place["session"].as_str().expect("it has").to_owned();
    Somebody { server: &server, browser }.ask("DELETE", &format!("/sessions/{left}"), &Value::Null);
    wait_for_within(Duration::from_secs(90), "the next in the queue", || {
        let running = running();
        if running.iter().any(|id| !before.contains(id)) { Ok(()) } else { Err(format!("{running:?}")) }
    });
}
