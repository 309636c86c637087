//! Unpacks one layer for overlayfs.
//!
//! The archive may try anything: names with `..`, links that lead elsewhere and files "below" them, hard links to
//! files of the host, devices, endless files. Every path is resolved by the kernel as if the layer's directory were `/`
//! (`openat2` with `RESOLVE_IN_ROOT`), and the last component is never followed.
//!
//! Whiteouts take overlayfs' own form: a 0:0 character device hides a name, the attribute `user.overlay.opaque` hides
//! what lower layers have in a directory. The `user.` form works for overlays mounted in user namespaces, too.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat,
    fchmod, fchown, fsetxattr, linkat, mkdirat, mknodat, openat, openat2, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;
use tar::EntryType;

use crate::Error;

/// Bounds of one layer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Files, folders and links.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 32 << 30, entries: 2_000_000 }
    }
}

const OPAQUE: &[u8] = b".wh..wh..opq";
const WHITEOUT: &[u8] = b".wh.";
/// Names that overlayfs and others keep to themselves.
const META: &[u8] = b".wh..wh.";

/// Unpacks a tar stream into the empty directory `target` and returns the bytes of its files. The stream is read to its
/// end, so that a digest taken on the way is that of the whole.
pub(crate) fn unpack(stream: impl Read, target: &Path, limits: Limits) -> Result<u64, Error> {
    let root = rustix::fs::open(target, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Error::io("open", target)(error.into()))?;
    let mut layer = Layer { root, limits, bytes: 0, entries: 0, times: Vec::new() };
    // Heads and padding come on top of the files; an archive beyond that is one without an end.
    let stream = stream.take(limits.bytes.saturating_add(limits.entries.saturating_mul(4096)));
    let mut archive = tar::Archive::new(stream);
    let entries = archive.entries().map_err(|error| Error::invalid(format!("layer: {error}")))?;
    for entry in entries {
        let mut entry = entry.map_err(|error| Error::invalid(format!("layer: {error}")))?;
        let path = PathBuf::from(OsStr::from_bytes(&entry.path_bytes()));
        layer.entry(&mut entry, &path).map_err(|problem| match problem {
            Problem::Error(error) => error,
            Problem::Io(source) => Error::Io { action: "unpack", path, source },
        })?;
    }
    layer.set_times();
    let mut stream = archive.into_inner();
    io::copy(&mut stream, &mut io::sink()).map_err(|error| Error::invalid(format!("layer: {error}")))?;
    if stream.limit() == 0 {
        return Err(Error::TooLarge { what: "too many bytes" });
    }
    Ok(layer.bytes)
}

enum Problem {
    Error(Error),
    Io(io::Error),
}

