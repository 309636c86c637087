//! A small registry on loopback: what the OCI distribution specification asks for reading, with token and basic
//! authorization, and with all the faults that a registry can have.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, oneshot};

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// With gzip.
    Gzip,
    /// With zstd.
    Zstd,
}

/// Which family of media types a manifest has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Docker's second.
    Docker,
    /// That of the Open Container Initiative.
    Oci,
}

/// How repositories are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// By tokens from the registry's own token service.
    Token,
    /// By the password itself.
    Basic,
}

/// What goes wrong with blobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// They have another content of the same length.
    Altered,
    /// They end early.
    Short,
    /// They do not end.
    Endless,
    /// They are elsewhere: a redirect to this place.
    Redirect(String),
    /// The registry is out of order.
    Broken,
    /// They come when the test says so ([`Registry::release`]).
    Held,
}

#[derive(Default)]
struct Store {
    blobs: BTreeMap<String, Vec<u8>>,
    /// Media type and bytes by digest.
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    /// Digest by `repository:tag`.
    tags: BTreeMap<String, String>,
    guards: BTreeMap<String, (Guard, String, String)>,
    tokens: BTreeSet<String>,
    fault: Fault,
    requests: Vec<String>,
    authorizations: Vec<String>,
}

#[derive(Clone)]
struct Shared {
    store: Arc<Mutex<Store>>,
    address: SocketAddr,
    release: Arc<Notify>,
}

/// A running registry; gone when dropped.
pub struct Registry {
    shared: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// An image to push.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its layers: tar archives and how they are compressed.
    pub layers: Vec<(Vec<u8>, Compression)>,
    /// The `config` of its configuration.
    pub config: Value,
    /// `amd64` and the like.
    pub architecture: String,
    /// Media types.
    pub schema: Schema,
}

impl Image {
    /// An image of one gzipped layer with these files, for this machine.
    pub fn of_files(files: &[(&str, u32, &[u8])]) -> Image {
        Image {
            layers: vec![(archive(files), Compression::Gzip)],
            config: json!({}),
            architecture: match std::env::consts::ARCH {
                "x86_64" => "amd64",
                "aarch64" => "arm64",
                other => other,
            }
            .to_owned(),
            schema: Schema::Docker,
        }
    }

    fn media(&self, docker: &str, oci: &str) -> String {
        match self.schema {
            Schema::Docker => format!("application/vnd.docker.{docker}"),
            Schema::Oci => format!("application/vnd.oci.image.{oci}"),
        }
    }
}

/// A tar archive of files: path, mode, content.
///
/// # Panics
/// Never for plain paths.
pub fn archive(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (path, mode, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        out.append_data(&mut header, path, *content).expect("a plain file");
    }
    out.into_inner().expect("an archive in memory")
}

/// `sha256:…` of some bytes.
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn compress(bytes: &[u8], how: Compression) -> Vec<u8> {
    match how {
        Compression::None => bytes.to_vec(),
        Compression::Gzip => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(bytes).expect("memory");
            out.finish().expect("memory")
        }
        Compression::Zstd => ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest),
    }
}

