//! Copies of what must survive: the database, as it is at one moment, and the lessons that were imported.
//!
//! A backup is a gzipped tar archive. Its first entry says what made it, which schema the database has, and size and digest of
//! every other entry; nothing else may be in it.

mod archive;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::store::snapshot::{self, Counts};

/// The database in the data folder and in a backup.
pub(crate) const DATABASE: &str = "drydock.db";
/// Folder of imported lessons, in both.
pub(crate) const LESSONS: &str = "lessons";
/// Held by the server for as long as it runs.
const LOCK: &str = "server.lock";
/// What SQLite has beside a database's file.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// Why there is no backup, or nothing was restored.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// Nothing to copy.
    #[error("there is no database in {0}: name the server's data folder with --data-dir")]
    NoDatabase(String),
    /// The target is there.
    #[error("{0} is there already: name another file")]
    Exists(String),
    /// Another server works with the data folder.
    #[error("a server runs with the data folder {folder} (process {process}): stop it first")]
    Running {
        /// The folder.
        folder: String,
        /// Its process.
        process: String,
    },
    /// It does not do to look at it.
    #[error("{0} is no backup of Drydock")]
    NotABackup(String),
    /// It was changed, or cut off.
    #[error("this backup is damaged ({0}): take another one")]
    Damaged(String),
    /// It wants a newer program.
    #[error(
        "this backup was made by Drydock {version}, whose database is newer (schema {schema}, this program knows {newest}): restore it with that version"
    )]
    Newer {
        /// What made it.
        version: String,
        /// Its schema.
        schema: i64,
        /// The newest schema that this program knows.
        newest: i64,
    },
    /// The database fails.
    #[error("the database fails")]
    Store(#[from] sqlx::Error),
    /// A file cannot be read or written.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let what = what.into();
    |cause| Error::Io { what, cause }
}

/// The first entry of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contents {
    /// Of the archive; 1.
    pub(crate) format: u32,
    /// Of the program that made it.
    pub(crate) version: String,
    /// Number of the last migration that the database has seen.
    pub(crate) schema: i64,
    /// When.
    pub(crate) created_millis: u64,
    /// Every other entry.
    pub(crate) files: Vec<Item>,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    /// Its path below the data folder.
    pub(crate) path: String,
    /// Its size.
    pub(crate) bytes: u64,
    /// Digest of its content, hex.
    pub(crate) sha256: String,
}

/// What was saved or put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What the archive says of itself.
    pub(crate) contents: Contents,
    /// Rows of the database.
    pub(crate) counts: Counts,
    /// The archive's size, or where the old data are kept.
    pub(crate) place: Place,
}

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The new archive's size.
    Archive(u64),
    /// The folder with what was there before.
    Kept(Option<PathBuf>),
}

/// Takes the data folder for a server: nobody else serves from it or puts back a backup until the answer is dropped.
///
/// # Errors
/// When a server has it.
pub(crate) fn lock(data: &Path) -> Result<fs::File, Error> {
    let path = data.join(LOCK);
    let open = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let file = open.map_err(failed(format!("open {}", path.display())))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            fs::write(&path, std::process::id().to_string()).map_err(failed(format!("write {}", path.display())))?;
            Ok(file)
        }
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let process = fs::read_to_string(&path).unwrap_or_default();
            Err(Error::Running { folder: data.display().to_string(), process: process.trim().to_owned() })
        }
        Err(error) => Err(failed(format!("lock {}", path.display()))(error.into())),
    }
}

/// Writes a backup; a server may be running meanwhile.
///
/// # Errors
/// When there is nothing to save or it cannot be written.
pub(crate) async fn save(data: &Path, target: &Path, now_millis: u64) -> Result<Outcome, Error> {
    let database = data.join(DATABASE);
    if !database.is_file() {
        return Err(Error::NoDatabase(data.display().to_string()));
    }
    if target.exists() {
        return Err(Error::Exists(target.display().to_string()));
    }
    // Beside the database: the copy wants as much room as the database has.
    let scratch =
        tempfile::Builder::new().prefix(".backup-").tempdir_in(data).map_err(failed("make a folder for the copy"))?;
    let copy = scratch.path().join(DATABASE);
    let schema = snapshot::copy(&database, &copy).await?;
    let counts = snapshot::counts(&copy).await?;
    let mut files = vec![(DATABASE.to_owned(), copy)];
    lessons(&data.join(LESSONS), LESSONS, &mut files)?;
    let contents = archive::write(target, files, schema, now_millis)?;
    let bytes = fs::metadata(target).map_err(failed("look at the backup"))?.len();
    Ok(Outcome { contents, counts, place: Place::Archive(bytes) })
}

/// Plain files of a folder of lessons, with their paths in the archive.
fn lessons(folder: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> Result<(), Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(format!("read {}", folder.display()))(error)),
    };
    let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (Ok(kind), Ok(own)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
        let name = format!("{name}/{own}");
        if kind.is_dir() {
            lessons(&entry.path(), &name, files)?;
        } else if kind.is_file() {
            files.push((name, entry.path()));
        }
    }
    Ok(())
}

/// Puts a backup in the place of what the data folder has, which is kept beside it.
///
/// # Errors
/// When a server runs, or the backup is damaged or too new; then nothing has changed.
pub(crate) async fn restore(data: &Path, source: &Path, now_millis: u64) -> Result<Outcome, Error> {
    let _lock = lock(data)?;
    let scratch =
        tempfile::Builder::new().prefix(".restore-").tempdir_in(data).map_err(failed("make a folder to unpack to"))?;
    let contents = archive::read(source, scratch.path())?;
    let newest = snapshot::newest_schema();
    if contents.schema > newest {
        return Err(Error::Newer { version: contents.version, schema: contents.schema, newest });
    }
    let restored = scratch.path().join(DATABASE);
    if !snapshot::is_sound(&restored).await? {
        return Err(Error::Damaged("SQLite finds its database inconsistent".to_owned()));
    }
    let counts = snapshot::counts(&restored).await?;
    let kept = data.join(format!("before-restore-{now_millis}"));
    let mut has_kept = false;
    let companions = COMPANIONS.map(|ending| format!("{DATABASE}{ending}"));
    for name in companions.iter().map(String::as_str).chain([DATABASE, LESSONS]) {
        let there = data.join(name);
        if there.exists() {
            fs::create_dir_all(&kept).map_err(failed(format!("create {}", kept.display())))?;
            fs::rename(&there, kept.join(name)).map_err(failed(format!("put {} aside", there.display())))?;
            has_kept = true;
        }
    }
    for name in [DATABASE, LESSONS] {
        let unpacked = scratch.path().join(name);
        if unpacked.exists() {
            fs::rename(&unpacked, data.join(name)).map_err(failed(format!("put {name} in its place")))?;
        }
    }
    Ok(Outcome { contents, counts, place: Place::Kept(has_kept.then_some(kept)) })
}
