//! OCI image layouts (`oci-layout`, `index.json`, `blobs/`), as the OCI image specification describes them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::archive::{ConfigFile, parse, read_json};
use crate::store::Parts;
use crate::{Error, Image, ImageStore, digest};

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// Indexes may contain indexes; real ones do so once.
const MAX_DEPTH: usize = 4;

/// Imports every image of a layout that fits this machine. `blob` finds a blob's file by its digest.
pub(crate) fn import(
    store: &ImageStore,
    index: &Path,
    blob: &dyn Fn(&str) -> Result<PathBuf, Error>,
    temporary: &Path,
) -> Result<Vec<Image>, Error> {
    let bytes = read_json(index)?;
    let index: Index = parse("index.json", &bytes)?;
    let mut images = Vec::new();
    for descriptor in &index.manifests {
        let name = ["io.containerd.image.name", "org.opencontainers.image.ref.name"]
            .iter()
            .find_map(|key| descriptor.annotations.get(*key).cloned());
        if let Some(manifest) = find_manifest(descriptor, blob, 0)? {
            images.extend(import_manifest(store, &manifest, name, blob, temporary)?);
        }
    }
    if images.is_empty() {
        return Err(Error::invalid("the layout has no image for this machine"));
    }
    Ok(images)
}

/// A blob whose bytes are what their digest says.
fn checked(descriptor: &Descriptor, blob: &dyn Fn(&str) -> Result<PathBuf, Error>) -> Result<Vec<u8>, Error> {
    let bytes = read_json(&blob(&descriptor.digest)?)?;
    let actual = format!("sha256:{}", digest::of(&bytes));
    if actual != descriptor.digest {
        return Err(Error::Digest { expected: descriptor.digest.clone(), actual });
    }
    Ok(bytes)
}

/// The manifest for this machine, through indexes; `None` when it is for another kind.
fn find_manifest(
    descriptor: &Descriptor,
    blob: &dyn Fn(&str) -> Result<PathBuf, Error>,
    depth: usize,
) -> Result<Option<Manifest>, Error> {
    if descriptor.platform.as_ref().is_some_and(|platform| !fits(platform)) {
        return Ok(None);
    }
    let bytes = checked(descriptor, blob)?;
    if !descriptor.media_type.contains("index") && !descriptor.media_type.contains("manifest.list") {
        return Ok(Some(parse("manifest", &bytes)?));
    }
    if depth == MAX_DEPTH {
        return Err(Error::invalid("indexes are nested too deep"));
    }
    let index: Index = parse("index", &bytes)?;
    for inner in &index.manifests {
        if let Some(manifest) = find_manifest(inner, blob, depth + 1)? {
            return Ok(Some(manifest));
        }
    }
    Ok(None)
}

fn fits(platform: &Platform) -> bool {
    platform.os == "linux" && platform.architecture == crate::architecture()
}

fn import_manifest(
    store: &ImageStore,
    manifest: &Manifest,
    name: Option<String>,
    blob: &dyn Fn(&str) -> Result<PathBuf, Error>,
    temporary: &Path,
) -> Result<Vec<Image>, Error> {
    let bytes = checked(&manifest.config, blob)?;
    let config: ConfigFile = parse("image configuration", &bytes)?;
    // Attestations and the like have configurations without a system.
    if config.os != "linux" {
        return Ok(Vec::new());
    }
    if config.rootfs.diff_ids.len() != manifest.layers.len() {
        return Err(Error::invalid("the configuration names another number of layers than the manifest"));
    }
    let mut layers = Vec::new();
    for (diff_id, layer) in config.rootfs.diff_ids.iter().zip(&manifest.layers) {
        // The digest that counts is that of the unpacked layer: it is checked, and a wrong blob cannot have it.
        let file = blob(&layer.digest)?;
        layers.push(store.add_layer(diff_id, temporary, || File::open(&file).map_err(Error::io("open", &file)))?);
    }
    let parts = Parts { digest: manifest.config.digest.clone(), config: config.config.unwrap_or_default(), layers };
    store.record(&name.into_iter().collect::<Vec<_>>(), &parts)
}
