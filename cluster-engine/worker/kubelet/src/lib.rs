//! The kubelet: a node's first process. It runs the node's pods and reports on them.
//!
//! Pods come from the manifest directory (static pods, which need no API server) and from the API server. Each has a
//! worker that takes events one by one, asks the pure [`plan`] what to do and applies it. Nothing polls: exits come from
//! the runtime's reaper, changes from watches and inotify, and only probes and heartbeats have a clock.
//!
//! What the node's surroundings must provide:
//! - being PID 1 of the node (orphans are reaped by the runtime's reaper, which starts with the kubelet);
//! - `/proc` with a writable `/proc/sys/net`, `/sys/fs/cgroup` delegated and writable, `/dev` with the usual devices;
//! - the network: an interface that carries `--node-ip`, already up;
//! - the image store at `--image-dir`, and the same store shown a second time at `<image-dir>-pods` with owners shifted
//!   by 65536 (the ids of pods with a user namespace); without the second one the first is used for all pods;
//! - `/var/lib/kubelet`, `/var/log`, `/var/lib/cni` on a disk that is no overlay;
//! - the executable answering to the name `runtime` (see `drydock_container_runtime::helper_main`).

mod config;
mod create;
mod env;
mod eviction;
mod hook;
mod images;
mod kubelet;
mod logs;
mod machine;
mod manifests;
mod node;
mod objects;
mod options;
mod plan;
mod pod;
mod pods;
mod probe;
mod report;
mod server;
mod state;
mod stream;
mod volumes;
mod worker;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use drydock_client::{Client, EventRecorder, ListOptions, Reflector};
use drydock_component::Shutdown;
use drydock_container_runtime::{ContainerRuntime, NativeRuntime};
use tokio::sync::watch;

use crate::config::KubeletConfiguration;
use crate::images::Images;
use crate::kubelet::{ApiServer, Kubelet};
use crate::machine::Machine;
use crate::objects::Objects;
use crate::pod::Pod;
use crate::pods::Pods;

pub use options::{Options, Taint};

