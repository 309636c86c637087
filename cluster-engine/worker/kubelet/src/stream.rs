//! A container's standard streams: one reader that feeds the log and everybody attached.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use drydock_container_runtime::StartedContainer;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::io::unix::AsyncFd;
use tokio::sync::{Mutex, broadcast, watch};

use crate::logs::Writer;

/// Which stream bytes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Stdout,
    Stderr,
}

/// A pipe end or terminal that never blocks.
#[derive(Debug)]
pub(crate) struct Pipe(AsyncFd<OwnedFd>);

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

impl Pipe {
    /// Takes a descriptor over. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When it cannot be made non-blocking or be polled.
    #[allow(
        deprecated,
        reason = "its successor is unsafe; the descriptor is owned here and never closed behind its back"
    )]
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
        fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        Ok(Self(AsyncFd::new(fd)?))
    }

    /// The next bytes; empty at the end. No buffer is held while nothing comes.
    ///
    /// # Errors
    /// As `read(2)`.
    pub(crate) async fn read(&self) -> io::Result<Bytes> {
        loop {
            let mut guard = self.0.readable().await?;
            let mut buffer = vec![0; CHUNK];
            let result = guard.try_io(|fd| match nix::unistd::read(fd.get_ref().as_fd(), &mut buffer) {
                // The last user of a terminal has gone.
                Err(nix::errno::Errno::EIO) => Ok(0),
                result => result.map_err(io::Error::from),
            });
            if let Ok(length) = result {
                buffer.truncate(length?);
                return Ok(buffer.into());
            }
        }
    }

    /// Writes all bytes.
    ///
    /// # Errors
    /// As `write(2)`.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut guard = self.0.writable().await?;
            let result = guard.try_io(|fd| nix::unistd::write(fd.get_ref(), bytes).map_err(io::Error::from));
            if let Ok(written) = result {
                bytes = &bytes[written?..];
            }
        }
        Ok(())
    }

    /// Tells a terminal its new size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let fd = self.0.get_ref();
        if let Err(error) = rustix::termios::tcsetwinsize(fd, size) {
            tracing::debug!(fd = fd.as_raw_fd(), %error, "cannot resize a terminal");
        }
    }
}

/// What a container's log has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Raised with every write.
    pub(crate) writes: u64,
    /// Nothing will be written any more.
    pub(crate) ended: bool,
}

/// The streams of a running container; dropped with the last user.
pub(crate) struct Streams {
    output: broadcast::Sender<(Source, Bytes)>,
    progress: watch::Sender<Progress>,
    stdin: Mutex<Option<Arc<Pipe>>>,
    terminal: Option<Arc<Pipe>>,
    stdin_once: bool,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").field("progress", &*self.progress.borrow()).finish_non_exhaustive()
    }
}

impl Streams {
    /// Starts the readers of a container that was just started.
    pub(crate) fn start(container: StartedContainer, writer: Writer, stdin_once: bool) -> Arc<Self> {
        let pipe = |fd: Option<OwnedFd>| fd.and_then(|fd| Pipe::new(fd).ok()).map(Arc::new);
        let terminal = pipe(container.pty);
        let streams = Arc::new(Self {
            output: broadcast::Sender::new(64),
            progress: watch::Sender::new(Progress::default()),
            stdin: Mutex::new(pipe(container.stdin).or_else(|| terminal.clone())),
            terminal: terminal.clone(),
            stdin_once,
        });
        let sources =
            [(Source::Stdout, terminal.or_else(|| pipe(container.stdout))), (Source::Stderr, pipe(container.stderr))];
        let writer = Arc::new(std::sync::Mutex::new(writer));
        let readers: Vec<_> = sources
            .into_iter()
            .filter_map(|(source, pipe)| Some(tokio::spawn(read(streams.clone(), writer.clone(), source, pipe?))))
            .collect();
        let ending = streams.clone();
        tokio::spawn(async move {
            for reader in readers {
                let _ = reader.await;
            }
            ending.progress.send_modify(|progress| progress.ended = true);
        });
        streams
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<(Source, Bytes)> {
        self.output.subscribe()
    }

    pub(crate) fn has_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        if let Some(terminal) = &self.terminal {
            terminal.resize(columns, rows);
        }
    }

    /// Writes to the container's standard input.
    ///
    /// # Errors
    /// When there is none or it is closed.
    pub(crate) async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let stdin = self.stdin.lock().await.clone();
        stdin.ok_or(io::ErrorKind::BrokenPipe)?.write_all(bytes).await
    }

    /// The first attached client has gone: with `stdinOnce` the input ends.
    pub(crate) async fn client_left(&self) {
        if self.stdin_once {
            self.stdin.lock().await.take();
        }
    }
}

async fn read(streams: Arc<Streams>, writer: Arc<std::sync::Mutex<Writer>>, source: Source, pipe: Arc<Pipe>) {
    loop {
        let bytes = pipe.read().await.unwrap_or_default();
        {
            let mut writer = writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let result = if bytes.is_empty() { writer.end(source) } else { writer.write(source, &bytes) };
            if let Err(error) = result {
                tracing::warn!(%error, "cannot write a container's log");
            }
        }
        streams.progress.send_modify(|progress| progress.writes += 1);
        if bytes.is_empty() {
            return;
        }
        // Nobody attached is no error.
        let _ = streams.output.send((source, bytes));
    }
}
