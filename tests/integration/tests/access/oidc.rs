//! Signing in with OpenID Connect against a genuine provider (`tests/oidc`, run by node).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use drydock_tests_harness::http::Browser;
use drydock_tests_harness::{Product, Server};
use serde_json::{Value, json};

/// Where the provider sends browsers: an address that only the test resolves.
const LAB: &str = "http://lab.example";
const SECRET: &str = "a secret of the test";

/// A provider; gone when the test is over.
struct Provider {
    child: Child,
    address: String,
}

impl Provider {
    fn start(product: &Product) -> Provider {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../oidc");
        let folder = product.scratch().join("oidc");
        std::fs::create_dir(&folder).expect("a folder");
        for file in ["package.json", "package-lock.json", "provider.mjs"] {
            std::fs::copy(from.join(file), folder.join(file)).expect("copied");
        }
        let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
        let done = Command::new("npm").args(install).current_dir(&folder).output().expect("npm");
        assert!(done.status.success(), "npm ci: {}", String::from_utf8_lossy(&done.stderr));
        let mut command = Command::new("node");
        command.args(["provider.mjs", &format!("{LAB}/auth/oidc/callback"), SECRET]).current_dir(&folder);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("node");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("http://").map(str::to_owned));
        // Who can say nothing any more ends.
        std::thread::spawn(move || lines.for_each(drop));
        Provider { child, address: address.expect("the provider says where it is") }
    }

    /// Who signs in from here on.
    fn be(&self, person: &Value) {
        let answer = Browser::default().raw(&self.address, "POST", "/be", &person.to_string(), &[]);
        assert!(answer.contains(" 204 "), "{answer}");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
        let prefix = format!("http://{}", self.provider.address);
        let there = Browser::default();
        for _ in 0..10 {
            if let Some(path) = place.strip_prefix(LAB) {
                return path.to_owned();
            }
            let path = place.strip_prefix(&prefix).unwrap_or(&place).to_owned();
            place = location(&there.raw(&self.provider.address, "GET", &path, "", &[]));
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
    let provider = Provider::start(&product);
    let issuer = format!("http://{}", provider.address);
    let flags = [
        "--public-url",
        LAB,
        "--oidc-issuer",
        &issuer,
        "--oidc-client-id",
        "drydock",
        "--oidc-client-secret",
        SECRET,
        "--oidc-instructors",
        "teachers",
        "--oidc-operators",
        "admins",
        "--oidc-label",
        "School login",
    ];
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
}
