//! Disruption budgets: how many pods may be evicted now.

mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drydock_api::meta::OwnerReference;
use drydock_api::selector::Selector;
use drydock_api::time::{now_rfc3339, unix_now};
use drydock_client::types::Pod;
use drydock_client::{
    Api, Client, Error, Event, EventRecorder, Object, ObjectReference, PartialObject, Reflector, WorkQueue,
};
use serde::Deserialize;

use self::plan::{failed, needs_scale, numbers, status};
use crate::context::Context;
use crate::discovery::Kinds;
use crate::kinds::{Deployment, DisruptionBudget, ReplicaSet, ReplicationController, StatefulSet};
use crate::work::{Key, Next, Reconcile, key, unless_gone, with_status, work};

struct Controller {
    client: Client,
    recorder: EventRecorder,
    budgets: Reflector<DisruptionBudget>,
    pods: Reflector<Pod>,
    deployments: Reflector<Deployment>,
    replica_sets: Reflector<ReplicaSet>,
    replication_controllers: Reflector<ReplicationController>,
    stateful_sets: Reflector<StatefulSet>,
    kinds: Kinds,
}

/// What a scale subresource says.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Scale {
    metadata: drydock_api::meta::ObjectMeta,
    spec: ScaleSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScaleSpec {
    replicas: i32,
}

pub(super) async fn run(context: Arc<Context>) {
    let budgets = context.watch::<DisruptionBudget>();
    let pods = context.watch::<Pod>();
    let deployments = context.watch::<Deployment>();
    let replica_sets = context.watch::<ReplicaSet>();
    let replication_controllers = context.watch::<ReplicationController>();
    let stateful_sets = context.watch::<StatefulSet>();
    let client = context.client("disruption-controller").await;
    budgets.synced().await;
    pods.synced().await;
    deployments.synced().await;
    replica_sets.synced().await;
    replication_controllers.synced().await;
    stateful_sets.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    budgets.handle(move |event| add.add(key(&**event.object())));
    let (add, all) = (queue.clone(), budgets.clone());
    pods.handle(move |event| {
        let concerns = |pod: &Pod, budget: &DisruptionBudget| {
            selector(budget).is_some_and(|selector| selector.matches_map(&pod.metadata.labels))
        };
        let old = match event {
            Event::Applied(_, old) => old.as_deref(),
            Event::Deleted(_) => None,
        };
        let pod = event.object();
        for budget in all.list_in(pod.namespace()) {
            if concerns(pod, &budget) || old.is_some_and(|old| concerns(old, &budget)) {
                add.add(key(&*budget));
            }
        }
    });
    // A changed size changes the number of pods that are expected.
    follow_size(&queue, &budgets, &deployments, Deployment::replicas);
    follow_size(&queue, &budgets, &stateful_sets, StatefulSet::replicas);
    follow_size(&queue, &budgets, &replica_sets, ReplicaSet::replicas);
    let recorder = context.recorder(&client, "controllermanager");
    let kinds = Kinds::new(context.own_client());
    let controller = Controller {
        client,
        recorder,
        budgets,
        pods,
        deployments,
        replica_sets,
        replication_controllers,
        stateful_sets,
        kinds,
    };
    work(Arc::new(controller), queue, 1).await;
}

fn follow_size<K: Object>(
    queue: &WorkQueue<Key>,
    budgets: &Reflector<DisruptionBudget>,
    objects: &Reflector<K>,
    size: fn(&K) -> i32,
) {
    let (add, all) = (queue.clone(), budgets.clone());
    objects.handle(move |event| {
        if let Event::Applied(new, Some(old)) = event
            && size(new) != size(old)
        {
            all.list_in(new.namespace()).iter().for_each(|budget| add.add(key(&**budget)));
        }
    });
}

/// Which pods; none without a selector.
fn selector(budget: &DisruptionBudget) -> Option<Selector> {
    Selector::from_typed(budget.spec.selector.as_ref()).ok()
}

