//! Deployments: one replica set per template, and an orderly way from the old ones to the new one.

mod revision;
mod scale;
mod status;
mod template;

use std::sync::Arc;
use std::time::Duration;

use drydock_api::selector::Selector;
use drydock_api::time::{now_rfc3339, unix_now};
use drydock_client::types::Pod;
use drydock_client::{
    Api, Client, DeleteOptions, Error, Event, EventRecorder, Object, ObjectReference, Patch, Reflector, WorkQueue,
};
use serde_json::{Value, json};

use self::revision::{DESIRED, MAX, REVISION, annotations_for, max_revision};
use self::scale::{bounds, new_size, proportional, scale_down_old};
use self::status::{calculate, has_deadline, is_complete, seconds_until_stuck, set_condition, with_progress};
use self::template::{HASH_LABEL, hash, is_same};
use super::owned::{claim, controller_reference, settle};
use crate::context::Context;
use crate::kinds::{Deployment, DeploymentStatus, ReplicaSet};
use crate::work::{Key, Next, Reconcile, key, unless_gone, with_status, work};

pub(super) use self::template::hash as template_hash;

struct Controller {
    client: Client,
    recorder: EventRecorder,
    deployments: Reflector<Deployment>,
    replica_sets: Reflector<ReplicaSet>,
    pods: Reflector<Pod>,
}

pub(super) async fn run(context: Arc<Context>) {
    let deployments = context.watch::<Deployment>();
    let replica_sets = context.watch::<ReplicaSet>();
    let pods = context.watch::<Pod>();
    let client = context.client("deployment-controller").await;
    deployments.synced().await;
    replica_sets.synced().await;
    pods.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    deployments.handle(move |event| add.add(key(&**event.object())));
    let (add, all) = (queue.clone(), deployments.clone());
    replica_sets.handle(move |event| {
        for key in concerned(event, &all) {
            add.add(key);
        }
    });
    // A Recreate deployment waits until its last old pod is gone.
    let (add, sets, all) = (queue.clone(), replica_sets.clone(), deployments.clone());
    pods.handle(move |event| {
        let Event::Deleted(pod) = event else { return };
        let Some(owner) = pod.metadata.controller() else { return };
        let Some(set) = sets.get(pod.namespace(), &owner.name) else { return };
        let Some(owner) = set.metadata.controller() else { return };
        let recreates = all.get(pod.namespace(), &owner.name).is_some_and(|d| d.spec.strategy.kind == "Recreate");
        if recreates {
            add.add((pod.namespace().to_owned(), owner.name.clone()));
        }
    });
    let recorder = context.recorder(&client, "deployment-controller");
    let controller = Controller { client, recorder, deployments, replica_sets, pods };
    work(Arc::new(controller), queue, 5).await;
}

/// The deployments that a replica set's change concerns.
fn concerned(event: &Event<ReplicaSet>, deployments: &Reflector<Deployment>) -> Vec<Key> {
    let owner = |set: &ReplicaSet| -> Option<Key> {
        let controller = set.metadata.controller().filter(|owner| owner.kind == Deployment::KIND)?;
        Some((set.namespace().to_owned(), controller.name.clone()))
    };
    let set = event.object();
    let mut keys: Vec<Key> = owner(set).into_iter().collect();
    if let Event::Applied(_, Some(old)) = event {
        keys.extend(owner(old).filter(|old| keys.first() != Some(old)));
    }
    if set.metadata.controller().is_none() && matches!(event, Event::Applied(..)) {
        for deployment in deployments.list_in(set.namespace()) {
            let selector = Selector::from_typed(Some(&deployment.spec.selector));
            if selector.is_ok_and(|selector| selector.matches_map(&set.metadata.labels)) {
                keys.push(key(&*deployment));
            }
        }
    }
    keys
}

/// A deployment's replica sets, the one with its template apart.
pub(crate) struct Sets {
    pub(crate) new: Option<Arc<ReplicaSet>>,
    /// Oldest first.
    pub(crate) old: Vec<Arc<ReplicaSet>>,
}

