//! Netlink messages and a socket that sends a batch of them in one system call.
//!
//! The kernel works on a request inside `sendto`, so that every answer lies in the receive queue when it returns:
//! draining the queue without waiting finds each error, and success needs no answer at all.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

const HEADER: usize = 16;

/// What the kernel said to one message of a batch.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket failed.
    #[error("netlink socket: {0}")]
    Socket(#[source] io::Error),
    /// The kernel refused message number `index` of the batch.
    #[error("message {index} of the batch: {source}")]
    Refused {
        /// Which message, from 0.
        index: usize,
        /// The kernel's error number as an error.
        #[source]
        source: io::Error,
    },
}

impl NetlinkError {
    /// The error number, if the kernel gave one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Socket(error) | Self::Refused { source: error, .. } => error.raw_os_error(),
        }
    }
}

/// One message under construction.
#[derive(Debug)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A request of type `kind`; `flags` are added to `NLM_F_REQUEST`. `fixed` is the family's fixed header.
    pub(crate) fn new(kind: u16, flags: i32, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        let flags = (flags | libc::NLM_F_REQUEST) as u16;
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(fixed);
        let mut message = Self { bytes };
        message.pad();
        message
    }

    /// Appends an attribute.
    pub(crate) fn attribute(mut self, kind: u16, payload: &[u8]) -> Self {
        self.push(kind, payload);
        self
    }

    /// Appends a text attribute with its closing zero.
    pub(crate) fn text(self, kind: u16, text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// Appends an attribute that holds what `fill` appends.
    pub(crate) fn nested(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self.push(kind | libc::NLA_F_NESTED as u16, &[]);
        let mut filled = fill(self);
        let length = (filled.bytes.len() - start) as u16;
        filled.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        filled
    }

    /// Appends bytes that are no attribute: the fixed header that some nested attributes begin with.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    fn push(&mut self, kind: u16, payload: &[u8]) {
        let length = (payload.len() + 4) as u16;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(payload);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

/// A netlink socket of the calling thread's network namespace.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
}

impl Socket {
    /// Opens a socket of `protocol` (`NETLINK_ROUTE`, `NETLINK_NETFILTER`).
    pub(crate) fn open(protocol: i32) -> Result<Self, NetlinkError> {
        // SAFETY: socket() takes no pointer; the result is checked before it is owned.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
        if fd < 0 {
            return Err(NetlinkError::Socket(io::Error::last_os_error()));
        }
        // SAFETY: fd was just opened and belongs to nobody else.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Sends all messages at once; the first refusal that `tolerate` (index, error number) does not accept is returned.
    /// rtnetlink works on all messages even when one fails; nf_tables takes a batch whole or not at all.
    pub(crate) fn batch(
        &self,
        messages: Vec<Message>,
        tolerate: impl Fn(usize, i32) -> bool,
    ) -> Result<(), NetlinkError> {
        let mut bytes = Vec::new();
        for (index, message) in messages.into_iter().enumerate() {
            bytes.extend(message.finish(index as u32));
        }
        send(self.fd.as_raw_fd(), &bytes).map_err(NetlinkError::Socket)?;
        let mut failure = None;
        let mut buffer = vec![0_u8; 8192];
        while let Some(length) = receive(self.fd.as_raw_fd(), &mut buffer).map_err(NetlinkError::Socket)? {
            for (index, error) in errors(&buffer[..length]) {
                if error != 0 && !tolerate(index, error) && failure.is_none() {
                    failure = Some(NetlinkError::Refused { index, source: io::Error::from_raw_os_error(error) });
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

fn send(fd: RawFd, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: an all-zero sockaddr_nl is valid: it names the kernel.
    let mut kernel: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    kernel.nl_family = libc::AF_NETLINK as u16;
    // SAFETY: both pointers are valid for the lengths given during the call.
    let sent = unsafe {
        libc::sendto(
            fd,
            bytes.as_ptr().cast(),
            bytes.len(),
            0,
            (&raw const kernel).cast(),
            size_of::<libc::sockaddr_nl>() as u32,
        )
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn receive(fd: RawFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    // SAFETY: the buffer is valid for its length during the call.
    let received = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT) };
    match usize::try_from(received) {
        Ok(length) => Ok(Some(length)),
        Err(_) => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            error => Err(error),
        },
    }
}

/// The (sequence, error number) of each NLMSG_ERROR in a datagram.
fn errors(mut bytes: &[u8]) -> Vec<(usize, i32)> {
    let mut found = Vec::new();
    while let Some(header) = bytes.first_chunk::<HEADER>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = i32::from(u16::from_ne_bytes([header[4], header[5]]));
        let sequence = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
        if length < HEADER || length > bytes.len() {
            break;
        }
        if kind == libc::NLMSG_ERROR
            && let Some(code) = bytes[HEADER..length].first_chunk::<4>()
        {
            found.push((sequence as usize, -i32::from_ne_bytes(*code)));
        }
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    found
}
