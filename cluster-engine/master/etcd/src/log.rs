//! The file behind the store: a snapshot followed by every change since, each record with length and CRC.
//!
//! A record is `length: u32`, `crc32: u32` (both little endian, the CRC over the payload) and the payload.
//! `<data-dir>/member/log/<generation>.log` is the whole state; rotation writes the next generation beside
//! it and renames it into place once it is on the disk, so at every moment one complete file exists.
//!
//! What follows the last whole record of a file was never acknowledged and is cut off on start. A broken
//! record with whole ones behind it is damage and refuses the start.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use prost::Message;
use thiserror::Error;

use crate::bolt::ReadError;
use crate::store::{Identity, Record, Store, Unusable};

/// Why the log cannot be used.
#[derive(Debug, Error)]
pub enum LogError {
    /// The file system refused.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A record is broken although whole ones follow it.
    #[error("{path} is damaged at byte {offset}; start from a snapshot with --restore and an empty --data-dir")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the broken record begins.
        offset: u64,
    },
    /// The records make no store.
    #[error("{path} cannot be used")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Unusable,
    },
    /// A snapshot whose checksum is wrong.
    #[error("{path} is not a complete snapshot: its SHA-256 does not match")]
    Checksum {
        /// The file.
        path: PathBuf,
    },
    /// A snapshot that is none of etcd's databases, or a damaged one.
    #[error("cannot restore the state from {path}")]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ReadError,
    },
    /// `--restore` onto existing data.
    #[error("{path} holds data already; a restore needs an empty data directory")]
    Occupied {
        /// The directory.
        path: PathBuf,
    },
}

fn io_error<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> LogError + 'a {
    move |source| LogError::Io { what, path: path.to_owned(), source }
}

/// Records are at most this long: far more than any request, far less than what a damaged length claims.
const MAX_RECORD: u32 = 256 << 20;
/// Files smaller than this are not worth a rotation.
const SMALL: u64 = 4 << 20;

/// Appends one framed record.
pub fn frame(record: &Record, to: &mut Vec<u8>) {
    let head = to.len();
    to.extend_from_slice(&[0; 8]);
    // Writing to a Vec cannot run out of room.
    let _ = record.encode(to);
    let length = u32::try_from(to.len() - head - 8).unwrap_or(u32::MAX);
    let crc = crc32fast::hash(&to[head + 8..]);
    to[head..head + 4].copy_from_slice(&length.to_le_bytes());
    to[head + 4..head + 8].copy_from_slice(&crc.to_le_bytes());
}

/// The open log of one data directory.
#[derive(Debug)]
pub struct Log {
    directory: PathBuf,
    path: PathBuf,
    file: File,
    generation: u64,
    size: u64,
    sync: bool,
    /// Held locked as long as the log is open.
    _lock: File,
}

impl Log {
    /// Opens or creates the log under `data_dir` and reads the store from it.
    ///
    /// `sync` says whether [`Log::append`] waits for the disk. With `restore` the state comes from a
    /// snapshot file and the directory must hold none.
    ///
    /// # Errors
    /// When the directory cannot be used, or the log or snapshot is damaged.
    pub fn open(
        data_dir: &Path,
        identity: Identity,
        restore: Option<&Path>,
        sync: bool,
        now: Duration,
    ) -> Result<(Log, Store), LogError> {
        let directory = data_dir.join("member").join("log");
        create_private(&directory)?;
        let lock = lock(&directory)?;
        let newest = clean(&directory)?;
        if let Some((generation, path)) = newest {
            if restore.is_some() {
                return Err(LogError::Occupied { path: data_dir.to_owned() });
            }
            let (store, whole) = load(&path, now)?;
            let file = OpenOptions::new().append(true).open(&path).map_err(io_error("open", &path))?;
            let length = file.metadata().map_err(io_error("read", &path))?.len();
            if whole < length {
                tracing::warn!(log.path = %path.display(), torn_bytes = length - whole, "cutting off an unfinished record");
                file.set_len(whole).map_err(io_error("truncate", &path))?;
                file.sync_all().map_err(io_error("sync", &path))?;
            }
            return Ok((Log { directory, path, file, generation, size: whole, sync, _lock: lock }, store));
        }
        // What `etcdctl snapshot restore --data-dir` leaves: a database, and a write-ahead log without a change.
        let restored = data_dir.join("member").join("snap").join("db");
        let store = match restore {
            Some(snapshot) => load_snapshot(snapshot, identity, now)?,
            None if restored.is_file() => {
                tracing::info!(database.path = %restored.display(), "beginning with a restored state");
                load_database(&restored, identity, now)?
            }
            None => Store::new(identity),
        };
        let (file, path, size) = write_generation(&directory, 1, &store)?;
        let mut log = Log { directory, path, file, generation: 1, size, sync, _lock: lock };
        log.publish()?;
        Ok((log, store))
    }

