//! What every part of the kubelet shares.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use drydock_api::quantity::Quantity;
use drydock_client::{Client, EventRecorder, EventType, ObjectReference, Reflector};
use drydock_container_runtime::ContainerRuntime;
use drydock_pod_network::PodNetwork;
use tokio::sync::watch;

use crate::config::KubeletConfiguration;
use crate::images::Images;
use crate::machine::Machine;
use crate::objects::{Objects, Service};
use crate::options::Options;
use crate::pod::Pod;
use crate::pods::Pods;
use crate::state::Millis;

/// The kubelet's connections and settings.
pub(crate) struct Kubelet {
    pub(crate) options: Options,
    pub(crate) config: KubeletConfiguration,
    pub(crate) node_name: String,
    pub(crate) node_ip: Ipv4Addr,
    pub(crate) machine: Machine,
    pub(crate) started_at: Millis,
    pub(crate) runtime: Arc<dyn ContainerRuntime>,
    pub(crate) images: Images,
    /// What others say that the node has besides what the kubelet finds.
    pub(crate) extended: Mutex<BTreeMap<String, Quantity>>,
    /// The pod network, once the node has its CIDR.
    pub(crate) network: watch::Sender<Option<Arc<PodNetwork>>>,
    pub(crate) pods: Pods,
    pub(crate) api: Option<ApiServer>,
}

/// What needs the API server.
pub(crate) struct ApiServer {
    pub(crate) client: Client,
    pub(crate) recorder: EventRecorder,
    pub(crate) objects: Objects,
    pub(crate) services: OnceLock<Reflector<Service>>,
}

impl Kubelet {
    /// Records an event about the pod, or about one of its containers.
    pub(crate) fn event(
        &self,
        pod: &Pod,
        container: Option<&str>,
        kind: EventType,
        reason: &str,
        message: impl Into<String>,
    ) {
        let message = message.into();
        tracing::debug!(pod.name = pod.metadata.name, reason, message, "event");
        let Some(api) = &self.api else { return };
        let mut about = ObjectReference::of(pod);
        about.resource_version.clone_from(&pod.metadata.resource_version);
        if let Some(name) = container {
            about = about.at(pod.field_path(name));
        }
        api.recorder.event(&about, kind, reason, message);
    }

    pub(crate) fn network_ready(&self) -> bool {
        self.network.borrow().is_some()
    }

    pub(crate) fn pod_dir(&self, uid: &str) -> PathBuf {
        self.options.root_dir.join("pods").join(uid)
    }

    pub(crate) fn volume_dir(&self, uid: &str, kind: &str, name: &str) -> PathBuf {
        self.pod_dir(uid).join("volumes").join(format!("kubernetes.io~{kind}")).join(name)
    }

    pub(crate) fn log_dir(&self, pod: &Pod) -> PathBuf {
        let metadata = &pod.metadata;
        self.options.pod_logs_dir.join(format!("{}_{}_{}", metadata.namespace, metadata.name, metadata.uid))
    }

    pub(crate) fn log_path(&self, pod: &Pod, container: &str, attempt: u32) -> PathBuf {
        self.log_dir(pod).join(container).join(format!("{attempt}.log"))
    }

    pub(crate) fn container_log_size(&self) -> u64 {
        let size = drydock_api::quantity::Quantity::parse(&self.config.container_log_max_size);
        size.ok().and_then(|size| u64::try_from(size.value()).ok()).unwrap_or(10 << 20)
    }
}

/// The wall clock.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// Runs a call that blocks on a thread of its own kind.
///
/// # Panics
/// When the call panics.
pub(crate) async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(call).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only at shutdown, when nobody waits for the answer.
            Err(_) => std::future::pending().await,
        },
    }
}
