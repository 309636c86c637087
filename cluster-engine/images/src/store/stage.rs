//! An image on its way into the store: its layers are unpacked beside the others and taken over all at once.
//!
//! Nothing here holds the store's lock but the last step, so that a slow registry keeps nobody waiting.

use std::fs::{self, DirBuilder, File};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Entry, Index, LayerRef};
use crate::unpack::{self, Limits};
use crate::{Error, Image, ImageStore, Reference, archive, digest};

/// Bytes that a file takes beside its content.
const FILE_COST: u64 = 512;

/// What a registry says of an image.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The name that was asked for.
    pub name: Reference,
    /// Digest of what the name leads to at the registry, `sha256:…`.
    pub digest: String,
    /// The image's configuration file, checked against its digest.
    pub config: Vec<u8>,
    /// Compressed bytes of all parts.
    pub size: u64,
}

/// A layer, by the digest of its unpacked archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// `sha256:…`.
    pub diff_id: String,
    /// Whether the store has it.
    pub present: bool,
}

/// A folder of one pull; everything in it goes when this is dropped.
#[derive(Debug)]
pub struct Staging {
    store: ImageStore,
    dir: PathBuf,
    /// Held as long as the folder is in use: without it the folder is somebody's who died.
    _lock: File,
    layers: Vec<(String, PathBuf, u64)>,
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = unpack::remove(&self.dir) {
            tracing::warn!(%error, "cannot remove a temporary folder");
        }
    }
}

pub(super) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl ImageStore {
    /// Folder of pulls in progress and of what keeps them apart.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn pulls(&self) -> Result<PathBuf, Error> {
        // Made by whoever comes first, with the store itself.
        drop(self.lock()?);
        let pulls = self.dir.join("pulls");
        private(&pulls)?;
        Ok(pulls)
    }

    /// Begins to add an image. What dead processes left behind is removed.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn stage(&self) -> Result<Staging, Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let pulls = self.pulls()?;
        sweep_stages(&pulls);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = pulls.join(format!("{}-{}-{number}", std::process::id(), seconds()));
        // Locked before it has the name that others look at.
        let fresh = dir.with_extension("new");
        DirBuilder::new().mode(0o700).create(&fresh).map_err(Error::io("create", &fresh))?;
        let lock = File::create(fresh.join("lock")).map_err(Error::io("create", &fresh))?;
        lock.lock().map_err(Error::io("lock", &fresh))?;
        fs::rename(&fresh, &dir).map_err(Error::io("create", &dir))?;
        Ok(Staging { store: self.clone(), dir, _lock: lock, layers: Vec::new() })
    }

    /// Which of an image's layers are here, from its configuration file.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a configuration that is none, or one for another machine.
    pub fn layers_of(&self, config: &[u8]) -> Result<Vec<Layer>, Error> {
        let config: archive::ConfigFile = archive::parse("image configuration", config)?;
        let here = crate::architecture();
        if config.os != "linux" || config.architecture != here {
            return Err(Error::invalid(format!(
                "it is for {:?}/{:?}, this machine is linux/{here}",
                config.os, config.architecture
            )));
        }
        let index = self.index()?;
        let layer = |diff_id: String| {
            let hex = digest::hex_of(&diff_id).ok_or_else(|| Error::invalid(format!("{diff_id:?} is no digest")))?;
            let known = index.images.values().flat_map(|entry| &entry.layers).any(|layer| layer.hex == hex);
            let present = known && self.layer_path(hex).is_dir();
            Ok(Layer { diff_id, present })
        };
        config.rootfs.diff_ids.into_iter().map(layer).collect()
    }

    /// Gives an image that is here under the same digest a name, as a registry has it now. `None` when it is not here.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn retag(&self, name: &Reference, manifest: &str) -> Result<Option<Image>, Error> {
        let pinned = format!("{}@{manifest}", name.familiar());
        let _lock = self.lock()?;
        let mut index = self.index()?;
        let is_it = |entry: &Entry| entry.origin.as_ref().is_some_and(|origin| origin.digests.contains(&pinned));
        let Some((digest, entry)) = index.images.iter_mut().find(|(_, entry)| is_it(entry)) else { return Ok(None) };
        if let Some(origin) = &mut entry.origin {
            origin.used = seconds();
        }
        let digest = digest.clone();
        let shown = name_pulled(&mut index, name, &digest, &pinned);
        self.write_index(&index)?;
        self.image(&index, Some(&shown), &digest).map(Some)
    }
}

fn private(dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(Error::io("change", dir))
}