    /// Appends framed records; when it returns, they are on the disk (or, without `sync`, with the kernel).
    ///
    /// # Errors
    /// When the write fails. What is in the file is unknown then: the log must not be used again.
    pub fn append(&mut self, frames: &[u8]) -> Result<(), LogError> {
        self.file.write_all(frames).map_err(io_error("write", &self.path))?;
        self.size += frames.len() as u64;
        if self.sync {
            self.file.sync_data().map_err(io_error("sync", &self.path))?;
        }
        Ok(())
    }

    /// Whether appending waits for the disk.
    pub fn waits(&self) -> bool {
        self.sync
    }

    /// Size of the file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether the file is mostly history that the store no longer has.
    pub fn wants_rotation(&self, store: &Store) -> bool {
        self.size > SMALL && self.size > 3 * store.bytes()
    }

    /// Writes the store as the next generation; [`Log::publish`] makes it the log.
    ///
    /// # Errors
    /// When the disk refuses; the present log stays as it is.
    pub fn rotate(&mut self, store: &Store) -> Result<(), LogError> {
        let (file, path, size) = write_generation(&self.directory, self.generation + 1, store)?;
        self.generation += 1;
        (self.file, self.path, self.size) = (file, path, size);
        Ok(())
    }

    /// Second half of a rotation, the slow one: brings the new generation to the disk and drops the old.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn publish(&mut self) -> Result<(), LogError> {
        if self.sync {
            self.file.sync_all().map_err(io_error("sync", &self.path))?;
        }
        let path = self.directory.join(format!("{:016x}.log", self.generation));
        std::fs::rename(&self.path, &path).map_err(io_error("rename", &self.path))?;
        self.path = path;
        if self.sync {
            File::open(&self.directory)
                .and_then(|directory| directory.sync_all())
                .map_err(io_error("sync", &self.directory))?;
        }
        if let Some(old) = self.generation.checked_sub(1).filter(|old| *old > 0) {
            let old = self.directory.join(format!("{old:016x}.log"));
            std::fs::remove_file(&old).map_err(io_error("remove", &old))?;
        }
        Ok(())
    }
}

fn create_private(directory: &Path) -> Result<(), LogError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io_error("create", directory))
}

fn lock(directory: &Path) -> Result<File, LogError> {
    let path = directory.join("lock");
    let file = File::create(&path).map_err(io_error("create", &path))?;
    if file.try_lock().is_err() {
        tracing::warn!(lock.path = %path.display(), "another process uses this data directory; waiting for it to end");
        file.lock().map_err(io_error("lock", &path))?;
    }
    Ok(file)
}

/// Removes what an interrupted rotation left and finds the newest generation.
fn clean(directory: &Path) -> Result<Option<(u64, PathBuf)>, LogError> {
    let mut generations = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(io_error("list", directory))? {
        let path = entry.map_err(io_error("list", directory))?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("tmp") => std::fs::remove_file(&path).map_err(io_error("remove", &path))?,
            Some("log") => {
                if let Ok(generation) = u64::from_str_radix(stem, 16) {
                    generations.push((generation, path));
                }
            }
            _ => {}
        }
    }
    generations.sort_unstable();
    let newest = generations.pop();
    for (_, old) in generations {
        std::fs::remove_file(&old).map_err(io_error("remove", &old))?;
    }
    Ok(newest)
}

fn write_generation(directory: &Path, generation: u64, store: &Store) -> Result<(File, PathBuf, u64), LogError> {
    let path = directory.join(format!("{generation:016x}.tmp"));
    let file =
        OpenOptions::new().create(true).truncate(true).write(true).open(&path).map_err(io_error("create", &path))?;
    let mut writer = BufWriter::with_capacity(64 << 10, file);
    let size = write_state(store, &mut writer).map_err(io_error("write", &path))?;
    let file = writer.into_inner().map_err(|error| io_error("write", &path)(error.into_error()))?;
    Ok((file, path, size))
}

/// Writes the store's records; answers how many bytes that were.
///
/// # Errors
/// Those of the writer.
pub fn write_state(store: &Store, writer: &mut impl Write) -> io::Result<u64> {
    let mut size = 0;
    let mut buffer = Vec::new();
    for record in store.snapshot() {
        buffer.clear();
        frame(&record, &mut buffer);
        size += buffer.len() as u64;
        writer.write_all(&buffer)?;
    }
    Ok(size)
}

/// What stands at a place of a file.
enum Next {
    Record(Record),
    End,
    Broken,
}