impl Sets {
    fn sort(deployment: &Deployment, mut sets: Vec<Arc<ReplicaSet>>) -> Sets {
        sets.sort_by_key(|set| (set.metadata.creation_timestamp.clone(), set.metadata.name.clone()));
        let new = sets.iter().position(|set| is_same(&set.spec.template, &deployment.spec.template));
        let new = new.map(|at| sets.remove(at));
        Sets { new, old: sets }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<ReplicaSet>> + Clone {
        self.old.iter().chain(&self.new)
    }

    fn replace(&mut self, changed: ReplicaSet) {
        let changed = Arc::new(changed);
        for set in self.old.iter_mut().chain(&mut self.new) {
            if set.uid() == changed.uid() {
                *set = changed.clone();
            }
        }
    }
}

impl Reconcile for Controller {
    type Key = Key;
    const NAME: &'static str = "deployment";

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let Some(deployment) = self.deployments.get(&key.0, &key.1) else { return Ok(Next::Change) };
        let Ok(selector) = Selector::from_typed(Some(&deployment.spec.selector)) else { return Ok(Next::Change) };
        if selector.is_everything() {
            let message = "This deployment is selecting all pods. A non-empty selector is required.";
            self.recorder.warning(&ObjectReference::of(&*deployment), "SelectingAll", message);
            if deployment.status.observed_generation < deployment.metadata.generation {
                let mut status = deployment.status.clone();
                status.observed_generation = deployment.metadata.generation;
                self.write_status(&deployment, &status).await?;
            }
            return Ok(Next::Change);
        }
        let claims = claim(&deployment.metadata, &selector, self.replica_sets.list_in(&key.0));
        let owned = settle(&self.client, &*deployment, claims).await?;
        let mut sets = Sets::sort(&deployment, owned);

        if deployment.metadata.is_deleting() {
            self.sync_status(&deployment, &sets).await?;
            return Ok(Next::Change);
        }
        if let Some(status) = status::paused(&deployment, &now_rfc3339()) {
            // The write comes back as an event, and the rest follows then.
            self.write_status(&deployment, &status).await?;
            return Ok(Next::Change);
        }
        if deployment.spec.paused || is_scaling(&deployment, &sets) {
            if sets.new.is_some() && self.sync_revision(&deployment, &mut sets).await? {
                return Ok(Next::Change);
            }
            let sizes = proportional(&deployment, &sets);
            self.resize(&deployment, &mut sets, sizes).await?;
            if deployment.spec.paused {
                self.clean_up(&deployment, &sets).await?;
            }
            self.sync_status(&deployment, &sets).await?;
            return Ok(Next::Change);
        }
        match deployment.spec.strategy.kind.as_str() {
            "Recreate" => self.recreate(&deployment, &mut sets).await,
            _ => self.roll(&deployment, &mut sets).await,
        }
    }
}

/// The wanted size changed since the replica sets were last sized.
fn is_scaling(deployment: &Deployment, sets: &Sets) -> bool {
    sets.all().filter(|set| set.replicas() > 0).any(|set| {
        let desired = set.metadata.annotations.get(DESIRED).and_then(|text| text.parse::<i32>().ok());
        desired.is_some_and(|desired| desired != deployment.replicas())
    })
}

impl Controller {
    async fn roll(&self, deployment: &Arc<Deployment>, sets: &mut Sets) -> Result<Next, Error> {
        if self.ensure_new(deployment, sets).await? {
            return Ok(Next::Change);
        }
        let before: Vec<i32> = sets.all().map(|set| set.replicas()).collect();
        if let Some(new) = sets.new.clone() {
            let size = new_size(deployment, sets, &new);
            self.resize(deployment, sets, vec![(new, size)]).await?;
        }
        let grew = before != sets.all().map(|set| set.replicas()).collect::<Vec<_>>();
        if !grew {
            let sizes = scale_down_old(deployment, sets);
            self.resize(deployment, sets, sizes).await?;
        }
        if is_complete(deployment, &deployment.status) {
            self.clean_up(deployment, sets).await?;
        }
        self.sync_rollout(deployment, sets).await
    }

    async fn recreate(&self, deployment: &Arc<Deployment>, sets: &mut Sets) -> Result<Next, Error> {
        if sets.new.is_some() && self.sync_revision(deployment, sets).await? {
            return Ok(Next::Change);
        }
        let running: Vec<_> = sets.old.iter().filter(|set| set.replicas() > 0).map(|set| (set.clone(), 0)).collect();
        if !running.is_empty() {
            self.resize(deployment, sets, running).await?;
            return self.sync_rollout(deployment, sets).await;
        }
        if self.old_pods_run(sets) {
            return self.sync_rollout(deployment, sets).await;
        }
        if self.ensure_new(deployment, sets).await? {
            return Ok(Next::Change);
        }
        if let Some(new) = sets.new.clone() {
            self.resize(deployment, sets, vec![(new, deployment.replicas())]).await?;
        }
        if is_complete(deployment, &deployment.status) {
            self.clean_up(deployment, sets).await?;
        }
        self.sync_rollout(deployment, sets).await
    }

