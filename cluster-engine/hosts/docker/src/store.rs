//! What sessions need on the Docker side before they can start: the node image, and one volume with all images and programs.
//!
//! Everything goes through the API, so it works with a daemon on another machine or in a virtual one. What is there already
//! is known from a note in the data folder, which counts for as long as the volume is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bollard::Docker as Client;
use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{
    ImportImageOptions, ListImagesOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder,
};
use drydock_engine::host::{HostError, NodeBind};
use drydock_supervisor::hosting::{failed, io};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::daemon::Rights;
use crate::{Docker, daemon};

/// Where nodes and helpers see the volume.
pub(crate) const MOUNT: &str = "/var/lib/drydock-store";
/// The image store in it.
pub(crate) const IMAGES: &str = "/var/lib/drydock-store/images";
/// The rules for fetching images, where the image service looks for them.
const RULES: &str = "/var/lib/drydock-store/image-service.json";
/// Programs of the host in it, by digest.
const FILES: &str = "/var/lib/drydock-store/files";
/// The label of the volume.
const KIND: &str = "drydock.store";
/// Docker's name for node images; the tag says which.
const REPOSITORY: &str = "drydock/node";
/// Bytes read at once.
const CHUNK: usize = 256 * 1024;

/// What is in the volume, as far as this data folder knows.
#[derive(Default, Serialize, Deserialize)]
struct Known {
    /// The daemon and the volume's time of creation: another volume is empty.
    volume: String,
    /// Digests of images and files that were put in.
    have: BTreeSet<String>,
    /// Digests of the machine's files by path, size and time of change.
    digests: BTreeMap<String, String>,
    /// Digest of the rules for fetching images that were put in last.
    #[serde(default)]
    rules: Option<String>,
}

/// Loads the node image and fills the volume where they lack something. Gives the node image's name.
pub(crate) async fn prepare(host: &Docker) -> Result<String, HostError> {
    let archive = &host.settings.node_archive;
    let digest = image_digest(archive)?;
    let tag = digest.get(..12).unwrap_or(&digest);
    let image = format!("{REPOSITORY}:{tag}");
    if host.client.inspect_image(&image).await.is_err() {
        load(&host.client, archive, tag).await?;
    }
    let mut known = open_volume(host).await?;
    for archive in &host.settings.image_archives {
        let digest = image_digest(archive)?;
        if !known.have.contains(&digest) {
            tracing::info!(image.file = %archive.display(), "importing an image into Docker's volume");
            import(host, &image, archive).await?;
            known.have.insert(digest);
            save(host, &known)?;
        }
    }
    if let Some(rules) = &host.settings.image_rules {
        let digest = file_digest(rules)?;
        if known.rules.as_ref() != Some(&digest) {
            put(host, &image, rules, &["drydock-store", "put", "--private", "--file", RULES]).await?;
            known.rules = Some(digest);
            save(host, &known)?;
        }
    }
    Ok(image)
}

/// Puts the host's programs that a node sees into the volume, and names their places there.
pub(crate) async fn binds(host: &Docker, image: &str, binds: &[NodeBind]) -> Result<Vec<NodeBind>, HostError> {
    let mut placed = Vec::new();
    // One after another: nodes are made at the same time, with the same programs.
    let _turn = host.filling.lock().await;
    let mut known = open_volume(host).await?;
    for bind in binds {
        let source = Path::new(&bind.source);
        let meta = fs::metadata(source).map_err(io(format!("cannot read {}", bind.source)))?;
        let key = format!("{} {} {}.{}", bind.source, meta.len(), meta.mtime(), meta.mtime_nsec());
        let digest = match known.digests.get(&key) {
            Some(digest) => digest.clone(),
            None => file_digest(source)?,
        };
        let target = format!("{FILES}/{digest}");
        if !known.have.contains(&digest) {
            put(host, image, source, &["drydock-store", "put", "--file", &target]).await?;
        }
        if known.have.insert(digest.clone()) | known.digests.insert(key, digest).is_none() {
            save(host, &known)?;
        }
        placed.push(NodeBind { source: target, target: bind.target.clone() });
    }
    Ok(placed)
}

/// Imports the images of an archive into the volume.
pub(crate) async fn import(host: &Docker, image: &str, archive: &Path) -> Result<(), HostError> {
    put(host, image, archive, &["drydock-store", "import", "--images", IMAGES]).await
}

async fn put(host: &Docker, image: &str, file: &Path, argv: &[&str]) -> Result<(), HostError> {
    let fail = || io(format!("cannot read {}", file.display()));
    let mut reader = tokio::io::BufReader::with_capacity(CHUNK, tokio::fs::File::open(file).await.map_err(fail())?);
    let mounts = vec![daemon::volume(&host.settings.store, MOUNT, false)];
    daemon::run_helper(&host.client, (image, Rights::Usual), &host.instance, mounts, argv, Some(&mut reader)).await?;
    Ok(())
}

