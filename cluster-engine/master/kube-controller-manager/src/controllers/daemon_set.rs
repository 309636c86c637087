//! Daemon sets: one pod on every node that it fits.

mod plan;

use std::sync::Arc;
use std::time::Duration;

use drydock_api::selector::Selector;
use drydock_api::time::unix_now;
use drydock_client::types::{Node, Pod};
use drydock_client::{Api, Client, Error, Event, EventRecorder, Object, ObjectReference, Reflector, WorkQueue};

use self::plan::{pod_for, status, what_to_do};
use super::owned::{claim, controller_reference, settle};
use super::pod_control::{Expectations, PodControl};
use super::revisions::{self, REVISION_LABEL, hash_of, history};
use crate::context::Context;
use crate::kinds::{ControllerRevision, DaemonSet};
use crate::work::{Key, Next, Reconcile, key, unless_gone, with_status, work};

struct Controller {
    client: Client,
    recorder: EventRecorder,
    sets: Reflector<DaemonSet>,
    pods: Reflector<Pod>,
    nodes: Reflector<Node>,
    revisions: Reflector<ControllerRevision>,
    expectations: Expectations,
}

pub(super) async fn run(context: Arc<Context>) {
    let sets = context.watch::<DaemonSet>();
    let pods = context.watch::<Pod>();
    let nodes = context.watch::<Node>();
    let revisions = context.watch::<ControllerRevision>();
    let client = context.client("daemon-set-controller").await;
    sets.synced().await;
    pods.synced().await;
    nodes.synced().await;
    revisions.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    sets.handle(move |event| add.add(key(&**event.object())));
    let (add, all) = (queue.clone(), sets.clone());
    nodes.handle(move |event| {
        let matters = match event {
            Event::Applied(node, Some(old)) => node.spec != old.spec || node.metadata.labels != old.metadata.labels,
            _ => true,
        };
        if matters {
            all.list().iter().for_each(|set| add.add(key(&**set)));
        }
    });
    let (add, all) = (queue.clone(), sets.clone());
    pods.handle(move |event| {
        let pod = event.object();
        match pod.metadata.controller() {
            Some(owner) if owner.kind == DaemonSet::KIND => add.add((pod.namespace().to_owned(), owner.name.clone())),
            Some(_) => {}
            None => {
                for set in all.list_in(pod.namespace()) {
                    let selector = Selector::from_typed(Some(&set.spec.selector));
                    if selector.is_ok_and(|selector| selector.matches_map(&pod.metadata.labels)) {
                        add.add(key(&*set));
                    }
                }
            }
        }
    });
    let expectations = Expectations::watching(&pods);
    let recorder = context.recorder(&client, "daemonset-controller");
    let controller = Controller { client, recorder, sets, pods, nodes, revisions, expectations };
    work(Arc::new(controller), queue, 2).await;
}

impl Reconcile for Controller {
    type Key = Key;
    const NAME: &'static str = "daemonset";

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let Some(set) = self.sets.get(&key.0, &key.1) else {
            self.expectations.forget(key);
            return Ok(Next::Change);
        };
        if set.metadata.is_deleting() {
            return Ok(Next::Change);
        }
        let Ok(selector) = Selector::from_typed(Some(&set.spec.selector)) else { return Ok(Next::Change) };
        if selector.is_everything() {
            let message = "This daemon set is selecting all pods. A non-empty selector is required.";
            self.recorder.warning(&ObjectReference::of(&*set), "SelectingAll", message);
            return Ok(Next::Change);
        }
        let labels = set.spec.selector.match_labels.clone();
        let collisions = set.status.collision_count.unwrap_or_default();
        let history =
            history(&self.client, &self.revisions, &*set, &selector, &set.spec.template, labels, collisions).await?;
        let hash = hash_of(&history.update).to_owned();
        let claims = claim(&set.metadata, &selector, self.pods.list_in(&key.0));
        let owned = settle(&self.client, &*set, claims).await?;
        let nodes = self.nodes.list();

        let mut failure = None;
        if self.expectations.are_met(key) {
            failure = self.apply(&set, key, &nodes, &owned, &hash).await;
        }
        let (mut wanted, again) = status(&set, &nodes, &owned, &hash, unix_now());
        if history.collisions > collisions {
            wanted.collision_count = Some(history.collisions);
        }
        if wanted != set.status {
            let api = Api::<DaemonSet>::namespaced(self.client.clone(), &key.0);
            unless_gone(api.replace_status(&key.1, &with_status(&*set, &wanted)).await)?;
        }
        let live: Vec<String> = owned
            .iter()
            .filter_map(|pod| pod.metadata.labels.get(REVISION_LABEL))
            .map(|hash| format!("{}-{hash}", set.name()))
            .collect();
        revisions::truncate(&self.client, &history, set.spec.revision_history_limit.unwrap_or(10), &live).await?;
        match failure {
            Some(error) => Err(error),
            None => Ok(again.map_or(Next::Change, |seconds| Next::After(Duration::from_secs(seconds)))),
        }
    }
}

impl Controller {
    async fn apply(
        &self,
        set: &DaemonSet,
        key: &Key,
        nodes: &[Arc<Node>],
        owned: &[Arc<Pod>],
        hash: &str,
    ) -> Option<Error> {
        let control = PodControl {
            client: &self.client,
            recorder: &self.recorder,
            pods: &self.pods,
            expectations: &self.expectations,
            owner: ObjectReference::of(set),
            key,
        };
        let todo = what_to_do(set, nodes, owned, hash, unix_now());
        for (pod, message) in &todo.failed {
            self.recorder.warning(&ObjectReference::of(set), "FailedDaemonPod", message.clone());
            tracing::debug!(pod.name = pod.name(), "a daemon pod failed");
        }
        let template = set.spec.template.value();
        let owner = controller_reference::<DaemonSet>(&set.metadata);
        let bodies = todo.create.iter().map(|node| pod_for(set, &template, &owner, node, hash)).collect();
        let deleted = control.delete(&todo.delete).await;
        let (_, error) = control.create(bodies).await;
        error.filter(|error| !error.is_namespace_terminating()).or(deleted)
    }
}
