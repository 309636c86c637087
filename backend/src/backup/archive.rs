//! The archive itself.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::{Contents, DATABASE, Error, Item, LESSONS, failed};

/// Name of the first entry.
const CONTENTS: &str = "drydock-backup.json";
/// The format that is written, and the newest that is read.
const FORMAT: u32 = 1;
/// The first entry is never larger.
const CONTENTS_LIMIT: u64 = 16 << 20;

/// Writes an archive of these files, named by their paths in it, and reads it again to be sure.
pub(super) fn write(
    target: &Path,
    files: Vec<(String, PathBuf)>,
    schema: i64,
    now_millis: u64,
) -> Result<Contents, Error> {
    let items = files.iter().map(|(name, file)| item(name, file)).collect::<Result<Vec<_>, _>>()?;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let contents = Contents { format: FORMAT, version, schema, created_millis: now_millis, files: items };
    let mut partial = target.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = pack(&partial, &contents, &files).map_err(failed(format!("write {}", partial.display())));
    let checked = written.and_then(|()| verify(&partial, |_, _| Ok(Box::new(io::sink()))));
    let moved =
        checked.and_then(|_| fs::rename(&partial, target).map_err(failed(format!("name {}", target.display()))));
    if moved.is_err() {
        // What is half written helps nobody.
        let _ = fs::remove_file(&partial);
    }
    moved.map(|()| contents)
}

fn item(name: &str, file: &Path) -> Result<Item, Error> {
    let fail = || failed(format!("read {}", file.display()));
    let mut reader = File::open(file).map_err(fail())?;
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut chunk = vec![0; 1 << 16];
    loop {
        let count = reader.read(&mut chunk).map_err(fail())?;
        if count == 0 {
            return Ok(Item { path: name.to_owned(), bytes, sha256: hex(&hash.finalize()) });
        }
        hash.update(chunk.get(..count).unwrap_or_default());
        bytes += count as u64;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pack(target: &Path, contents: &Contents, files: &[(String, PathBuf)]) -> io::Result<()> {
    // For the owner's eyes: it holds what signs cookies and the digests of passwords.
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(target)?;
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    let seconds = contents.created_millis / 1000;
    let head = |bytes: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o600);
        header.set_mtime(seconds);
        header
    };
    let text = serde_json::to_vec_pretty(contents)?;
    archive.append_data(&mut head(text.len() as u64), CONTENTS, text.as_slice())?;
    for ((name, file), item) in files.iter().zip(&contents.files) {
        // A file that grew meanwhile is cut, one that shrank fails: either is found when the archive is read again.
        archive.append_data(&mut head(item.bytes), name, File::open(file)?.take(item.bytes))?;
    }
    archive.into_inner()?.finish()?.sync_all()
}

/// Unpacks an archive into an empty folder.
pub(super) fn read(source: &Path, folder: &Path) -> Result<Contents, Error> {
    verify(source, |path, _| {
        let target = folder.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(target)?;
        Ok(Box::new(file))
    })
}

/// Reads an archive to its end and holds every file against what the first entry says of it.
fn verify<'a>(
    source: &Path,
    mut sink: impl FnMut(&Path, &Item) -> io::Result<Box<dyn Write + 'a>>,
) -> Result<Contents, Error> {
    let file = File::open(source).map_err(failed(format!("read {}", source.display())))?;
    let no_backup = || Error::NotABackup(source.display().to_string());
    let damaged = |error: io::Error| Error::Damaged(error.to_string());
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let mut entries = archive.entries().map_err(|_| no_backup())?;
    let first = entries.next().and_then(Result::ok).ok_or_else(no_backup)?;
    if first.path().map_err(|_| no_backup())?.as_os_str() != CONTENTS {
        return Err(no_backup());
    }
    let contents: Contents = serde_json::from_reader(first.take(CONTENTS_LIMIT)).map_err(|_| no_backup())?;
    if contents.format != FORMAT {
        return Err(Error::Newer {
            version: contents.version,
            schema: contents.schema,
            newest: crate::store::snapshot::newest_schema(),
        });
    }
    let mut expected = contents.files.iter();
    for entry in entries {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let name = path.display().to_string();
        let item = expected.next().filter(|item| item.path == name && is_ours(&path));
        let item = item.ok_or_else(|| Error::Damaged(format!("{name:?} does not belong here")))?;
        let mut target = sink(&path, item).map_err(failed(format!("write {name}")))?;
        let mut hash = Sha256::new();
        let mut bytes = 0;
        let mut chunk = vec![0; 1 << 16];
        loop {
            let count = entry.read(&mut chunk).map_err(damaged)?;
            if count == 0 {
                break;
            }
            let part = chunk.get(..count).unwrap_or_default();
            hash.update(part);
            bytes += count as u64;
            target.write_all(part).map_err(failed(format!("write {name}")))?;
        }
        if bytes != item.bytes || hex(&hash.finalize()) != item.sha256 {
            return Err(Error::Damaged(format!("{name} is not what it was")));
        }
    }
    match expected.next() {
        Some(item) => Err(Error::Damaged(format!("{} is missing", item.path))),
        None if contents.files.iter().any(|item| item.path == DATABASE) => Ok(contents),
        None => Err(no_backup()),
    }
}

/// Whether a path is one that a backup may have: the database, or something below the lessons.
fn is_ours(path: &Path) -> bool {
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    plain && (path == Path::new(DATABASE) || (path.starts_with(LESSONS) && path != Path::new(LESSONS)))
}
