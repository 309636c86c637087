//! All pods of the node: which there should be, from the manifests and from the API server, and their workers.

mod admission;
mod mirror;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drydock_api::quantity::Quantity;
use drydock_client::{DeleteOptions, EventType};

use crate::kubelet::Kubelet;
use crate::pod::Pod;
use crate::worker::{self, Handle, Message};

pub(crate) use admission::Fit;
pub(crate) use mirror::{Mirrors, synced};

/// The workers by the pods' uids.
#[derive(Default)]
pub(crate) struct Pods {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    workers: HashMap<String, Handle>,
    /// Static pods that wait for their predecessor of the same name to end.
    waiting: BTreeMap<String, Arc<Pod>>,
    /// The manifests, by the pods' full names.
    manifests: BTreeMap<String, StaticPod>,
    mirrors: Mirrors,
    /// What the node is short of, for admission.
    pressures: Vec<crate::eviction::Signal>,
    /// Labels of the node, for admission.
    node_labels: BTreeMap<String, String>,
}

/// A pod from a manifest, with all of its definition for the mirror pod.
#[derive(Clone, Debug)]
pub(crate) struct StaticPod {
    pub(crate) pod: Arc<Pod>,
    /// The JSON of the mirror pod.
    pub(crate) json: Arc<str>,
}

impl Pods {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every worker's handle.
    pub(crate) fn handles(&self) -> Vec<Handle> {
        self.lock().workers.values().cloned().collect()
    }

    /// The worker of a pod by namespace and name, the newest if there are several; static pods by their own name.
    pub(crate) fn find(&self, namespace: &str, name: &str, uid: Option<&str>) -> Option<Handle> {
        let workers = self.lock().workers.values().cloned().collect::<Vec<_>>();
        let matches = |handle: &&Handle| {
            let view = handle.view();
            let metadata = &view.pod.metadata;
            metadata.namespace == namespace && metadata.name == name && uid.is_none_or(|uid| metadata.uid == uid)
        };
        let mut found: Vec<_> = workers.iter().filter(matches).cloned().collect();
        found.sort_by_key(|handle| handle.view().pod.metadata.is_deleting());
        found.into_iter().next()
    }

    /// All of a static pod's definition.
    pub(crate) fn manifest(&self, uid: &str) -> Option<serde_json::Value> {
        let state = self.lock();
        let found = state.manifests.values().find(|found| found.pod.metadata.uid == uid)?;
        serde_json::from_str(&found.json).ok()
    }

    pub(crate) fn set_pressures(&self, pressures: Vec<crate::eviction::Signal>) {
        self.lock().pressures = pressures;
    }

    pub(crate) fn pressures(&self) -> Vec<crate::eviction::Signal> {
        self.lock().pressures.clone()
    }

    pub(crate) fn set_node_labels(&self, labels: BTreeMap<String, String>) {
        self.lock().node_labels = labels;
    }

    /// What the node can give to pods.
    pub(crate) fn allocatable(&self, kubelet: &Kubelet) -> BTreeMap<String, Quantity> {
        crate::node::allocatable(kubelet)
    }

    /// Tells every worker to look again.
    pub(crate) fn refresh(&self) {
        for handle in self.handles() {
            let _ = handle.mail.send(Message::Refresh);
        }
    }

    /// A pod that the API server assigned to this node is new or changed.
    pub(crate) fn applied(&self, kubelet: &Arc<Kubelet>, pod: Arc<Pod>) {
        if pod.is_mirror() {
            let mirrored = {
                let mut state = self.lock();
                let hash = mirror::seen(&mut state.mirrors, &pod);
                state.workers.get(&hash).cloned()
            };
            mirror::reconcile(kubelet);
            if let Some(handle) = mirrored {
                handle.see(&pod);
            }
            return;
        }
        let uid = pod.metadata.uid.clone();
        let existing = self.lock().workers.get(&uid).cloned();
        if let Some(handle) = existing {
            handle.see(&pod);
            let _ = handle.mail.send(Message::Update(pod));
            return;
        }
        let over = matches!(pod.status.phase.as_str(), "Succeeded" | "Failed");
        let refused = if over || pod.metadata.is_deleting() { None } else { self.admit(kubelet, &pod) };
        if let Some(failure) = &refused {
            let message = failure.message.trim_start_matches("Pod was rejected: ").to_owned();
            kubelet.event(&pod, None, EventType::Warning, &failure.reason, message);
        }
        if over && !pod.metadata.is_deleting() && !kubelet.pod_dir(&uid).exists() {
            // It ended before this kubelet began: there is nothing to do for it until it is deleted.
            tracing::debug!(pod.name = pod.metadata.name, "the pod is over");
        }
        let handle = worker::spawn(kubelet, pod, refused);
        self.lock().workers.insert(uid, handle);
    }

