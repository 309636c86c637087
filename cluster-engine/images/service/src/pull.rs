//! One image: from its name to the store.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use drydock_images::service::{Credentials, Failure};
use drydock_images::{Image, ImageStore, Layer, Limits, Manifest, Reference, Staging, digest};
use futures_util::{StreamExt, TryStreamExt, stream};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::Error;
use crate::policy::{IMAGE_BYTES, IMAGE_FILES, IMAGE_LAYERS, Policy, SESSION_IMAGES};
use crate::registry::{Document, PATIENCE, Registry};

/// No pull takes longer.
pub const PULL_TIME: Duration = Duration::from_secs(30 * 60);
/// Bytes a second that a layer must come with, over its whole way; a registry slower than that only holds a place.
const SLOWEST: u64 = 16 * 1024;
/// A configuration larger than this is none.
const CONFIG_LIMIT: u64 = 4 << 20;
/// Layers that are fetched at once.
const PARALLEL: usize = 3;
/// Indexes may contain indexes; real ones do so once.
const MAX_DEPTH: usize = 3;
/// Free bytes that a pull leaves on the disk.
const RESERVE: u64 = 512 << 20;

/// What to fetch, and into which store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The machine's store, whose policy counts.
    pub machine: PathBuf,
    /// The session's own store, for what it fetches with credentials.
    pub private: PathBuf,
    /// The name, as the pod has it.
    pub image: String,
    /// Who asks; anonymous without.
    pub credentials: Option<Credentials>,
    /// Bytes that the session may still add.
    pub room: u64,
}

/// How a pull ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The image is in the store.
    Ready {
        /// `sha256:…` of its configuration.
        digest: String,
        /// It is in the session's own store.
        private: bool,
    },
    /// It is not.
    Failed(Failure),
}

/// How far a pull is.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes that have come.
    pub done: AtomicU64,
    /// Bytes that are to come in all; 0 while that is not known.
    pub total: AtomicU64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    size: u64,
    platform: Option<Platform>,
}

#[derive(Clone, Debug, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

/// An index or a manifest, whichever it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(default)]
    schema_version: u64,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// Fetches an image, or finds that the store has what its registry has.
pub async fn pull(order: &Order, progress: &Progress) -> Outcome {
    let shown = order.image.parse::<Reference>().map_or_else(|_| order.image.clone(), |name| name.to_string());
    let resolving = AtomicU64::new(1);
    let attempt = async {
        match fetch_one(order, progress, &resolving).await {
            // A layer that was here was cleared away in between: now it is fetched.
            Err(Error::Store(drydock_images::Error::Removed { .. })) => fetch_one(order, progress, &resolving).await,
            outcome => outcome,
        }
    };
    let outcome = timeout(PULL_TIME, attempt).await.unwrap_or(Err(Error::Late { limit: PULL_TIME }));
    match outcome {
        Ok(image) => Outcome::Ready { digest: image.digest, private: order.credentials.is_some() },
        Err(error) => Outcome::Failed(error.failure(&shown, resolving.load(Ordering::Relaxed) == 1)),
    }
}

async fn fetch_one(order: &Order, progress: &Progress, resolving: &AtomicU64) -> Result<Image, Error> {
    let policy =
        Arc::new(Policy::load(&order.machine).map_err(Error::io("cannot read the rules of the image service"))?);
    let name: Reference = order.image.parse().map_err(Error::Name)?;
    if !policy.allow {
        return Err(Error::Denied("pulling images is switched off on this machine".to_owned()));
    }
    if !policy.is_allowed(&name.registry) {
        return Err(Error::Denied(format!("images of {} may not be pulled on this machine", name.registry)));
    }
    // What needs credentials is nobody else's: it never reaches the store that all sessions see.
    let folder = if order.credentials.is_some() { &order.private } else { &order.machine };
    let store = ImageStore::open(folder)?;
    let _only = only_one(&store, &name).await?;
    let mut failure = None;
    for registry in Registry::places(&policy, &name, order.credentials.as_ref())? {
        match fetch(&store, &policy, &registry, &name, order, progress, resolving).await {
            // A mirror that does not have it, or does not answer, is passed over.
            Err(error) if registry.is_mirror() => {
                tracing::warn!(image.name = %name, %error, "a mirror does not help");
                failure = Some(error);
            }
            outcome => return outcome,
        }
    }
    Err(failure.unwrap_or_else(|| Error::Invalid("no registry to ask".to_owned())))
}

