//! The node's own object: registration, status, lease, and the network that follows from its pod CIDR.

mod lease;
mod status;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drydock_api::meta::ObjectMeta;
use drydock_api::quantity::{Format, Quantity};
use drydock_client::{Api, Client, EventType, ListOptions, ObjectReference, Patch, Reflector};
use drydock_pod_network::{Cidr, Config, PeerRoute, PodNetwork};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::kubelet::{Kubelet, blocking};

/// The part of a node that the kubelet reads.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Node {
    metadata: ObjectMeta,
    spec: NodeSpec,
    status: NodeStatus,
}

drydock_client::object!(Node, "", "v1", "Node", "nodes", cluster);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeSpec {
    #[serde(rename = "podCIDR")]
    pod_cidr: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeStatus {
    addresses: Vec<Address>,
    conditions: Vec<Condition>,
    capacity: BTreeMap<String, Quantity>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    status: String,
}

impl NodeStatus {
    /// Whether the node lifecycle controller gave the node up: nobody else writes `Unknown`.
    fn is_given_up(&self) -> bool {
        self.conditions.iter().any(|condition| condition.status == "Unknown")
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Address {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

/// First and last pause between attempts to register.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// The uid of the registered node object.
static UID: Mutex<Option<String>> = Mutex::new(None);

pub(crate) fn uid(_kubelet: &Kubelet) -> Option<String> {
    UID.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn set_uid(uid: &str) {
    *UID.lock().unwrap_or_else(PoisonError::into_inner) = Some(uid.to_owned());
}

/// What the node has.
pub(crate) fn capacity(kubelet: &Kubelet) -> BTreeMap<String, Quantity> {
    let machine = &kubelet.machine;
    let whole = |value: u64, format| Quantity::new(i64::try_from(value).unwrap_or(i64::MAX), format);
    [
        ("cpu".to_owned(), whole(machine.cpus, Format::DecimalSi)),
        ("memory".to_owned(), whole(machine.memory / 1024 * 1024, Format::BinarySi)),
        ("ephemeral-storage".to_owned(), whole(machine.disk / 1024 * 1024, Format::BinarySi)),
        ("pods".to_owned(), whole(u64::from(kubelet.config.max_pods), Format::DecimalSi)),
        ("hugepages-1Gi".to_owned(), Quantity::ZERO),
        ("hugepages-2Mi".to_owned(), Quantity::ZERO),
    ]
    .into()
}

/// What it gives to pods: without what the configuration reserves, and with what others say that the node has.
pub(crate) fn allocatable(kubelet: &Kubelet) -> BTreeMap<String, Quantity> {
    let mut left = capacity(kubelet);
    left.extend(kubelet.extended.lock().unwrap_or_else(PoisonError::into_inner).clone());
    let config = &kubelet.config;
    let eviction = config.eviction_hard.get("memory.available").map(|text| ("memory", text.as_str()));
    let reserved =
        config.system_reserved.iter().chain(&config.kube_reserved).map(|(name, text)| (name.as_str(), text.as_str()));
    for (name, text) in reserved.chain(eviction) {
        if let (Some(quantity), Ok(reserved)) = (left.get_mut(name), Quantity::parse(text)) {
            *quantity = quantity.sub(reserved).max(Quantity::ZERO);
        }
    }
    left
}

/// The resources in the node's capacity that are not the kubelet's own: a device's, or those that an administrator names.
fn extended(capacity: &BTreeMap<String, Quantity>) -> BTreeMap<String, Quantity> {
    let is_extended = |name: &str| name.contains('/') && !name.contains("kubernetes.io/");
    capacity.iter().filter(|(name, _)| is_extended(name)).map(|(name, much)| (name.clone(), *much)).collect()
}

/// Whether they changed.
fn learn_extended(kubelet: &Kubelet, node: &Node) -> bool {
    let found = extended(&node.status.capacity);
    let mut known = kubelet.extended.lock().unwrap_or_else(PoisonError::into_inner);
    let news = *known != found;
    *known = found;
    news
}

/// Keeps the node registered and its network up, for ever.
pub(crate) async fn run(kubelet: Arc<Kubelet>) {
    let Some(api) = &kubelet.api else { return };
    if kubelet.config.register_node {
        register(&kubelet).await;
    }
    event(&kubelet, "Starting", "Starting kubelet.".to_owned());
    event(&kubelet, "NodeAllocatableEnforced", "Updated Node Allocatable limit across pods".to_owned());
    let changed = Arc::new(Notify::new());
    let given_up = Arc::new(AtomicBool::new(false));
    tokio::spawn(lease::run(kubelet.clone()));
    tokio::spawn(status::run(kubelet.clone(), changed.clone(), given_up.clone()));
    tokio::spawn(peers(kubelet.clone()));
    let own = Reflector::<Node>::start(
        api.client.clone(),
        ListOptions::fields(format!("metadata.name={}", kubelet.node_name)),
    );
    let mut events = own.subscribe();
    while let Some(event) = events.recv().await {
        match event {
            drydock_client::Event::Applied(node, _) => {
                set_uid(&node.metadata.uid);
                kubelet.pods.set_node_labels(node.metadata.labels.clone());
                if learn_extended(&kubelet, &node) {
                    changed.notify_one();
                }
                if node.status.is_given_up() {
                    given_up.store(true, Ordering::Relaxed);
                    changed.notify_one();
                }
                if !kubelet.network_ready() && !node.spec.pod_cidr.is_empty() {
                    bring_up(&kubelet, &node.spec.pod_cidr).await;
                    changed.notify_one();
                }
            }
            drydock_client::Event::Deleted(_) if kubelet.config.register_node => register(&kubelet).await,
            drydock_client::Event::Deleted(_) => {}
        }
    }
}

/// Records an event about the node; upstream knows it by its name here.
pub(crate) fn event(kubelet: &Kubelet, reason: &str, text: String) {
    let Some(api) = &kubelet.api else { return };
    let name = kubelet.node_name.clone();
    let about = ObjectReference { kind: "Node".to_owned(), uid: name.clone(), name, ..Default::default() };
    let kind = if reason == "EvictionThresholdMet" { EventType::Warning } else { EventType::Normal };
    api.recorder.event(&about, kind, reason, text);
}

async fn bring_up(kubelet: &Arc<Kubelet>, pod_cidr: &str) {
    let config = (|| {
        Ok::<_, drydock_pod_network::Error>(Config {
            bridge: "cni0".to_owned(),
            pod_cidr: pod_cidr.parse()?,
            cluster_cidr: Some(kubelet.options.cluster_cidr.parse::<Cidr>()?),
            service_cidr: Some(kubelet.options.service_cluster_ip_range.parse::<Cidr>()?),
            node_ip: kubelet.node_ip,
            state_dir: "/var/lib/cni/networks/drydock".into(),
        })
    })();
    let opened = blocking(move || {
        let network = PodNetwork::open(config?)?;
        // The addresses of a former run: its pods are gone.
        network.retain(&[]);
        Ok::<_, drydock_pod_network::Error>(network)
    })
    .await;
    match opened {
        Ok(network) => {
            tracing::info!(node.pod_cidr = pod_cidr, "the pod network is up");
            kubelet.network.send_replace(Some(Arc::new(network)));
            kubelet.pods.refresh();
        }
        Err(error) => {
            tracing::error!(%error, source = ?std::error::Error::source(&error), "cannot bring the pod network up")
        }
    }
}

/// Keeps the routes to the other nodes' pods.
async fn peers(kubelet: Arc<Kubelet>) {
    let Some(api) = &kubelet.api else { return };
    let mut network = kubelet.network.subscribe();
    if network.wait_for(Option::is_some).await.is_err() {
        return;
    }
    let path = &kubelet.options.pod_network_kubeconfig;
    let client = if path.exists() {
        drydock_client::Config::from_kubeconfig(path).and_then(Client::new)
    } else {
        Ok(api.client.clone())
    };
    let client = client.unwrap_or_else(|error| {
        tracing::warn!(path = %path.display(), %error, "cannot use the pod network's kubeconfig, using the kubelet's own");
        api.client.clone()
    });
    let nodes = Reflector::<Node>::start(client, ListOptions::default());
    let mut events = nodes.subscribe();
    while events.recv().await.is_some() {
        while events.try_recv().is_ok() {}
        let routes: Vec<PeerRoute> = nodes
            .list()
            .iter()
            .filter(|node| node.metadata.name != kubelet.node_name)
            .filter_map(|node| route(node))
            .collect();
        let Some(network) = kubelet.network.borrow().clone() else { continue };
        if let Err(error) = blocking(move || network.sync_peers(routes)).await {
            tracing::warn!(%error, "cannot set the routes to other nodes");
        }
    }
}

fn route(node: &Node) -> Option<PeerRoute> {
    let address = node.status.addresses.iter().find(|address| address.kind == "InternalIP")?;
    Some(PeerRoute { pods: node.spec.pod_cidr.parse().ok()?, via: address.address.parse().ok()? })
}

/// Creates the node object, or brings the labels of an existing one up to date.
async fn register(kubelet: &Arc<Kubelet>) {
    let Some(api) = &kubelet.api else { return };
    let nodes = Api::<Node>::all(api.client.clone());
    let object = object(kubelet);
    let mut pause = PAUSE.0;
    loop {
        let result = match nodes.create(&object).await {
            Err(error) if error.is_already_exists() => {
                let labels = json!({"metadata": {"labels": object["metadata"]["labels"]}});
                nodes.patch(&kubelet.node_name, Patch::Strategic, &labels).await
            }
            result => result,
        };
        match result {
            Ok(node) => {
                set_uid(&node.metadata.uid);
                kubelet.pods.set_node_labels(node.metadata.labels.clone());
                tracing::info!(node.name = kubelet.node_name, "successfully registered node");
                return;
            }
            Err(error) => {
                if error.is_unreachable() {
                    tracing::debug!(%error, "cannot register the node yet");
                } else {
                    tracing::warn!(%error, "cannot register the node yet");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
}

fn object(kubelet: &Kubelet) -> Value {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let mut labels = kubelet.options.labels();
    for (key, value) in [
        ("kubernetes.io/hostname", kubelet.node_name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", arch),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", arch),
    ] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    let taints: Vec<_> =
        kubelet.options.register_with_taints.iter().chain(&kubelet.config.register_with_taints).collect();
    let mut node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": kubelet.node_name,
            "labels": labels,
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": {},
        "status": status::status(kubelet, &Value::Null),
    });
    if !taints.is_empty() {
        node["spec"]["taints"] = json!(taints);
    }
    node
}
