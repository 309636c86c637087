//! Images made here, of one layer.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use crate::digest::{self, Hashing};
use crate::store::Parts;
use crate::{Error, Image, ImageConfig, ImageStore, unpack};

/// What an image is built from. Everything belongs to root in the image.
#[derive(Debug)]
pub enum Source<'a> {
    /// The files below a directory.
    Directory(&'a Path),
    /// Files by path in the image and path here; each is hard-linked into the layer where possible, so that its pages
    /// are shared with every other use of the file. It must not be written to afterwards.
    Files(&'a [(PathBuf, PathBuf)]),
    /// A tar stream's file, plain or gzipped.
    Tar(&'a Path),
}

/// Builds into a locked store.
pub(crate) fn build(
    store: &ImageStore,
    name: &str,
    source: &Source<'_>,
    config: &ImageConfig,
    temporary: &Path,
) -> Result<Image, Error> {
    let (diff_id, layer) = match source {
        Source::Tar(file) => {
            let open = || File::open(file).map_err(Error::io("open", *file));
            let mut hash = Hashing::new(crate::archive::decompressed(open()?).map_err(Error::io("read", *file))?);
            io::copy(&mut hash, &mut io::sink()).map_err(Error::io("read", *file))?;
            let diff_id = format!("sha256:{}", hash.finish());
            let layer = store.add_layer(&diff_id, temporary, open)?;
            (diff_id, layer)
        }
        Source::Directory(dir) => assemble(store, &collect(dir)?, temporary)?,
        Source::Files(files) => {
            let mut entries = BTreeMap::new();
            for (target, file) in *files {
                entries.insert(plain(target)?, file.clone());
            }
            assemble(store, &entries, temporary)?
        }
    };
    let file = serde_json::json!({
        "architecture": crate::architecture(),
        "os": "linux",
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": [diff_id] },
    });
    let digest = format!("sha256:{}", digest::of(file.to_string().as_bytes()));
    let parts = Parts { digest, config: config.clone(), layers: vec![layer] };
    let images = store.record(&[name.to_owned()], &parts)?;
    images.into_iter().next().ok_or_else(|| Error::NotFound { name: name.to_owned() })
}

fn plain(path: &Path) -> Result<PathBuf, Error> {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => return Err(Error::invalid(format!("{} has `..`", path.display()))),
            _ => {}
        }
    }
    Ok(out)
}

/// Everything below a directory by its path in it.
fn collect(dir: &Path) -> Result<BTreeMap<PathBuf, PathBuf>, Error> {
    let mut entries = BTreeMap::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(inside) = todo.pop() {
        let here = dir.join(&inside);
        for entry in fs::read_dir(&here).map_err(Error::io("read", &here))? {
            let entry = entry.map_err(Error::io("read", &here))?;
            let path = inside.join(entry.file_name());
            if entry.file_type().map_err(Error::io("read", &here))?.is_dir() {
                todo.push(path.clone());
            }
            entries.insert(path, entry.path());
        }
    }
    Ok(entries)
}

/// Makes the layer's directory and, from a tar of the same files that is only hashed, its digest.
fn assemble(
    store: &ImageStore,
    entries: &BTreeMap<PathBuf, PathBuf>,
    temporary: &Path,
) -> Result<(String, crate::store::LayerRef), Error> {
    let target = temporary.join("layer");
    fs::create_dir_all(&target).map_err(Error::io("create", &target))?;
    fs::set_permissions(&target, Permissions::from_mode(0o755)).map_err(Error::io("change", &target))?;
    let mut tar = tar::Builder::new(Hashing::new(io::sink()));
    let mut size = 0;
    for (path, source) in entries {
        let fail = || Error::io("add", source);
        let metadata = fs::symlink_metadata(source).map_err(fail())?;
        let to = target.join(path);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        let mut header = tar::Header::new_ustar();
        header.set_mode(metadata.mode() & 0o7777);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        if metadata.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(&mut header, path, io::empty()).map_err(fail())?;
            fs::create_dir_all(&to).map_err(Error::io("create", &to))?;
            fs::set_permissions(&to, metadata.permissions()).map_err(Error::io("change", &to))?;
        } else if metadata.is_symlink() {
            let link = fs::read_link(source).map_err(fail())?;
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header, path, &link).map_err(fail())?;
            symlink(&link, &to).map_err(Error::io("create", &to))?;
        } else if metadata.is_file() {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(metadata.len());
            size += metadata.len();
            tar.append_data(&mut header, path, File::open(source).map_err(fail())?).map_err(fail())?;
            // A link shares owner and permissions with its source: only where they are right already.
            if metadata.uid() != 0 || metadata.gid() != 0 || fs::hard_link(source, &to).is_err() {
                fs::copy(source, &to).map_err(Error::io("write", &to))?;
            }
        }
    }
    let hash = tar.into_inner().map_err(Error::io("hash", &target))?;
    let diff_id = format!("sha256:{}", hash.finish());
    unpack::sync(&target)?;
    let layer = store.adopt_layer(&diff_id, &target, size)?;
    Ok((diff_id, layer))
}
