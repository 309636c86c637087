//! Snapshots for `etcdctl snapshot save`: the state's records, padding to 512 bytes, a SHA-256 of it all.
//!
//! etcd's clients want a file whose length is 32 more than a multiple of 512 and take the last 32 bytes
//! for the checksum. `--restore FILE` starts a new data directory from such a file; `etcdutl` cannot read it.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::log::{frame, write_state};
use crate::store::{Body, Record, Store};

const BLOCK: u64 = 512;
const SHA256_SIZE: u64 = 32;

/// Writes a snapshot of `store` to a new file in `directory` that has no name any more and vanishes with
/// its last user; it stands at its beginning. The second part is its size in bytes.
///
/// # Errors
/// When the file cannot be written.
pub fn write(store: &Store, directory: &Path) -> io::Result<(File, u64)> {
    let path = directory.join(format!("snapshot-{}-{}.tmp", std::process::id(), store.index()));
    let file = File::options().create(true).truncate(true).read(true).write(true).open(&path)?;
    std::fs::remove_file(&path)?;
    let mut writer = Hashing { output: BufWriter::with_capacity(64 << 10, file), hash: Sha256::new() };
    let size = write_state(store, &mut writer)?;
    let padding = padding(size);
    writer.write_all(&padding)?;
    let Hashing { mut output, hash } = writer;
    output.write_all(&hash.finalize())?;
    let mut file = output.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.seek(SeekFrom::Start(0))?;
    Ok((file, size + padding.len() as u64 + SHA256_SIZE))
}

/// A record that brings `size` to a multiple of the block size.
fn padding(size: u64) -> Vec<u8> {
    let framed = |length: u64| {
        let zeros = Bytes::from(vec![0; usize::try_from(length).unwrap_or(0)]);
        let mut frames = Vec::new();
        frame(&Record { body: Some(Body::Padding(zeros)) }, &mut frames);
        frames
    };
    // The record's own head grows by a byte with its length, so try until it fits.
    (0..2 * BLOCK).map(framed).find(|frames| (size + frames.len() as u64).is_multiple_of(BLOCK)).unwrap_or_default()
}

/// Whether the file's last 32 bytes are the SHA-256 of what stands before them.
///
/// # Errors
/// When the file cannot be read.
pub fn is_whole(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let Some(content) = file.metadata()?.len().checked_sub(SHA256_SIZE) else { return Ok(false) };
    let mut hash = Hashing { output: io::sink(), hash: Sha256::new() };
    io::copy(&mut (&mut file).take(content), &mut hash)?;
    let mut stored = [0; SHA256_SIZE as usize];
    file.read_exact(&mut stored)?;
    Ok(hash.hash.finalize()[..] == stored)
}

struct Hashing<W> {
    output: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
