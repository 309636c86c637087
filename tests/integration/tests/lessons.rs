//! The lesson engine on real clusters: every kind of check, hints, questions, setup, lessons that change, and the proof.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use drydock_tests_harness::http::{cookies, raw, request};
use drydock_tests_harness::{Product, Server, wait_for, wait_for_within};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const LESSON: &str = r#"
order = 1
minutes = 5
workers = 1

[[setup]]
run = "kubectl create configmap first --from-literal=a=b; echo once >> setups.txt"
[[setup]]
on = "worker-1"
run = "echo before > /mark"

[[step]]
id = "deploy"
[[step.check]]
id = "replicas"
resource = "apps/v1/deployments"
namespace = "default"
with = { pods = "v1/pods", nodes = "v1/nodes", cms = "v1/configmaps" }
expression = "cms.exists(c, c.metadata.name == 'first') && nodes.size() == 2 && objects.exists(d, d.metadata.name == 'web' && d.status.readyReplicas == 2)"
detail = "string(pods.size())"
[[step.hint]]
id = "name"
resource = "apps/v1/deployments"
namespace = "default"
when = "objects.size() > 0 && !objects.exists(d, d.metadata.name == 'web')"
values = { name = "objects[0].metadata.name" }

[[step]]
id = "reach"
needs = ["deploy"]
[[step.setup]]
run = "kubectl label deployment web begun=yes"
[[step.check]]
id = "balanced"
probe = { url = "http://web/", distinct = 2, contains = "v1" }
[[step.check]]
id = "node-port"
probe = { url = "http://worker-1:30080/" }
[[step.check]]
id = "file"
command = { run = "cat web.yaml; test -f done", contains = "NodePort" }
[[step.check]]
id = "mark"
command = { run = "cat /mark", on = "worker-1", contains = "after" }
[[step.solution]]
run = "kubectl apply -f web.yaml; touch done"
[[step.solution]]
on = "worker-1"
run = "echo after > /mark"

[[step]]
id = "think"
[[step.quiz]]
id = "why"
right = ["b"]
"#;

const TEXT: &str = r#"+++
title = "Everything"
summary = "Every kind of check."
topic = "Tests"
+++
## Deploy {#deploy}
![A picture](picture.svg)
```sh
kubectl create deployment web --image=drydock/demo:v1 --replicas=2
```
### Checks
- `replicas`: Two replicas
### Hint {#name}
It is named `{name}`.
## Reach {#reach}
```yaml file=web.yaml
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  type: NodePort
  selector:
    app: web
  ports:
  - port: 80
    targetPort: 8080
    nodePort: 30080
```
### Checks
- `balanced`: Both Pods answer
- `node-port`: The node answers
- `file`: The file is there
- `mark`: The node has the mark
## Think {#think}
### Quiz {#why}
Why?
- `a`: No
- `b`: Yes
> Because.
"#;

fn write(folder: &Path, definition: &str, text: &str) -> PathBuf {
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join("lesson.toml"), definition).expect("lesson.toml");
    fs::write(folder.join("en.md"), text).expect("en.md");
    fs::write(folder.join("picture.svg"), "<svg xmlns=\"http://www.w3.org/2000/svg\"/>").expect("a picture");
    folder.to_owned()
}

fn import(product: &Product, folder: &Path) {
    product.drydock([Path::new("lesson").as_os_str(), "import".as_ref(), folder.as_os_str()]).ok();
}

struct Learner<'a> {
    product: &'a Product,
    address: String,
    id: String,
    name: String,
}

impl Learner<'_> {
    /// Types a command on the workstation.
    #[track_caller]
    fn run(&self, command: &str) -> String {
        self.product.drydock(["cluster", "exec", &self.name, "workstation", "--", "bash", "-ec", command]).ok()
    }

    fn session(&self) -> Value {
        request(&self.address, "GET", &format!("/api/v1/sessions/{}", self.id), "")
    }

    /// What a page that is opened now is told first.
    fn snapshot(&self) -> Value {
        let mut stream = TcpStream::connect(&self.address).expect("the server listens");
        let cookies = cookies(&self.address);
        let head = format!(
            "GET /api/v1/sessions/{}/events HTTP/1.0\r\nHost: {}\r\nCookie: {cookies}\r\n\r\n",
            self.id, self.address
        );
        stream.write_all(head.as_bytes()).expect("the request is sent");
        let lines = BufReader::new(stream).lines().map(|line| line.expect("a line"));
        let data = lines.into_iter().find_map(|line| line.strip_prefix("data:").map(|data| data.trim().to_owned()));
        serde_json::from_str(&data.expect("an event")).expect("JSON")
    }

    #[track_caller]
    fn wait_done(&self, step: &str) {
        wait_for_within(Duration::from_secs(60), &format!("step {step} to be done"), || {
            let done = self.session()["steps_done"].as_array().is_some_and(|steps| steps.iter().any(|it| it == step));
            if done { Ok(()) } else { Err(self.snapshot()["checks"].to_string()) }
        });
    }

    #[track_caller]
    fn wait_ready(&self) {
        wait_for_within(Duration::from_secs(60), "a ready session", || {
            let session = self.session();
            if session["state"] == "Ready" { Ok(()) } else { Err(session.to_string()) }
        });
    }
}

