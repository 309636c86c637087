//! A netfilter netlink socket.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt, socket,
    sockopt,
};

use crate::Error;
use crate::attributes::HEADER;

const ERROR: u16 = 2;
const DONE: u16 = 3;
/// For batches and dumps; the kernel gives what it may.
const BUFFER: usize = 1 << 20;

/// A socket to the netfilter of the process's network namespace.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
}

impl Socket {
    /// Opens it. Changing anything needs CAP_NET_ADMIN in the namespace's user namespace.
    ///
    /// # Errors
    /// When the kernel has no netfilter netlink.
    pub fn open() -> Result<Socket, Error> {
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter)
            .map_err(failed)?;
        // More room is a convenience; without it large changes are cut into smaller ones anyway.
        let _ = setsockopt(&fd, sockopt::SndBuf, &BUFFER);
        let _ = setsockopt(&fd, sockopt::RcvBuf, &BUFFER);
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0)).map_err(failed)?;
        Ok(Socket { fd })
    }

    /// Sends requests and returns the errors they met, with their sequence numbers. Netfilter works a send off
    /// before it returns, so all errors are there by then.
    pub(crate) fn send_and_collect_errors(&self, requests: &[u8]) -> Result<Vec<(u32, io::Error)>, Error> {
        self.send(requests)?;
        let mut errors = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let length = match recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => length,
                Err(Errno::EAGAIN) => return Ok(errors),
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(failed(errno)),
            };
            for message in messages(&buffer[..length]) {
                if let Some(Answer::Error(sequence, error)) = message.answer() {
                    errors.push((sequence, error));
                }
            }
        }
    }

    /// Sends a dump request and calls `each` with every message of the answer.
    pub(crate) fn dump(&self, request: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), Error> {
        self.send(request)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let length = match recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(length) => length,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(failed(errno)),
            };
            for message in messages(&buffer[..length]) {
                match message.answer() {
                    Some(Answer::Done) => return Ok(()),
                    Some(Answer::Error(_, error)) => return Err(Error::Socket(error)),
                    None => each(message.body),
                }
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        loop {
            match send(self.fd.as_raw_fd(), bytes, MsgFlags::empty()) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
    }
}

fn failed(errno: Errno) -> Error {
    Error::Socket(errno.into())
}

struct Message<'a> {
    kind: u16,
    sequence: u32,
    body: &'a [u8],
}

enum Answer {
    Done,
    Error(u32, io::Error),
}

impl Message<'_> {
    fn answer(&self) -> Option<Answer> {
        match self.kind {
            DONE => Some(Answer::Done),
            ERROR => {
                let code = i32::from_ne_bytes(self.body.first_chunk().copied()?);
                // 0 is an acknowledgement.
                (code != 0).then(|| Answer::Error(self.sequence, io::Error::from_raw_os_error(-code)))
            }
            _ => None,
        }
    }
}

fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let header: &[u8; HEADER] = bytes.first_chunk()?;
        let [l0, l1, l2, l3, k0, k1, _, _, s0, s1, s2, s3, ..] = *header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let message = Message {
            kind: u16::from_ne_bytes([k0, k1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            body: bytes.get(HEADER..length)?,
        };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}