impl From<Errno> for Problem {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

struct Layer {
    root: OwnedFd,
    limits: Limits,
    bytes: u64,
    entries: u64,
    /// Directories' times are set last: writing into one changes it.
    times: Vec<(PathBuf, i64)>,
}

impl Layer {
    fn entry(&mut self, entry: &mut tar::Entry<'_, impl Read>, path: &Path) -> Result<(), Problem> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Problem::Error(Error::TooLarge { what: "too many files" }));
        }
        let path = clean(path)?;
        let Some(name) = path.file_name() else {
            // The root itself: only its permissions and owner count.
            return if entry.header().entry_type() == EntryType::Directory {
                self.root_attributes(entry)
            } else {
                Ok(())
            };
        };
        let parent_path = path.parent().unwrap_or(Path::new(""));
        if let Some(hidden) = name.as_bytes().strip_prefix(WHITEOUT) {
            return self.whiteout(parent_path, name, OsStr::from_bytes(hidden));
        }
        let parent = self.directory(parent_path)?;
        let header = entry.header();
        let mode = Mode::from_raw_mode(header.mode()? & 0o7777);
        let owner = Owner::of(header)?;
        let time = i64::try_from(header.mtime()?).unwrap_or(0);
        match header.entry_type() {
            EntryType::Directory => {
                match mkdirat(&parent, name, mode) {
                    Err(Errno::EXIST) if !is(&parent, name, FileType::Directory)? => {
                        unlinkat(&parent, name, AtFlags::empty())?;
                        mkdirat(&parent, name, mode)?;
                    }
                    Err(Errno::EXIST) => {}
                    other => other?,
                }
                let directory = open_directory(&parent, name)?;
                owner.give(directory.as_fd())?;
                fchmod(&directory, mode)?;
                self.attributes(entry, directory.as_fd())?;
                self.times.push((path, time));
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.bytes = self.bytes.saturating_add(entry.size());
                if self.bytes > self.limits.bytes {
                    return Err(Problem::Error(Error::TooLarge { what: "too many bytes" }));
                }
                clear(&parent, name)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mut file = std::fs::File::from(openat(&parent, name, flags, Mode::RUSR | Mode::WUSR)?);
                io::copy(entry, &mut file)?;
                // The owner first: a change of owner takes set-user-id bits and capabilities away.
                owner.give(file.as_fd())?;
                fchmod(&file, mode)?;
                self.attributes(entry, file.as_fd())?;
                rustix::fs::futimens(&file, &times(time))?;
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().ok_or_else(|| invalid("a link without a target"))?;
                clear(&parent, name)?;
                symlinkat(OsStr::from_bytes(&target), &parent, name)?;
                chownat(&parent, name, Some(owner.user), Some(owner.group), AtFlags::SYMLINK_NOFOLLOW)?;
                utimensat(&parent, name, &times(time), AtFlags::SYMLINK_NOFOLLOW)?;
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().ok_or_else(|| invalid("a link without a target"))?;
                let target = clean(Path::new(OsStr::from_bytes(&target)))?;
                let Some(target_name) = target.file_name() else { return Err(invalid("a hard link to the root")) };
                let target_parent = self.open(target.parent().unwrap_or(Path::new("")))?;
                if is(&target_parent, target_name, FileType::Directory)? {
                    return Err(invalid("a hard link to a directory"));
                }
                clear(&parent, name)?;
                linkat(&target_parent, target_name, &parent, name, AtFlags::empty())?;
            }
            EntryType::Fifo => {
                clear(&parent, name)?;
                mknodat(&parent, name, FileType::Fifo, mode, 0)?;
                chownat(&parent, name, Some(owner.user), Some(owner.group), AtFlags::SYMLINK_NOFOLLOW)?;
                chmodat(&parent, name, mode, AtFlags::empty())?;
            }
            // Devices of images are of no use to containers, whose devices the runtime provides.
            kind => tracing::debug!(file.path = %path.display(), ?kind, "left out of a layer"),
        }
        Ok(())
    }

    fn root_attributes(&self, entry: &tar::Entry<'_, impl Read>) -> Result<(), Problem> {
        let root = open_directory(&self.root, OsStr::new("."))?;
        Owner::of(entry.header())?.give(root.as_fd())?;
        Ok(fchmod(&root, Mode::from_raw_mode(entry.header().mode()? & 0o7777))?)
    }

