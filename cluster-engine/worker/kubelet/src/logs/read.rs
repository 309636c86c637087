//! Reading a log back: the last lines, those since a time, with or without times, and what comes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Which part of a log is wanted; the parameters of `GET …/log`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) tail_lines: Option<usize>,
    /// Only lines at or after this time, in the log's own form (RFC 3339, UTC); forms of equal length compare as text.
    pub(crate) since: Option<(i64, u32)>,
    pub(crate) timestamps: bool,
    pub(crate) limit_bytes: Option<usize>,
    /// `stdout` or `stderr` alone.
    pub(crate) stream: Option<String>,
}

/// A position in a log file.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    file: File,
    options: Options,
    /// Bytes of an unfinished line.
    pending: Vec<u8>,
    /// The line before was a part: the next continues it.
    in_line: bool,
    left: usize,
}

/// Read from the file at once.
const BLOCK: usize = 32 * 1024;

impl Reader {
    /// Opens a log at its start, or before its last `tail_lines` lines.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn open(path: &Path, options: Options) -> io::Result<Self> {
        let mut file = File::open(path)?;
        if let Some(lines) = options.tail_lines {
            let start = tail_start(&mut file, lines)?;
            file.seek(SeekFrom::Start(start))?;
        }
        let left = options.limit_bytes.unwrap_or(usize::MAX);
        Ok(Self { path: path.to_owned(), file, options, pending: Vec::new(), in_line: false, left })
    }

    /// The next piece in its final form; empty at the present end of the log, `None` when the limit is reached.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut out = Vec::new();
        loop {
            let mut block = vec![0; BLOCK];
            let length = self.file.read(&mut block)?;
            if length == 0 {
                // Rotated away: go on in the new file.
                if !self.reopen()? {
                    break;
                }
                continue;
            }
            self.pending.extend_from_slice(&block[..length]);
            let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') else { continue };
            let rest = self.pending.split_off(end + 1);
            let lines = std::mem::replace(&mut self.pending, rest);
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                self.show(line, &mut out);
            }
            if !out.is_empty() {
                break;
            }
        }
        out.truncate(self.left);
        self.left -= out.len();
        Ok(Some(out))
    }

    fn reopen(&mut self) -> io::Result<bool> {
        let Ok(there) = std::fs::metadata(&self.path) else { return Ok(false) };
        if there.ino() == self.file.metadata()?.ino() {
            return Ok(false);
        }
        self.file = File::open(&self.path)?;
        Ok(true)
    }

    /// `<time> <stream> <tag> <text>\n` in the wanted form.
    fn show(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let mut fields = line.splitn(4, |byte| *byte == b' ');
        let (Some(time), Some(stream), Some(tag), Some(text)) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return;
        };
        let is_part = tag == b"P";
        let continues = std::mem::replace(&mut self.in_line, is_part);
        if self.options.stream.as_ref().is_some_and(|wanted| wanted.as_bytes() != stream) {
            return;
        }
        if let Some(since) = self.options.since {
            let at = std::str::from_utf8(time).ok().and_then(drydock_api::time::parse);
            if at.is_some_and(|at| at < since) {
                return;
            }
        }
        if self.options.timestamps && !continues {
            out.extend_from_slice(time);
            out.push(b' ');
        }
        out.extend_from_slice(if is_part { text.strip_suffix(b"\n").unwrap_or(text) } else { text });
    }
}

/// Where the last `lines` lines begin. Parts of a long line count as one with its end.
fn tail_start(file: &mut File, lines: usize) -> io::Result<u64> {
    let mut position = file.metadata()?.len();
    if lines == 0 {
        return Ok(position);
    }
    let mut seen = 0;
    while position > 0 {
        let start = position.saturating_sub(BLOCK as u64);
        let mut block = vec![0; usize::try_from(position - start).unwrap_or(BLOCK)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut block)?;
        for (index, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            seen += 1;
            // The first one seen ends the last line.
            if seen > lines {
                return Ok(start + index as u64 + 1);
            }
        }
        position = start;
    }
    Ok(0)
}
