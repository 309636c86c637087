//! zstd streams as registries hold them: frames one after another, of a bounded window.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Bytes that are decoded before they are given away.
const STEP: usize = 256 * 1024;

/// Decodes all frames of a stream.
pub(crate) struct Frames<R> {
    inner: R,
    decoder: FrameDecoder,
    open: bool,
}

impl<R: BufRead> Frames<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, decoder: FrameDecoder::new(), open: false }
    }
}

fn broken(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("zstd: {error}"))
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            if self.open {
                // The decoder keeps a window for references back; only what lies before it comes out until the end.
                if self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                    self.decoder
                        .decode_blocks(&mut self.inner, BlockDecodingStrategy::UptoBytes(STEP))
                        .map_err(broken)?;
                }
                let read = self.decoder.read(out)?;
                if read > 0 {
                    return Ok(read);
                }
                self.open = !self.decoder.is_finished();
                continue;
            }
            if self.inner.fill_buf()?.is_empty() {
                return Ok(0);
            }
            match self.decoder.reset(&mut self.inner) {
                Ok(()) => self.open = true,
                Err(error) => skip(&mut self.inner, error)?,
            }
        }
    }
}

/// A frame that holds nothing for us is passed over; anything else is an error.
fn skip(inner: &mut impl BufRead, error: ruzstd::decoding::errors::FrameDecoderError) -> io::Result<()> {
    use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
    if let FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. }) = error {
        let skipped = io::copy(&mut inner.take(u64::from(length)), &mut io::sink())?;
        return if skipped == u64::from(length) { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
    }
    Err(broken(error))
}