/// The right to fetch a name, alone on this machine.
struct Turn {
    path: PathBuf,
    _file: File,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Whoever waits for this very file goes on beside one who makes a new one: both find the image or fetch it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Waits until nobody else on this machine fetches the same name: it is there then, most likely.
async fn only_one(store: &ImageStore, name: &Reference) -> Result<Turn, Error> {
    let path = store.pulls()?.join(format!("{}.lock", digest::of(name.to_string().as_bytes())));
    let fail = || Error::io(format!("cannot lock {}", path.display()));
    let file = File::create(&path).map_err(fail())?;
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    let file = locked.map_err(|_| Error::Late { limit: PULL_TIME })?.map_err(fail())?;
    Ok(Turn { path, _file: file })
}

async fn fetch(
    store: &ImageStore,
    policy: &Policy,
    registry: &Registry,
    name: &Reference,
    order: &Order,
    progress: &Progress,
    resolving: &AtomicU64,
) -> Result<Image, Error> {
    resolving.store(1, Ordering::Relaxed);
    let reference = name.digest.as_ref().or(name.tag.as_ref()).map_or("latest", String::as_str);
    let digest = match &name.digest {
        Some(digest) => Some(digest.clone()),
        None => registry.digest(reference).await?,
    };
    if let Some(digest) = &digest {
        if !is_digest(digest) {
            return Err(Error::Invalid(format!("the registry's digest {digest:?} is none that is known here")));
        }
        if let Some(image) = store.retag(name, digest)? {
            return Ok(image);
        }
    }
    let top = registry.manifest(digest.as_deref().unwrap_or(reference)).await?;
    let found = digest_of(&top.bytes);
    if let Some(expected) = digest.filter(|digest| *digest != found) {
        return Err(mismatch(&expected, &found));
    }
    resolving.store(0, Ordering::Relaxed);
    let mut size = top.bytes.len() as u64;
    let body = for_this_machine(registry, name, top, &mut size).await?;
    let config = body.config.ok_or_else(|| Error::Invalid("the manifest names no configuration".to_owned()))?;
    check(&config, &body.layers)?;
    size += config.size + body.layers.iter().map(|layer| layer.size).sum::<u64>();
    let bytes = small(registry, &config).await?;
    let layers = store.layers_of(&bytes)?;
    if layers.len() != body.layers.len() {
        return Err(Error::Invalid("the configuration names another number of layers than the manifest".to_owned()));
    }
    let missing = missing(&layers, &body.layers);
    let bytes_missing: u64 = missing.iter().map(|(_, layer)| layer.size).sum();
    let bound = room(store, policy, order, bytes_missing)?;
    progress.total.store(bytes_missing, Ordering::Relaxed);
    let mut staging = store.stage()?;
    let mut limits = Limits { bytes: bound, entries: IMAGE_FILES };
    let dir = staging.dir().to_owned();
    // Fetched side by side, unpacked in order as they come.
    let mut blobs = stream::iter(missing)
        .map(|(layer, descriptor)| {
            let file = dir.join(descriptor.digest.replace(':', "-"));
            async move {
                download(registry, &descriptor, &file, progress).await?;
                Ok::<_, Error>((layer, file))
            }
        })
        .buffered(PARALLEL)
        .boxed_local();
    while let Some((diff_id, file)) = blobs.try_next().await? {
        let (back, left) = tokio::task::spawn_blocking(move || {
            let unpacked =
                File::open(&file).map_err(Error::io(format!("cannot read {}", file.display()))).and_then(|blob| {
                    let blob = BufReader::with_capacity(128 * 1024, blob);
                    Ok(staging.unpack(&diff_id, blob, &mut limits)?)
                });
            // Two copies of a layer need not lie on the disk until the last one has come.
            let _ = std::fs::remove_file(&file);
            (staging, unpacked.map(|()| limits))
        })
        .await
        .map_err(|error| Error::Invalid(format!("unpacking broke off: {error}")))?;
        staging = back;
        limits = left?;
    }
    drop(blobs);
    commit(staging, Manifest { name: name.clone(), digest: found, config: bytes, size }).await
}

async fn commit(staging: Staging, manifest: Manifest) -> Result<Image, Error> {
    let work = tokio::task::spawn_blocking(move || staging.commit(&manifest));
    Ok(work.await.map_err(|error| Error::Invalid(format!("storing broke off: {error}")))??)
}

/// Whether an image of this many compressed bytes may come, and to how many it may unpack.
fn room(store: &ImageStore, policy: &Policy, order: &Order, incoming: u64) -> Result<u64, Error> {
    if incoming > IMAGE_BYTES {
        return Err(Error::Full(format!(
            "the image has {incoming} bytes, more than the {IMAGE_BYTES} that are allowed"
        )));
    }
    if incoming > order.room {
        return Err(Error::Full(format!(
            "the image has {incoming} bytes, and this session may pull {} more",
            order.room
        )));
    }
    let mut bound = IMAGE_BYTES.min(order.room);
    if order.credentials.is_none() {
        let usage = store.sweep(policy.budget.saturating_sub(incoming))?;
        let left = policy.budget.saturating_sub(usage.bytes);
        if incoming > left {
            return Err(Error::Full(format!(
                "no space left for images on this machine: sessions use {} of {} bytes",
                usage.bytes, policy.budget
            )));
        }
        bound = bound.min(left);
    }
    let free = free_bytes(store.dir())?.saturating_sub(RESERVE);
    if incoming.saturating_mul(2) > free {
        return Err(Error::Full("no space left on device".to_owned()));
    }
    Ok(bound.min(free))
}

fn free_bytes(path: &Path) -> Result<u64, Error> {
    rustix::fs::statvfs(path)
        .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
        .map_err(|error| Error::io("cannot look at the disk")(error.into()))
}

/// The manifest for this machine, through indexes.
async fn for_this_machine(registry: &Registry, name: &Reference, top: Document, size: &mut u64) -> Result<Body, Error> {
    let mut document = top;
    for _ in 0..=MAX_DEPTH {
        let body: Body = serde_json::from_slice(&document.bytes)
            .map_err(|error| Error::Invalid(format!("the manifest of {name} is not readable: {error}")))?;
        if body.schema_version == 1 {
            return Err(Error::Invalid(format!(
                "media type \"application/vnd.docker.distribution.manifest.v1+prettyjws\" is no longer supported: rebuild {name}"
            )));
        }
        let kind = if body.media_type.is_empty() { &document.media_type } else { &body.media_type };
        let is_index = kind.contains("index") || kind.contains("manifest.list");
        let Some(manifests) = body.manifests.as_ref().filter(|_| is_index || body.config.is_none()) else {
            return Ok(body);
        };
        let Some(next) = choose(manifests) else {
            let platform = format!("linux/{}", drydock_images::architecture());
            return Err(Error::Invalid(format!(
                "no match for platform in manifest: not found ({name} has none for {platform})"
            )));
        };
        let inner = registry.manifest(&next.digest).await?;
        let found = digest_of(&inner.bytes);
        if found != next.digest {
            return Err(mismatch(&next.digest, &found));
        }
        *size += inner.bytes.len() as u64;
        document = inner;
    }
    Err(Error::Invalid(format!("the indexes of {name} are nested too deep")))
}

/// The entry for this machine; one that names no platform is an index or an image of its own.
fn choose(manifests: &[Descriptor]) -> Option<&Descriptor> {
    let fits = |platform: &Platform| platform.os == "linux" && platform.architecture == drydock_images::architecture();
    let usable = |descriptor: &&Descriptor| is_digest(&descriptor.digest);
    let exact = manifests.iter().filter(usable).find(|it| it.platform.as_ref().is_some_and(fits));
    exact.or_else(|| manifests.iter().filter(usable).find(|it| it.platform.is_none()))
}

fn check(config: &Descriptor, layers: &[Descriptor]) -> Result<(), Error> {
    if layers.len() > IMAGE_LAYERS {
        return Err(Error::Invalid(format!("the image has {} layers, more than {IMAGE_LAYERS}", layers.len())));
    }
    if config.size > CONFIG_LIMIT {
        return Err(Error::Invalid(format!("the configuration has {} bytes, more than {CONFIG_LIMIT}", config.size)));
    }
    for part in layers.iter().chain([config]) {
        if !is_digest(&part.digest) {
            return Err(Error::Invalid(format!("{:?} is no digest that is known here", part.digest)));
        }
        if part.size > IMAGE_BYTES {
            return Err(Error::Full(format!(
                "a layer has {} bytes, more than the {IMAGE_BYTES} that are allowed",
                part.size
            )));
        }
    }
    if let Some(foreign) = layers
        .iter()
        .find(|layer| layer.media_type.contains("foreign") || layer.media_type.contains("nondistributable"))
    {
        return Err(Error::Invalid(format!("layer {} is not distributed by the registry", foreign.digest)));
    }
    Ok(())
}

/// The layers to fetch, each once.
fn missing(layers: &[Layer], descriptors: &[Descriptor]) -> Vec<(String, Descriptor)> {
    let mut missing: Vec<(String, Descriptor)> = Vec::new();
    for (layer, descriptor) in layers.iter().zip(descriptors) {
        if !layer.present && !missing.iter().any(|(diff_id, _)| *diff_id == layer.diff_id) {
            missing.push((layer.diff_id.clone(), descriptor.clone()));
        }
    }
    missing
}

/// A small blob in memory, checked.
async fn small(registry: &Registry, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    receive(registry, descriptor, async |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    })
    .await?;
    Ok(bytes)
}

