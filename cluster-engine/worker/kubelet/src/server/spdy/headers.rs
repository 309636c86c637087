//! Header blocks: name/value pairs through one zlib stream per direction, begun with SPDY's dictionary.

use std::collections::BTreeMap;
use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::frame::invalid;

/// The words of the dictionary, each preceded by its length (SPDY draft 3, section 2.6.10.1).
const WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding accept-language \
    accept-ranges age allow authorization cache-control connection content-base content-encoding content-language \
    content-length content-location content-md5 content-range content-type date etag expect expires from host if-match \
    if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma \
    proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade \
    user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie \
    keep-alive origin";

/// What follows the words without lengths.
const TEXT: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505\
    203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden\
    404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable\
    Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT\
    chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,\
    publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

fn dictionary() -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in WORDS.split_whitespace() {
        let word = word.replace('_', " ");
        bytes.extend_from_slice(&(word.len() as u32).to_be_bytes());
        bytes.extend_from_slice(word.as_bytes());
    }
    bytes.extend_from_slice(TEXT.as_bytes());
    bytes
}

/// A header block larger than this is no honest one.
const LONGEST: usize = 256 * 1024;

/// Our direction's stream.
pub(super) struct Compressor(Compress);

impl Compressor {
    pub(super) fn new() -> Self {
        let mut compress = Compress::new(Compression::fast(), true);
        if let Err(error) = compress.set_dictionary(&dictionary()) {
            tracing::error!(%error, "zlib takes no dictionary");
        }
        Self(compress)
    }

    /// The compressed block.
    pub(super) fn headers(&mut self, headers: &BTreeMap<String, String>) -> Vec<u8> {
        let mut plain = Vec::new();
        plain.extend_from_slice(&(headers.len() as u32).to_be_bytes());
        for (name, value) in headers {
            for text in [name, value] {
                plain.extend_from_slice(&(text.len() as u32).to_be_bytes());
                plain.extend_from_slice(text.as_bytes());
            }
        }
        let mut out = Vec::with_capacity(plain.len() + 64);
        let start = self.0.total_in();
        loop {
            let done = (self.0.total_in() - start) as usize;
            out.reserve(256);
            let result = self.0.compress_vec(&plain[done..], &mut out, FlushCompress::Sync);
            let consumed = (self.0.total_in() - start) as usize == plain.len();
            if result.is_err() || (consumed && out.len() < out.capacity()) {
                return out;
            }
        }
    }
}

/// The client's direction's stream.
pub(super) struct Decompressor {
    stream: Decompress,
    has_dictionary: bool,
}

impl Decompressor {
    pub(super) fn new() -> Self {
        Self { stream: Decompress::new(true), has_dictionary: false }
    }

    /// The headers of a block, names in lower case.
    ///
    /// # Errors
    /// When the block is no such thing.
    pub(super) fn headers(&mut self, block: &[u8]) -> io::Result<BTreeMap<String, String>> {
        let plain = self.inflate(block)?;
        parse(&plain).ok_or_else(|| invalid("a header block is broken"))
    }

    fn inflate(&mut self, block: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::with_capacity(1024);
        let mut rest = block;
        loop {
            let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
            plain.reserve(1024);
            let result = self.stream.decompress_vec(rest, &mut plain, FlushDecompress::Sync);
            rest = &rest[(self.stream.total_in() - before_in) as usize..];
            match result {
                Err(error) if error.needs_dictionary().is_some() && !self.has_dictionary => {
                    self.has_dictionary = true;
                    self.stream.set_dictionary(&dictionary()).map_err(|_| invalid("an unknown header dictionary"))?;
                }
                Err(_) => return Err(invalid("a header block does not decompress")),
                Ok(Status::StreamEnd) => return Ok(plain),
                Ok(_) => {
                    let stuck = self.stream.total_out() == before_out && self.stream.total_in() == before_in;
                    if plain.len() > LONGEST {
                        return Err(invalid("a header block is too long"));
                    }
                    if stuck || (rest.is_empty() && plain.len() < plain.capacity()) {
                        return Ok(plain);
                    }
                }
            }
        }
    }
}

fn parse(mut plain: &[u8]) -> Option<BTreeMap<String, String>> {
    fn number(plain: &mut &[u8]) -> Option<usize> {
        let (bytes, rest) = plain.split_first_chunk::<4>()?;
        *plain = rest;
        usize::try_from(u32::from_be_bytes(*bytes)).ok()
    }
    fn text(plain: &mut &[u8]) -> Option<String> {
        let length = number(plain)?;
        let bytes = plain.get(..length)?;
        *plain = &plain[length..];
        Some(String::from_utf8_lossy(bytes).into_owned())
    }
    let count = number(&mut plain)?;
    let mut headers = BTreeMap::new();
    for _ in 0..count.min(1000) {
        let name = text(&mut plain)?.to_lowercase();
        headers.insert(name, text(&mut plain)?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The dictionary's length and checksum, as every SPDY/3 connection shows them in its first bytes.
    #[test]
    fn the_dictionary_is_spdys() {
        assert_eq!(dictionary().len(), 1423);
        let block = Compressor::new().headers(&BTreeMap::new());
        assert_eq!(block[2..6], [0xe3, 0xc6, 0xa7, 0xc2]);
    }

    #[test]
    fn blocks_build_on_each_other() {
        let (mut compressor, mut decompressor) = (Compressor::new(), Decompressor::new());
        for round in 0..20 {
            let value = "x".repeat(round * 500);
            let headers: BTreeMap<_, _> =
                [("streamtype".to_owned(), "data".to_owned()), ("port".to_owned(), value)].into();
            let block = compressor.headers(&headers);
            assert_eq!(decompressor.headers(&block).unwrap(), headers);
        }
        assert!(decompressor.headers(&[1, 2, 3, 4]).is_err());
        assert!(Decompressor::new().headers(b"no zlib").is_err());
    }
}