    /// The pods that use the node, without the one of that uid.
    fn others(&self, uid: &str) -> Vec<Arc<Pod>> {
        let active = |handle: &Handle| {
            let view = handle.view();
            let over = matches!(view.status.phase.as_str(), "Succeeded" | "Failed");
            (!over && view.pod.metadata.uid != uid).then(|| view.pod.clone())
        };
        self.handles().iter().filter_map(active).collect()
    }

    /// Whether the node has room for what a pod on it asks for now.
    pub(crate) fn fits(&self, kubelet: &Kubelet, pod: &Pod) -> Fit {
        admission::fits(pod, &self.others(&pod.metadata.uid), &self.allocatable(kubelet))
    }

    fn admit(&self, kubelet: &Kubelet, pod: &Pod) -> Option<crate::state::Failure> {
        if let Some(refused) = crate::eviction::refuses(pod, &self.lock().pressures) {
            return Some(refused);
        }
        let others = self.others(&pod.metadata.uid);
        let labels = self.lock().node_labels.clone();
        let node =
            admission::Node { name: &kubelet.node_name, labels: &labels, allocatable: &self.allocatable(kubelet) };
        admission::admit(pod, &others, &node).err()
    }

    /// The API object of a pod is gone.
    pub(crate) fn deleted(&self, kubelet: &Arc<Kubelet>, pod: &Pod) {
        if pod.is_mirror() {
            mirror::gone(&mut self.lock().mirrors, self, pod);
            mirror::reconcile(kubelet);
            return;
        }
        if let Some(handle) = self.lock().workers.get(&pod.metadata.uid) {
            let _ = handle.mail.send(Message::Gone);
        }
    }

    /// Makes the static pods exactly those of the manifests.
    pub(crate) fn set_manifests(&self, kubelet: &Arc<Kubelet>, pods: Vec<StaticPod>) {
        let wanted: BTreeMap<String, StaticPod> = pods.into_iter().map(|pod| (pod.pod.full_name(), pod)).collect();
        let gone: Vec<Handle> = {
            let mut state = self.lock();
            let wanted_uid = |name: &str| wanted.get(name).map(|found| found.pod.metadata.uid.as_str());
            let gone = state.workers.values().filter(|handle| {
                let pod = handle.view().pod.clone();
                pod.is_static() && wanted_uid(&pod.full_name()) != Some(pod.metadata.uid.as_str())
            });
            let gone = gone.cloned().collect();
            state.waiting.retain(|name, _| wanted.contains_key(name));
            state.manifests = wanted.clone();
            gone
        };
        for handle in gone {
            let _ = handle.mail.send(Message::Gone);
        }
        for found in wanted.into_values() {
            self.start_static(kubelet, found.pod);
        }
        mirror::reconcile(kubelet);
    }

    /// Starts a static pod, or lets it wait while one of the same name still runs.
    fn start_static(&self, kubelet: &Arc<Kubelet>, pod: Arc<Pod>) {
        let mut state = self.lock();
        if state.workers.contains_key(&pod.metadata.uid) {
            return;
        }
        let name = pod.full_name();
        let occupied = state.workers.values().any(|handle| {
            let other = handle.view().pod.clone();
            other.is_static() && other.full_name() == name
        });
        if occupied {
            state.waiting.insert(name, pod);
            return;
        }
        let handle = worker::spawn(kubelet, pod.clone(), None);
        if let Some(uid) = state.mirrors.uid_of(&name, &pod.metadata.uid) {
            handle.object.send_replace(Some(uid));
        }
        state.workers.insert(pod.metadata.uid.clone(), handle);
    }

    /// A worker has ended.
    pub(crate) fn finished(&self, kubelet: &Arc<Kubelet>, uid: &str) {
        let next = {
            let mut state = self.lock();
            let Some(handle) = state.workers.remove(uid) else { return };
            let name = handle.view().pod.full_name();
            state.waiting.remove(&name)
        };
        if let Some(pod) = next {
            self.start_static(kubelet, pod);
        }
    }
}

/// Deletes a pod's API object at once.
pub(crate) fn now_of(uid: &str) -> DeleteOptions {
    DeleteOptions { grace_period_seconds: Some(0), uid: Some(uid.to_owned()), ..DeleteOptions::default() }
}
