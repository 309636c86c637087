//! Pods leave nodes with NoExecute taints that they do not bear, or not for so long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drydock_api::time::now_rfc3339;
use drydock_client::types::{Node, Pod, Taint, Toleration};
use drydock_client::{
    Api, Client, DeleteOptions, Error, EventRecorder, Object, ObjectReference, Patch, Reflector, WorkQueue,
};
use serde_json::json;
use tokio::time::Instant;

use crate::context::Context;
use crate::work::{Key, Next, Reconcile, key, unless_gone, work};

struct Controller {
    client: Client,
    recorder: EventRecorder,
    nodes: Reflector<Node>,
    pods: Reflector<Pod>,
    /// Since when pods bear taints for a time, by uid.
    since: Mutex<HashMap<String, Instant>>,
}

pub(super) async fn run(context: Arc<Context>) {
    let nodes = context.watch::<Node>();
    let pods = context.watch::<Pod>();
    let client = context.client("node-controller").await;
    nodes.synced().await;
    pods.synced().await;
    let queue = WorkQueue::new();
    let (add, on_nodes) = (queue.clone(), nodes.clone());
    pods.handle(move |event| {
        let pod = event.object();
        let tainted = on_nodes.get("", &pod.spec.node_name).is_some_and(|node| no_execute(&node).next().is_some());
        if tainted {
            add.add(key(&**pod));
        }
    });
    let (add, on_pods) = (queue.clone(), pods.clone());
    nodes.handle(move |event| {
        let drydock_client::Event::Applied(node, old) = event else { return };
        let taints = |node: &Node| no_execute(node).cloned().collect::<Vec<_>>();
        if old.as_ref().map_or_else(Vec::new, |old| taints(old)) != taints(node) {
            for pod in on_pods.list().iter().filter(|pod| pod.spec.node_name == node.name()) {
                add.add(key(&**pod));
            }
        }
    });
    let recorder = context.recorder(&client, "taint-eviction-controller");
    let controller = Controller { client, recorder, nodes, pods, since: Mutex::default() };
    work(Arc::new(controller), queue, 2).await;
}

fn no_execute(node: &Node) -> impl Iterator<Item = &Taint> {
    node.spec.taints.iter().filter(|taint| taint.effect == "NoExecute")
}

/// How long a pod may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    Always,
    For(Duration),
}

/// Upstream: `GetMatchingTolerations` and `getMinTolerationTime`.
fn stay<'a>(taints: impl Iterator<Item = &'a Taint>, tolerations: &[Toleration]) -> Stay {
    let mut shortest = Stay::Always;
    for taint in taints {
        let mut bearing = tolerations.iter().filter(|toleration| taint.is_tolerated_by(toleration)).peekable();
        if bearing.peek().is_none() {
            return Stay::For(Duration::ZERO);
        }
        for seconds in bearing.filter_map(|toleration| toleration.toleration_seconds) {
            let time = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
            shortest = match shortest {
                Stay::Always => Stay::For(time),
                Stay::For(other) => Stay::For(other.min(time)),
            };
        }
    }
    shortest
}

impl Reconcile for Controller {
    type Key = Key;
    const NAME: &'static str = "taint-eviction";

    async fn reconcile(&self, (namespace, name): &Key) -> Result<Next, Error> {
        let Some(pod) = self.pods.get(namespace, name) else { return Ok(Next::Change) };
        let node = self.nodes.get("", &pod.spec.node_name);
        let stay = match &node {
            Some(node) if !pod.metadata.is_deleting() => stay(no_execute(node), &pod.spec.tolerations),
            _ => Stay::Always,
        };
        let now = Instant::now();
        let time = match stay {
            Stay::Always => {
                let waited = self.since.lock().unwrap_or_else(PoisonError::into_inner).remove(pod.uid());
                if waited.is_some() && !pod.metadata.is_deleting() {
                    let message = format!("Cancelling deletion of Pod {namespace}/{name}");
                    self.recorder.normal(&ObjectReference::of(&*pod), "TaintManagerEviction", message);
                }
                return Ok(Next::Change);
            }
            Stay::For(time) => time,
        };
        if !time.is_zero() {
            let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
            let until = *since.entry(pod.uid().to_owned()).or_insert(now) + time;
            if until > now {
                return Ok(Next::After(until - now));
            }
        }
        self.evict(&pod).await?;
        self.since.lock().unwrap_or_else(PoisonError::into_inner).remove(pod.uid());
        Ok(Next::Change)
    }
}

impl Controller {
    async fn evict(&self, pod: &Pod) -> Result<(), Error> {
        let message = format!("Marking for deletion Pod {}/{}", pod.namespace(), pod.name());
        self.recorder.normal(&ObjectReference::of(pod), "TaintManagerEviction", message);
        let api = Api::<Pod>::namespaced(self.client.clone(), pod.namespace());
        let patch = json!({"status": {"conditions": [{
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": now_rfc3339(),
        }]}});
        if unless_gone(api.patch_status(pod.name(), Patch::Strategic, &patch).await)?.is_some() {
            unless_gone(api.delete(pod.name(), &DeleteOptions::of_uid(pod.uid())).await)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_patience_counts() {
        let taint = |key: &str| Taint { key: key.into(), effect: "NoExecute".into(), ..Taint::default() };
        let bears = |key: &str, seconds: Option<i64>| Toleration {
            key: key.into(),
            operator: "Exists".into(),
            toleration_seconds: seconds,
            ..Toleration::default()
        };
        let seconds = |n| Stay::For(Duration::from_secs(n));
        for (taints, tolerations, expected) in [
            (vec![], vec![], Stay::Always),
            (vec![taint("a")], vec![], seconds(0)),
            (vec![taint("a")], vec![bears("a", None)], Stay::Always),
            (vec![taint("a")], vec![bears("a", Some(10))], seconds(10)),
            (vec![taint("a"), taint("b")], vec![bears("a", Some(10))], seconds(0)),
            (vec![taint("a"), taint("b")], vec![bears("a", Some(10)), bears("b", Some(5))], seconds(5)),
            (vec![taint("a")], vec![bears("a", Some(-1))], seconds(0)),
        ] {
            assert_eq!(stay(taints.iter(), &tolerations), expected, "{taints:?} {tolerations:?}");
        }
    }
}
