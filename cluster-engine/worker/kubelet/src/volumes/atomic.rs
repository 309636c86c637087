//! Writes a volume's files so that readers see the old set or the new one, never a mixture.
//!
//! Upstream's AtomicWriter: the files lie in a timestamped directory, `..data` is a link to it that is replaced by
//! rename, and each visible name is a link through `..data`.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use super::payload::{Payload, is_safe};

/// Who owns the files.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The node's id of the pod's id 0.
    pub(crate) base: u32,
    /// The pod has an fsGroup: its members may read whatever the mode says.
    pub(crate) group_reads: bool,
}

/// Writes `payload` below `directory`; true if anything changed.
pub(crate) fn write(directory: &Path, payload: &Payload, owner: Owner) -> io::Result<bool> {
    fs::create_dir_all(directory)?;
    let data = directory.join("..data");
    let old = fs::read_link(&data).ok();
    if let Some(old) = &old
        && same(&directory.join(old), payload)
    {
        return Ok(false);
    }
    let now = drydock_api::time::now_rfc3339().replace([':', '-', 'T'], "_").replace('Z', ".");
    let name = format!("..{now}{}", rand::random::<u32>());
    let fresh = directory.join(&name);
    make_directory(&fresh, owner)?;
    for (path, file) in payload {
        if !is_safe(path) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("invalid path: {path}")));
        }
        let target = fresh.join(path);
        if let Some(parent) = target.parent() {
            make_parents(&fresh, parent, owner)?;
        }
        fs::write(&target, &file.bytes)?;
        let mode = if owner.group_reads { file.mode | 0o440 } else { file.mode };
        fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
        chown(&target, Some(file.user.map_or(owner.uid, |user| owner.base.saturating_add(user))), Some(owner.gid))?;
    }
    let temporary = directory.join("..data_tmp");
    let _ = fs::remove_file(&temporary);
    symlink(&name, &temporary)?;
    lchown(&temporary, Some(owner.uid), Some(owner.gid))?;
    fs::rename(&temporary, &data)?;
    links(directory, payload, owner)?;
    if let Some(old) = old {
        let _ = fs::remove_dir_all(directory.join(old));
    }
    Ok(true)
}

fn make_directory(path: &Path, owner: Owner) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    chown(path, Some(owner.uid), Some(owner.gid))
}

fn make_parents(root: &Path, parent: &Path, owner: Owner) -> io::Result<()> {
    if parent == root || parent.is_dir() {
        return Ok(());
    }
    if let Some(above) = parent.parent() {
        make_parents(root, above, owner)?;
    }
    make_directory(parent, owner)
}

/// Makes the visible links of the first path components and removes those of files that are gone.
fn links(directory: &Path, payload: &Payload, owner: Owner) -> io::Result<()> {
    let first = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
    let wanted: std::collections::BTreeSet<String> = payload.keys().map(|path| first(path)).collect();
    for name in &wanted {
        let link = directory.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(name), &link)?;
            lchown(&link, Some(owner.uid), Some(owner.gid))?;
        }
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !wanted.contains(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn same(directory: &Path, payload: &Payload) -> bool {
    fn count(directory: &Path) -> usize {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
    }
    count(directory) == payload.len()
        && payload.iter().all(|(path, file)| fs::read(directory.join(path)).is_ok_and(|bytes| bytes == file.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volumes::payload::File;

    fn files(list: &[(&str, &str)]) -> Payload {
        let file = |text: &str| File { bytes: text.into(), mode: 0o644, user: None };
        list.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect()
    }

    #[test]
    fn updates_are_seen_whole_and_old_files_go() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let read = |path: &str| fs::read_to_string(root.join(path)).ok();
        assert!(write(root, &files(&[("a", "1"), ("d/b", "2")]), Owner::default()).unwrap());
        assert_eq!((read("a").as_deref(), read("d/b").as_deref()), (Some("1"), Some("2")));
        let first = fs::read_link(root.join("..data")).unwrap();
        assert!(!write(root, &files(&[("a", "1"), ("d/b", "2")]), Owner::default()).unwrap());
        assert_eq!(fs::read_link(root.join("..data")).unwrap(), first);
        assert!(write(root, &files(&[("a", "3"), ("c", "4")]), Owner::default()).unwrap());
        assert_eq!((read("a").as_deref(), read("c").as_deref(), read("d/b")), (Some("3"), Some("4"), None));
        assert!(fs::symlink_metadata(root.join("d")).is_err());
        assert!(!root.join(first).exists());
        assert!(write(root, &files(&[("../x", "1")]), Owner::default()).is_err());
    }
}
