//! The store on disk: its index, its layers, its lock.

mod stage;
mod sweep;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Image, ImageConfig, Reference, Source, archive, build, digest, oci, unpack};

/// A directory of images. Several processes may use the same one; readers need no write access.
#[derive(Debug, Clone)]
pub struct ImageStore {
    dir: PathBuf,
}

const INDEX: &str = "index.json";

pub use stage::{Layer, Manifest, Staging};
pub use sweep::{Pins, Usage};

#[derive(Debug, Default, Serialize, Deserialize)]
struct Index {
    /// Names, normalised, to image digests.
    names: BTreeMap<String, String>,
    /// Images by digest.
    images: BTreeMap<String, Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    config: ImageConfig,
    layers: Vec<LayerRef>,
    /// What a registry says of it; none for images that were imported or built here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
}

/// An image that came from a registry and may be fetched from there again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Origin {
    /// `registry/repository@sha256:…` of the manifests that lead here.
    digests: BTreeSet<String>,
    /// Compressed bytes, as the registry counts.
    size: u64,
    /// When it was last asked for, seconds since 1970.
    used: u64,
}

/// A layer of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerRef {
    /// SHA-256 of the uncompressed archive, hexadecimal: the directory's name.
    pub(crate) hex: String,
    /// Bytes of its files.
    pub(crate) size: u64,
}

/// An image about to get a name.
pub(crate) struct Parts {
    /// `sha256:…` of its configuration file.
    pub(crate) digest: String,
    pub(crate) config: ImageConfig,
    pub(crate) layers: Vec<LayerRef>,
}

/// The writers' lock; let go when dropped, or when the process ends.
struct Lock {
    _file: File,
    temporary: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = unpack::remove(&self.temporary) {
            tracing::warn!(%error, "cannot remove a temporary folder");
        }
    }
}