/// A blob on disk, checked.
async fn download(registry: &Registry, descriptor: &Descriptor, path: &Path, progress: &Progress) -> Result<(), Error> {
    let fail = || Error::io(format!("failed to copy {}", descriptor.digest));
    let mut file = tokio::fs::File::create(path).await.map_err(fail())?;
    receive(registry, descriptor, async |piece: &[u8]| {
        progress.done.fetch_add(piece.len() as u64, Ordering::Relaxed);
        file.write_all(piece).await.map_err(fail())
    })
    .await?;
    file.flush().await.map_err(fail())
}

/// Takes a blob in: no byte more than it is said to have, not too slowly, and of the right digest.
async fn receive(
    registry: &Registry,
    descriptor: &Descriptor,
    mut take: impl AsyncFnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut body = registry.blob(&descriptor.digest).await?;
    let what = &descriptor.digest;
    let began = Instant::now();
    let mut hash = Sha256::new();
    let mut received = 0_u64;
    loop {
        let frame = timeout(PATIENCE, body.frame()).await;
        let frame =
            frame.map_err(|_| Error::Invalid(format!("failed to copy {what}: no data for {}s", PATIENCE.as_secs())))?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| Error::Invalid(format!("failed to copy {what}: {error}")))?;
        let Some(piece) = frame.data_ref() else { continue };
        received += piece.len() as u64;
        if received > descriptor.size {
            return Err(Error::Invalid(format!(
                "failed size validation: {what} has more than the {} bytes it should have",
                descriptor.size
            )));
        }
        let seconds = began.elapsed().as_secs();
        if seconds > 2 * PATIENCE.as_secs() && received < seconds * SLOWEST {
            return Err(Error::Invalid(format!("failed to copy {what}: the registry is too slow")));
        }
        hash.update(piece);
        take(piece).await?;
    }
    let found = format!("sha256:{}", digest::hex(&hash.finalize()));
    if received != descriptor.size {
        return Err(Error::Invalid(format!(
            "failed size validation: {received} != {}: failed precondition",
            descriptor.size
        )));
    }
    if found == *what { Ok(()) } else { Err(mismatch(what, &found)) }
}

fn mismatch(expected: &str, found: &str) -> Error {
    Error::Invalid(format!("unexpected commit digest {found}, expected {expected}: failed precondition"))
}

fn is_digest(text: &str) -> bool {
    digest::hex_of(text).is_some()
}

fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", digest::of(bytes))
}

/// Images and bytes that a session may still pull.
///
/// # Errors
/// When it has as many images as it may.
pub(crate) fn session_room(policy: &Policy, images: usize, bytes: u64) -> Result<u64, Error> {
    if images >= SESSION_IMAGES {
        return Err(Error::Full(format!("this session has pulled {images} images, more are not allowed")));
    }
    Ok(policy.session_budget().saturating_sub(bytes))
}
