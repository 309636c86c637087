//! Container logs in CRI's format: `2026-11-21T01:40:05.123456789Z stdout F text`.

mod read;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::stream::Source;

pub(crate) use read::{Options, Reader};

/// Longer lines are written in parts, each but the last marked `P`.
const MAX_LINE: usize = 16 * 1024;

/// Writes one container's log and rotates it.
#[derive(Debug)]
pub(crate) struct Writer {
    path: PathBuf,
    file: File,
    size: u64,
    max_size: u64,
    max_files: u32,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Writer {
    /// Opens the log for appending; its directory is made.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(crate) fn open(path: &Path, max_size: u64, max_files: u32) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let size = file.metadata()?.len();
        let (stdout, stderr) = (Vec::new(), Vec::new());
        Ok(Self { path: path.to_owned(), file, size, max_size, max_files, stdout, stderr })
    }

    /// Writes the whole lines in `bytes`; the rest waits for its end.
    ///
    /// # Errors
    /// When the disk is full, for instance.
    pub(crate) fn write(&mut self, source: Source, bytes: &[u8]) -> io::Result<()> {
        let (stamp, name) = (now_nanos(), name(source));
        let pending = match source {
            Source::Stdout => &mut self.stdout,
            Source::Stderr => &mut self.stderr,
        };
        let mut out = Vec::with_capacity(bytes.len() + 64);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            pending.extend_from_slice(text);
            while pending.len() > MAX_LINE || (!whole && pending.len() == MAX_LINE) {
                let rest = pending.split_off(MAX_LINE);
                line(&mut out, &stamp, name, "P", pending);
                *pending = rest;
            }
            if whole {
                line(&mut out, &stamp, name, "F", pending);
                pending.clear();
            }
        }
        self.append(&out)
    }

    /// The stream has ended: an unfinished line is written as it is.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(crate) fn end(&mut self, source: Source) -> io::Result<()> {
        let pending = match source {
            Source::Stdout => std::mem::take(&mut self.stdout),
            Source::Stderr => std::mem::take(&mut self.stderr),
        };
        let mut out = Vec::new();
        if !pending.is_empty() {
            line(&mut out, &now_nanos(), name(source), "P", &pending);
        }
        self.append(&out)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.size > 0 && self.size + bytes.len() as u64 > self.max_size {
            self.rotate()?;
        }
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let stamp = now_nanos().chars().filter(char::is_ascii_digit).take(20).collect::<String>();
        let mut rotated = self.path.clone().into_os_string();
        rotated.push(format!(".{stamp}"));
        std::fs::rename(&self.path, &rotated)?;
        self.file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        self.size = 0;
        let keep = self.max_files.saturating_sub(1) as usize;
        let mut old = rotated_files(&self.path);
        old.sort();
        for path in old.iter().take(old.len().saturating_sub(keep)) {
            std::fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// The rotated files of a log, in no order.
fn rotated_files(path: &Path) -> Vec<PathBuf> {
    let Some((parent, name)) = path.parent().zip(path.file_name()) else { return Vec::new() };
    let prefix = format!("{}.", name.to_string_lossy());
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)).map(|entry| entry.path()).collect()
}

fn line(out: &mut Vec<u8>, stamp: &str, name: &str, tag: &str, text: &[u8]) {
    for part in [stamp, " ", name, " ", tag, " "] {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(text);
    out.push(b'\n');
}

fn name(source: Source) -> &'static str {
    match source {
        Source::Stdout => "stdout",
        Source::Stderr => "stderr",
    }
}

/// RFC 3339 with nine digits.
fn now_nanos() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = drydock_api::time::format_seconds(i64::try_from(since.as_secs()).unwrap_or_default());
    format!("{}.{:09}Z", seconds.trim_end_matches('Z'), since.subsec_nanos())
}

#[cfg(test)]
mod tests;
