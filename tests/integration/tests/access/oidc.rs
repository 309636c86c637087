//! Signing in with OpenID Connect against a genuine provider.

use drydock_tests_harness::http::Browser;
use drydock_tests_harness::oidc::Provider;
use drydock_tests_harness::{Product, Server};
use serde_json::{Value, json};

/// Where the provider sends browsers: an address that only the test resolves.
const LAB: &str = "http://lab.example";

/// Where an answer sends the browser.
fn location(answer: &str) -> String {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let found =
        head.lines().filter_map(|line| line.split_once(": ")).find(|(name, _)| name.eq_ignore_ascii_case("location"));
    found.unwrap_or_else(|| panic!("no redirect: {answer}")).1.to_owned()
}

struct Lab {
    server: Server,
    provider: Provider,
}

impl Lab {
    /// Begins a sign-in and goes through the provider's pages: the path with which it sends the browser back.
    fn through(&self, browser: &Browser) -> String {
        let mut place = location(&browser.raw(self.server.address(), "GET", "/auth/oidc/start", "", &[]));
        for wanted in ["code_challenge_method=S256", "state=", "nonce=", "response_type=code"] {
            assert!(place.contains(wanted), "{wanted}: {place}");
        }
        let prefix = format!("http://{}", self.provider.address());
        let there = Browser::default();
        for _ in 0..10 {
            if let Some(path) = place.strip_prefix(LAB) {
                return path.to_owned();
            }
            let path = place.strip_prefix(&prefix).unwrap_or(&place).to_owned();
            place = location(&there.raw(self.provider.address(), "GET", &path, "", &[]));
        }
        panic!("it does not end: {place}");
    }

    fn back(&self, browser: &Browser, path: &str) -> String {
        location(&browser.raw(self.server.address(), "GET", path, "", &[]))
    }

    fn sign_in(&self, browser: &Browser, person: &Value) -> String {
        self.provider.be(person);
        let path = self.through(browser);
        self.back(browser, &path)
    }

    fn me(&self, browser: &Browser) -> (String, String) {
        let me = browser.request(self.server.address(), "GET", "/api/v1/me", "");
        let text = |name: &str| me[name].as_str().unwrap_or_default().to_owned();
        (text("role"), text("name"))
    }
}

#[test]
fn groups_of_a_genuine_provider_become_roles() {
    let product = Product::new();
    let provider = Provider::start(&product, LAB);
    let flags = provider.options(LAB);
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let lab = Lab { server: Server::start(&product, &flags), provider };
    let ways = Browser::default().request(lab.server.address(), "GET", "/api/v1/me", "");
    assert_eq!(ways["sign_in"]["oidc"], "School login", "{ways}");

    let anna = Browser::default();
    let teacher = json!({"sub": "anna", "name": "安娜 <b>", "groups": ["pupils", "teachers"]});
    assert_eq!(lab.sign_in(&anna, &teacher), "/staff", "{}", lab.server.said());
    assert_eq!(lab.me(&anna), ("instructor".to_owned(), "安娜 <b>".to_owned()));
    let admin = json!({"sub": "root", "name": "Root", "groups": ["admins"]});
    let root = Browser::default();
    assert_eq!(lab.sign_in(&root, &admin), "/staff");
    assert_eq!(lab.me(&root).0, "operator");

    let ben = Browser::default();
    let pupil = json!({"sub": "ben", "name": "Ben", "groups": ["pupils"]});
    assert_eq!(lab.sign_in(&ben, &pupil), "/staff/sign-in?failed=no-role");
    assert_eq!(lab.me(&ben).0, "learner");
    let refuses = json!({"sub": "ben", "name": "Ben", "groups": ["admins"], "refuses": true});
    assert_eq!(lab.sign_in(&ben, &refuses), "/staff/sign-in?failed=refused");

    // An answer belongs to the browser that asked, once.
    lab.provider.be(&admin);
    let path = lab.through(&root);
    assert_eq!(lab.back(&ben, &path), "/staff/sign-in?failed=expired");
    assert_eq!(lab.me(&ben).0, "learner");
    assert_eq!(lab.back(&root, &path), "/staff/sign-in?failed=expired", "used up by the thief");
    let path = lab.through(&root);
    let forged = path.replacen("code=", "code=x", 1);
    assert_eq!(lab.back(&root, &forged), "/staff/sign-in?failed=provider");

    // Who is taken out of the group is out everywhere at their next sign-in.
    let other = Browser::default();
    let left = json!({"sub": "anna", "name": "Anna", "groups": []});
    assert_eq!(lab.sign_in(&other, &left), "/staff/sign-in?failed=no-role");
    assert_eq!(lab.me(&anna).0, "learner");
    let deeds = root.request(lab.server.address(), "GET", "/api/v1/deeds", "").to_string();
    assert!(deeds.contains("GET /auth/oidc/callback") && deeds.contains("Root"), "{deeds}");

    // Who tries again and again is told on the page, as these are addresses of pages.
    let eve = Browser::default();
    let tries =
        (0..40).map(|_| location(&eve.raw(lab.server.address(), "GET", "/auth/oidc/callback?state=x", "", &[])));
    let seen: Vec<_> = tries.collect();
    assert_eq!(seen.last().map(String::as_str), Some("/staff/sign-in?failed=busy"), "{seen:?}");
}
