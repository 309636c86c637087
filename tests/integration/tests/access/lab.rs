//! A server with a class, a session in it, and everybody who could have to do with them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use drydock_tests_harness::http::Browser;
use drydock_tests_harness::{Product, Server, wait_for};
use serde_json::{Value, json};

use crate::UPGRADE;

/// A password as it may be one.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Everybody, in the order of the table's columns.
pub(crate) const ROLES: [&str; 8] = [
    "nobody",
    "other learner",
    "watching guest",
    "working guest",
    "owner",
    "other instructor",
    "instructor",
    "operator",
];

/// The error's word in an answer.
pub(crate) fn code(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    body["error"]["code"].as_str().unwrap_or_default().to_owned()
}

pub(crate) struct Lab {
    server: Server,
    people: BTreeMap<&'static str, Browser>,
    session: String,
    class: String,
    pub(crate) watch_token: String,
}

impl Lab {
    pub(crate) fn new(product: &Product) -> Lab {
        let server = Server::start(product, &[]);
        let address = server.address().to_owned();
        let people: BTreeMap<_, _> = ROLES.into_iter().map(|role| (role, Browser::default())).collect();
        let post = |role: &str, path: &str, body: Value| {
            let (status, _, answer) = people[role].ask(&address, "POST", path, &body.to_string(), &[]);
            assert!((200..300).contains(&status), "{role} {path}: {status} {answer}");
            serde_json::from_str::<Value>(&answer).unwrap_or_default()
        };
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let token_of = |link: &Value| text(link).rsplit('=').next().expect("a token").to_owned();
        let setup = |role: &str, token: &str| {
            post(role, "/api/v1/setup", json!({"token": token, "name": role, "password": PASSWORD}))
        };
        setup("operator", &server.setup_token());
        for role in ["instructor", "other instructor"] {
            let link = post("operator", "/api/v1/accounts/links", json!({"role": "instructor"}));
            setup(role, &token_of(&link["path"]));
        }
        let class = post("instructor", "/api/v1/classes", json!({"title": "Pods", "minutes": 60, "size": 3}));
        let join = format!("/api/v1/join/{}", text(&class["code"]));
        let session = wait_for("a place", || {
            let place = post("owner", &join, json!({"name": "<b>Olga</b>"}));
            place["session"].as_str().map(str::to_owned).ok_or(place.to_string())
        });
        let mut watch_token = String::new();
        for (role, may) in [("watching guest", "watch"), ("working guest", "work")] {
            let invite = post("owner", &format!("/api/v1/sessions/{session}/invites"), json!({"may": may}));
            let token = token_of(&invite["path"]);
            post(role, &format!("/api/v1/sessions/{session}/guests"), json!({"token": token}));
            if may == "watch" {
                watch_token = token;
            }
        }
        // A person who has nothing to do with it.
        people["other learner"].ask(&address, "GET", "/", "", &[]);
        Lab { server, people, session, class: text(&class["id"]), watch_token }
    }

    pub(crate) fn address(&self) -> &str {
        self.server.address()
    }

    pub(crate) fn browser(&self, role: &str) -> &Browser {
        &self.people[role]
    }

    /// Every method and path that the server says it has; a test of the server holds that list against its router.
    pub(crate) fn routes(&self) -> Vec<(String, String)> {
        let answer = Browser::default().request(self.address(), "GET", "/api/v1/openapi.json", "");
        let mut routes = Vec::new();
        for (path, methods) in answer["paths"].as_object().expect("paths") {
            let methods = methods.as_object().expect("methods").keys();
            routes.extend(methods.filter(|it| *it != "parameters").map(|it| (it.to_uppercase(), path.clone())));
        }
        routes
    }

    /// A path with what its parameters stand for: things of the lab where they decide who may, else what does no harm.
    pub(crate) fn fill(&self, path: &str) -> String {
        let filled = path.replace("{id}", &self.session).replace("{class}", &self.class).replace("{learner}", "99");
        let filled = filled.replace("{node}", "worker-99").replace("{code}", "XXXXXXX").replace("{may}", "nonsense");
        let filled = filled.replace("{kind}", "Pod?namespace=default&name=x").replace("{post}", "99");
        ["{slug}", "{name}", "{path}", "{terminal}", "{person}"]
            .iter()
            .fold(filled, |path, name| path.replace(name, "x"))
    }

    /// What becomes of a request, as a letter of the table, and what was answered. Bodies are no JSON: who may is told so.
    pub(crate) fn verdict(&self, role: &str, method: &str, path: &str) -> (char, u16, String) {
        let fresh = Browser::default();
        let browser = if role == "nobody" { &fresh } else { self.browser(role) };
        let upgrade = path.ends_with("/terminals/{terminal}") || path.ends_with("/terminal");
        let headers: &[_] = if upgrade { &UPGRADE } else { &[] };
        let body = if method == "GET" { "" } else { "{" };
        let (status, _, answer) = browser.ask(self.address(), method, &self.fill(path), body, headers);
        let absent = ["There is no such session", "There is no such class"].iter().any(|text| answer.contains(text));
        let letter = match status {
            401 => 's',
            403 => 'x',
            404 if absent => '-',
            500.. if status != 503 => '!',
            _ => '.',
        };
        (letter, status, answer)
    }

    /// Opens what goes on for ever, and reads the head of the answer.
    pub(crate) fn open(&self, browser: &Browser, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time");
        let (address, cookies) = (self.address(), browser.cookies());
        let head = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nCookie: {cookies}\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("the request is sent");
        let mut first = [0; 16];
        stream.read_exact(&mut first).expect("an answer");
        assert!(String::from_utf8_lossy(&first).contains(" 200 "), "{first:?}");
        stream
    }
}
