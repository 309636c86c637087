//! What is kept compressed because it is large and seldom read.

use std::io::{self, Read as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// Takes what is to be kept; [`finish`] gives it.
pub(crate) fn encoder() -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::new(), Compression::new(6))
}

/// The compressed bytes, with no room beside them.
pub(crate) fn finish(encoder: GzEncoder<Vec<u8>>) -> io::Result<Bytes> {
    let mut gzip = encoder.finish()?;
    gzip.shrink_to_fit();
    Ok(Bytes::from(gzip))
}

/// What was compressed.
pub(crate) fn plain(gzip: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut plain)?;
    Ok(plain)
}