#[track_caller]
fn start<'a>(product: &'a Product, server: &Server, lesson: &str) -> Learner<'a> {
    let body = json!({"lesson": lesson}).to_string();
    let session = request(server.address(), "POST", "/api/v1/sessions", &body);
    let text = |key: &str| session[key].as_str().unwrap_or_else(|| panic!("{session}")).to_owned();
    let learner = Learner { product, address: server.address().to_owned(), id: text("id"), name: text("name") };
    learner.wait_ready();
    learner
}

#[test]
fn a_lesson_is_followed_from_its_setup_to_its_end() {
    let product = Product::new();
    let folder = write(&product.scratch().join("everything"), LESSON, TEXT);
    import(&product, &folder);
    let mut server = Server::start(&product, &[]);
    let lesson = request(server.address(), "GET", "/api/v1/lessons/everything?lang=zh-TW", "");
    assert_eq!(lesson["language"], "en", "what is not translated is in English");
    assert_eq!(lesson["steps"][1]["needs"], json!(["deploy"]));
    assert_eq!(lesson["steps"][2]["quizzes"][0]["options"][1]["id"], "b");
    assert_eq!(lesson["steps"][2]["quizzes"][0].get("explanation"), None);
    assert!(lesson["steps"][0]["body"][0]["html"].as_str().is_some_and(|html| html.contains("/files/picture.svg")));
    let picture = raw(server.address(), "GET", "/api/v1/lessons/everything/files/picture.svg", "");
    assert!(picture.contains("image/svg+xml") && picture.contains("default-src 'none'"), "{picture}");
    assert!(raw(server.address(), "GET", "/api/v1/lessons/everything/files/..%2Flesson.toml", "").contains(" 404 "));

    let mut learner = start(&product, &server, "everything");
    // The session is ready only when the lesson has prepared it, and files of later steps are not there yet.
    assert_eq!(
        learner.run("kubectl get configmap first -o name; cat setups.txt; ls"),
        "configmap/first\nonce\nsetups.txt\n"
    );
    learner.run("kubectl create deployment wbe --image=drydock/demo:v1");
    let hint = wait_for("the hint on the name", || {
        let hints = learner.snapshot()["hints"].clone();
        if hints[0]["hint"] == "name" { Ok(hints) } else { Err(hints.to_string()) }
    });
    assert_eq!(hint, json!([{"step": "deploy", "hint": "name", "values": {"name": "wbe"}}]));
    learner.run("kubectl delete deployment wbe; kubectl create deployment web --image=drydock/demo:v1 --replicas=2");
    learner.wait_done("deploy");
    assert_eq!(learner.snapshot()["hints"], json!([]));

    // The next step begins: its file and its setup.
    wait_for("the step's setup", || {
        let seen = learner.run("cat web.yaml || true; kubectl get deployment web -o jsonpath={.metadata.labels.begun}");
        if seen.contains("nodePort: 30080") && seen.ends_with("yes") { Ok(()) } else { Err(seen) }
    });
    learner
        .product
        .drydock([
            "cluster",
            "exec",
            &learner.name,
            "worker-1",
            "--",
            "/usr/local/bin/busybox",
            "sh",
            "-c",
            "echo after > /mark",
        ])
        .ok();
    learner.run("touch done; kubectl apply -f web.yaml");
    learner.wait_done("reach");

    let answer = |learner: &Learner<'_>, options: &[&str]| {
        let body = json!({"step": "think", "quiz": "why", "options": options}).to_string();
        request(&learner.address, "POST", &format!("/api/v1/sessions/{}/answers?lang=en", learner.id), &body)
    };
    assert_eq!(answer(&learner, &["a"]), json!({"right": false}));
    assert_eq!(answer(&learner, &["a", "b"]), json!({"right": false}));
    assert_eq!(answer(&learner, &["b"]), json!({"right": true, "explanation": "<p>Because.</p>\n"}));
    assert!(answer(&learner, &["c"])["error"]["message"].as_str().is_some_and(|text| text.contains("\"c\"")));
    learner.wait_done("think");
    assert_eq!(learner.session()["answered"], json!([{"step": "think", "quiz": "why"}]));

    // Another server finds all of it again and does nothing twice.
    server.signal(Signal::SIGKILL);
    server.wait();
    let server = Server::start(&product, &[]);
    learner.address = server.address().to_owned();
    let session = learner.session();
    assert_eq!(session["steps_done"].as_array().map(Vec::len), Some(3), "{session}");
    assert_eq!(session["answered"].as_array().map(Vec::len), Some(1), "{session}");

    // A changed lesson takes effect in a session that is open; a broken one is refused and changes nothing.
    let more = "[[step]]\nid = \"more\"\n[[step.check]]\nid = \"secret\"\nresource = \"v1/secrets\"\nnamespace = \"default\"\nexpression = \"objects.exists(s, s.metadata.name == 'more')\"\n";
    let more_text = "## More {#more}\n### Checks\n- `secret`: A Secret\n";
    write(&folder, &format!("{LESSON}{more}"), &format!("{TEXT}{more_text}"));
    import(&product, &folder);
    wait_for("the new check", || {
        let checks = learner.snapshot()["checks"].clone();
        let is_new = checks.as_array().is_some_and(|checks| checks.iter().any(|check| check["check"] == "secret"));
        if is_new { Ok(()) } else { Err(checks.to_string()) }
    });
    assert_eq!(learner.run("cat setups.txt"), "once\n");
    fs::write(product.data().join("lessons/everything/en.md"), "+++\nbroken").expect("a broken text");
    learner.run("kubectl create secret generic more");
    learner.wait_done("more");
    let broken = write(&product.scratch().join("broken"), &LESSON.replace("[\"deploy\"]", "[\"nothing\"]"), TEXT);
    let outcome = product.drydock(["lesson".as_ref(), "import".as_ref(), broken.as_os_str()]);
    assert!(outcome.stdout.contains("broken/lesson.toml: line 28: step \"reach\" needs \"nothing\""), "{outcome:?}");
    outcome.failed();

    // A fresh cluster is prepared anew.
    request(&learner.address, "POST", &format!("/api/v1/sessions/{}/reset", learner.id), "");
    learner.wait_ready();
    let session = learner.session();
    assert_eq!((&session["steps_done"], &session["answered"]), (&json!([]), &json!([])));
    assert_eq!(learner.run("kubectl get configmap first -o name; cat setups.txt"), "configmap/first\nonce\n");
}

