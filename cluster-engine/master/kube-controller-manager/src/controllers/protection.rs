//! Keeps claims that pods use and volumes that are bound from going away under them
//! (upstream: pvc-protection and pv-protection).

use std::sync::Arc;

use drydock_client::types::Pod;
use drydock_client::{Api, Client, Error, Event, ListOptions, Object, Reflector, WorkQueue};

use super::persistent_volume::mounts;
use crate::context::Context;
use crate::kinds::{Claim, Volume};
use crate::work::{Key, Next, Reconcile, edit, key, set_finalizer, work};

const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";
const VOLUME_FINALIZER: &str = "kubernetes.io/pv-protection";

/// What is to be done about an object's protection.
#[derive(Debug, PartialEq, Eq)]
enum Protection {
    Right,
    Add,
    Remove,
}

fn protection(is_deleting: bool, is_protected: bool, in_use: impl FnOnce() -> bool) -> Protection {
    match (is_deleting, is_protected) {
        (true, true) if !in_use() => Protection::Remove,
        (false, false) => Protection::Add,
        _ => Protection::Right,
    }
}

/// Whether a pod that has a node uses the claim; one without cannot start any more once the claim is being deleted.
fn uses(pod: &Pod, claim: &str) -> bool {
    !pod.spec.node_name.is_empty() && mounts(pod, claim)
}

struct Claims {
    client: Client,
    claims: Reflector<Claim>,
    pods: Reflector<Pod>,
}

pub(super) async fn run_claims(context: Arc<Context>) {
    let claims = context.watch::<Claim>();
    let pods = context.watch::<Pod>();
    let client = context.client("pvc-protection-controller").await;
    claims.synced().await;
    pods.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    claims.handle(move |event| {
        if matches!(event, Event::Applied(..)) {
            add.add(key(&**event.object()));
        }
    });
    let (add, all) = (queue.clone(), claims.clone());
    pods.handle(move |event| {
        // Only a pod that goes can set a claim free.
        if let Event::Deleted(pod) = event {
            for claim in all.list_in(pod.namespace()) {
                if claim.metadata.is_deleting() && mounts(pod, claim.name()) {
                    add.add(key(&*claim));
                }
            }
        }
    });
    work(Arc::new(Claims { client, claims, pods }), queue, 1).await;
}

impl Reconcile for Claims {
    type Key = Key;
    const NAME: &'static str = "pvc-protection";

    async fn reconcile(&self, (namespace, name): &Key) -> Result<Next, Error> {
        let Some(claim) = self.claims.get(namespace, name) else { return Ok(Next::Change) };
        let is_protected = claim.metadata.finalizers.iter().any(|found| found == CLAIM_FINALIZER);
        let in_use = || self.pods.list_in(namespace).iter().any(|pod| uses(pod, name));
        let wanted = match protection(claim.metadata.is_deleting(), is_protected, in_use) {
            Protection::Right => return Ok(Next::Change),
            Protection::Add => true,
            Protection::Remove => {
                // The watch may be late; data would be lost.
                let api = Api::<Pod>::namespaced(self.client.clone(), namespace);
                if api.list(&ListOptions::default()).await?.items.iter().any(|pod| uses(pod, name)) {
                    return Ok(Next::Change);
                }
                false
            }
        };
        edit(&self.client, &*claim, "", |body| set_finalizer(body, CLAIM_FINALIZER, wanted)).await?;
        Ok(Next::Change)
    }
}

struct Volumes {
    client: Client,
    volumes: Reflector<Volume>,
}

pub(super) async fn run_volumes(context: Arc<Context>) {
    let volumes = context.watch::<Volume>();
    let client = context.client("pv-protection-controller").await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    volumes.handle(move |event| {
        if matches!(event, Event::Applied(..)) {
            add.add(event.object().name().to_owned());
        }
    });
    work(Arc::new(Volumes { client, volumes }), queue, 1).await;
}

impl Reconcile for Volumes {
    type Key = String;
    const NAME: &'static str = "pv-protection";

    async fn reconcile(&self, name: &String) -> Result<Next, Error> {
        let Some(volume) = self.volumes.get("", name) else { return Ok(Next::Change) };
        let is_protected = volume.metadata.finalizers.iter().any(|found| found == VOLUME_FINALIZER);
        let wanted = match protection(volume.metadata.is_deleting(), is_protected, || volume.status.phase == "Bound") {
            Protection::Right => return Ok(Next::Change),
            Protection::Add => true,
            Protection::Remove => false,
        };
        edit(&self.client, &*volume, "", |body| set_finalizer(body, VOLUME_FINALIZER, wanted)).await?;
        Ok(Next::Change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drydock_client::types::{ClaimVolume, Volume as PodVolume};

    #[test]
    fn protected_while_used() {
        for (deleting, protected, used, expected) in [
            (false, false, false, Protection::Add),
            (false, true, false, Protection::Right),
            (true, true, true, Protection::Right),
            (true, true, false, Protection::Remove),
            (true, false, false, Protection::Right),
        ] {
            assert_eq!(protection(deleting, protected, || used), expected, "{deleting} {protected} {used}");
        }
    }

    #[test]
    fn only_pods_with_a_node_use_a_claim() {
        let mut pod = Pod::default();
        pod.spec.volumes.push(PodVolume {
            persistent_volume_claim: Some(ClaimVolume { claim_name: "data".into() }),
            ..PodVolume::default()
        });
        assert!(!uses(&pod, "data"));
        pod.spec.node_name = "n".into();
        assert!(uses(&pod, "data") && !uses(&pod, "other"));
        pod.status.phase = "Succeeded".into();
        assert!(uses(&pod, "data"), "an ended pod still mounts it");
    }
}