/// Why the kubelet cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration file is not usable.
    #[error("failed to load kubelet config file {}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The kubeconfig or its certificates are not usable.
    #[error("cannot use the kubeconfig: {0}")]
    Client(#[source] drydock_client::Error),
    /// The container runtime cannot work on this machine.
    #[error("cannot start the container runtime: {0}")]
    Runtime(#[source] drydock_container_runtime::Error),
    /// The image store cannot be read.
    #[error("cannot open the image store: {0}")]
    Images(#[source] drydock_images::Error),
    /// The server cannot listen, or its certificates are not usable.
    #[error("cannot serve on port {port}: {reason}")]
    Server {
        /// The port.
        port: u16,
        /// Why.
        reason: String,
    },
}

/// Runs the kubelet until `shutdown`.
///
/// # Errors
/// When the node lacks something that no retry can bring.
pub async fn run(options: Options, shutdown: Shutdown) -> Result<(), Error> {
    let config = KubeletConfiguration::load(&options.config)?;
    clean_up(&options.root_dir);
    let runtime = NativeRuntime::new(drydock_container_runtime::Options::default()).map_err(Error::Runtime)?;
    run_with(options, config, Arc::new(runtime), shutdown).await
}

async fn run_with(
    options: Options,
    config: KubeletConfiguration,
    runtime: Arc<dyn ContainerRuntime>,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let node_name = options.hostname_override.clone().unwrap_or_else(host_name);
    let images = Images::open(&options.image_dir, &options.image_service).map_err(Error::Images)?;
    let manifests = options.pod_manifest_path.clone().or_else(|| config.static_pod_path.clone());
    let api = match &options.kubeconfig {
        Some(path) => {
            let client = drydock_client::Config::from_kubeconfig(path).and_then(Client::new).map_err(Error::Client)?;
            let recorder = EventRecorder::new(client.clone(), "kubelet", &node_name);
            let objects = Objects::new(client.clone());
            Some(ApiServer { client, recorder, objects, services: OnceLock::new() })
        }
        None => None,
    };
    let kubelet = Arc::new(Kubelet {
        node_ip: options.node_ip.unwrap_or_else(node_ip),
        machine: Machine::detect(&options.root_dir),
        extended: Mutex::default(),
        network: watch::Sender::new(None),
        started_at: kubelet::now(),
        pods: Pods::default(),
        options,
        config,
        node_name,
        runtime,
        images,
        api,
    });
    let server = server::start(&kubelet, shutdown.clone()).await?;
    if let Some(directory) = manifests {
        tokio::spawn(manifests::run(kubelet.clone(), directory));
    }
    if kubelet.api.is_some() {
        tokio::spawn(node::run(kubelet.clone()));
        tokio::spawn(follow_pods(kubelet.clone()));
    }
    shutdown.wait().await;
    server.abort();
    Ok(())
}

/// Follows the pods that the API server assigns to this node.
async fn follow_pods(kubelet: Arc<Kubelet>) {
    let Some(api) = &kubelet.api else { return };
    api.services.get_or_init(|| Reflector::start(api.client.clone(), ListOptions::default()));
    let mine = ListOptions::fields(format!("spec.nodeName={}", kubelet.node_name));
    let pods = Reflector::<Pod>::start(api.client.clone(), mine);
    let mut events = pods.subscribe();
    let synced = {
        let (kubelet, pods) = (kubelet.clone(), pods.clone());
        async move {
            pods.synced().await;
            // Everything of the first list is handled before what follows from its being complete.
            tokio::task::yield_now().await;
            forget_strangers(&kubelet, &pods);
            pods::synced(&kubelet);
        }
    };
    tokio::spawn(synced);
    while let Some(event) = events.recv().await {
        match event {
            drydock_client::Event::Applied(pod, _) => kubelet.pods.applied(&kubelet, pod),
            drydock_client::Event::Deleted(pod) => kubelet.pods.deleted(&kubelet, &pod),
        }
    }
}

/// Removes directories of pods that were deleted while this node was away.
fn forget_strangers(kubelet: &Kubelet, pods: &Reflector<Pod>) {
    let known: Vec<String> = pods.list().iter().map(|pod| pod.metadata.uid.clone()).collect();
    let running: Vec<String> =
        kubelet.pods.handles().iter().map(|handle| handle.view().pod.metadata.uid.clone()).collect();
    let is_known = |uid: &str| known.iter().chain(&running).any(|known| known == uid);
    for entry in std::fs::read_dir(kubelet.options.root_dir.join("pods")).into_iter().flatten().flatten() {
        if !is_known(&entry.file_name().to_string_lossy()) {
            volumes::remove(&entry.path().join("volumes"));
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    for entry in std::fs::read_dir(&kubelet.options.pod_logs_dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.rsplit('_').next().is_some_and(|uid| !is_known(uid)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Takes away what a former run left: containers' files and empty control groups. Volumes stay for the pods that stay.
fn clean_up(root: &Path) {
    for entry in std::fs::read_dir(root.join("pods")).into_iter().flatten().flatten() {
        let _ = std::fs::remove_dir_all(entry.path().join("containers"));
    }
    let cgroup = Path::new("/sys/fs/cgroup");
    let trees = std::fs::read_dir(cgroup).into_iter().flatten().flatten().map(|entry| entry.path());
    for tree in trees.chain([cgroup.to_owned()]) {
        remove_groups(&tree.join("kubepods"));
    }
}

fn remove_groups(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    // A group with processes stays.
    let _ = std::fs::remove_dir(directory);
}

fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".to_owned())
        .to_lowercase()
}

/// The first address that is not loopback's.
fn node_ip() -> Ipv4Addr {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let mut addresses = interfaces.filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()));
    addresses.find(|ip| !ip.is_loopback()).unwrap_or(Ipv4Addr::LOCALHOST)
}
