//! The standard streams of a process in a container as one stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bollard::container::LogOutput;
use bytes::{Buf, Bytes};
use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Of what a process says on its standard error this much is kept.
const COMPLAINT: usize = 4096;

type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// Reads the process's standard output and writes to its standard input. What it says on standard error is the error that
/// comes when it ends without any output.
pub(crate) struct ProcessStream {
    output: Output,
    input: Input,
    waiting: Bytes,
    complaint: Vec<u8>,
    has_spoken: bool,
}

impl ProcessStream {
    pub(crate) fn new(output: Output, input: Input) -> ProcessStream {
        ProcessStream { output, input, waiting: Bytes::new(), complaint: Vec::new(), has_spoken: false }
    }

    /// What it said on standard error.
    pub(crate) fn complaint(&self) -> String {
        String::from_utf8_lossy(&self.complaint).trim().to_owned()
    }
}

impl AsyncRead for ProcessStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.waiting.is_empty() {
            match ready!(self.output.as_mut().poll_next(context)) {
                Some(Ok(LogOutput::StdErr { message })) => {
                    let room = COMPLAINT.saturating_sub(self.complaint.len()).min(message.len());
                    self.complaint.extend_from_slice(&message[..room]);
                }
                Some(Ok(other)) => {
                    self.waiting = other.into_bytes();
                    self.has_spoken = true;
                }
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None if !self.has_spoken && !self.complaint.is_empty() => {
                    return Poll::Ready(Err(io::Error::other(self.complaint())));
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let taken = self.waiting.len().min(buffer.remaining());
        buffer.put_slice(&self.waiting[..taken]);
        self.waiting.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ProcessStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.input.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.as_mut().poll_shutdown(context)
    }
}