fn sweep_stages(pulls: &Path) {
    for entry in fs::read_dir(pulls).into_iter().flatten().flatten() {
        let path = entry.path();
        if !path.is_dir() || path.extension().is_some() {
            continue;
        }
        let dead = File::open(path.join("lock")).is_ok_and(|file| file.try_lock().is_ok());
        if dead && let Err(error) = unpack::remove(&path) {
            tracing::warn!(%error, "cannot remove a temporary folder");
        }
    }
}

/// Gives a pulled image its tag; one that an imported image has stays with that.
fn name_pulled(index: &mut Index, name: &Reference, digest: &str, pinned: &str) -> String {
    let (None, Some(_)) = (&name.digest, &name.tag) else { return pinned.to_owned() };
    let text = name.to_string();
    let holder = index.names.get(&text).and_then(|digest| index.images.get(digest));
    if holder.is_some_and(|entry| entry.origin.is_none()) {
        return pinned.to_owned();
    }
    index.names.insert(text.clone(), digest.to_owned());
    text
}

impl Staging {
    /// Where parts may be kept until they are unpacked.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Unpacks a layer, whatever it is compressed with, and checks its digest. What it takes goes off the limits.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Digest`], [`Error::TooLarge`] for hostile layers; [`Error::Io`].
    pub fn unpack(&mut self, diff_id: &str, blob: impl Read, limits: &mut Limits) -> Result<(), Error> {
        if self.layers.iter().any(|(other, ..)| other == diff_id) {
            return Ok(());
        }
        let target = self.dir.join(format!("layer-{}", self.layers.len()));
        fs::create_dir(&target).map_err(Error::io("create", &target))?;
        // Whatever the caller's umask: pods look into it.
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).map_err(Error::io("change", &target))?;
        let stream = archive::decompressed(blob).map_err(|error| Error::invalid(format!("layer: {error}")))?;
        let mut stream = archive::hashed(stream);
        let used = unpack::unpack(&mut stream, &target, *limits)?;
        let actual = format!("sha256:{}", stream.finish());
        if actual != diff_id {
            return Err(Error::Digest { expected: diff_id.to_owned(), actual });
        }
        limits.bytes -= used.bytes.min(limits.bytes);
        limits.entries -= used.entries.min(limits.entries);
        // A file without a byte takes its place on the disk, too.
        self.layers.push((diff_id.to_owned(), target, used.bytes + used.entries * FILE_COST));
        Ok(())
    }

    /// Takes the image over into the store.
    ///
    /// # Errors
    /// [`Error::Removed`] when a layer that was there has gone meanwhile; [`Error::Io`].
    pub fn commit(self, manifest: &Manifest) -> Result<Image, Error> {
        let config: archive::ConfigFile = archive::parse("image configuration", &manifest.config)?;
        unpack::sync(&self.dir)?;
        let store = &self.store;
        let _lock = store.lock()?;
        let mut layers: Vec<LayerRef> = Vec::new();
        for diff_id in &config.rootfs.diff_ids {
            let hex = digest::hex_of(diff_id).ok_or_else(|| Error::invalid(format!("{diff_id:?} is no digest")))?;
            let twice = layers.iter().find(|layer| layer.hex == hex).cloned();
            let layer = match twice {
                Some(layer) => layer,
                None => match (store.known_layer(hex)?, self.layers.iter().find(|(staged, ..)| staged == diff_id)) {
                    (Some(known), _) => known,
                    (None, Some((_, dir, size))) => store.adopt_layer(diff_id, dir, *size)?,
                    (None, None) => return Err(Error::Removed { layer: diff_id.clone() }),
                },
            };
            layers.push(layer);
        }
        let digest = format!("sha256:{}", digest::of(&manifest.config));
        let pinned = format!("{}@{}", manifest.name.familiar(), manifest.digest);
        let mut index = store.index()?;
        let before = index.images.remove(&digest);
        // An image that was imported stays so, with a further name: nobody clears it away.
        let imported = before.as_ref().is_some_and(|entry| entry.origin.is_none());
        let mut origin = before.and_then(|entry| entry.origin).unwrap_or_default();
        origin.digests.insert(pinned.clone());
        origin.size = manifest.size;
        origin.used = seconds();
        let origin = (!imported).then_some(origin);
        index.images.insert(digest.clone(), Entry { config: config.config.unwrap_or_default(), layers, origin });
        let shown = if imported {
            if manifest.name.digest.is_none() {
                index.names.entry(manifest.name.to_string()).or_insert_with(|| digest.clone());
            }
            None
        } else {
            Some(name_pulled(&mut index, &manifest.name, &digest, &pinned))
        };
        store.write_index(&index)?;
        store.image(&index, shown.as_deref(), &digest)
    }
}
