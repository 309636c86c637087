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
/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// All terminals of a session, by id.
pub(crate) type Terminals = HashMap<String, Arc<Terminal>>;

/// One terminal.
pub(crate) struct Terminal {
    /// Node on which its program runs.
    pub(crate) node: String,
    /// Its program.
    pub(crate) pid: i32,
    master: AsyncFd<std::fs::File>,
    inner: Mutex<Inner>,
    exit: watch::Sender<Option<i32>>,
}

#[derive(Default)]
struct Inner {
    scroll_back: VecDeque<u8>,
    attached: Vec<mpsc::Sender<Vec<u8>>>,
}

impl Terminal {
    /// Takes over a PTY whose program has just started.
    #[allow(
        deprecated,
        reason = "its successor is unsafe; the descriptor is owned here and never closed behind its back"
    )]
    pub(crate) fn new(node: &str, pid: i32, master: OwnedFd) -> std::io::Result<Arc<Terminal>> {
        rustix::io::ioctl_fionbio(master.as_fd(), true)?;
        let terminal = Arc::new(Terminal {
            node: node.to_owned(),
            pid,
            master: AsyncFd::new(std::fs::File::from(master))?,
            inner: Mutex::default(),
            exit: watch::Sender::new(None),
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
        loop {
            let Ok(mut guard) = self.master.readable().await else { break };
            match guard.try_io(|master| master.get_ref().read(&mut buffer)) {
                // A PTY whose last user is gone gives EIO.
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(read)) => self.deliver(&buffer[..read]).await,
                Err(_would_block) => {}
            }
        }
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).attached.clear();
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
