//! `docker save` archives, and OCI layouts packed into a tar.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use tar::EntryType;

use crate::digest::{self, Hashing};
use crate::store::Parts;
use crate::{Error, Image, ImageStore, oci, unpack, zstd};

/// Bytes of an archive that are spooled to disk.
const MAX_BYTES: u64 = 32 << 30;
/// Files in an archive.
const MAX_FILES: u64 = 10_000;
/// A manifest or configuration larger than this is none.
const MAX_JSON: u64 = 8 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestEntry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// The configuration file of an image, as far as we look at it.
#[derive(Deserialize)]
pub(crate) struct ConfigFile {
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) config: Option<crate::ImageConfig>,
    pub(crate) rootfs: RootFs,
    #[serde(default)]
    pub(crate) os: String,
}

/// Digests of the unpacked layers, lowest first.
#[derive(Deserialize)]
pub(crate) struct RootFs {
    #[serde(default)]
    pub(crate) diff_ids: Vec<String>,
}

/// The files of an archive, on disk under plain names.
pub(crate) struct Spool {
    dir: PathBuf,
    /// Path in the archive → file in `dir`. Links are entries of their own.
    files: HashMap<PathBuf, PathBuf>,
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Err(error) = unpack::remove(&self.dir) {
            tracing::warn!(%error, "cannot remove a temporary folder");
        }
    }
}

impl Spool {
    /// Reads a tar, plain or gzipped. Only regular files count, and links between them, which older versions of Docker
    /// write for layers that several images share.
    fn read(stream: impl Read, dir: PathBuf) -> Result<Self, Error> {
        fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        let mut spool = Self { dir, files: HashMap::new() };
        let bad = |error: io::Error| Error::invalid(format!("archive: {error}"));
        let mut archive = tar::Archive::new(decompressed(stream).map_err(bad)?);
        let mut links = Vec::new();
        let (mut bytes, mut count) = (0u64, 0u64);
        for entry in archive.entries().map_err(bad)? {
            let mut entry = entry.map_err(bad)?;
            let path = plain(&entry.path().map_err(bad)?);
            count += 1;
            bytes = bytes.saturating_add(entry.size());
            if count > MAX_FILES || bytes > MAX_BYTES {
                return Err(Error::TooLarge { what: "the archive" });
            }
            match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => {
                    let file = spool.dir.join(count.to_string());
                    let mut out = File::create(&file).map_err(Error::io("create", &file))?;
                    io::copy(&mut entry, &mut out).map_err(Error::io("write", &file))?;
                    spool.files.insert(path, file);
                }
                EntryType::Symlink | EntryType::Link => {
                    let Some(target) = entry.link_name().map_err(bad)? else { continue };
                    let base = if entry.header().entry_type() == EntryType::Symlink { path.parent() } else { None };
                    links.push((path.clone(), plain(&base.unwrap_or(Path::new("")).join(target))));
                }
                _ => {}
            }
        }
        for (link, target) in links {
            if let Some(file) = spool.files.get(&target).cloned() {
                spool.files.insert(link, file);
            }
        }
        Ok(spool)
    }

    fn file(&self, name: &str) -> Result<&Path, Error> {
        self.files
            .get(&plain(Path::new(name)))
            .map(PathBuf::as_path)
            .ok_or_else(|| Error::invalid(format!("{name} is missing")))
    }
}

/// Relative, with `..` taken away lexically: a key, never a path on disk.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => drop(out.pop()),
            _ => {}
        }
    }
    out
}

/// A tar stream, whatever it is compressed with.
pub(crate) fn decompressed<'a>(stream: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut stream = BufReader::with_capacity(128 * 1024, stream);
    let start = stream.fill_buf()?;
    match start {
        [0x1f, 0x8b, ..] => Ok(Box::new(flate2::bufread::MultiGzDecoder::new(stream))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Box::new(zstd::Frames::new(stream))),
        _ => Ok(Box::new(stream)),
    }
}

/// Reads a small file whole.
pub(crate) fn read_json(path: &Path) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut bytes = Vec::new();
    file.take(MAX_JSON + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > MAX_JSON {
        return Err(Error::TooLarge { what: "a manifest or configuration" });
    }
    Ok(bytes)
}

/// Parses JSON of an archive.
pub(crate) fn parse<'a, T: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::invalid(format!("{what}: {error}")))
}

/// Imports an archive into a locked store.
pub(crate) fn import(store: &ImageStore, stream: impl Read, temporary: &Path) -> Result<Vec<Image>, Error> {
    let spool = Spool::read(stream, temporary.join("archive"))?;
    if spool.file("manifest.json").is_err() && spool.file("index.json").is_ok() {
        let blob = |digest: &str| {
            let hex = digest::hex_of(digest).ok_or_else(|| Error::invalid(format!("{digest} is no digest")))?;
            spool.file(&format!("blobs/sha256/{hex}")).map(Path::to_owned)
        };
        return oci::import(store, spool.file("index.json")?, &blob, temporary);
    }
    let manifest = read_json(spool.file("manifest.json")?)?;
    let manifest: Vec<ManifestEntry> = parse("manifest.json", &manifest)?;
    let mut images = Vec::new();
    for entry in manifest {
        let bytes = read_json(spool.file(&entry.config)?)?;
        let digest = digest::of(&bytes);
        // Its name is its digest in every version of the format; other tools may write other names.
        let stem = Path::new(&entry.config).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if stem.len() == 64 && stem != digest {
            return Err(Error::Digest { expected: stem.to_owned(), actual: digest });
        }
        let config: ConfigFile = parse("image configuration", &bytes)?;
        if config.rootfs.diff_ids.len() != entry.layers.len() {
            return Err(Error::invalid("the configuration names another number of layers than the manifest"));
        }
        let mut layers = Vec::new();
        for (diff_id, name) in config.rootfs.diff_ids.iter().zip(&entry.layers) {
            let file = spool.file(name)?;
            layers.push(store.add_layer(diff_id, temporary, || File::open(file).map_err(Error::io("open", file)))?);
        }
        let parts = Parts { digest: format!("sha256:{digest}"), config: config.config.unwrap_or_default(), layers };
        images.extend(store.record(&entry.repo_tags.unwrap_or_default(), &parts)?);
    }
    Ok(images)
}

/// A reader that knows the digest of what passed.
pub(crate) fn hashed(stream: impl Read) -> Hashing<impl Read> {
    Hashing::new(stream)
}
