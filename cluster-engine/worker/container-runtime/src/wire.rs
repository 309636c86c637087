//! What the caller and its helper say to each other: length-prefixed JSON over a socket pair, descriptors beside it.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ExecFailure;
use crate::launch::Spec;

/// Descriptors per message: three streams and two processes.
const MAX_FDS: usize = 5;
/// Larger than any pod the API server accepts.
const MAX_BYTES: usize = 16 << 20;

/// The first message, to the helper. Its descriptors are standard streams first, then the target, then the process whose PID
/// namespace to join.
#[derive(Serialize, Deserialize)]
pub(crate) struct Request<'a> {
    pub(crate) spec: Cow<'a, Spec>,
    pub(crate) stdio: bool,
    pub(crate) target: bool,
    pub(crate) pids: bool,
}

/// From the helper and its child. The end of the stream means success.
#[derive(Serialize, Deserialize)]
pub(crate) enum Message {
    /// The process exists and waits for [`go`].
    Born { pid: i32 },
    /// Comes with the master of the terminal.
    Terminal,
    /// A step failed.
    Setup(String),
    /// The command cannot be executed.
    Exec(ExecFailure),
}

pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

pub(crate) fn send<T: Serialize>(socket: BorrowedFd<'_>, message: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?.to_le_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(socket, &[IoSlice::new(&length)], &mut ancillary, SendFlags::NOSIGNAL)?;
    let mut rest = body.as_slice();
    while !rest.is_empty() {
        let sent = rustix::net::send(socket, rest, SendFlags::NOSIGNAL)?;
        rest = rest.get(sent..).unwrap_or_default();
    }
    Ok(())
}

/// `None` at the end of the stream.
pub(crate) fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(&mut length)], &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            // A helper that dies with unread orders resets the connection.
            Err(rustix::io::Errno::CONNRESET) => return Ok(None),
            other => break other?,
        }
    };
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut stream = File::from(socket.try_clone_to_owned()?);
    stream.read_exact(length.get_mut(received.bytes..).unwrap_or_default())?;
    let length = usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)?;
    if length > MAX_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some((serde_json::from_slice(&body)?, fds)))
}

/// Lets the new process execute its program.
pub(crate) fn go(socket: BorrowedFd<'_>) -> io::Result<()> {
    match File::from(socket.try_clone_to_owned()?).write_all(b"g") {
        // It failed already and its message waits to be read.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Waits for [`go`].
pub(crate) fn wait_for_go(socket: BorrowedFd<'_>) -> io::Result<()> {
    File::from(socket.try_clone_to_owned()?).read_exact(&mut [0])
}