impl ImageStore {
    /// Opens the store in `dir`. A directory without images is an empty store; writing creates what is missing.
    ///
    /// # Errors
    /// [`Error::Io`] when `dir` exists and is no directory.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        let dir = dir.into();
        match fs::metadata(&dir) {
            Ok(metadata) if !metadata.is_dir() => Err(Error::io("open", dir)(io::ErrorKind::NotADirectory.into())),
            _ => Ok(Self { dir }),
        }
    }

    /// Where the store is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Finds an image by any of its names, by its digest (`sha256:…`, or 12 and more of its digits) or by `name@digest`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InvalidReference`].
    pub fn resolve(&self, reference: &str) -> Result<Image, Error> {
        let index = self.index()?;
        let hex = reference.strip_prefix("sha256:").unwrap_or(reference);
        if (12..=64).contains(&hex.len()) && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            let full = format!("sha256:{hex}");
            let mut matching = index.images.range(full.clone()..).take_while(|(digest, _)| digest.starts_with(&full));
            if let (Some((digest, _)), None) = (matching.next(), matching.next()) {
                return self.image(&index, None, digest);
            }
        }
        let name: Reference = reference.parse()?;
        let not_found = || Error::NotFound { name: name.to_string() };
        if let Some(digest) = &name.digest {
            let pinned = format!("{}@{digest}", name.familiar());
            let pulled = |entry: &Entry| entry.origin.as_ref().is_some_and(|origin| origin.digests.contains(&pinned));
            if let Some((digest, _)) = index.images.iter().find(|(_, entry)| pulled(entry)) {
                return self.image(&index, Some(&pinned), digest);
            }
            // An imported image has no manifest of a registry: what is pinned is the image's own digest.
            let familiar = format!("{}:", name.familiar());
            let named = index.names.iter().find(|(other, have)| *have == digest && other.starts_with(&familiar));
            return self.image(
                &index,
                named.map(|(name, _)| name.as_str()),
                named.map(|_| digest.as_str()).ok_or_else(not_found)?,
            );
        }
        let text = name.to_string();
        let digest = index.names.get(&text).ok_or_else(not_found)?;
        self.image(&index, Some(&text), digest)
    }

    /// All images by name; one with several names appears once for each, one without any once.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Invalid`] when the index cannot be read.
    pub fn list(&self) -> Result<Vec<Image>, Error> {
        let index = self.index()?;
        let named: HashSet<&String> = index.names.values().collect();
        let names = index.names.iter().map(|(name, digest)| (Some(name.as_str()), digest));
        let nameless = index.images.keys().filter(|digest| !named.contains(digest)).map(|digest| (None, digest));
        names.chain(nameless).map(|(name, digest)| self.image(&index, name, digest)).collect()
    }

    /// Imports what `docker save` writes (or an OCI layout in a tar), plain or gzipped.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Digest`], [`Error::TooLarge`] for hostile archives; [`Error::Io`].
    pub fn import_docker_archive(&self, reader: impl Read) -> Result<Vec<Image>, Error> {
        let lock = self.lock()?;
        archive::import(self, reader, &lock.temporary)
    }

    /// Imports an OCI image layout directory.
    ///
    /// # Errors
    /// As [`ImageStore::import_docker_archive`].
    pub fn import_oci_layout(&self, layout: &Path) -> Result<Vec<Image>, Error> {
        let lock = self.lock()?;
        let blob = |digest: &str| {
            let hex = digest::hex_of(digest).ok_or_else(|| Error::invalid(format!("{digest} is no digest")))?;
            Ok(layout.join("blobs/sha256").join(hex))
        };
        oci::import(self, &layout.join("index.json"), &blob, &lock.temporary)
    }

    /// Makes a single-layer image and names it.
    ///
    /// # Errors
    /// As [`ImageStore::import_docker_archive`].
    pub fn build(&self, name: &str, source: &Source<'_>, config: &ImageConfig) -> Result<Image, Error> {
        let lock = self.lock()?;
        build::build(self, name, source, config, &lock.temporary)
    }

    /// Takes a name (or, by digest, an image with all its names) away; the layers no other image uses go with the last
    /// name. An unknown one is not an error. Running containers must not use it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove(&self, reference: &str) -> Result<(), Error> {
        let _lock = self.lock()?;
        let image = match self.resolve(reference) {
            Err(Error::NotFound { .. }) => return Ok(()),
            other => other?,
        };
        let mut index = self.index()?;
        if reference
            .parse::<Reference>()
            .is_ok_and(|name| name.digest.is_none() && index.names.remove(&name.to_string()).is_some())
        {
            if index.names.values().any(|digest| *digest == image.digest) {
                return self.write_index(&index);
            }
        } else {
            index.names.retain(|_, digest| *digest != image.digest);
        }
        let removed = index.images.remove(&image.digest);
        // The index first: nobody finds the image any more when its layers go.
        self.write_index(&index)?;
        self.drop_layers(&index, removed.iter().flat_map(|entry| &entry.layers))
    }

    /// Removes those layers of images that are gone that no other image uses.
    fn drop_layers<'a>(&self, index: &Index, layers: impl Iterator<Item = &'a LayerRef>) -> Result<(), Error> {
        let used: HashSet<&str> =
            index.images.values().flat_map(|entry| &entry.layers).map(|layer| layer.hex.as_str()).collect();
        for layer in layers.filter(|layer| !used.contains(layer.hex.as_str())) {
            unpack::remove(&self.layer_path(&layer.hex))?;
        }
        Ok(())
    }

    fn index(&self) -> Result<Index, Error> {
        let path = self.dir.join(INDEX);
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Index::default()),
            Err(error) => Err(Error::io("read", path)(error)),
        }
    }

    fn write_index(&self, index: &Index) -> Result<(), Error> {
        let (partial, path) = (self.dir.join(".index.json"), self.dir.join(INDEX));
        let bytes = serde_json::to_vec(index).map_err(|error| Error::invalid(error.to_string()))?;
        let write = || -> io::Result<()> {
            // Nodes read it through an idmapped mount, as nobody in particular.
            let mut file = File::options().write(true).create(true).truncate(true).mode(0o644).open(&partial)?;
            io::Write::write_all(&mut file, &bytes)?;
            file.sync_all()?;
            fs::rename(&partial, &path)
        };
        write().map_err(Error::io("write", &path))
    }

    fn image(&self, index: &Index, name: Option<&str>, digest: &str) -> Result<Image, Error> {
        let entry = index.images.get(digest).ok_or_else(|| Error::NotFound { name: digest.to_owned() })?;
        let names: Vec<String> =
            index.names.iter().filter(|(_, other)| *other == digest).map(|(name, _)| name.clone()).collect();
        let name = name.map(str::to_owned).or_else(|| names.first().cloned()).unwrap_or_else(|| digest.to_owned());
        // Overlayfs takes a directory once only; of equal layers the topmost decides what is seen.
        let mut seen = HashSet::new();
        let mut layers: Vec<PathBuf> = entry
            .layers
            .iter()
            .rev()
            .filter(|layer| seen.insert(&layer.hex))
            .map(|layer| self.layer_path(&layer.hex))
            .collect();
        layers.reverse();
        Ok(Image {
            name,
            names,
            digest: digest.to_owned(),
            layers,
            config: entry.config.clone(),
            size: match &entry.origin {
                Some(origin) => origin.size,
                None => entry.layers.iter().map(|layer| layer.size).sum(),
            },
            repo_digests: entry.origin.iter().flat_map(|origin| origin.digests.iter().cloned()).collect(),
        })
    }

    fn layer_path(&self, hex: &str) -> PathBuf {
        self.dir.join("layers").join(hex)
    }

    /// Waits until no other process writes.
    fn lock(&self) -> Result<Lock, Error> {
        let layers = self.dir.join("layers");
        fs::create_dir_all(&layers).map_err(Error::io("create", &layers))?;
        for dir in [&self.dir, &layers] {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).map_err(Error::io("change", dir))?;
        }
        let path = self.dir.join("lock");
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        file.lock().map_err(Error::io("lock", &path))?;
        // Whoever held the lock before us is done or dead: what lies here is rubbish.
        let temporary = self.dir.join("tmp");
        unpack::remove(&temporary)?;
        fs::DirBuilder::new().mode(0o700).create(&temporary).map_err(Error::io("create", &temporary))?;
        Ok(Lock { _file: file, temporary })
    }

    /// Makes sure of a layer: unpacks what `open` gives unless the layer is there, and checks its digest.
    pub(crate) fn add_layer(
        &self,
        diff_id: &str,
        temporary: &Path,
        open: impl FnOnce() -> Result<File, Error>,
    ) -> Result<LayerRef, Error> {
        let hex = digest::hex_of(diff_id).ok_or_else(|| Error::invalid(format!("{diff_id} is no digest")))?;
        if let Some(layer) = self.known_layer(hex)? {
            return Ok(layer);
        }
        let target = temporary.join("layer");
        unpack::remove(&target)?;
        fs::create_dir(&target).map_err(Error::io("create", &target))?;
        // Whatever the caller's umask: pods look into it.
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).map_err(Error::io("change", &target))?;
        let stream = archive::decompressed(open()?).map_err(|error| Error::invalid(format!("layer: {error}")))?;
        let mut stream = archive::hashed(stream);
        let size = unpack::unpack(&mut stream, &target, unpack::Limits::default())?;
        let actual = stream.finish();
        if actual != hex {
            return Err(Error::Digest { expected: diff_id.to_owned(), actual: format!("sha256:{actual}") });
        }
        unpack::sync(&target)?;
        self.adopt_layer(diff_id, &target, size)
    }

    /// Takes a finished layer directory over.
    pub(crate) fn adopt_layer(&self, diff_id: &str, dir: &Path, size: u64) -> Result<LayerRef, Error> {
        let hex = digest::hex_of(diff_id).ok_or_else(|| Error::invalid(format!("{diff_id} is no digest")))?;
        let layer = LayerRef { hex: hex.to_owned(), size };
        let path = self.layer_path(hex);
        if path.exists() {
            unpack::remove(dir)?;
        } else {
            fs::rename(dir, &path).map_err(Error::io("create", &path))?;
        }
        Ok(layer)
    }

    fn known_layer(&self, hex: &str) -> Result<Option<LayerRef>, Error> {
        let path = self.layer_path(hex);
        if !path.exists() {
            return Ok(None);
        }
        let index = self.index()?;
        let known = index.images.values().flat_map(|entry| &entry.layers).find(|layer| layer.hex == hex).cloned();
        if known.is_none() {
            // Left by an import that broke off later; its size is not known.
            unpack::remove(&path)?;
        }
        Ok(known)
    }

    /// Names an image whose layers are all there.
    pub(crate) fn record(&self, names: &[String], parts: &Parts) -> Result<Vec<Image>, Error> {
        let names = names
            .iter()
            .map(|name| name.parse::<Reference>().map(|name| Reference { digest: None, ..name }.to_string()))
            .collect::<Result<Vec<_>, _>>()?;
        let mut index = self.index()?;
        let entry = Entry { config: parts.config.clone(), layers: parts.layers.clone(), origin: None };
        index.images.insert(parts.digest.clone(), entry);
        for name in &names {
            index.names.insert(name.clone(), parts.digest.clone());
        }
        self.write_index(&index)?;
        if names.is_empty() {
            return Ok(vec![self.image(&index, None, &parts.digest)?]);
        }
        names.iter().map(|name| self.image(&index, Some(name), &parts.digest)).collect()
    }
}
