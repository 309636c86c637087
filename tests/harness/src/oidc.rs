//! A genuine provider of OpenID Connect (`tests/oidc`, run by node).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::Product;
use crate::http::Browser;

const SECRET: &str = "a secret of the test";

/// A provider; gone when the test is over.
#[derive(Debug)]
pub struct Provider {
    child: Child,
    address: String,
}

impl Provider {
    /// Starts one that knows this server by its public address: browsers go back to `{public}/auth/oidc/callback`.
    ///
    /// # Panics
    /// When npm cannot install it or it does not start.
    #[track_caller]
    pub fn start(product: &Product, public: &str) -> Provider {
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
        command.args(["provider.mjs", &format!("{public}/auth/oidc/callback"), SECRET]).current_dir(&folder);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("node");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("http://").map(str::to_owned));
        // Who can say nothing any more ends.
        std::thread::spawn(move || lines.for_each(drop));
        Provider { child, address: address.expect("the provider says where it is") }
    }

    /// `host:port`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The options of a server that lets people of it in: `teachers` are instructors, `admins` operators.
    pub fn options(&self, public: &str) -> Vec<String> {
        let issuer = format!("http://{}", self.address);
        let pairs = [
            ("--public-url", public),
            ("--oidc-issuer", &issuer),
            ("--oidc-client-id", "drydock"),
            ("--oidc-client-secret", SECRET),
            ("--oidc-instructors", "teachers"),
            ("--oidc-operators", "admins"),
            ("--oidc-label", "School login"),
        ];
        pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value.to_owned()]).collect()
    }

    /// Who signs in from here on: `{"sub", "name", "groups"}`, and `"refuses": true` for who says no.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn be(&self, person: &Value) {
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
