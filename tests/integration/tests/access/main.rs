//! Who gets at what: every route as everybody, foreign pages, forged cookies, links that do not hold, too many tries.

mod lab;
mod oidc;
mod table;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use drydock_tests_harness::http::Browser;
use drydock_tests_harness::{Product, Server, wait_for};
use lab::{Lab, PASSWORD, code};

/// What a browser sends to open a WebSocket.
const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

#[test]
fn every_route_as_everybody() {
    let product = Product::new();
    let lab = Lab::new(&product);
    let mut wrong = table::compare(&lab.routes());
    for (method, path, expected) in table::in_order() {
        for (role, expected) in lab::ROLES.into_iter().zip(expected.chars()) {
            if expected == ' ' {
                continue;
            }
            let found = lab.verdict(role, method, path);
            if found.0 != expected {
                wrong.push(format!("{method} {path} as {role}: {expected:?} expected, {found:?} found"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pages_of_other_sites_change_nothing_and_open_nothing() {
    let product = Product::new();
    let lab = Lab::new(&product);
    let own = format!("http://{}", lab.address());
    for (method, path) in lab.routes() {
        let upgrade = path.ends_with("/terminals/{terminal}") || path.ends_with("/terminal");
        if method == "GET" && (!upgrade || path.contains("/kube")) {
            continue;
        }
        let mut headers = if upgrade { UPGRADE.to_vec() } else { Vec::new() };
        for (name, value) in [
            ("Origin", "http://evil.example"),
            ("Origin", "null"),
            ("Origin", "https://127.0.0.1"),
            ("Sec-Fetch-Site", "same-site"),
        ] {
            headers.push((name, value));
            let (status, _, body) = lab.browser("owner").ask(lab.address(), &method, &lab.fill(&path), "{", &headers);
            assert_eq!((status, code(&body).as_str()), (403, "foreign_origin"), "{method} {path} {name}: {value}");
            headers.pop();
        }
    }
    let mut headers = UPGRADE.to_vec();
    headers.push(("Origin", &own));
    let path = lab.fill("/api/v1/sessions/{id}/extend");
    let (status, ..) = lab.browser("owner").ask(lab.address(), "POST", &path, "", &[("Origin", &own)]);
    assert!([200, 409].contains(&status), "the app's own page may: {status}");
    // No page of another origin may read what it asks for.
    let (_, head, _) =
        lab.browser("owner").ask(lab.address(), "GET", "/api/v1/me", "", &[("Origin", "http://evil.example")]);
    assert!(!head.contains("access-control-allow"), "{head}");
}

#[test]
fn cookies_that_were_not_made_here_are_nobodys() {
    let product = Product::new();
    let lab = Lab::new(&product);
    let path = lab.fill("/api/v1/sessions/{id}");
    let cookies = lab.browser("owner").cookies();
    let value = cookies.split("drydock_person=").nth(1).and_then(|rest| rest.split(';').next()).expect("a cookie");
    assert_eq!(lab.browser("owner").ask(lab.address(), "GET", &path, "", &[]).0, 200);
    let (person, rest) = value.split_once('.').expect("signed");
    let flipped = format!("{}{}", if value.starts_with('0') { '1' } else { '0' }, &value[1..]);
    let unsigned = format!("{person}.{}", rest.split('.').next().unwrap_or_default());
    let huge = "a".repeat(6000);
    let forged = [flipped.as_str(), &unsigned, person, "", ".", "..", "\"", "%00", &huge, &value[..value.len() - 1]];
    for forged in forged {
        let thief = Browser::default();
        thief.set_cookie("drydock_person", forged);
        assert_eq!(thief.ask(lab.address(), "GET", &path, "", &[]).0, 404, "{forged}");
        thief.set_cookie("drydock_sign_in", forged);
        let (status, _, me) = thief.ask(lab.address(), "GET", "/api/v1/me", "", &[]);
        assert_eq!(status, 200);
        assert!(me.contains("\"role\":\"learner\"") && !me.contains(person), "{me}");
    }
    // Whose browser is offered a second cookie of the name keeps the one that is signed.
    let both = Browser::default();
    both.set_cookie("a", &format!("1; drydock_person=forged; drydock_person={value}"));
    assert_eq!(both.ask(lab.address(), "GET", &path, "", &[]).0, 200);
    let (_, head, _) = Browser::default().ask(lab.address(), "GET", "/", "", &[]);
    let cookie = head.lines().find(|line| line.starts_with("set-cookie: ")).expect("a page greets");
    assert!(cookie.contains("httponly") && cookie.contains("samesite=lax") && !cookie.contains("secure"), "{cookie}");
}

#[test]
fn links_make_one_account_and_sign_ins_end() {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let address = server.address();
    let token = server.setup_token();
    let anna = Browser::default();
    let body = |token: &str, name: &str, password: &str| {
        serde_json::json!({"token": token, "name": name, "password": password}).to_string()
    };
    for (token, name, password, expected) in [
        ("", "Anna", PASSWORD, 403),
        ("nonsense", "Anna", PASSWORD, 403),
        (&token[1..], "Anna", PASSWORD, 403),
        (token.as_str(), "Anna", "short", 400),
        (token.as_str(), "", PASSWORD, 400),
        (token.as_str(), "An\u{202e}na", PASSWORD, 400),
        // What looks like markup is a name as any other.
        (token.as_str(), "<img src=x onerror=alert(1)>", PASSWORD, 200),
        (token.as_str(), "Ben", PASSWORD, 403),
    ] {
        let (status, _, answer) = anna.ask(address, "POST", "/api/v1/setup", &body(token, name, password), &[]);
        assert_eq!(status, expected, "{name}: {answer}");
    }
    let (_, head, me) = anna.ask(address, "GET", "/api/v1/me", "", &[]);
    assert!(head.contains("content-type: application/json") && head.contains("nosniff"), "{head}");
    assert!(me.contains("\"role\":\"operator\"") && me.contains("<img src=x"), "{me}");
    let sign_in = |name: &str, password: &str| {
        let browser = Browser::default();
        let body = serde_json::json!({"name": name, "password": password}).to_string();
        let (status, ..) = browser.ask(address, "POST", "/api/v1/sign-in", &body, &[]);
        (status, browser)
    };
    let name = "<IMG src=x onerror=alert(1)>";
    let (status, second) = sign_in(name, PASSWORD);
    assert_eq!(status, 200);
    let stolen = second.cookies();
    let next = "another long password";
    let change = |old: &str| serde_json::json!({"old": old, "new": next}).to_string();
    assert_eq!(anna.ask(address, "POST", "/api/v1/password", &change("wrong"), &[]).0, 401);
    assert_eq!(anna.ask(address, "POST", "/api/v1/password", &change(PASSWORD), &[]).0, 204);
    assert_eq!(second.ask(address, "GET", "/api/v1/accounts", "", &[]).0, 401, "signed out by the change");
    assert_eq!(anna.ask(address, "GET", "/api/v1/accounts", "", &[]).0, 200, "who changed it stays");
    assert_eq!(sign_in(name, PASSWORD).0, 401);
    let (_, third) = sign_in(name, next);
    let kept = third.cookies();
    assert_eq!(third.ask(address, "POST", "/api/v1/sign-out", "", &[]).0, 204);
    for cookies in [kept, stolen] {
        let thief = Browser::default();
        let headers = [("Cookie", cookies.as_str())];
        assert_eq!(thief.ask(address, "GET", "/api/v1/accounts", "", &headers).0, 401, "a cookie that was signed out");
    }
    // What was done is written down: who signed in, who failed.
    let (_, _, deeds) = anna.ask(address, "GET", "/api/v1/deeds", "", &[]);
    for expected in ["POST /setup", "POST /sign-in", "POST /sign-out", "\"outcome\":401", "POST /password"] {
        assert!(deeds.contains(expected), "{expected}: {deeds}");
    }
    assert!(!deeds.contains(PASSWORD) && !deeds.contains(next) && !deeds.contains(&token), "no secrets: {deeds}");
    let (_, head, csv) = anna.ask(address, "GET", "/api/v1/deeds.csv", "", &[]);
    assert!(head.contains("text/csv") && csv.starts_with("id,time,person"), "{head}{csv}");
}

#[test]
fn too_many_tries_are_refused_for_a_while() {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let body = r#"{"name":"Anna","password":"not the right one"}"#;
    let browser = Browser::default();
    let mut seen = Vec::new();
    for _ in 0..40 {
        let (status, head, _) = browser.ask(server.address(), "POST", "/api/v1/sign-in", body, &[]);
        seen.push(status);
        if status == 429 {
            assert!(head.contains("retry-after: "), "{head}");
            break;
        }
    }
    assert_eq!(seen.last(), Some(&429), "{seen:?}");
    assert!(seen.len() > 10 && seen[..seen.len() - 1].iter().all(|status| *status == 401), "{seen:?}");
    // What nobody trusts about an address does not help.
    let forged = [("X-Forwarded-For", "9.9.9.9")];
    assert_eq!(browser.ask(server.address(), "POST", "/api/v1/sign-in", body, &forged).0, 429);
    assert_eq!(browser.ask(server.address(), "GET", "/api/v1/lessons", "", &[]).0, 200, "everything else goes on");
}

#[test]
fn behind_a_trusted_proxy_cookies_are_secure_and_addresses_the_clients() {
    let product = Product::new();
    let flags = ["--trusted-proxy", "127.0.0.0/8", "--public-url", "https://lab.example"];
    let server = Server::start(&product, &flags);
    let browser = Browser::default();
    let proxied = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "lab.example"), ("X-Forwarded-For", "9.9.9.9")];
    let (_, head, _) = browser.ask(server.address(), "GET", "/", "", &proxied);
    assert!(head.contains("set-cookie: __host-drydock_person=") && head.contains("; secure"), "{head}");
    let with = |origin: &'static str| {
        let mut headers = proxied.to_vec();
        headers.push(("Origin", origin));
        browser.ask(server.address(), "POST", "/api/v1/sign-out", "", &headers).0
    };
    assert_eq!(with("https://lab.example"), 204);
    assert_eq!(with("http://lab.example"), 403);
    assert_eq!(with("https://evil.example"), 403);
    let body = r#"{"name":"Anna","password":"not the right one"}"#;
    let mut tries = (0..40).map(|_| browser.ask(server.address(), "POST", "/api/v1/sign-in", body, &proxied).0);
    assert!(tries.any(|status| status == 429));
    let other = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "lab.example"), ("X-Forwarded-For", "8.8.8.8")];
    let body = r#"{"name":"Ben","password":"not the right one"}"#;
    assert_eq!(browser.ask(server.address(), "POST", "/api/v1/sign-in", body, &other).0, 401, "another client");
}

/// A page at a name that its owner made lead here would be this server's to a browser.
#[test]
fn names_of_others_lead_to_no_server() {
    let get = |server: &Server, host: &str, path: &str| {
        let mut stream = TcpStream::connect(server.address()).expect("the server listens");
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    let product = Product::new();
    let server = Server::start(&product, &[]);
    for path in ["/", "/api/v1/me", "/api/v1/lessons", "/metrics", "/preview/s-1/30080/x/", "/api/v1/no/such/address"] {
        for host in ["evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example"] {
            let answer = get(&server, host, path);
            assert!(answer.starts_with("HTTP/1.1 421"), "{host}{path}: {answer}");
            assert!(answer.contains(&format!("This server does not answer as {host}.")), "{answer}");
            assert!(!answer.to_ascii_lowercase().contains("set-cookie"), "{answer}");
        }
    }
    let answers = |server: &Server, host: &str, path: &str| {
        let answer = get(server, host, path);
        assert!(answer.starts_with("HTTP/1.1 200"), "{host}{path}: {answer}");
    };
    answers(&server, "evil.example", "/healthz");
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("the machine has a name");
    for host in [server.address(), "localhost", "[::1]:8080", "192.0.2.7", own.trim()] {
        answers(&server, host, "/api/v1/me");
    }
    drop(server);
    for (flags, host) in [
        (["--public-url", "http://lab.example"], "lab.example"),
        (["--public-url", "http://lab.example"], "probe.internal"),
        (["--trusted-proxy", "127.0.0.1"], "lab.example"),
        (["--preview-domain", "preview.example"], "preview.example"),
    ] {
        answers(&Server::start(&product, &flags), host, "/api/v1/me");
    }
}

#[test]
fn guests_are_out_when_their_invitation_is_revoked() {
    let product = Product::new();
    let lab = Lab::new(&product);
    let (guest, owner) = (lab.browser("watching guest"), lab.browser("owner"));
    let events = lab.fill("/api/v1/sessions/{id}/events");
    let mut stream = lab.open(guest, &events);
    assert_eq!(owner.ask(lab.address(), "DELETE", &lab.fill("/api/v1/sessions/{id}/invites/watch"), "", &[]).0, 204);
    // The stream that was open ends, and nothing opens again.
    wait_for("the stream's end", || {
        let mut rest = [0; 4096];
        match stream.read(&mut rest) {
            Ok(0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(guest.ask(lab.address(), "GET", &lab.fill("/api/v1/sessions/{id}"), "", &[]).0, 404);
    let body = serde_json::json!({"token": lab.watch_token}).to_string();
    let (status, ..) = guest.ask(lab.address(), "POST", &lab.fill("/api/v1/sessions/{id}/guests"), &body, &[]);
    assert_eq!(status, 404);
    let works = lab.browser("working guest").ask(lab.address(), "GET", &lab.fill("/api/v1/sessions/{id}"), "", &[]);
    assert_eq!(works.0, 200, "the other invitation holds");
}
