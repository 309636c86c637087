//! A command that goes on, with what it has said so far: `-w`, `-f`, and interactive ones on a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use nix::pty::{Winsize, openpty};

use crate::wait_for;

/// Size of the terminal that interactive commands get.
const SIZE: Winsize = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };

/// A running command; it ends with this value.
pub struct Follow {
    child: Child,
    seen: Arc<Mutex<String>>,
    keyboard: Option<File>,
}

impl Follow {
    /// Starts a command and gathers its standard output.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(mut command: Command) -> Follow {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the command can be started");
        let output = child.stdout.take().expect("stdout is piped");
        Follow { child, seen: gather(output), keyboard: None }
    }

    /// Starts a command on a terminal of its own.
    ///
    /// # Panics
    /// When there is no terminal to be had or the command cannot be started.
    pub fn on_terminal(mut command: Command) -> Follow {
        let pair = openpty(Some(&SIZE), None).expect("a terminal");
        let end = |fd: &OwnedFd| fd.try_clone().expect("a descriptor");
        command.stdin(end(&pair.slave)).stdout(end(&pair.slave)).stderr(pair.slave);
        let child = command.spawn().expect("the command can be started");
        // The command holds its ends of the terminal: ours would keep it open after the command's end.
        drop(command);
        let keyboard = File::from(end(&pair.master));
        Follow { child, seen: gather(File::from(pair.master)), keyboard: Some(keyboard) }
    }

    /// What it has said so far.
    pub fn seen(&self) -> String {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has said something.
    ///
    /// # Panics
    /// When it does not say it in time.
    #[track_caller]
    pub fn wait_text(&self, text: &str) {
        self.wait(text, |seen| seen.contains(text));
    }

    /// Waits until `expected` accepts what it has said.
    ///
    /// # Panics
    /// When it does not come to that in time.
    #[track_caller]
    pub fn wait(&self, what: &str, expected: impl Fn(&str) -> bool) {
        wait_for(what, || {
            let seen = self.seen();
            if expected(&seen) { Ok(()) } else { Err(seen) }
        });
    }

    /// Types on its terminal.
    ///
    /// # Panics
    /// When it has none.
    pub fn type_text(&mut self, text: &str) {
        let keyboard = self.keyboard.as_mut().expect("a command on a terminal");
        keyboard.write_all(text.as_bytes()).expect("the terminal takes what is typed");
    }

    /// Waits for its end and returns the exit code, -1 after a signal.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn end(&mut self) -> i32 {
        let seen = self.seen.clone();
        wait_for("the command's end", || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status.code().unwrap_or(-1)),
            _ => Err(seen.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        })
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gather(mut output: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let seen = Arc::new(Mutex::new(String::new()));
    let shared = seen.clone();
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        // A terminal whose last user is gone reads as an error, a pipe as its end.
        while let Ok(count @ 1..) = output.read(&mut chunk) {
            let text = String::from_utf8_lossy(&chunk[..count]);
            shared.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
        }
    });
    seen
}