    fn whiteout(&self, parent: &Path, name: &OsStr, hidden: &OsStr) -> Result<(), Problem> {
        let parent = self.directory(parent)?;
        if name.as_bytes() == OPAQUE {
            let parent = open_directory(&parent, OsStr::new("."))?;
            return Ok(fsetxattr(&parent, "user.overlay.opaque", b"y", XattrFlags::empty())?);
        }
        if name.as_bytes().starts_with(META) {
            return Ok(());
        }
        if hidden.is_empty() || hidden == "." || hidden == ".." {
            return Err(invalid("a whiteout of nothing"));
        }
        // What this very layer has under that name stays: a whiteout is about the layers below.
        match mknodat(&parent, hidden, FileType::CharacterDevice, Mode::empty(), 0) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Extended attributes: file capabilities and the user's own, but none that overlayfs would take for its own.
    fn attributes(&self, entry: &mut tar::Entry<'_, impl Read>, file: BorrowedFd<'_>) -> Result<(), Problem> {
        let Some(extensions) = entry.pax_extensions()? else { return Ok(()) };
        for extension in extensions {
            let extension = extension?;
            let Some(name) = extension.key_bytes().strip_prefix(b"SCHILY.xattr.") else { continue };
            let kept =
                name == b"security.capability" || name.starts_with(b"user.") && !name.starts_with(b"user.overlay.");
            if !kept {
                continue;
            }
            let value = extension.value_bytes();
            match fsetxattr(file, OsStr::from_bytes(name), value, XattrFlags::empty()) {
                // Not every file system has them.
                Ok(()) | Err(Errno::NOTSUP | Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn open(&self, path: &Path) -> Result<OwnedFd, Problem> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(openat2(&self.root, path, flags, Mode::empty(), resolve)?)
    }

    /// Opens a directory of the layer, making what is missing.
    fn directory(&self, path: &Path) -> Result<OwnedFd, Problem> {
        match self.open(path) {
            Err(Problem::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let mut at = self.open(Path::new(""))?;
        let mut prefix = PathBuf::new();
        for name in path.iter() {
            prefix.push(name);
            at = match self.open(&prefix) {
                Err(Problem::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                    match mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
                        Ok(()) => self.open(&prefix)?,
                        Err(Errno::EXIST) => return Err(invalid("a file below a dangling link")),
                        Err(error) => return Err(error.into()),
                    }
                }
                other => other?,
            };
        }
        Ok(at)
    }

    fn set_times(&self) {
        for (path, time) in &self.times {
            // Replaced by a later entry, perhaps; a time is not worth failing for.
            let (Some(name), Ok(parent)) = (path.file_name(), self.open(path.parent().unwrap_or(Path::new("")))) else {
                continue;
            };
            if let Err(error) = utimensat(&parent, name, &times(*time), AtFlags::SYMLINK_NOFOLLOW) {
                tracing::debug!(file.path = %path.display(), %error, "cannot set a directory's time");
            }
        }
    }
}

struct Owner {
    user: Uid,
    group: Gid,
}

impl Owner {
    fn of(header: &tar::Header) -> Result<Self, Problem> {
        let id =
            |id: u64| u32::try_from(id).ok().filter(|id| *id != u32::MAX).ok_or_else(|| invalid("an impossible owner"));
        Ok(Self { user: Uid::from_raw(id(header.uid()?)?), group: Gid::from_raw(id(header.gid()?)?) })
    }

    fn give(&self, file: BorrowedFd<'_>) -> Result<(), Problem> {
        Ok(fchown(file, Some(self.user), Some(self.group))?)
    }
}

fn invalid(reason: &str) -> Problem {
    Problem::Error(Error::invalid(format!("layer: {reason}")))
}

fn times(seconds: i64) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

/// Relative and plain; `..` is refused.
fn clean(path: &Path) -> Result<PathBuf, Problem> {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => return Err(invalid("a path with `..`")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(out)
}

fn is(parent: &OwnedFd, name: &OsStr, kind: FileType) -> Result<bool, Problem> {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == kind)
}

fn open_directory(parent: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Problem> {
    Ok(openat(parent, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)
}

/// Makes room for a file: what an earlier entry left under its name goes.
fn clear(parent: &OwnedFd, name: &OsStr) -> Result<(), Problem> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => match unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY) => Err(invalid("a file where a directory is")),
            other => Ok(other?),
        },
        Err(error) => Err(error.into()),
    }
}

/// Removes a directory of ours.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Writes everything of the file system that holds `path` to disk.
pub(crate) fn sync(path: &Path) -> Result<(), Error> {
    let open = rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    open.and_then(rustix::fs::syncfs).map_err(|error| Error::io("sync", path)(error.into()))
}