impl Reconcile for Controller {
    type Key = Key;
    const NAME: &'static str = "disruption";

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let Some(budget) = self.budgets.get(&key.0, &key.1) else { return Ok(Next::Change) };
        let about = ObjectReference::of(&*budget);
        let mut pods = self.pods.list_in(&key.0);
        match selector(&budget) {
            Some(selector) => pods.retain(|pod| selector.matches_map(&pod.metadata.labels)),
            None => pods.clear(),
        }
        if pods.is_empty() {
            self.recorder.normal(&about, "NoPods", "No matching pods found");
        }
        let scale = if needs_scale(&budget) { self.scale(&budget, &pods).await } else { Ok(0) };
        let (wanted, look_again) = match scale {
            Ok(scale) => {
                let outcome = status(&budget, &pods, numbers(&budget, pods.len(), scale), unix_now(), &now_rfc3339());
                for pod in &outcome.not_deleted {
                    let message = format!("Pod was expected by PDB {}/{} to be deleted but it wasn't", key.0, key.1);
                    self.recorder.warning(&ObjectReference::of(&**pod), "NotDeleted", message);
                }
                (outcome.status, outcome.look_again)
            }
            Err(Failure::Call(error)) if error.is_unreachable() => return Err(error),
            Err(why) => {
                let message = format!("Failed to calculate the number of expected pods: {why}");
                self.recorder.warning(&about, "CalculateExpectedPodCountFailed", message);
                (failed(&budget, &why.to_string(), &now_rfc3339()), Some(30))
            }
        };
        if wanted != budget.status {
            let api = Api::<DisruptionBudget>::namespaced(self.client.clone(), &key.0);
            unless_gone(api.replace_status(&key.1, &with_status(&*budget, &wanted)).await)?;
        }
        Ok(look_again.map_or(Next::Change, |seconds| Next::After(Duration::from_secs(seconds))))
    }
}

/// Why the expected number of pods is not known.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The server was asked in vain.
    #[error("{0}")]
    Call(#[from] Error),
    /// The pods' controller has no size.
    #[error("{0} does not implement the scale subresource")]
    NoScale(String),
}

impl Controller {
    /// How many pods the controllers of these pods want together.
    async fn scale(&self, budget: &DisruptionBudget, pods: &[Arc<Pod>]) -> Result<i32, Failure> {
        let mut sizes: BTreeMap<String, i32> = BTreeMap::new();
        let mut is_unmanaged = false;
        for pod in pods {
            let Some(owner) = pod.metadata.controller() else {
                is_unmanaged = true;
                continue;
            };
            if sizes.contains_key(&owner.uid) {
                continue;
            }
            let (uid, size) = self.size_of(pod.namespace(), owner).await?;
            // Pods of several replica sets of one deployment count once.
            sizes.insert(uid, size);
        }
        if is_unmanaged {
            let selector = selector(budget).map(|selector| selector.to_string()).unwrap_or_default();
            let message = format!(
                "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value."
            );
            self.recorder.warning(&ObjectReference::of(budget), "UnmanagedPods", message);
        }
        Ok(sizes.values().sum())
    }

    /// Whose size counts for a pod of `owner`, and what it is; 0 for an owner that is gone.
    async fn size_of(&self, namespace: &str, owner: &OwnerReference) -> Result<(String, i32), Failure> {
        let nothing = Ok((owner.uid.clone(), 0));
        let (group, _) = owner.api_version.rsplit_once('/').unwrap_or_default();
        match (group, owner.kind.as_str()) {
            ("apps", "ReplicaSet") => {
                let Some(set) = self.replica_sets.get(namespace, &owner.name).filter(|set| set.uid() == owner.uid)
                else {
                    return nothing;
                };
                match set.metadata.controller() {
                    Some(above) if above.kind == Deployment::KIND => {
                        let found = self.deployments.get(namespace, &above.name).filter(|d| d.uid() == above.uid);
                        Ok((above.uid.clone(), found.map_or(0, |deployment| deployment.replicas())))
                    }
                    _ => Ok((owner.uid.clone(), set.replicas())),
                }
            }
            ("", "ReplicationController") => {
                let found = self.replication_controllers.get(namespace, &owner.name).filter(|c| c.uid() == owner.uid);
                Ok((owner.uid.clone(), found.map_or(0, |controller| controller.spec.replicas.unwrap_or(1))))
            }
            ("apps", "StatefulSet") => {
                let found = self.stateful_sets.get(namespace, &owner.name).filter(|set| set.uid() == owner.uid);
                Ok((owner.uid.clone(), found.map_or(0, |set| set.replicas())))
            }
            _ => {
                let found = self.kinds.scalable(&owner.api_version, &owner.kind).await?;
                let Some((resource, has_scale)) = found else { return nothing };
                if !has_scale {
                    let name = if group.is_empty() {
                        resource.plural.to_string()
                    } else {
                        format!("{}.{group}", resource.plural)
                    };
                    return Err(Failure::NoScale(name));
                }
                let api = Api::<PartialObject>::of(self.client.clone(), resource, namespace);
                match api.get_subresource::<Scale>(&owner.name, "scale").await {
                    Ok(scale) if scale.metadata.uid == owner.uid => Ok((owner.uid.clone(), scale.spec.replicas)),
                    Ok(_) => nothing,
                    Err(error) if error.is_not_found() => nothing,
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}
