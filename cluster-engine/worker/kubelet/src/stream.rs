//! A container's standard streams: one reader that feeds the log and everybody attached.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use drydock_container_runtime::StartedContainer;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::{Mutex, broadcast, watch};

use crate::logs::Writer;

/// Which stream bytes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Stdout,
    Stderr,
}

/// Our end of a pipe, or a terminal, that never blocks. A terminal is held twice, once for each direction.
#[derive(Debug)]
pub(crate) struct Pipe {
    input: Option<Receiver>,
    output: Option<Sender>,
}

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// Makes a descriptor non-blocking and known to the runtime. Beside pipes that fits whatever `poll(2)` does: terminals,
/// processes, inotify. Must be called inside a tokio runtime.
///
/// # Errors
/// When it cannot be made non-blocking or be polled.
pub(crate) fn readable(fd: OwnedFd) -> io::Result<Receiver> {
    unblock(&fd)?;
    Receiver::from_owned_fd_unchecked(fd)
}

fn unblock(fd: &OwnedFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

impl Pipe {
    /// Takes over the reading end of a pipe.
    ///
    /// # Errors
    /// As [`readable`].
    pub(crate) fn reader(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { input: Some(readable(fd)?), output: None })
    }

    /// Takes over the writing end of a pipe.
    ///
    /// # Errors
    /// As [`readable`].
    pub(crate) fn writer(fd: OwnedFd) -> io::Result<Self> {
        unblock(&fd)?;
        Ok(Self { input: None, output: Some(Sender::from_owned_fd_unchecked(fd)?) })
    }

    /// Takes over the master of a terminal.
    ///
    /// # Errors
    /// As [`readable`].
    pub(crate) fn terminal(fd: OwnedFd) -> io::Result<Self> {
        let writer = Self::writer(fd.try_clone()?)?;
        Ok(Self { input: Some(readable(fd)?), ..writer })
    }

    /// The next bytes; empty at the end. No buffer is held while nothing comes.
    ///
    /// # Errors
    /// As `read(2)`.
    pub(crate) async fn read(&self) -> io::Result<Bytes> {
        let Some(input) = &self.input else { return Ok(Bytes::new()) };
        loop {
            input.readable().await?;
            let mut buffer = vec![0; CHUNK];
            match input.try_read(&mut buffer) {
                Ok(length) => {
                    buffer.truncate(length);
                    return Ok(buffer.into());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The last user of a terminal has gone.
                Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EIO as i32) => return Ok(Bytes::new()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes all bytes.
    ///
    /// # Errors
    /// As `write(2)`.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        let output = self.output.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        while !bytes.is_empty() {
            output.writable().await?;
            match output.try_write(bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Tells a terminal its new size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let Some(output) = &self.output else { return };
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        if let Err(error) = rustix::termios::tcsetwinsize(output, size) {
            tracing::debug!(%error, "cannot resize a terminal");
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
        let reader = |fd: Option<OwnedFd>| fd.and_then(|fd| Pipe::reader(fd).ok()).map(Arc::new);
        let terminal = container.pty.and_then(|fd| Pipe::terminal(fd).ok()).map(Arc::new);
        let stdin = container.stdin.and_then(|fd| Pipe::writer(fd).ok()).map(Arc::new);
        let streams = Arc::new(Self {
            output: broadcast::Sender::new(64),
            progress: watch::Sender::new(Progress::default()),
            stdin: Mutex::new(stdin.or_else(|| terminal.clone())),
            terminal: terminal.clone(),
            stdin_once,
        });
        let sources = [
            (Source::Stdout, terminal.or_else(|| reader(container.stdout))),
            (Source::Stderr, reader(container.stderr)),
        ];
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
