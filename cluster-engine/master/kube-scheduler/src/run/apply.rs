//! Carrying decisions out: bindings, conditions, events, evictions.

use std::sync::Arc;
use std::time::Duration;

use drydock_api::time::now_rfc3339;
use drydock_client::types::Pod;
use drydock_client::{Api, DeleteOptions, Object, ObjectReference, Patch};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{NAME, Shared, reference};
use crate::plugins;
use crate::preemption::Preemption;
use crate::snapshot::{PodInfo, Snapshot};
use crate::volumes::{Claim, SELECTED_NODE, Volume, claims_of};

/// How long a pod waits for its claims to be bound (upstream: bindTimeoutSeconds).
const CLAIM_TIME: Duration = Duration::from_secs(600);

/// A claim that waits for its pod, and the volume found for it; `None` if one is to be made.
pub(super) struct Waiting {
    claim: Arc<Claim>,
    volume: Option<Arc<Volume>>,
}

/// The claims of `pod` that must be bound before it can run on `node`.
pub(super) fn waiting_claims(snapshot: &Snapshot, pod: &PodInfo, node: &str) -> Vec<Waiting> {
    let Some(node) = snapshot.node(node) else { return Vec::new() };
    let mut taken: Vec<String> = Vec::new();
    let mut waiting = Vec::new();
    for (name, _) in claims_of(&pod.pod) {
        let Some(claim) = snapshot.volumes.claim(&pod.pod.metadata.namespace, &name) else { continue };
        if !claim.spec.volume_name.is_empty() {
            continue;
        }
        let volume = snapshot
            .volumes
            .candidates(claim)
            .into_iter()
            .find(|volume| plugins::is_reachable(volume, node) && !taken.contains(&volume.metadata.name))
            .cloned();
        taken.extend(volume.as_ref().map(|volume| volume.metadata.name.clone()));
        waiting.push(Waiting { claim: claim.clone(), volume });
    }
    waiting
}

/// Binds the pod to the node it is counted on.
pub(super) async fn bind(shared: Arc<Shared>, pod: Arc<PodInfo>, node: String, claims: Vec<Waiting>) {
    let meta = &pod.pod.metadata;
    let bound = async {
        bind_claims(&shared, &claims, &node).await?;
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
            "target": {"kind": "Node", "name": node},
        });
        let api = Api::<Pod>::namespaced(shared.client.clone(), &meta.namespace);
        api.create_subresource::<Value>(&meta.name, "binding", &binding).await.map_err(|error| {
            let gone = error.is_not_found();
            (format!("binding rejected: {error}"), gone)
        })
    };
    match bound.await {
        Ok(_) => {
            let message = format!("Successfully assigned {}/{} to {node}", meta.namespace, meta.name);
            shared.recorder.normal(&reference(&pod.pod), "Scheduled", message);
            let mut state = shared.state();
            state.queue.remove(pod.uid());
            // Until the watch shows the pod bound it stays counted; if it was deleted in between,
            // the watch says that too.
            state.assumed.remove(pod.uid());
        }
        Err((message, gone)) => {
            tracing::warn!(
                pod.namespace = meta.namespace,
                pod.name = meta.name,
                node.name = node,
                message,
                "cannot bind"
            );
            {
                let mut state = shared.state();
                state.assumed.remove(pod.uid());
                state.snapshot.remove_pod(pod.uid());
                if gone {
                    state.queue.remove(pod.uid());
                } else {
                    state.queue.errored(pod.uid(), Instant::now());
                }
                // What was set aside for the pod is free again.
                state.queue.changed(Instant::now(), |_| true);
            }
            shared.wake.notify_one();
            if !gone {
                shared.recorder.warning(&reference(&pod.pod), "FailedScheduling", message.clone());
                set_condition(&shared, &pod, "SchedulerError", &message, None).await;
            }
        }
    }
}

