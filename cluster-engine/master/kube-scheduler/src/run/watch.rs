//! Keeping the snapshot up to date, and telling the queue which changes could help whom.

use std::sync::Arc;

use drydock_api::meta::{LabelSelector, ObjectMeta, null_as_default};
use drydock_api::selector::Selector;
use drydock_client::types::{Namespace, Node, Pod, Service, StringMap};
use drydock_client::{Client, Event, ListOptions, Object, Reflector, object};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{NAME, Shared, State};
use crate::snapshot::{Budget, PodInfo, Selected};
use crate::volumes::{Claim, CsiNode, StorageClass, Volume};

/// A ReplicaSet or StatefulSet: whose pods are its.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct ReplicaSet {
    metadata: ObjectMeta,
    spec: WorkloadSpec,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct StatefulSet {
    metadata: ObjectMeta,
    spec: WorkloadSpec,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct WorkloadSpec {
    selector: Option<LabelSelector>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct ReplicationController {
    metadata: ObjectMeta,
    spec: MapSelector,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct MapSelector {
    #[serde(deserialize_with = "null_as_default")]
    selector: StringMap,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct DisruptionBudget {
    metadata: ObjectMeta,
    spec: WorkloadSpec,
    status: DisruptionStatus,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DisruptionStatus {
    disruptions_allowed: i32,
}

object!(ReplicaSet, "apps", "v1", "ReplicaSet", "replicasets", namespaced);
object!(StatefulSet, "apps", "v1", "StatefulSet", "statefulsets", namespaced);
object!(ReplicationController, "", "v1", "ReplicationController", "replicationcontrollers", namespaced);
object!(DisruptionBudget, "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", namespaced);

/// The reflectors besides that of pods; dropping them ends the watches.
pub(super) struct Watches {
    nodes: Reflector<Node>,
    namespaces: Reflector<Namespace>,
    claims: Reflector<Claim>,
    volumes: Reflector<Volume>,
    classes: Reflector<StorageClass>,
    csi_nodes: Reflector<CsiNode>,
    services: Reflector<Service>,
    replica_sets: Reflector<ReplicaSet>,
    stateful_sets: Reflector<StatefulSet>,
    replication_controllers: Reflector<ReplicationController>,
    budgets: Reflector<DisruptionBudget>,
}

/// A reflector whose every event changes the state.
fn start<K: Object>(
    client: &Client,
    shared: &Arc<Shared>,
    change: impl Fn(&mut State, &Event<K>) + Send + Sync + 'static,
) -> Reflector<K> {
    let reflector = Reflector::start(client.clone(), ListOptions::default());
    handle(&reflector, shared, change);
    reflector
}

fn handle<K: Object>(
    reflector: &Reflector<K>,
    shared: &Arc<Shared>,
    change: impl Fn(&mut State, &Event<K>) + Send + Sync + 'static,
) {
    let shared = Arc::downgrade(shared);
    reflector.handle(move |event| {
        if let Some(shared) = shared.upgrade() {
            change(&mut shared.state(), event);
            shared.wake.notify_one();
        }
    });
}

impl Watches {
    pub(super) fn start(client: &Client, shared: &Arc<Shared>) -> Watches {
        Watches {
            nodes: start(client, shared, node_changed),
            namespaces: start(client, shared, |state, event: &Event<Namespace>| match event {
                Event::Applied(namespace, _) => {
                    let labels = namespace.metadata.labels.clone();
                    let old = state.snapshot.namespaces.insert(namespace.name().to_owned(), labels);
                    if old.as_ref() != Some(&namespace.metadata.labels) {
                        state.queue.changed(Instant::now(), |plugin| plugin == "InterPodAffinity");
                    }
                }
                Event::Deleted(namespace) => drop(state.snapshot.namespaces.remove(namespace.name())),
            }),
            claims: start(client, shared, |state, event: &Event<Claim>| {
                let claim = event.object();
                let key = (claim.namespace().to_owned(), claim.name().to_owned());
                match event {
                    Event::Applied(claim, _) => drop(state.snapshot.volumes.claims.insert(key, claim.clone())),
                    Event::Deleted(_) => drop(state.snapshot.volumes.claims.remove(&key)),
                }
                state.claims_changed.send_replace(());
                state.queue.changed(Instant::now(), concerns_volumes);
            }),
            volumes: start(client, shared, |state, event: &Event<Volume>| {
                let name = event.object().name().to_owned();
                match event {
                    Event::Applied(volume, _) => drop(state.snapshot.volumes.volumes.insert(name, volume.clone())),
                    Event::Deleted(_) => drop(state.snapshot.volumes.volumes.remove(&name)),
                }
                state.queue.changed(Instant::now(), concerns_volumes);
            }),
            classes: start(client, shared, |state, event: &Event<StorageClass>| {
                let name = event.object().name().to_owned();
                match event {
                    Event::Applied(class, _) => drop(state.snapshot.volumes.classes.insert(name, class.clone())),
                    Event::Deleted(_) => drop(state.snapshot.volumes.classes.remove(&name)),
                }
                state.queue.changed(Instant::now(), concerns_volumes);
            }),
            csi_nodes: start(client, shared, |state, event: &Event<CsiNode>| {
                let name = event.object().name().to_owned();
                match event {
                    Event::Applied(node, _) => drop(state.snapshot.volumes.csi_nodes.insert(name, node.clone())),
                    Event::Deleted(_) => drop(state.snapshot.volumes.csi_nodes.remove(&name)),
                }
                state.queue.changed(Instant::now(), |plugin| plugin == "NodeVolumeLimits");
            }),
            services: start(client, shared, |state, event: &Event<Service>| {
                let selector = &event.object().spec.selector;
                let selected = (!selector.is_empty()).then(|| service(selector));
                selects(state, event, selected);
            }),
            replica_sets: start(client, shared, |state, event: &Event<ReplicaSet>| {
                let object = event.object();
                selects(state, event, Some(Selected::workload(object.uid(), object.spec.selector.as_ref())));
            }),
            stateful_sets: start(client, shared, |state, event: &Event<StatefulSet>| {
                let object = event.object();
                selects(state, event, Some(Selected::workload(object.uid(), object.spec.selector.as_ref())));
            }),
            replication_controllers: start(client, shared, |state, event: &Event<ReplicationController>| {
                let object = event.object();
                let selected =
                    Selected { controller_uid: Some(object.uid().to_owned()), ..service(&object.spec.selector) };
                selects(state, event, Some(selected));
            }),
            budgets: start(client, shared, |state, event: &Event<DisruptionBudget>| {
                let object = event.object();
                let key = (object.namespace().to_owned(), object.name().to_owned());
                match event {
                    Event::Applied(budget, _) => {
                        let selector =
                            Selector::from_typed(budget.spec.selector.as_ref()).unwrap_or_else(|_| Selector::nothing());
                        let allowed = budget.status.disruptions_allowed;
                        state.snapshot.budgets.insert(key, Budget { selector, allowed });
                    }
                    Event::Deleted(_) => drop(state.snapshot.budgets.remove(&key)),
                }
            }),
        }
    }

    /// Waits until everything that decides about a pod is known.
    pub(super) async fn synced(&self) {
        self.nodes.synced().await;
        self.namespaces.synced().await;
        self.claims.synced().await;
        self.volumes.synced().await;
        self.classes.synced().await;
        self.csi_nodes.synced().await;
        self.services.synced().await;
        self.replica_sets.synced().await;
        self.stateful_sets.synced().await;
        self.replication_controllers.synced().await;
        self.budgets.synced().await;
    }
}

fn concerns_volumes(plugin: &'static str) -> bool {
    plugin.starts_with("Volume") || plugin == "NodeVolumeLimits"
}

fn service(selector: &StringMap) -> Selected {
    let pairs = selector.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    Selected { controller_uid: None, selector: Selector::from_pairs(pairs) }
}

fn selects<K: Object>(state: &mut State, event: &Event<K>, selected: Option<Selected>) {
    let object = event.object();
    let of_namespace = state.snapshot.selectors.entry(object.namespace().to_owned()).or_default();
    match (event, selected) {
        (Event::Applied(..), Some(selected)) => drop(of_namespace.insert(object.uid().to_owned(), selected)),
        _ => drop(of_namespace.remove(object.uid())),
    }
}

fn node_changed(state: &mut State, event: &Event<Node>) {
    match event {
        Event::Applied(node, old) => {
            state.snapshot.set_node(node.clone());
            let matters = old.as_ref().is_none_or(|old| {
                old.spec != node.spec
                    || old.metadata.labels != node.metadata.labels
                    || old.status.allocatable != node.status.allocatable
            });
            if matters {
                state.queue.changed(Instant::now(), |_| true);
            }
        }
        Event::Deleted(node) => {
            state.snapshot.remove_node(node.name());
            // Spreading counts domains; one less may help.
            state.queue.changed(Instant::now(), |plugin| plugin == "PodTopologySpread");
        }
    }
}

/// Follows the pods: those with a node are counted, those without are queued.
pub(super) fn pods(reflector: &Reflector<Pod>, shared: &Arc<Shared>) {
    handle(reflector, shared, |state, event: &Event<Pod>| match event {
        Event::Deleted(pod) => forget(state, pod),
        Event::Applied(pod, _) if pod.is_terminal() => forget(state, pod),
        Event::Applied(pod, old) if !pod.spec.node_name.is_empty() => {
            let was_there = state.snapshot.placed_on(pod.uid()).is_some();
            state.assumed.remove(pod.uid());
            state.queue.remove(pod.uid());
            let info = Arc::new(PodInfo::new(pod.clone()));
            state.snapshot.place(info, &pod.spec.node_name);
            let now = Instant::now();
            let relabelled = old.as_ref().is_some_and(|old| old.metadata.labels != pod.metadata.labels);
            let leaving = pod.metadata.is_deleting() && old.as_ref().is_some_and(|old| !old.metadata.is_deleting());
            let resized = old.as_ref().is_some_and(|old| old.spec.containers != pod.spec.containers);
            if !was_there || relabelled || leaving {
                let concerned = |plugin| matches!(plugin, "InterPodAffinity" | "PodTopologySpread");
                state.queue.changed(now, concerned);
            }
            if resized {
                state.queue.changed(now, |plugin| plugin == "NodeResourcesFit");
            }
        }
        Event::Applied(pod, _) if pod.spec.scheduler_name != NAME && !pod.spec.scheduler_name.is_empty() => {}
        Event::Applied(pod, _) if pod.metadata.is_deleting() => {
            if !state.assumed.contains(pod.uid()) {
                state.snapshot.remove_pod(pod.uid());
            }
            state.queue.remove(pod.uid());
        }
        Event::Applied(pod, _) => {
            let info = Arc::new(PodInfo::new(pod.clone()));
            if !state.assumed.contains(pod.uid()) && state.snapshot.placed_on(pod.uid()).is_none() {
                let nominated = pod.status.nominated_node_name.clone();
                state.snapshot.nominate(info.clone(), &nominated);
                state.queue.add(info);
            }
        }
    });
}

/// The pod is gone or has ended: its room is free.
fn forget(state: &mut State, pod: &Pod) {
    let was_there = state.snapshot.placed_on(pod.uid()).is_some();
    state.assumed.remove(pod.uid());
    state.snapshot.remove_pod(pod.uid());
    state.queue.remove(pod.uid());
    if was_there {
        state.queue.changed(Instant::now(), |_| true);
    }
}
