//! Replica sets and replication controllers: as many pods of a kind as are wanted.

mod plan;

use std::sync::Arc;
use std::time::Duration;

use drydock_api::time::{now_rfc3339, unix_now};
use drydock_client::types::Pod;
use drydock_client::{Api, Client, Error, Event, EventRecorder, Object, ObjectReference, Reflector, WorkQueue};

use self::plan::{Scale, scale, status};
use super::owned::{claim, controller_reference, from_template, settle};
use super::pod_control::{Expectations, PodControl};
use crate::context::Context;
use crate::kinds::Replicated;
use crate::work::{Key, Next, Reconcile, key, unless_gone, with_status, work};

pub(super) use self::plan::{available_in, is_available};

struct Controller<K> {
    client: Client,
    recorder: EventRecorder,
    replica_sets: Reflector<K>,
    pods: Reflector<Pod>,
    expectations: Expectations,
}

pub(super) async fn run<K: Replicated>(context: Arc<Context>) {
    let replica_sets = context.watch::<K>();
    let pods = context.watch::<Pod>();
    let client = context.client(K::ACCOUNT).await;
    replica_sets.synced().await;
    pods.synced().await;
    let expectations = Expectations::watching(&pods);
    let queue = WorkQueue::new();
    let add = queue.clone();
    replica_sets.handle(move |event| add.add(key(&**event.object())));
    let (add, sets) = (queue.clone(), replica_sets.clone());
    pods.handle(move |event| {
        for key in concerned(event, &sets) {
            add.add(key);
        }
    });
    let recorder = context.recorder(&client, K::ACCOUNT);
    let controller = Controller { client, recorder, replica_sets, pods, expectations };
    work(Arc::new(controller), queue, 5).await;
}

/// The replica sets that a pod's change concerns: its own, the one it had, or all that might take it in.
fn concerned<K: Replicated>(event: &Event<Pod>, sets: &Reflector<K>) -> Vec<Key> {
    let owner = |pod: &Pod| -> Option<Key> {
        let controller = pod.metadata.controller().filter(|owner| owner.kind == K::KIND)?;
        Some((pod.namespace().to_owned(), controller.name.clone()))
    };
    let pod = event.object();
    let mut keys: Vec<Key> = owner(pod).into_iter().collect();
    if let Event::Applied(_, Some(old)) = event {
        keys.extend(owner(old).filter(|old| keys.first() != Some(old)));
    }
    if pod.metadata.controller().is_none() && matches!(event, Event::Applied(..)) {
        for set in sets.list_in(pod.namespace()) {
            if set.selector().is_some_and(|selector| selector.matches_map(&pod.metadata.labels)) {
                keys.push(key(&*set));
            }
        }
    }
    keys
}

impl<K: Replicated> Reconcile for Controller<K> {
    type Key = Key;
    const NAME: &'static str = K::PLURAL;

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let Some(set) = self.replica_sets.get(&key.0, &key.1) else {
            self.expectations.forget(key);
            return Ok(Next::Change);
        };
        let Some(selector) = set.selector() else { return Ok(Next::Change) };
        let claims = claim(set.meta(), &selector, self.pods.list_in(&key.0));
        let owned = settle(&self.client, &*set, claims).await?;

        let mut failure = None;
        if !set.meta().is_deleting() && self.expectations.are_met(key) {
            let related = self.related(&set);
            failure = self.apply(&set, key, scale(&*set, &owned, &related)).await;
        }
        let (wanted, look_again) = status(
            &*set,
            &owned,
            failure.as_ref().map(|(reason, error)| (*reason, error.to_string())),
            unix_now(),
            &now_rfc3339(),
        );
        if wanted != *set.status() {
            let api = Api::<K>::namespaced(self.client.clone(), &key.0);
            unless_gone(api.replace_status(&key.1, &with_status(&*set, &wanted)).await)?;
        }
        match failure {
            Some((_, error)) => Err(error),
            None => Ok(look_again.map_or(Next::Change, |seconds| Next::After(Duration::from_secs(seconds)))),
        }
    }
}

impl<K: Replicated> Controller<K> {
    /// Pods of all replica sets of the same deployment: nodes with many of them lose theirs first.
    fn related(&self, set: &K) -> Vec<Arc<Pod>> {
        let Some(owner) = set.meta().controller() else { return Vec::new() };
        let siblings: Vec<String> = self
            .replica_sets
            .list_in(set.namespace())
            .iter()
            .filter(|other| other.meta().controller().is_some_and(|other| other.uid == owner.uid))
            .map(|other| other.uid().to_owned())
            .collect();
        let mut pods = self.pods.list_in(set.namespace());
        pods.retain(|pod| pod.metadata.controller().is_some_and(|owner| siblings.contains(&owner.uid)));
        pods
    }

    async fn apply(&self, set: &K, key: &Key, scale: Scale) -> Option<(&'static str, Error)> {
        let control = PodControl {
            client: &self.client,
            recorder: &self.recorder,
            pods: &self.pods,
            expectations: &self.expectations,
            owner: ObjectReference::of(set),
            key,
        };
        match scale {
            Scale::Right => None,
            Scale::Create(count) => {
                let owner = controller_reference::<K>(set.meta());
                let mut body = from_template(&set.template().value(), &owner, &key.0);
                body["metadata"]["generateName"] = format!("{}-", set.name()).into();
                let (_, error) = control.create(vec![body; count]).await;
                // A namespace that goes away needs no more pods.
                error.filter(|error| !error.is_namespace_terminating()).map(|error| ("FailedCreate", error))
            }
            Scale::Delete(pods) => control.delete(&pods).await.map(|error| ("FailedDelete", error)),
        }
    }
}