async fn load(client: &Client, archive: &Path, tag: &str) -> Result<(), HostError> {
    let fail = |error: bollard::errors::Error| failed("load the node image into Docker", error);
    let file = tokio::fs::File::open(archive).await.map_err(io(format!("cannot read {}", archive.display())))?;
    let chunks = stream::try_unfold(file, |mut file| async move {
        use tokio::io::AsyncReadExt;
        let mut chunk = vec![0; CHUNK];
        let read = file.read(&mut chunk).await?;
        chunk.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (bytes::Bytes::from(chunk), file)))
    });
    // Its own name may already be another image's, and is taken away again below.
    let mut said = client.import_image_stream(ImportImageOptions::default(), chunks, None).boxed();
    let mut loaded = None;
    while let Some(said) = said.try_next().await.map_err(fail)? {
        let name =
            said.stream.as_deref().and_then(|text| text.trim().strip_prefix("Loaded image: ").map(str::to_owned));
        loaded = name.or(loaded);
    }
    let loaded = loaded.ok_or_else(|| failed("load the node image into Docker", "it did not say its name"))?;
    let options = TagImageOptionsBuilder::default().repo(REPOSITORY).tag(tag).build();
    client.tag_image(&loaded, Some(options)).await.map_err(fail)?;
    tidy(client, &loaded, tag).await;
    Ok(())
}

/// Forgets node images of other versions. Docker keeps those that a container is made from.
async fn tidy(client: &Client, loaded: &str, tag: &str) {
    let _ = client.remove_image(loaded, None::<RemoveImageOptions>, None).await;
    let ours = [("reference".to_owned(), vec![REPOSITORY.to_owned()])].into();
    let options = ListImagesOptionsBuilder::default().filters(&ours).build();
    let images = client.list_images(Some(options)).await.unwrap_or_default();
    for name in images.into_iter().flat_map(|image| image.repo_tags) {
        if name != format!("{REPOSITORY}:{tag}") {
            let _ = client.remove_image(&name, None::<RemoveImageOptions>, None).await;
        }
    }
}

/// Makes the volume unless it is there, and says what is in it.
async fn open_volume(host: &Docker) -> Result<Known, HostError> {
    let request = VolumeCreateRequest {
        name: Some(host.settings.store.clone()),
        labels: Some([(KIND.to_owned(), String::new())].into()),
        ..VolumeCreateRequest::default()
    };
    let volume =
        host.client.create_volume(request).await.map_err(|error| failed("make the volume of images", error))?;
    let identity = format!("{} {} {}", volume.name, volume.mountpoint, volume.created_at.unwrap_or_default());
    let known: Known =
        fs::read(path(host)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    if known.volume == identity {
        return Ok(known);
    }
    Ok(Known { volume: identity, have: BTreeSet::new(), digests: known.digests, rules: None })
}

fn path(host: &Docker) -> PathBuf {
    host.data.join(format!("{}.json", host.settings.store))
}

fn save(host: &Docker, known: &Known) -> Result<(), HostError> {
    let path = path(host);
    let partial = path.with_extension("partial");
    let text = serde_json::to_vec(known).map_err(|error| failed("note what is in the volume", error))?;
    let written = fs::write(&partial, text).and_then(|()| fs::rename(&partial, &path));
    written.map_err(io(format!("cannot write {}", path.display())))
}

/// The digest of the first image in a `docker save` archive.
fn image_digest(archive: &Path) -> Result<String, HostError> {
    #[derive(Deserialize)]
    struct Manifest {
        #[serde(rename = "Config")]
        config: String,
    }
    let broken = |reason: String| failed(format!("read {}", archive.display()), reason);
    let file = fs::File::open(archive).map_err(io(format!("cannot read {}", archive.display())))?;
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries_with_seek().map_err(|error| broken(error.to_string()))? {
        let entry = entry.map_err(|error| broken(error.to_string()))?;
        if entry.path_bytes().as_ref() == b"manifest.json" {
            let manifests: Vec<Manifest> = serde_json::from_reader(entry).map_err(|error| broken(error.to_string()))?;
            let config = manifests.into_iter().next().map(|manifest| manifest.config);
            let name = config.as_deref().and_then(|config| Path::new(config).file_stem()?.to_str().map(str::to_owned));
            return name.ok_or_else(|| broken("it holds no image".to_owned()));
        }
    }
    Err(broken("it is no archive of images".to_owned()))
}

fn file_digest(file: &Path) -> Result<String, HostError> {
    let fail = || io(format!("cannot read {}", file.display()));
    let mut reader = fs::File::open(file).map_err(fail())?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match reader.read(&mut chunk).map_err(fail())? {
            0 => break,
            read => hash.update(&chunk[..read]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
