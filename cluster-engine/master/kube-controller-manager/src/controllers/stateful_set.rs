//! Stateful sets: pods with names and storage of their own, made and unmade in order.

mod plan;
mod pod;

use std::sync::Arc;
use std::time::Duration;

use drydock_api::selector::Selector;
use drydock_api::time::unix_now;
use drydock_client::types::Pod;
use drydock_client::{
    Api, Client, DeleteOptions, Error, EventRecorder, EventType, Object, ObjectReference, Patch, Reflector, WorkQueue,
};
use serde_json::{Value, json};

use self::plan::{Action, Revisions, claim_owners, plan, status};
use self::pod::{claim_names, claims_for, has_owners, new_pod, ordinal, pod_name, set_owners};
use super::owned::{claim, settle};
use super::pod_control::Expectations;
use super::revisions::{self, History, REVISION_LABEL, history, template_of};
use crate::context::Context;
use crate::kinds::{Claim, ControllerRevision, StatefulSet};
use crate::work::{Key, Next, Reconcile, edit, key, unless_gone, with_status, work};

struct Controller {
    client: Client,
    recorder: EventRecorder,
    sets: Reflector<StatefulSet>,
    pods: Reflector<Pod>,
    revisions: Reflector<ControllerRevision>,
    claims: Reflector<Claim>,
    expectations: Expectations,
}

