//! The audit log's file and its rotation.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

/// Lines waiting for the disk; more are dropped with a warning rather than held.
const BACKLOG: usize = 10_000;

/// When a log file is closed and renamed, and how long renamed ones stay.
#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    /// Bytes; 0: never.
    pub(crate) max_size: u64,
    /// Files; 0: all.
    pub(crate) max_backups: usize,
    /// 0: for ever.
    pub(crate) max_age: Duration,
}

/// Takes finished lines; writing happens on its own thread so that a slow disk delays nobody.
#[derive(Clone, Debug)]
pub(crate) struct AuditLog(Option<mpsc::Sender<Vec<u8>>>);

impl AuditLog {
    /// Logs nothing.
    pub(crate) fn off() -> Self {
        Self(None)
    }

    /// Opens (appends to) the file.
    pub(crate) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let mut writer = Writer::open(path, rotation)?;
        let (sender, mut lines) = mpsc::channel::<Vec<u8>>(BACKLOG);
        std::thread::Builder::new().name("audit".to_owned()).stack_size(128 << 10).spawn(move || {
            while let Some(line) = lines.blocking_recv() {
                if let Err(error) = writer.write(&line) {
                    tracing::warn!(%error, "cannot write the audit log");
                }
            }
        })?;
        Ok(Self(Some(sender)))
    }

    /// Whether anybody reads what is logged.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Adds one line.
    pub(crate) fn line(&self, mut line: Vec<u8>) {
        line.push(b'\n');
        if let Some(sender) = &self.0
            && sender.try_send(line).is_err()
        {
            tracing::warn!("the audit log cannot keep up: an event is lost");
        }
    }
}

struct Writer {
    path: PathBuf,
    target: Box<dyn Write + Send>,
    size: u64,
    rotation: Rotation,
}

impl Writer {
    fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        if path == Path::new("-") {
            let rotation = Rotation { max_size: 0, ..rotation };
            return Ok(Self { path: path.to_owned(), target: Box::new(io::stdout()), size: 0, rotation });
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = append(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), target: Box::new(file), size, rotation })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let limit = self.rotation.max_size;
        if limit > 0 && self.size > 0 && self.size + line.len() as u64 > limit {
            self.rotate()?;
        }
        self.target.write_all(line)?;
        self.size += line.len() as u64;
        Ok(())
    }

    /// Renames the file to `name-<time>.ext`, as upstream's lumberjack does, and opens a new one.
    fn rotate(&mut self) -> io::Result<()> {
        let (stem, extension) = self.names();
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%S.%3f").to_string();
        std::fs::rename(&self.path, self.path.with_file_name(format!("{stem}-{now}{extension}")))?;
        self.target = Box::new(append(&self.path)?);
        self.size = 0;
        self.prune(&stem, &extension)
    }

    fn prune(&self, stem: &str, extension: &str) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut old: Vec<(SystemTime, PathBuf)> = std::fs::read_dir(folder)?
            .flatten()
            .filter(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                name.starts_with(&format!("{stem}-")) && name.ends_with(extension)
            })
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        old.sort();
        old.reverse();
        let (count, age) = (self.rotation.max_backups, self.rotation.max_age);
        for (index, (time, path)) in old.into_iter().enumerate() {
            let too_many = count > 0 && index >= count;
            let too_old = !age.is_zero() && time.elapsed().is_ok_and(|elapsed| elapsed > age);
            if too_many || too_old {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn names(&self) -> (String, String) {
        let text =
            |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
        let extension = text(self.path.extension());
        (text(self.path.file_stem()), if extension.is_empty() { extension } else { format!(".{extension}") })
    }
}

fn append(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_is_renamed_and_old_ones_go() {
        let folder = std::env::temp_dir().join(format!("drydock-audit-{}", std::process::id()));
        let path = folder.join("audit.log");
        let rotation = Rotation { max_size: 10, max_backups: 1, max_age: Duration::ZERO };
        let mut writer = Writer::open(&path, rotation).expect("open");
        writer.write(b"123456789\n").expect("write");
        writer.write(b"123456789\n").expect("write");
        std::thread::sleep(Duration::from_millis(2));
        writer.write(b"abc\n").expect("write");
        assert_eq!(std::fs::read(&path).expect("read"), b"abc\n");
        assert_eq!(std::fs::read_dir(&folder).expect("list").count(), 2);
        std::fs::remove_dir_all(&folder).expect("clean");
    }
}