/// Chooses the node for claims that wait, and waits until they are bound.
async fn bind_claims(shared: &Shared, claims: &[Waiting], node: &str) -> Result<(), (String, bool)> {
    let failed = |error: drydock_client::Error| (format!("binding volumes: {error}"), false);
    for Waiting { claim, volume } in claims {
        match volume {
            Some(volume) => {
                let patch = json!({
                    "metadata": {
                        "resourceVersion": volume.metadata.resource_version,
                        "annotations": {"pv.kubernetes.io/bound-by-controller": "yes"},
                    },
                    "spec": {"claimRef": ObjectReference::of(&**claim)},
                });
                let api = Api::<Volume>::all(shared.client.clone());
                api.patch(volume.name(), Patch::Merge, &patch).await.map_err(failed)?;
            }
            None => {
                let patch = json!({"metadata": {"annotations": {SELECTED_NODE: node}}});
                let api = Api::<Claim>::namespaced(shared.client.clone(), claim.namespace());
                api.patch(claim.name(), Patch::Merge, &patch).await.map_err(failed)?;
            }
        }
    }
    let mut changed = shared.state().claims_changed.subscribe();
    let all_bound = async {
        loop {
            if are_bound(shared, claims)? {
                return Ok(());
            }
            if changed.changed().await.is_err() {
                return Err(("binding volumes: the scheduler ends".to_owned(), false));
            }
        }
    };
    let too_late = || ("binding volumes: context deadline exceeded".to_owned(), false);
    tokio::time::timeout(CLAIM_TIME, all_bound).await.unwrap_or_else(|_| Err(too_late()))
}

fn are_bound(shared: &Shared, claims: &[Waiting]) -> Result<bool, (String, bool)> {
    let state = shared.state();
    for Waiting { claim, .. } in claims {
        let Some(current) = state.snapshot.volumes.claim(claim.namespace(), claim.name()) else {
            return Err((format!("binding volumes: claim {:?} is gone", claim.name()), false));
        };
        let is_bound = !current.spec.volume_name.is_empty()
            && current.metadata.annotations.contains_key("pv.kubernetes.io/bind-completed");
        if !is_bound {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Tells that no node fits, and evicts whoever must make room.
pub(super) async fn fail(shared: Arc<Shared>, pod: Arc<PodInfo>, message: String, preemption: Option<Preemption>) {
    shared.recorder.warning(&reference(&pod.pod), "FailedScheduling", message.clone());
    let nominated = preemption.as_ref().map(|preemption| preemption.node.as_str());
    if let Some(preemption) = &preemption {
        for victim in &preemption.victims {
            evict(&shared, victim, &pod, &preemption.node).await;
        }
    }
    set_condition(&shared, &pod, "Unschedulable", &message, nominated).await;
}

async fn evict(shared: &Shared, victim: &PodInfo, preemptor: &PodInfo, node: &str) {
    let meta = &victim.pod.metadata;
    if meta.is_deleting() {
        return;
    }
    let api = Api::<Pod>::namespaced(shared.client.clone(), &meta.namespace);
    let condition = json!({"status": {"conditions": [{
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": format!("{NAME}: preempting to accommodate a higher priority pod"),
        "lastTransitionTime": now_rfc3339(),
    }]}});
    let outcome = async {
        api.patch_status(&meta.name, Patch::Strategic, &condition).await?;
        api.delete(&meta.name, &DeleteOptions::of_uid(&meta.uid)).await
    };
    match outcome.await {
        Ok(()) => {
            let message = format!("Preempted by pod {} on node {node}", preemptor.uid());
            shared.recorder.normal(&reference(&victim.pod), "Preempted", message);
        }
        Err(error) if error.is_not_found() => {}
        Err(error) => tracing::warn!(pod.namespace = meta.namespace, pod.name = meta.name, %error, "cannot preempt"),
    }
}

/// Sets PodScheduled=False, unless that is what it says already.
async fn set_condition(shared: &Shared, pod: &PodInfo, reason: &str, message: &str, nominated: Option<&str>) {
    let meta = &pod.pod.metadata;
    let old = pod.pod.condition("PodScheduled");
    let same = old.is_some_and(|old| old.status == "False" && old.reason == reason && old.message == message);
    let nominated = nominated.filter(|node| *node != pod.pod.status.nominated_node_name);
    if same && nominated.is_none() {
        return;
    }
    let since = old
        .filter(|old| old.status == "False")
        .and_then(|old| old.last_transition_time.clone())
        .unwrap_or_else(now_rfc3339);
    let mut patch = json!({"status": {"conditions": [{
        "type": "PodScheduled",
        "status": "False",
        "reason": reason,
        "message": message,
        "lastProbeTime": null,
        "lastTransitionTime": since,
    }]}});
    if let Some(node) = nominated {
        patch["status"]["nominatedNodeName"] = node.into();
    }
    let api = Api::<Pod>::namespaced(shared.client.clone(), &meta.namespace);
    match api.patch_status(&meta.name, Patch::Strategic, &patch).await {
        Ok(_) => {}
        Err(error) if error.is_not_found() => {}
        Err(error) => {
            tracing::warn!(pod.namespace = meta.namespace, pod.name = meta.name, %error, "cannot set the condition")
        }
    }
}
