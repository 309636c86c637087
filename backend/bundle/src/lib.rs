//! What the `drydock` file carries with it: node binary, web app, images, lessons, kubectl.
//!
//! The build appends one gzip-compressed tar to the executable, behind it a trailer of 48 bytes: the archive's
//! SHA-256, its length (u64, little endian) and the word `DRYDOCK1`. An ELF file ignores what follows its sections,
//! so one file is both the program and all that it needs. It is unpacked once, under its own hash.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

const MAGIC: &[u8; 8] = b"DRYDOCK1";
const TRAILER: u64 = 48;

/// Why a bundle could not be written or unpacked.
#[derive(Debug, Error)]
pub enum BundleError {
    /// Reading or writing failed.
    #[error("{action} {path}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The file has no bundle.
    #[error("{path} carries no bundle: build it with `cargo xtask build`, or name a folder with --bundle")]
    Missing {
        /// The executable.
        path: PathBuf,
    },
    /// The bundle is not what was appended.
    #[error("the bundle in {path} is damaged: build or download it again")]
    Damaged {
        /// The executable.
        path: PathBuf,
    },
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> BundleError + 'a {
    move |source| BundleError::Io { action, path: path.to_owned(), source }
}

/// Writes to `output` the program `executable` with the folder `bundle` appended.
///
/// # Errors
/// When a file cannot be read or written.
pub fn append(executable: &Path, bundle: &Path, output: &Path) -> Result<(), BundleError> {
    let temporary = output.with_extension("partial");
    fs::copy(executable, &temporary).map_err(failed("cannot copy", executable))?;
    let fail = failed("cannot write", &temporary);
    let mut file = fs::OpenOptions::new().append(true).read(true).open(&temporary).map_err(&fail)?;
    let mut archive = Hashing { inner: &mut file, hash: Sha256::new(), length: 0 };
    {
        let gzip = flate2::write::GzEncoder::new(&mut archive, flate2::Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        tar.follow_symlinks(false);
        tar.mode(tar::HeaderMode::Deterministic);
        tar.append_dir_all(".", bundle).map_err(failed("cannot pack", bundle))?;
        tar.into_inner().and_then(flate2::write::GzEncoder::finish).map_err(&fail)?;
    }
    let (hash, length) = (archive.hash.finalize(), archive.length);
    file.write_all(&hash).map_err(&fail)?;
    file.write_all(&length.to_le_bytes()).map_err(&fail)?;
    file.write_all(MAGIC).map_err(&fail)?;
    file.sync_all().map_err(&fail)?;
    fs::rename(&temporary, output).map_err(failed("cannot write", output))
}

/// Unpacks the bundle of `executable` below `folder` unless it is there already, and returns where it is.
///
/// Two processes may do so at once: each unpacks to a folder of its own, and the first to finish wins.
///
/// # Errors
/// When there is no bundle, it is damaged, or a file cannot be written.
pub fn unpack(executable: &Path, folder: &Path) -> Result<PathBuf, BundleError> {
    let fail = failed("cannot read", executable);
    let mut file = File::open(executable).map_err(&fail)?;
    let size = file.metadata().map_err(&fail)?.len();
    let missing = || BundleError::Missing { path: executable.to_owned() };
    let damaged = || BundleError::Damaged { path: executable.to_owned() };
    let trailer_at = size.checked_sub(TRAILER).ok_or_else(missing)?;
    let mut trailer = [0_u8; TRAILER as usize];
    file.seek(SeekFrom::Start(trailer_at)).and_then(|_| file.read_exact(&mut trailer)).map_err(&fail)?;
    let (hash, rest) = trailer.split_at(32);
    let (length, magic) = rest.split_at(8);
    if magic != MAGIC {
        return Err(missing());
    }
    let length = u64::from_le_bytes(length.try_into().map_err(|_| damaged())?);
    let start = trailer_at.checked_sub(length).ok_or_else(damaged)?;
    let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let target = folder.join(name);
    if target.is_dir() {
        return Ok(target);
    }
    fs::create_dir_all(folder).map_err(failed("cannot create", folder))?;
    let partial = folder.join(format!(".partial-{}", std::process::id()));
    let write = failed("cannot unpack to", &partial);
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir(&partial).map_err(&write)?;
    file.seek(SeekFrom::Start(start)).map_err(&fail)?;
    let mut archive = Hashing { inner: file.take(length), hash: Sha256::new(), length: 0 };
    let outcome = tar::Archive::new(flate2::read::GzDecoder::new(&mut archive)).unpack(&partial);
    let outcome = outcome.and_then(|()| io::copy(&mut archive, &mut io::sink()));
    if let Err(error) = outcome {
        let _ = fs::remove_dir_all(&partial);
        return Err(if is_about_the_disk(&error) { write(error) } else { damaged() });
    }
    if archive.hash.finalize()[..] != *hash {
        let _ = fs::remove_dir_all(&partial);
        return Err(damaged());
    }
    match fs::rename(&partial, &target) {
        Err(_) if target.is_dir() => {
            let _ = fs::remove_dir_all(&partial);
            Ok(target)
        }
        outcome => outcome.map(|()| target).map_err(write),
    }
}

/// Whether it is the folder that cannot take the files; all else is about what is to be unpacked.
fn is_about_the_disk(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | PermissionDenied | ReadOnlyFilesystem | FileTooLarge)
}

/// Counts and hashes what passes.
struct Hashing<T> {
    inner: T,
    hash: Sha256,
    length: u64,
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hash.update(&bytes[..read]);
        self.length += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundled() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("tempdir");
        let bundle = folder.path().join("bundle");
        fs::create_dir_all(bundle.join("web")).expect("create");
        fs::write(bundle.join("web/index.html"), "<html>").expect("write");
        let program = folder.path().join("program");
        fs::write(&program, vec![7_u8; 5000]).expect("write");
        let output = folder.path().join("drydock");
        append(&program, &bundle, &output).expect("append");
        (folder, output)
    }

    #[test]
    fn what_goes_in_comes_out_and_only_once() {
        let (folder, output) = bundled();
        let target = unpack(&output, &folder.path().join("cache")).expect("unpack");
        assert_eq!(fs::read_to_string(target.join("web/index.html")).expect("read"), "<html>");
        fs::write(target.join("mark"), "").expect("write");
        assert_eq!(unpack(&output, &folder.path().join("cache")).expect("again"), target);
        assert!(target.join("mark").exists(), "the second call must not unpack again");
    }

    #[test]
    fn a_program_without_bundle_says_so() {
        let (folder, _) = bundled();
        let error = unpack(&folder.path().join("program"), &folder.path().join("cache")).expect_err("no bundle");
        assert!(matches!(error, BundleError::Missing { .. }), "{error}");
    }

    #[test]
    fn a_flipped_byte_is_noticed_and_leaves_nothing() {
        let (folder, output) = bundled();
        let mut bytes = fs::read(&output).expect("read");
        bytes[5020] ^= 1;
        fs::write(&output, bytes).expect("write");
        let cache = folder.path().join("cache");
        let error = unpack(&output, &cache).expect_err("damaged");
        assert!(matches!(error, BundleError::Damaged { .. }), "{error}");
        assert_eq!(fs::read_dir(cache).expect("read_dir").count(), 0);
    }
}
