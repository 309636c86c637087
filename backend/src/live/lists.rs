//! Local copies of a cluster's resources, shared by all that look at them, and one signal for any change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use drydock_client::object::Resource;
use drydock_client::reflector::Event;
use drydock_client::{Client, ListOptions, Reflector};
use serde_json::Value;
use tokio::sync::watch;

use super::raw::Raw;
use crate::lessons::ResourceName;

/// What the picture shows; watched from the beginning.
const CORE: [(&str, &str, &str); 11] = [
    ("", "v1", "nodes"),
    ("", "v1", "namespaces"),
    ("apps", "v1", "deployments"),
    ("apps", "v1", "replicasets"),
    ("", "v1", "pods"),
    ("apps", "v1", "statefulsets"),
    ("apps", "v1", "daemonsets"),
    ("batch", "v1", "jobs"),
    ("", "v1", "services"),
    ("networking.k8s.io", "v1", "ingresses"),
    ("discovery.k8s.io", "v1", "endpointslices"),
];

/// The copies of one cluster.
pub(crate) struct Lists {
    client: Client,
    reflectors: Mutex<BTreeMap<ResourceName, Reflector<Raw>>>,
    changes: Arc<watch::Sender<u64>>,
}

impl Lists {
    /// Starts to copy what the picture shows.
    pub(super) fn start(client: Client) -> Lists {
        let lists = Lists { client, reflectors: Mutex::default(), changes: Arc::new(watch::Sender::new(0)) };
        for (group, version, plural) in CORE {
            lists.of(&ResourceName { group: group.to_owned(), version: version.to_owned(), plural: plural.to_owned() });
        }
        lists
    }

    /// The copy of a resource, which begins now if there was none.
    pub(super) fn of(&self, name: &ResourceName) -> Reflector<Raw> {
        let mut reflectors = self.reflectors.lock().unwrap_or_else(PoisonError::into_inner);
        let start = || {
            let resource = Resource {
                group: name.group.clone().into(),
                version: name.version.clone().into(),
                kind: String::new().into(),
                plural: name.plural.clone().into(),
                namespaced: false,
            };
            let reflector = Reflector::start_of(self.client.clone(), resource, ListOptions::default());
            let changes = self.changes.clone();
            reflector.handle(move |event| {
                if !is_heartbeat(event) {
                    changes.send_modify(|count| *count = count.wrapping_add(1));
                }
            });
            // An empty list is news, too: it is known now.
            let (first, changes) = (reflector.clone(), Arc::downgrade(&self.changes));
            tokio::spawn(async move {
                first.synced().await;
                if let Some(changes) = changes.upgrade() {
                    changes.send_modify(|count| *count = count.wrapping_add(1));
                }
            });
            reflector
        };
        reflectors.entry(name.clone()).or_insert_with(start).clone()
    }

    /// The objects of a plural that the picture shows.
    pub(super) fn core(&self, plural: &str) -> Vec<Arc<Raw>> {
        let known = CORE.iter().find(|(_, _, known)| *known == plural);
        let name = known.map(|(group, version, plural)| ResourceName {
            group: (*group).to_owned(),
            version: (*version).to_owned(),
            plural: (*plural).to_owned(),
        });
        name.map(|name| self.of(&name).list()).unwrap_or_default()
    }

    /// Changes whenever an object of any copy does.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Whether an event only says that a node is still alive, which is no news.
fn is_heartbeat(event: &Event<Raw>) -> bool {
    let Event::Applied(new, Some(old)) = event else { return false };
    let conditions = |raw: &Raw| raw.value.pointer("/status/conditions").and_then(Value::as_array).cloned();
    let (Some(mut before), Some(mut after)) = (conditions(old), conditions(new)) else { return false };
    let beats = |conditions: &[Value]| conditions.iter().any(|it| it.get("lastHeartbeatTime").is_some());
    if !beats(&after) {
        return false;
    }
    for condition in before.iter_mut().chain(&mut after).filter_map(Value::as_object_mut) {
        condition.remove("lastHeartbeatTime");
    }
    let rest = |raw: &Raw| {
        let mut value = raw.value.clone();
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("resourceVersion");
        }
        if let Some(status) = value.get_mut("status").and_then(Value::as_object_mut) {
            status.remove("conditions");
        }
        value
    };
    before == after && rest(old) == rest(new)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_nodes_beat_is_no_news() {
        let node = |version: &str, beat: &str, ready: &str| {
            let value = json!({
                "metadata": {"name": "worker-1", "resourceVersion": version},
                "status": {"conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": beat}]},
            });
            Arc::new(serde_json::from_value::<Raw>(value).expect("a node"))
        };
        let first = node("1", "00:00", "True");
        let event = |new: &Arc<Raw>| Event::Applied(new.clone(), Some(first.clone()));
        assert!(is_heartbeat(&event(&node("2", "00:10", "True"))));
        assert!(!is_heartbeat(&event(&node("2", "00:10", "Unknown"))));
        assert!(!is_heartbeat(&Event::Applied(first.clone(), None)));
        assert!(!is_heartbeat(&Event::Deleted(first.clone())));
        let pod = Arc::new(serde_json::from_value::<Raw>(json!({"metadata": {"name": "x"}})).expect("a Pod"));
        assert!(!is_heartbeat(&Event::Applied(pod.clone(), Some(pod))));
    }
}