impl Registry {
    /// Starts a registry on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start() -> Registry {
        Registry::at(Ipv4Addr::LOCALHOST)
    }

    /// Starts a registry where the nodes of the host under test reach it: containers have a loopback of their own.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn reachable() -> Registry {
        if std::env::var_os("DRYDOCK_TEST_HOST").is_none_or(|host| host != "docker") {
            return Registry::start();
        }
        // The machine's own address: nothing is sent.
        let socket = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.connect("192.0.2.1:9").map(|()| socket));
        match socket.and_then(|socket| socket.local_addr()).expect("a route").ip() {
            IpAddr::V4(address) => Registry::at(address),
            IpAddr::V6(address) => panic!("{address} is no IPv4 address"),
        }
    }

    /// Flags that let sessions use it.
    pub fn rules(&self) -> Vec<String> {
        let address = self.shared.address.ip();
        vec![format!("--image-private-registry={address}"), format!("--image-insecure-registry={address}")]
    }

    fn at(address: Ipv4Addr) -> Registry {
        let listener = std::net::TcpListener::bind((address, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let shared = Shared { store: Arc::default(), address, release: Arc::default() };
        let (stop, stopped) = oneshot::channel::<()>();
        let state = shared.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let app = Router::new().fallback(answer).with_state(state);
                tokio::select! {
                    served = async { axum::serve(listener, app).await } => served.expect("it serves"),
                    _ = stopped => {}
                }
            });
        });
        Registry { shared, stop: Some(stop), thread: Some(thread) }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.shared.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `address:port`.
    pub fn host(&self) -> String {
        self.shared.address.to_string()
    }

    /// An image's full name.
    pub fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.host())
    }

    /// Stores an image under `repository:tag` and returns its manifest's digest.
    pub fn push(&self, name: &str, image: &Image) -> String {
        let mut store = self.store();
        let digest = add(&mut store, image);
        store.tags.insert(name.to_owned(), digest.clone());
        digest
    }

    /// Stores images under one name, by their platforms, and returns the index's digest.
    pub fn push_index(&self, name: &str, images: &[Image]) -> String {
        let mut store = self.store();
        let manifests: Vec<Value> = images
            .iter()
            .map(|image| {
                let digest = add(&mut store, image);
                let (media_type, bytes) = &store.manifests[&digest];
                json!({"mediaType": media_type, "digest": digest, "size": bytes.len(), "platform": {"os": "linux", "architecture": image.architecture}})
            })
            .collect();
        let schema = images.first().map_or(Schema::Oci, |image| image.schema);
        let media_type = match schema {
            Schema::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
            Schema::Oci => "application/vnd.oci.image.index.v1+json",
        };
        let bytes =
            json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}).to_string().into_bytes();
        let digest = digest(&bytes);
        store.manifests.insert(digest.clone(), (media_type.to_owned(), bytes));
        store.tags.insert(name.to_owned(), digest.clone());
        digest
    }

    /// Protects a repository.
    pub fn protect(&self, repository: &str, guard: Guard, user: &str, password: &str) {
        self.store().guards.insert(repository.to_owned(), (guard, user.to_owned(), password.to_owned()));
    }

    /// Lets blobs fail from here on.
    pub fn fail(&self, fault: Fault) {
        self.store().fault = fault;
    }

    /// Ends [`Fault::Held`]: what waits goes on.
    pub fn release(&self) {
        self.store().fault = Fault::None;
        self.shared.release.notify_waiters();
    }

    /// The requests so far, `GET /v2/…`.
    pub fn requests(&self) -> Vec<String> {
        self.store().requests.clone()
    }

    /// The `Authorization` headers that came so far.
    pub fn authorizations(&self) -> Vec<String> {
        self.store().authorizations.clone()
    }

    /// How often a blob was asked for.
    pub fn downloads(&self) -> usize {
        self.requests().iter().filter(|request| request.starts_with("GET") && request.contains("/blobs/")).count()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.shared.release.notify_waiters();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn add(store: &mut Store, image: &Image) -> String {
    let mut layers = Vec::new();
    let mut diff_ids = Vec::new();
    for (tar, how) in &image.layers {
        let blob = compress(tar, *how);
        diff_ids.push(digest(tar));
        let kind = match (image.schema, how) {
            (Schema::Docker, _) => "image.rootfs.diff.tar.gzip",
            (Schema::Oci, Compression::None) => "layer.v1.tar",
            (Schema::Oci, Compression::Gzip) => "layer.v1.tar+gzip",
            (Schema::Oci, Compression::Zstd) => "layer.v1.tar+zstd",
        };
        layers.push(json!({"mediaType": image.media(kind, kind), "digest": digest(&blob), "size": blob.len()}));
        store.blobs.insert(digest(&blob), blob);
    }
    let config = json!({
        "architecture": image.architecture,
        "os": "linux",
        "config": image.config,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
    .to_string()
    .into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": image.media("distribution.manifest.v2+json", "manifest.v1+json"),
        "config": {
            "mediaType": image.media("container.image.v1+json", "config.v1+json"),
            "digest": digest(&config),
            "size": config.len(),
        },
        "layers": layers,
    })
    .to_string()
    .into_bytes();
    store.blobs.insert(digest(&config), config);
    let name = digest(&manifest);
    store.manifests.insert(name.clone(), (image.media("distribution.manifest.v2+json", "manifest.v1+json"), manifest));
    name
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let authorization = authorization.unwrap_or_default().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    {
        let mut store = shared.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.requests.push(format!("{} {path}", request.method()));
        if !authorization.is_empty() {
            store.authorizations.push(authorization.clone());
        }
        if path == "/token" {
            return token(&mut store, &query, &authorization);
        }
    }
    let Some(rest) = path.strip_prefix("/v2/") else { return StatusCode::NOT_FOUND.into_response() };
    let (repository, kind, reference) = match (rest.split_once("/manifests/"), rest.split_once("/blobs/")) {
        (Some((repository, reference)), _) => (repository, "manifests", reference),
        (_, Some((repository, reference))) => (repository, "blobs", reference),
        _ => return StatusCode::OK.into_response(),
    };
    let held = {
        let store = shared.store.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refused) = refuse(&store, repository, &authorization, shared.address) {
            return refused;
        }
        // Enabled before the lock is let go, so that no release is missed.
        (kind == "blobs" && store.fault == Fault::Held).then(|| shared.release.clone().notified_owned())
    };
    if let Some(held) = held {
        held.await;
    }
    let store = shared.store.lock().unwrap_or_else(PoisonError::into_inner);
    if kind == "blobs" {
        return blob(&store, reference);
    }
    let digest = if reference.starts_with("sha256:") {
        Some(reference.to_owned())
    } else {
        store.tags.get(&format!("{repository}:{reference}")).cloned()
    };
    match digest.and_then(|digest| Some((store.manifests.get(&digest)?.clone(), digest))) {
        Some(((media_type, bytes), digest)) => {
            let body = if request.method() == Method::HEAD { Vec::new() } else { bytes };
            ([("content-type", media_type), ("docker-content-digest", digest)], body).into_response()
        }
        None => errors(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown"),
    }
}

fn errors(status: StatusCode, code: &str, message: &str) -> Response {
    (status, json!({"errors": [{"code": code, "message": message}]}).to_string()).into_response()
}

fn refuse(store: &Store, repository: &str, authorization: &str, address: SocketAddr) -> Option<Response> {
    let (guard, user, password) = store.guards.get(repository)?;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    let challenge = match guard {
        Guard::Basic if authorization == format!("Basic {basic}") => return None,
        Guard::Basic => "Basic realm=\"test\"".to_owned(),
        Guard::Token => {
            let known = authorization.strip_prefix("Bearer ").is_some_and(|token| store.tokens.contains(token));
            if known {
                return None;
            }
            format!("Bearer realm=\"http://{address}/token\",service=\"test\",scope=\"repository:{repository}:pull\"")
        }
    };
    let mut refused = errors(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required");
    refused.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.parse().expect("a header"));
    Some(refused)
}

fn token(store: &mut Store, query: &str, authorization: &str) -> Response {
    let scope = query.split('&').find_map(|pair| pair.strip_prefix("scope=")).unwrap_or_default();
    let scope = scope.replace("%3A", ":").replace("%2F", "/");
    let repository = scope.split(':').nth(1).unwrap_or_default();
    if let Some((_, user, password)) = store.guards.get(repository) {
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        if authorization != format!("Basic {basic}") {
            return errors(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "incorrect username or password");
        }
    }
    let token = format!("token-{}", store.tokens.len());
    store.tokens.insert(token.clone());
    json!({"token": token, "expires_in": 300}).to_string().into_response()
}

fn blob(store: &Store, digest: &str) -> Response {
    let Some(bytes) = store.blobs.get(digest) else {
        return errors(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry");
    };
    let is_layer = !bytes.starts_with(b"{");
    match &store.fault {
        Fault::Altered if is_layer => bytes.iter().map(|byte| byte ^ 1).collect::<Vec<u8>>().into_response(),
        Fault::Short if is_layer => bytes[..bytes.len() / 2].to_vec().into_response(),
        Fault::Endless if is_layer => {
            let piece = axum::body::Bytes::from(vec![0_u8; 64 * 1024]);
            Body::from_stream(futures_stream(piece)).into_response()
        }
        Fault::Redirect(place) if is_layer => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, format!("{place}/v2/x/blobs/{digest}"))])
                .into_response()
        }
        Fault::Broken if is_layer => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => bytes.clone().into_response(),
    }
}

/// The same piece for ever.
fn futures_stream(
    piece: axum::body::Bytes,
) -> impl futures_util::Stream<Item = Result<axum::body::Bytes, std::io::Error>> + Send + 'static {
    futures_util::stream::repeat_with(move || Ok(piece.clone()))
}