    fn old_pods_run(&self, sets: &Sets) -> bool {
        let old: Vec<&str> = sets.old.iter().map(|set| set.uid()).collect();
        let namespace = sets.old.first().map(|set| set.namespace()).unwrap_or_default();
        self.pods.list_in(namespace).iter().any(|pod| {
            !pod.is_terminal() && pod.metadata.controller().is_some_and(|owner| old.contains(&owner.uid.as_str()))
        })
    }

    /// Makes the replica set for the present template if there is none. Answers whether to come
    /// back later: something was written that changes the deployment itself.
    async fn ensure_new(&self, deployment: &Arc<Deployment>, sets: &mut Sets) -> Result<bool, Error> {
        if sets.new.is_some() {
            return self.sync_revision(deployment, sets).await;
        }
        let hash = hash(&deployment.spec.template, deployment.status.collision_count);
        let name = format!("{}-{hash}", deployment.name());
        let revision = max_revision(&sets.old) + 1;
        let mut template = deployment.spec.template.value();
        template["metadata"]["labels"][HASH_LABEL] = hash.as_str().into();
        let mut selector = json!(deployment.spec.selector);
        selector["matchLabels"][HASH_LABEL] = hash.as_str().into();
        let mut draft = ReplicaSet::default();
        draft.spec.replicas = Some(0);
        let size = new_size(deployment, sets, &draft);
        let annotations = annotations_for(deployment, &Default::default(), revision, true);
        let mut body = json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "namespace": deployment.namespace(),
                "ownerReferences": [controller_reference::<Deployment>(&deployment.metadata)],
                "labels": template["metadata"]["labels"],
                "annotations": annotations,
            },
            "spec": {
                "replicas": size,
                "selector": selector,
                "template": template,
            },
        });
        if deployment.spec.min_ready_seconds > 0 {
            body["spec"]["minReadySeconds"] = deployment.spec.min_ready_seconds.into();
        }
        let api = Api::<ReplicaSet>::namespaced(self.client.clone(), deployment.namespace());
        match api.create(&body).await {
            Ok(created) => {
                if size > 0 {
                    let message = format!("Scaled up replica set {} from 0 to {size}", created.name());
                    self.recorder.normal(&ObjectReference::of(&**deployment), "ScalingReplicaSet", message);
                }
                sets.new = Some(Arc::new(created));
                let message = format!("Created new replica set {name:?}");
                self.note(deployment, revision, Some(("True", "NewReplicaSetCreated", message))).await
            }
            Err(error) if error.is_already_exists() => {
                let Some(there) = api.get_opt(&name).await? else { return Ok(true) };
                let is_ours = there.metadata.controller().is_some_and(|owner| owner.uid == deployment.uid());
                if is_ours && is_same(&there.spec.template, &deployment.spec.template) {
                    // The watch will show it.
                    return Err(error);
                }
                // The name is taken by something else: another hash.
                let mut status = deployment.status.clone();
                status.collision_count = Some(status.collision_count.unwrap_or_default() + 1);
                self.write_status(deployment, &status).await?;
                Ok(true)
            }
            Err(error) if error.is_namespace_terminating() => Ok(true),
            Err(error) => {
                let message = format!("Failed to create new replica set {name:?}: {error}");
                let mut status = deployment.status.clone();
                if has_deadline(deployment) {
                    let conditions = &mut status.conditions;
                    set_condition(conditions, "Progressing", "False", "FailedCreate", &message, &now_rfc3339());
                }
                if status != deployment.status {
                    self.write_status(deployment, &status).await?;
                }
                self.recorder.warning(&ObjectReference::of(&**deployment), "FailedCreate", message);
                Err(error)
            }
        }
    }

    /// Keeps annotations and revision of the new replica set right.
    async fn sync_revision(&self, deployment: &Arc<Deployment>, sets: &mut Sets) -> Result<bool, Error> {
        let Some(new) = sets.new.clone() else { return Ok(false) };
        let revision = max_revision(&sets.old) + 1;
        let annotations = annotations_for(deployment, &new.metadata.annotations, revision, false);
        let stale =
            annotations != new.metadata.annotations || new.spec.min_ready_seconds != deployment.spec.min_ready_seconds;
        if stale {
            let patch = json!({
                "metadata": {
                    "resourceVersion": new.metadata.resource_version,
                    "annotations": annotation_patch(&new.metadata.annotations, &annotations),
                },
                "spec": {"minReadySeconds": deployment.spec.min_ready_seconds},
            });
            let api = Api::<ReplicaSet>::namespaced(self.client.clone(), deployment.namespace());
            sets.replace(api.patch(new.name(), Patch::Merge, &patch).await?);
        }
        let current = sets.new.as_ref().and_then(|set| set.metadata.annotations.get(REVISION)?.parse().ok());
        let known = deployment.status.conditions.iter().any(|condition| condition.kind == "Progressing");
        let found = format!("Found new replica set {:?}", new.name());
        let progress = (!known).then_some(("True", "FoundNewReplicaSet", found));
        self.note(deployment, current.unwrap_or(revision), progress).await
    }

    /// Writes the revision on the deployment and, if progress is watched, a condition; whether that
    /// was necessary. One write does both: metadata may be changed through the status too.
    async fn note(
        &self,
        deployment: &Deployment,
        revision: i64,
        progress: Option<(&str, &str, String)>,
    ) -> Result<bool, Error> {
        let mut noted = deployment.clone();
        noted.metadata.annotations.insert(REVISION.to_owned(), revision.to_string());
        if let Some((value, reason, message)) = progress.filter(|_| has_deadline(deployment)) {
            let conditions = &mut noted.status.conditions;
            set_condition(conditions, "Progressing", value, reason, &message, &now_rfc3339());
        }
        if noted == *deployment {
            return Ok(false);
        }
        self.write_status(&noted, &noted.status).await?;
        Ok(true)
    }

    /// Gives replica sets their sizes, and notes what the deployment wanted then.
    async fn resize(
        &self,
        deployment: &Deployment,
        sets: &mut Sets,
        sizes: Vec<(Arc<ReplicaSet>, i32)>,
    ) -> Result<(), Error> {
        let api = Api::<ReplicaSet>::namespaced(self.client.clone(), deployment.namespace());
        let (surge, _) = bounds(deployment);
        let desired = deployment.replicas().to_string();
        let most = (deployment.replicas() + surge).to_string();
        for (set, size) in sizes {
            let from = set.replicas();
            let annotations = &set.metadata.annotations;
            let noted = annotations.get(DESIRED) == Some(&desired) && annotations.get(MAX) == Some(&most);
            if from == size && noted {
                continue;
            }
            let patch = json!({
                "metadata": {
                    "resourceVersion": set.metadata.resource_version,
                    "annotations": {DESIRED: desired, MAX: most},
                },
                "spec": {"replicas": size},
            });
            let changed = api.patch(set.name(), Patch::Merge, &patch).await?;
            if from != size {
                let direction = if size > from { "up" } else { "down" };
                let message = format!("Scaled {direction} replica set {} from {from} to {size}", set.name());
                self.recorder.normal(&ObjectReference::of(deployment), "ScalingReplicaSet", message);
            }
            sets.replace(changed);
        }
        Ok(())
    }

    /// Deletes the oldest replica sets beyond the history's limit.
    async fn clean_up(&self, deployment: &Deployment, sets: &Sets) -> Result<(), Error> {
        let api = Api::<ReplicaSet>::namespaced(self.client.clone(), deployment.namespace());
        for set in revision::beyond_history(deployment, &sets.old) {
            unless_gone(api.delete(set.name(), &DeleteOptions::of_uid(set.uid())).await)?;
        }
        Ok(())
    }

    async fn write_status(&self, deployment: &Deployment, status: &DeploymentStatus) -> Result<(), Error> {
        let api = Api::<Deployment>::namespaced(self.client.clone(), deployment.namespace());
        unless_gone(api.replace_status(deployment.name(), &with_status(deployment, status)).await).map(drop)
    }

    async fn sync_status(&self, deployment: &Deployment, sets: &Sets) -> Result<(), Error> {
        let wanted = calculate(deployment, sets, &now_rfc3339());
        if wanted != deployment.status {
            self.write_status(deployment, &wanted).await?;
        }
        Ok(())
    }

    async fn sync_rollout(&self, deployment: &Deployment, sets: &Sets) -> Result<Next, Error> {
        let now = unix_now();
        let wanted = with_progress(deployment, sets, calculate(deployment, sets, &now_rfc3339()), now, &now_rfc3339());
        if wanted != deployment.status {
            self.write_status(deployment, &wanted).await?;
        }
        let stuck = seconds_until_stuck(deployment, &wanted, now);
        Ok(stuck.map_or(Next::Change, |seconds| Next::After(Duration::from_secs(seconds))))
    }
}

/// A merge patch from one set of annotations to another.
fn annotation_patch(
    from: &drydock_client::types::StringMap,
    to: &drydock_client::types::StringMap,
) -> serde_json::Map<String, Value> {
    let removed = from.keys().filter(|key| !to.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let set = to.iter().filter(|(key, value)| from.get(*key) != Some(value));
    removed.chain(set.map(|(key, value)| (key.clone(), value.as_str().into()))).collect()
}
