//! Mirror pods: what the API server shows of static pods.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use drydock_client::Api;
use serde_json::{Value, json};

use super::{Pods, StaticPod, now_of};
use crate::kubelet::Kubelet;
use crate::pod::{CONFIG_HASH, CONFIG_MIRROR, Pod};

/// The mirror pods that the API server has, by full name.
#[derive(Default)]
pub(crate) struct Mirrors {
    seen: BTreeMap<String, Mirror>,
    /// Full names that a task is working on, and whether something changed there since it began.
    busy: BTreeMap<String, bool>,
    /// The first list of pods has arrived: what is not seen does not exist.
    synced: bool,
}

#[derive(Clone, Debug)]
struct Mirror {
    uid: String,
    hash: String,
    deleting: bool,
}

impl Mirrors {
    /// The mirror's uid, if it mirrors the pod with this hash.
    pub(super) fn uid_of(&self, name: &str, hash: &str) -> Option<String> {
        self.seen.get(name).filter(|mirror| mirror.hash == hash && !mirror.deleting).map(|mirror| mirror.uid.clone())
    }
}

/// The pause after a failed request.
const PAUSE: Duration = Duration::from_millis(500);

/// Takes note of a mirror and returns the uid of the pod that it mirrors.
pub(super) fn seen(mirrors: &mut Mirrors, pod: &Pod) -> String {
    let hash = pod.metadata.annotations.get(CONFIG_MIRROR).cloned().unwrap_or_default();
    let mirror = Mirror { uid: pod.metadata.uid.clone(), hash: hash.clone(), deleting: pod.metadata.is_deleting() };
    mirrors.seen.insert(pod.full_name(), mirror);
    hash
}

pub(super) fn gone(mirrors: &mut Mirrors, _pods: &Pods, pod: &Pod) {
    let name = pod.full_name();
    if mirrors.seen.get(&name).is_some_and(|mirror| mirror.uid == pod.metadata.uid) {
        mirrors.seen.remove(&name);
    }
}

/// The first list of pods is complete.
pub(crate) fn synced(kubelet: &Arc<Kubelet>) {
    kubelet.pods.lock().mirrors.synced = true;
    reconcile(kubelet);
}

/// Starts what is needed so that there is a mirror of every static pod and of nothing else.
pub(super) fn reconcile(kubelet: &Arc<Kubelet>) {
    if kubelet.api.is_none() {
        return;
    }
    let work: Vec<(String, Option<StaticPod>, Option<Mirror>)> = {
        let mut state = kubelet.pods.lock();
        if !state.mirrors.synced {
            return;
        }
        let names: std::collections::BTreeSet<String> =
            state.manifests.keys().chain(state.mirrors.seen.keys()).cloned().collect();
        let mut work = Vec::new();
        for name in names {
            let wanted = state.manifests.get(&name).cloned();
            let there = state.mirrors.seen.get(&name).cloned();
            let matches = match (&wanted, &there) {
                (Some(wanted), Some(there)) => wanted.pod.metadata.uid == there.hash && !there.deleting,
                (None, None) => true,
                _ => false,
            };
            if let (true, Some(wanted), Some(there)) = (matches, &wanted, &there) {
                if let Some(handle) = state.workers.get(&wanted.pod.metadata.uid) {
                    handle.object.send_if_modified(|uid| {
                        let changed = uid.as_deref() != Some(&there.uid);
                        *uid = Some(there.uid.clone());
                        changed
                    });
                }
            } else if !matches {
                match state.mirrors.busy.entry(name.clone()) {
                    Entry::Occupied(mut busy) => *busy.get_mut() = true,
                    Entry::Vacant(free) => {
                        free.insert(false);
                        work.push((name, wanted, there));
                    }
                }
            }
        }
        work
    };
    for (name, wanted, there) in work {
        let kubelet = kubelet.clone();
        tokio::spawn(async move {
            let result = step(&kubelet, wanted, there).await;
            // The watch may have told of the outcome before the answer came.
            let changed = kubelet.pods.lock().mirrors.busy.remove(&name) == Some(true);
            if let Err(error) = &result {
                tracing::debug!(pod.name = name, %error, "cannot bring a mirror pod up to date yet");
                tokio::time::sleep(PAUSE).await;
            }
            if changed || result.is_err() {
                reconcile(&kubelet);
            }
        });
    }
}

/// Deletes a mirror that is outdated, or makes one that is missing. Its appearance in the watch leads on.
async fn step(
    kubelet: &Arc<Kubelet>,
    wanted: Option<StaticPod>,
    there: Option<Mirror>,
) -> Result<(), drydock_client::Error> {
    let (Some(api), Some((namespace, name))) = (&kubelet.api, place(kubelet, &wanted, &there)) else { return Ok(()) };
    let pods = Api::<Pod>::namespaced(api.client.clone(), &namespace);
    if let Some(there) = there {
        return match pods.delete(&name, &now_of(&there.uid)).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        };
    }
    let Some(wanted) = wanted else { return Ok(()) };
    let Some(node) = crate::node::uid(kubelet) else {
        return Err(drydock_client::Error::Config("the node is not registered yet".to_owned()));
    };
    let mut object: Value = serde_json::from_str(&wanted.json)
        .map_err(|error| drydock_client::Error::Config(format!("unusable manifest: {error}")))?;
    let hash = &wanted.pod.metadata.uid;
    object["metadata"]["annotations"][CONFIG_MIRROR] = hash.as_str().into();
    object["metadata"]["annotations"][CONFIG_HASH] = hash.as_str().into();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("uid");
    }
    object["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Node", "name": kubelet.node_name, "uid": node, "controller": true}]);
    match pods.create(&object).await {
        Ok(_) => Ok(()),
        // The watch will bring it.
        Err(error) if error.is_already_exists() => Ok(()),
        Err(error) => Err(error),
    }
}

fn place(kubelet: &Kubelet, wanted: &Option<StaticPod>, there: &Option<Mirror>) -> Option<(String, String)> {
    if let Some(wanted) = wanted {
        return Some((wanted.pod.metadata.namespace.clone(), wanted.pod.metadata.name.clone()));
    }
    let uid = &there.as_ref()?.uid;
    let state = kubelet.pods.lock();
    let (name, _) = state.mirrors.seen.iter().find(|(_, mirror)| mirror.uid == *uid)?;
    name.split_once('/').map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
}