/// Reads framed records and knows where the last whole one ended.
struct Reader {
    path: PathBuf,
    input: BufReader<File>,
    whole: u64,
    length: u64,
    buffer: Vec<u8>,
}

impl Reader {
    fn open(path: &Path) -> Result<Reader, LogError> {
        let file = File::open(path).map_err(io_error("open", path))?;
        let length = file.metadata().map_err(io_error("read", path))?.len();
        let input = BufReader::with_capacity(64 << 10, file);
        Ok(Reader { path: path.to_owned(), input, whole: 0, length, buffer: Vec::new() })
    }

    fn next(&mut self) -> Result<Next, LogError> {
        let left = self.length - self.whole;
        let mut head = [0; 8];
        if left == 0 {
            return Ok(Next::End);
        }
        if left < 8 {
            return Ok(Next::Broken);
        }
        self.input.read_exact(&mut head).map_err(io_error("read", &self.path))?;
        let [l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let (length, crc) = (u32::from_le_bytes([l0, l1, l2, l3]), u32::from_le_bytes([c0, c1, c2, c3]));
        if length > MAX_RECORD || u64::from(length) + 8 > left || length == 0 {
            return Ok(Next::Broken);
        }
        self.buffer.resize(length as usize, 0);
        self.input.read_exact(&mut self.buffer).map_err(io_error("read", &self.path))?;
        if crc32fast::hash(&self.buffer) != crc {
            return Ok(Next::Broken);
        }
        // Decoded from a slice, so that values are copies of their own and not parts of one buffer.
        let Ok(record) = Record::decode(self.buffer.as_slice()) else {
            return Ok(Next::Broken);
        };
        self.whole += 8 + u64::from(length);
        Ok(Next::Record(record))
    }

    /// Whether a whole record stands right behind the broken one: then it is damage, not a torn end.
    fn continues_after_broken(&mut self) -> Result<bool, LogError> {
        let broken = self.whole;
        self.input.seek(SeekFrom::Start(broken)).map_err(io_error("read", &self.path))?;
        let mut head = [0; 4];
        if self.length - broken < 8 || self.input.read_exact(&mut head).is_err() {
            return Ok(false);
        }
        let behind = broken + 8 + u64::from(u32::from_le_bytes(head));
        if behind >= self.length {
            return Ok(false);
        }
        self.input.seek(SeekFrom::Start(behind)).map_err(io_error("read", &self.path))?;
        self.whole = behind;
        let next = self.next()?;
        self.whole = broken;
        Ok(matches!(next, Next::Record(_)))
    }
}

/// The whole records, one after the other.
struct Records<'a>(&'a mut Reader);

impl Iterator for Records<'_> {
    type Item = Result<Record, LoadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.0.next() {
            Ok(Next::Record(record)) => Some(Ok(record)),
            Ok(Next::End | Next::Broken) => None,
            Err(error) => Some(Err(LoadError::Log(error))),
        }
    }
}

enum LoadError {
    Log(LogError),
    Unusable(Unusable),
}

impl From<Unusable> for LoadError {
    fn from(source: Unusable) -> LoadError {
        LoadError::Unusable(source)
    }
}

impl LoadError {
    fn at(self, path: &Path) -> LogError {
        match self {
            LoadError::Log(error) => error,
            LoadError::Unusable(source) => LogError::Unusable { path: path.to_owned(), source },
        }
    }
}

/// Reads a log; the second part is where its last whole record ends.
fn load(path: &Path, now: Duration) -> Result<(Store, u64), LogError> {
    let mut reader = Reader::open(path)?;
    let mut store = Store::restore(&mut Records(&mut reader), now).map_err(|error| error.at(path))?;
    loop {
        match reader.next()? {
            Next::Record(record) => {
                store.replay(record, now).map_err(|source| LogError::Unusable { path: path.to_owned(), source })?
            }
            Next::End => break,
            Next::Broken if reader.continues_after_broken()? => {
                return Err(LogError::Damaged { path: path.to_owned(), offset: reader.whole });
            }
            Next::Broken => break,
        }
    }
    Ok((store, reader.whole))
}

/// Reads a file that `etcdctl snapshot save` made.
fn load_snapshot(path: &Path, identity: Identity, now: Duration) -> Result<Store, LogError> {
    if !crate::snapshot::is_whole(path).map_err(io_error("read", path))? {
        return Err(LogError::Checksum { path: path.to_owned() });
    }
    load_database(path, identity, now)
}

fn load_database(path: &Path, identity: Identity, now: Duration) -> Result<Store, LogError> {
    let records =
        crate::snapshot::read(path, identity).map_err(|source| LogError::Database { path: path.to_owned(), source })?;
    Store::restore(&mut records.into_iter().map(Ok::<_, LoadError>), now).map_err(|error| error.at(path))
}