#[test]
fn the_proof_tells_good_lessons_from_bad_ones() {
    let product = Product::new();
    let good = write(&product.scratch().join("good"), LESSON, TEXT);
    let early = LESSON
        .replace("d.metadata.name == 'web' && d.status.readyReplicas == 2", "true") // holds with any Deployment …
        .replace(
            "run = \"kubectl create configmap first",
            "run = \"kubectl create deployment any --image=drydock/demo:v1; kubectl create configmap first",
        );
    let early = write(&product.scratch().join("early"), &early, TEXT);
    let fails = LESSON.replace("kubectl apply -f web.yaml;", "kubectl apply -f no-such.yaml;");
    let fails = write(&product.scratch().join("fails"), &fails, TEXT);
    let check = |folder: &Path| product.drydock(["lesson".as_ref(), "check".as_ref(), folder.as_os_str()]);
    let table = check(&good).ok();
    assert!(table.contains("good (en): proved in "), "{table}");
    assert_eq!(table.lines().filter(|line| line.contains(" unmet ") && line.contains(" met ")).count(), 5, "{table}");
    let outcome = check(&early);
    assert!(
        outcome.stdout.contains("step \"deploy\": check \"replicas\" holds before anything was done"),
        "{outcome:?}"
    );
    outcome.failed();
    let outcome = check(&fails);
    assert!(outcome.stdout.contains("step \"reach\": what is to be done fails: on workstation"), "{outcome:?}");
    assert!(outcome.stdout.contains("no-such.yaml"), "{outcome:?}");
    assert!(outcome.failed().contains("1 of 1 proofs failed: fails (en)"));
    assert_eq!(product.drydock(["cluster", "list", "--output", "json"]).ok(), "[]\n", "proofs leave no cluster");
}
