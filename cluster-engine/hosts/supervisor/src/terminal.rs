//! Terminals that outlive who looks at them: a PTY, its scroll-back, and whoever is attached.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, watch};

/// Bytes of scroll-back kept.
const SCROLL_BACK: usize = 256 * 1024;
/// Pieces of output that wait for one who is attached.
const QUEUE: usize = 32;
/// Who takes nothing for so long is detached; until then the program waits, so floods cost no memory.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the rest of a terminal's output is waited for after its program's end.
const LINGER: Duration = Duration::from_millis(300);
/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// All terminals of a session, by id.
pub(crate) type Terminals = HashMap<String, Arc<Terminal>>;

/// One terminal.
pub(crate) struct Terminal {
    /// Node on which its program runs.
    pub(crate) node: String,
    /// Its program: a descriptor, since a number may mean another process one day.
    process: OwnedFd,
    master: AsyncFd<std::fs::File>,
    inner: Mutex<Inner>,
    exit: watch::Sender<Option<i32>>,
    over: watch::Sender<bool>,
}

#[derive(Default)]
struct Inner {
    scroll_back: VecDeque<u8>,
    attached: Vec<mpsc::Sender<Vec<u8>>>,
}

impl Terminal {
    /// Takes over a PTY whose program has just started.
    pub(crate) fn new(node: &str, process: OwnedFd, master: OwnedFd) -> std::io::Result<Arc<Terminal>> {
        rustix::io::ioctl_fionbio(master.as_fd(), true)?;
        // SAFETY: a file keeps its descriptor open, and the same, for as long as it lives.
        let master = unsafe { AsyncFd::register(std::fs::File::from(master)) }?;
        let terminal = Arc::new(Terminal {
            node: node.to_owned(),
            process,
            master,
            inner: Mutex::default(),
            exit: watch::Sender::new(None),
            over: watch::Sender::new(false),
        });
        tokio::spawn(terminal.clone().read_all());
        Ok(terminal)
    }

    /// What was kept so far, and all that comes.
    pub(crate) fn attach(&self) -> (Vec<u8>, mpsc::Receiver<Vec<u8>>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = inner.scroll_back.iter().copied().collect();
        inner.attached.push(sender);
        (kept, receiver)
    }

    /// The exit code, once there is one.
    pub(crate) fn exit(&self) -> watch::Receiver<Option<i32>> {
        self.exit.subscribe()
    }

    /// Ends the program. The kernel tells all who use the terminal when its first one is gone.
    pub(crate) fn hang_up(&self) {
        for signal in [rustix::process::Signal::HUP, rustix::process::Signal::KILL] {
            // It may have ended by itself.
            let _ = rustix::process::pidfd_send_signal(&self.process, signal);
        }
    }

    /// Notes the program's end.
    pub(crate) fn ended(&self, code: i32) {
        self.exit.send_replace(Some(code));
    }

    /// Types.
    pub(crate) async fn write(&self, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            let mut guard = self.master.writable().await?;
            match guard.try_io(|master| master.get_ref().write(bytes)) {
                Ok(written) => bytes = &bytes[written?..],
                Err(_would_block) => {}
            }
        }
        Ok(())
    }

    /// Changes columns and rows; the program hears of it.
    pub(crate) fn resize(&self, cols: u16, rows: u16) {
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        if let Err(error) = rustix::termios::tcsetwinsize(self.master.get_ref(), size) {
            tracing::debug!(%error, "cannot resize a terminal");
        }
    }

    async fn read_all(self: Arc<Self>) {
        let mut buffer = vec![0; CHUNK];
        let mut exit = self.exit();
        // What the program left in the background does not keep its terminal: the rest is read, then all are detached.
        let over = async {
            let _ = exit.wait_for(Option::is_some).await;
            tokio::time::sleep(LINGER).await;
        };
        tokio::pin!(over);
        loop {
            let mut guard = tokio::select! {
                guard = self.master.readable() => match guard {
                    Ok(guard) => guard,
                    Err(_) => break,
                },
                () = &mut over => break,
            };
            match guard.try_io(|master| master.get_ref().read(&mut buffer)) {
                // A PTY whose last user is gone gives EIO.
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(read)) => self.deliver(&buffer[..read]).await,
                Err(_would_block) => {}
            }
        }
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).attached.clear();
        self.over.send_replace(true);
    }

    /// Resolves when nothing more will come.
    pub(crate) async fn over(&self) {
        // The sender is ours: it cannot be gone.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    async fn deliver(&self, bytes: &[u8]) {
        let attached = {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let excess = (inner.scroll_back.len() + bytes.len()).saturating_sub(SCROLL_BACK);
            let excess = excess.min(inner.scroll_back.len());
            inner.scroll_back.drain(..excess);
            inner.scroll_back.extend(bytes);
            inner.attached.retain(|sender| !sender.is_closed());
            inner.attached.clone()
        };
        for sender in attached {
            let sent = tokio::time::timeout(PATIENCE, sender.send(bytes.to_vec())).await;
            if sent.is_err() {
                let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
                inner.attached.retain(|other| !other.same_channel(&sender));
            }
        }
    }
}
