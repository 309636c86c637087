//! `drydock serve` on a free port.

use std::io::{BufRead, BufReader};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::http::Browser;
use crate::{Product, wait_for, wait_for_within};

/// A running server; stopped when dropped.
pub struct Server {
    child: Child,
    address: String,
    said: Arc<Mutex<String>>,
}

impl Server {
    /// Starts a server and waits until it says where it listens.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn start(product: &Product, more: &[&str]) -> Server {
        let mut command = product.command();
        // Tests that count what is left want no cluster that nobody asked for; those that do say so.
        command.env("DRYDOCK_WARM", "0");
        // One test is one person with as many sessions as it needs; those about the limit say so.
        command.env("DRYDOCK_SESSIONS_EACH", "0");
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(more).stderr(Stdio::piped());
        #[allow(clippy::zombie_processes, reason = "Server::drop waits; a failed start ends the test's process")]
        let mut child = command.spawn().expect("drydock can be started");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            let read = lines.read_line(&mut line).expect("stderr can be read");
            assert_ne!(read, 0, "the server ended:\n{seen}");
            if let Some((_, address)) = line.trim().split_once("http://") {
                let address = address.to_owned();
                // Keep reading, or the server would block on a full pipe.
                let said = Arc::new(Mutex::new(String::new()));
                let kept = said.clone();
                std::thread::spawn(move || {
                    for line in lines.lines().map_while(Result::ok) {
                        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                        kept.push_str(&line);
                        kept.push('\n');
                    }
                });
                crate::http::meet(&address, &product.scratch().display().to_string());
                return Server { child, address, said };
            }
            seen.push_str(&line);
        }
    }

    /// `host:port`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it said on the console after it was ready.
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The token of the link to the first account, once the console shows it.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn setup_token(&self) -> String {
        wait_for("the link to the first account", || {
            let said = self.said();
            let found = said.split("token=").nth(1).and_then(|rest| rest.split_whitespace().next());
            found.map(str::to_owned).ok_or(said)
        })
    }

    /// Makes the first account, with the link on the console: the browser is an operator's from then on.
    ///
    /// # Panics
    /// When there is no such link, or it does not work.
    #[track_caller]
    pub fn set_up(&self, browser: &Browser) {
        let token = self.setup_token();
        let body = format!(r#"{{"token":"{token}","name":"ines","password":"correct horse battery"}}"#);
        let me = browser.request(&self.address, "POST", "/api/v1/setup", &body);
        assert_eq!(me["role"], "operator", "{me}");
    }

    /// Sends a signal to the server alone.
    ///
    /// # Panics
    /// When it is gone already.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the server is there");
    }

    /// Waits for the server's end and says how it was.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        wait_for_within(Duration::from_secs(30), "the server's end", || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        })
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or_default())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(self.pid(), Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}
