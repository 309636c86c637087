//! Tells each node, in an annotation, for how long its kubelet may believe the Secrets and config maps it has read: the
//! more nodes there are, the longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use drydock_client::types::Node;
use drydock_client::{Api, Client, Error, Event, Object, Patch, Reflector, WorkQueue};
use serde_json::json;

use crate::context::Context;
use crate::work::{Next, Reconcile, unless_gone, work};

const ANNOTATION: &str = "node.alpha.kubernetes.io/ttl";
/// From how many nodes to how many a step holds, and its seconds. Steps overlap, so that a cluster that grows and
/// shrinks by a few nodes stays on one (upstream: `ttlBoundaries`).
const STEPS: [(usize, usize, u32); 5] =
    [(0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, usize::MAX, 300)];

/// The step for `nodes` nodes, coming from step `at`.
fn step(mut at: usize, nodes: usize) -> usize {
    while at > 0 && nodes < STEPS[at].0 {
        at -= 1;
    }
    while at + 1 < STEPS.len() && nodes > STEPS[at].1 {
        at += 1;
    }
    at
}

struct Controller {
    client: Client,
    nodes: Reflector<Node>,
    step: Arc<AtomicUsize>,
}

pub(super) async fn run(context: Arc<Context>) {
    let nodes = context.watch::<Node>();
    let client = context.client("ttl-controller").await;
    nodes.synced().await;
    let queue = WorkQueue::new();
    let now = Arc::new(AtomicUsize::new(0));
    let (add, all, at) = (queue.clone(), nodes.clone(), now.clone());
    nodes.handle(move |event| {
        let before = at.load(Ordering::Relaxed);
        let after = step(before, all.len());
        at.store(after, Ordering::Relaxed);
        if before != after {
            all.list().iter().for_each(|node| add.add(node.name().to_owned()));
        } else if let Event::Applied(node, _) = event
            && !says(node, after)
        {
            add.add(node.name().to_owned());
        }
    });
    work(Arc::new(Controller { client, nodes, step: now }), queue, 1).await;
}

fn says(node: &Node, step: usize) -> bool {
    node.metadata.annotations.get(ANNOTATION).is_some_and(|text| *text == STEPS[step].2.to_string())
}

impl Reconcile for Controller {
    type Key = String;
    const NAME: &'static str = "ttl";

    async fn reconcile(&self, key: &String) -> Result<Next, Error> {
        let step = self.step.load(Ordering::Relaxed);
        if self.nodes.get("", key).is_some_and(|node| !says(&node, step)) {
            let patch = json!({"metadata": {"annotations": {ANNOTATION: STEPS[step].2.to_string()}}});
            unless_gone(Api::<Node>::all(self.client.clone()).patch(key, Patch::Merge, &patch).await)?;
        }
        Ok(Next::Change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_overlap() {
        for (at, nodes, expected) in
            [(0, 3, 0), (0, 100, 0), (0, 101, 1), (1, 95, 1), (1, 89, 0), (0, 5000, 4), (4, 1900, 4), (4, 1, 0)]
        {
            assert_eq!(step(at, nodes), expected, "from step {at} with {nodes} nodes");
        }
    }
}