pub(super) async fn run(context: Arc<Context>) {
    let sets = context.watch::<StatefulSet>();
    let pods = context.watch::<Pod>();
    let revisions = context.watch::<ControllerRevision>();
    let claims = context.watch::<Claim>();
    let client = context.client("statefulset-controller").await;
    sets.synced().await;
    pods.synced().await;
    revisions.synced().await;
    claims.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    sets.handle(move |event| add.add(key(&**event.object())));
    let (add, all) = (queue.clone(), sets.clone());
    pods.handle(move |event| {
        let pod = event.object();
        match pod.metadata.controller() {
            Some(owner) if owner.kind == StatefulSet::KIND => add.add((pod.namespace().to_owned(), owner.name.clone())),
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
    let recorder = context.recorder(&client, "statefulset-controller");
    let controller = Controller { client, recorder, sets, pods, revisions, claims, expectations };
    work(Arc::new(controller), queue, 5).await;
}

impl Reconcile for Controller {
    type Key = Key;
    const NAME: &'static str = "statefulset";

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let Some(set) = self.sets.get(&key.0, &key.1) else {
            self.expectations.forget(key);
            return Ok(Next::Change);
        };
        let Ok(selector) = Selector::from_typed(Some(&set.spec.selector)) else { return Ok(Next::Change) };
        let mut claims = claim(&set.metadata, &selector, self.pods.list_in(&key.0));
        // Only pods with a name of the set's own can be members of it.
        claims.adopt.retain(|pod| ordinal(&set, pod).is_some());
        let owned = settle(&self.client, &*set, claims).await?;
        if set.metadata.is_deleting() || !self.expectations.are_met(key) {
            return Ok(Next::Change);
        }
        let labels = set.spec.selector.match_labels.clone();
        let collisions = set.status.collision_count.unwrap_or_default();
        let history =
            history(&self.client, &self.revisions, &*set, &selector, &set.spec.template, labels, collisions).await?;
        let revisions = Revisions::new(&set, &history);
        let now = unix_now();

        self.keep_claims(&set, &owned).await?;
        let mut failure = None;
        for action in plan(&set, &owned, &revisions, now) {
            if let Err(error) = self.apply(&set, key, &history, action).await {
                failure = Some(error);
                break;
            }
        }
        let (mut wanted, again) = status(&set, &owned, &revisions, now);
        wanted.collision_count = Some(history.collisions);
        if wanted != set.status {
            let api = Api::<StatefulSet>::namespaced(self.client.clone(), &key.0);
            unless_gone(api.replace_status(&key.1, &with_status(&*set, &wanted)).await)?;
        }
        let mut live: Vec<String> =
            owned.iter().filter_map(|pod| pod.metadata.labels.get(REVISION_LABEL)).cloned().collect();
        live.push(revisions.current.clone());
        revisions::truncate(&self.client, &history, set.spec.revision_history_limit.unwrap_or(10), &live).await?;
        match failure {
            Some(error) if !error.is_namespace_terminating() => Err(error),
            _ => Ok(again.map_or(Next::Change, |seconds| Next::After(Duration::from_secs(seconds)))),
        }
    }
}

impl Controller {
    /// Makes claims that are missing, and whose they are what the policy says.
    async fn keep_claims(&self, set: &StatefulSet, owned: &[Arc<Pod>]) -> Result<(), Error> {
        for pod in owned {
            let Some(number) = ordinal(set, pod) else { continue };
            for name in claim_names(set, number) {
                let Some(claim) = self.claims.get(set.namespace(), &name) else {
                    if pod.status.phase == "Pending" && !pod.metadata.is_deleting() {
                        self.ensure_claims(set, number).await?;
                    }
                    continue;
                };
                let wanted = claim_owners(set, pod);
                if !has_owners(&claim, set, pod, wanted) {
                    edit(&self.client, &*claim, "", |body| set_owners(body, set, pod, wanted)).await?;
                }
            }
        }
        Ok(())
    }

    async fn apply(&self, set: &StatefulSet, key: &Key, history: &History, action: Action) -> Result<(), Error> {
        let about = ObjectReference::of(set);
        let api = Api::<Pod>::namespaced(self.client.clone(), &key.0);
        match action {
            Action::Create { ordinal, revision } => {
                let name = pod_name(set, ordinal);
                self.ensure_claims(set, ordinal).await?;
                let remembered = history.all.iter().find(|found| found.name() == revision).unwrap_or(&history.update);
                let body = new_pod(set, &template_of(remembered), ordinal, remembered.name());
                match api.create(&body).await {
                    Ok(pod) => {
                        self.expectations.expect_created(key, &self.pods, &pod);
                        let message = format!("create Pod {name} in StatefulSet {} successful", set.name());
                        self.recorder.normal(&about, "SuccessfulCreate", message);
                        Ok(())
                    }
                    Err(error) => {
                        if !error.is_namespace_terminating() {
                            let message =
                                format!("create Pod {name} in StatefulSet {} failed error: {error}", set.name());
                            self.recorder.warning(&about, "FailedCreate", message);
                        }
                        Err(error)
                    }
                }
            }
            Action::Replace(pod) => {
                let (kind, reason, what) = match pod.status.phase.as_str() {
                    "Failed" => (EventType::Warning, "RecreatingFailedPod", "failed"),
                    _ => (EventType::Normal, "RecreatingTerminatedPod", "terminated"),
                };
                let message = format!("StatefulSet {}/{} is recreating {what} Pod {}", key.0, set.name(), pod.name());
                self.recorder.event(&about, kind, reason, message);
                Box::pin(self.apply(set, key, history, Action::Delete(pod))).await
            }
            Action::Delete(pod) => match api.delete(pod.name(), &DeleteOptions::of_uid(pod.uid())).await {
                Ok(()) => {
                    self.expectations.expect_deleted(key, &self.pods, &pod);
                    let message = format!("delete Pod {} in StatefulSet {} successful", pod.name(), set.name());
                    self.recorder.normal(&about, "SuccessfulDelete", message);
                    Ok(())
                }
                Err(error) if error.is_not_found() => Ok(()),
                Err(error) => {
                    let message =
                        format!("delete Pod {} in StatefulSet {} failed error: {error}", pod.name(), set.name());
                    self.recorder.warning(&about, "FailedDelete", message);
                    Err(error)
                }
            },
            Action::Label(pod) => {
                let patch = json!({"metadata": {"labels": {"statefulset.kubernetes.io/pod-name": pod.name()}}});
                unless_gone(api.patch(pod.name(), Patch::Merge, &patch).await).map(drop)
            }
        }
    }

    async fn ensure_claims(&self, set: &StatefulSet, ordinal: i32) -> Result<(), Error> {
        let api = Api::<Claim>::namespaced(self.client.clone(), set.namespace());
        for body in claims_for(set, ordinal) {
            let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
            if api.get_opt(&name).await?.is_some() {
                continue;
            }
            let about = ObjectReference::of(set);
            match api.create(&body).await {
                Ok(_) => {
                    let message = format!(
                        "create Claim {name} Pod {} in StatefulSet {} success",
                        pod_name(set, ordinal),
                        set.name()
                    );
                    self.recorder.normal(&about, "SuccessfulCreate", message);
                }
                Err(error) => {
                    let message = format!(
                        "create Claim {name} for Pod {} in StatefulSet {} failed error: {error}",
                        pod_name(set, ordinal),
                        set.name()
                    );
                    self.recorder.warning(&about, "FailedCreate", message);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
