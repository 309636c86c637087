//! Deletes pods that nobody else will: on nodes that are gone, deleted before they had a node, ended
//! ones beyond a number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use drydock_api::time::now_rfc3339;
use drydock_client::types::{Node, Pod};
use drydock_client::{Api, Client, DeleteOptions, Error, Object, Patch, Reflector};
use serde_json::json;
use tokio::time::Instant;

use crate::context::Context;
use crate::work::unless_gone;

/// How often is looked (upstream's number).
const PERIOD: Duration = Duration::from_secs(20);
/// How long a node must be missing before its pods are deleted (upstream's number).
const QUARANTINE: Duration = Duration::from_secs(40);

pub(super) async fn run(context: Arc<Context>) {
    let pods = context.watch::<Pod>();
    let nodes = context.watch::<Node>();
    let client = context.client("pod-garbage-collector").await;
    pods.synced().await;
    nodes.synced().await;
    let mut missing: BTreeMap<String, Instant> = BTreeMap::new();
    loop {
        tokio::time::sleep(PERIOD).await;
        let gone = nodes_gone(&mut missing, &pods, &nodes, Instant::now());
        let threshold = context.options.terminated_pod_gc_threshold;
        for action in plan(&pods.list(), &gone, threshold) {
            if let Err(error) = apply(&client, &nodes, &action).await {
                let meta = &action.pod.metadata;
                tracing::warn!(pod.namespace = meta.namespace, pod.name = meta.name, %error, "cannot delete the pod");
            }
        }
    }
}

/// Nodes that pods name and that have been missing for long enough.
fn nodes_gone(
    missing: &mut BTreeMap<String, Instant>,
    pods: &Reflector<Pod>,
    nodes: &Reflector<Node>,
    now: Instant,
) -> BTreeSet<String> {
    let named: BTreeSet<String> = pods
        .list()
        .iter()
        .map(|pod| pod.spec.node_name.clone())
        .filter(|name| !name.is_empty() && nodes.get("", name).is_none())
        .collect();
    missing.retain(|name, _| named.contains(name));
    for name in named {
        missing.entry(name).or_insert(now);
    }
    missing
        .iter()
        .filter(|(_, since)| now.duration_since(**since) >= QUARANTINE)
        .map(|(name, _)| name.clone())
        .collect()
}

#[derive(Clone, Debug, PartialEq)]
struct Delete {
    pod: Arc<Pod>,
    /// The pod did not end by itself; why it is said to have failed.
    disrupted: Option<&'static str>,
}

fn plan(pods: &[Arc<Pod>], gone: &BTreeSet<String>, threshold: usize) -> Vec<Delete> {
    let mut actions = Vec::new();
    let mut ended: Vec<&Arc<Pod>> = pods.iter().filter(|pod| pod.is_terminal()).collect();
    if threshold > 0 && ended.len() > threshold {
        ended.sort_by_key(|pod| (pod.metadata.creation_timestamp.clone(), pod.metadata.name.clone()));
        let surplus = ended.len() - threshold;
        actions.extend(ended.into_iter().take(surplus).map(|pod| Delete { pod: pod.clone(), disrupted: None }));
    }
    for pod in pods {
        let is_orphaned = gone.contains(&pod.spec.node_name);
        let is_unscheduled = pod.metadata.is_deleting() && pod.spec.node_name.is_empty();
        if is_orphaned {
            actions.push(Delete { pod: pod.clone(), disrupted: Some("PodGC: node no longer exists") });
        } else if is_unscheduled {
            actions.push(Delete { pod: pod.clone(), disrupted: None });
        }
    }
    actions
}

async fn apply(client: &Client, nodes: &Reflector<Node>, action: &Delete) -> Result<(), Error> {
    let meta = &action.pod.metadata;
    let api = Api::<Pod>::namespaced(client.clone(), &meta.namespace);
    if let Some(message) = action.disrupted {
        // The watch may lag behind: ask.
        let name = &action.pod.spec.node_name;
        if nodes.get("", name).is_some() || Api::<Node>::all(client.clone()).get_opt(name).await?.is_some() {
            return Ok(());
        }
        if !action.pod.is_terminal() {
            let patch = json!({"status": {
                "phase": "Failed",
                "conditions": [{
                    "type": "DisruptionTarget",
                    "status": "True",
                    "reason": "DeletionByPodGC",
                    "message": message,
                    "lastTransitionTime": now_rfc3339(),
                }],
            }});
            if unless_gone(api.patch_status(&meta.name, Patch::Strategic, &patch).await)?.is_none() {
                return Ok(());
            }
        }
    }
    let options = DeleteOptions { uid: Some(meta.uid.clone()), ..DeleteOptions::now() };
    unless_gone(api.delete(action.pod.name(), &options).await).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, node: &str, phase: &str, deleting: bool) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.name = name.into();
        pod.metadata.creation_timestamp = Some(format!("2026-01-01T00:00:0{name}Z"));
        pod.spec.node_name = node.into();
        pod.status.phase = phase.into();
        pod.metadata.deletion_timestamp = deleting.then(|| "2026-01-01T00:00:00Z".into());
        Arc::new(pod)
    }

    #[test]
    fn who_goes() {
        let pods = [
            pod("1", "a", "Running", false),
            pod("2", "gone", "Running", false),
            pod("3", "", "Pending", true),
            pod("4", "", "Pending", false),
            pod("5", "a", "Succeeded", false),
            pod("6", "a", "Failed", false),
        ];
        let names = |threshold| -> Vec<String> {
            plan(&pods, &["gone".to_owned()].into(), threshold).iter().map(|a| a.pod.metadata.name.clone()).collect()
        };
        assert_eq!(names(2), ["2", "3"]);
        assert_eq!(names(1), ["5", "2", "3"]);
    }
}
