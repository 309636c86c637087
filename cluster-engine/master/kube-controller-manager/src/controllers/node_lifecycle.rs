//! Watches over nodes: says of silent ones that their state is unknown, and taints nodes by their
//! conditions so that pods avoid or leave them.

mod health;
mod plan;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drydock_api::time::now_rfc3339;
use drydock_client::types::{Lease, Node, Pod};
use drydock_client::{
    Api, Client, Error, Event, EventRecorder, ListOptions, Object, ObjectReference, Patch, Reflector, WorkQueue,
};
use serde_json::json;
use tokio::time::Instant;

use self::health::Health;
use self::plan::{Zone, silent_conditions, wanted_taints, zone};
use crate::context::Context;
use crate::work::{Next, Reconcile, unless_gone, work};

const LEASES: &str = "kube-node-lease";

struct Controller {
    client: Client,
    recorder: EventRecorder,
    nodes: Reflector<Node>,
    /// Held so that it goes on telling of leases.
    _leases: Reflector<Lease>,
    pods: Reflector<Pod>,
    grace: Duration,
    startup_grace: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    health: Health,
    /// Nodes whose pods were marked as not ready.
    marked: BTreeSet<String>,
    known: BTreeSet<String>,
}

pub(super) async fn run(context: Arc<Context>) {
    let nodes = context.watch::<Node>();
    let pods = context.watch::<Pod>();
    let leases = Reflector::<Lease>::start_in(context.own_client(), LEASES, ListOptions::default());
    let client = context.client("node-controller").await;
    nodes.synced().await;
    leases.synced().await;
    pods.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    nodes.handle(move |event| add.add(event.object().name().to_owned()));
    let grace = context.options.node_monitor_grace_period;
    let controller = Arc::new(Controller {
        recorder: context.recorder(&client, "node-controller"),
        client,
        nodes: nodes.clone(),
        _leases: leases.clone(),
        pods,
        grace,
        startup_grace: context.options.node_startup_grace_period,
        state: Mutex::default(),
    });
    let heard = controller.clone();
    leases.handle(move |event| {
        if let Event::Applied(lease, _) = event {
            heard.state().health.hear_lease(lease, Instant::now());
        }
    });
    // Lost nodes are noticed within an eighth of the grace period.
    let period = context.options.node_monitor_period.min(grace / 8).max(Duration::from_millis(100));
    let add = queue.clone();
    let watched = controller.clone();
    let ticks = async move {
        loop {
            tokio::time::sleep(period).await;
            watched.look();
            for node in nodes.list() {
                if watched.is_due(&node) {
                    add.add(node.name().to_owned());
                }
            }
        }
    };
    tokio::join!(ticks, work(controller, queue, 1));
}

impl Controller {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that we look, see [`Health::look`].
    fn look(&self) {
        self.state().health.look(Instant::now(), self.grace / 2);
    }

    fn grace_of(&self, node: &Node) -> Duration {
        if node.condition("Ready").is_some() { self.grace } else { self.startup_grace }
    }

    /// Whether the node has been silent for too long and is not yet said to be.
    fn is_due(&self, node: &Node) -> bool {
        let silent = self.state().health.silence(node.name(), Instant::now()) > self.grace_of(node);
        silent && node.condition("Ready").is_none_or(|ready| ready.status != "Unknown")
    }

    fn reference(node: &Node) -> ObjectReference {
        ObjectReference::of(node)
    }
}

impl Reconcile for Controller {
    type Key = String;
    const NAME: &'static str = "node-lifecycle";

    async fn reconcile(&self, key: &String) -> Result<Next, Error> {
        self.look();
        let Some(mut node) = self.nodes.get("", key) else {
            let mut state = self.state();
            state.health.forget(key);
            state.marked.remove(key);
            if state.known.remove(key) {
                let gone = ObjectReference { kind: "Node".into(), name: key.clone(), ..ObjectReference::default() };
                let message = format!("Node {key} event: Removing Node {key} from Controller");
                self.recorder.normal(&gone, "RemovingNode", message);
            }
            return Ok(Next::Change);
        };
        let silence = {
            let mut state = self.state();
            if state.known.insert(key.clone()) {
                let message = format!("Node {key} event: Registered Node {key} in Controller");
                self.recorder.normal(&Self::reference(&node), "RegisteredNode", message);
            }
            state.health.hear_node(&node, Instant::now());
            state.health.silence(key, Instant::now())
        };
        let api = Api::<Node>::all(self.client.clone());
        if silence > self.grace_of(&node) {
            let conditions = silent_conditions(&node, &now_rfc3339());
            if !conditions.is_empty() {
                let patch = json!({"status": {"conditions": conditions}});
                let patched = api.patch_status(key, Patch::Strategic, &patch).await?;
                if node.is_ready() {
                    let message = format!("Node {key} status is now: NodeNotReady");
                    self.recorder.normal(&Self::reference(&node), "NodeNotReady", message);
                }
                self.state().health.note_own_write(&patched);
                node = Arc::new(patched);
            }
        }
        self.mark_pods(&node).await?;
        let zone =
            zone(self.nodes.list().iter().map(|other| if other.name() == key { node.clone() } else { other.clone() }));
        if let Some(taints) = wanted_taints(&node, zone, &now_rfc3339()) {
            let patch = json!({
                "metadata": {"resourceVersion": node.metadata.resource_version},
                "spec": {"taints": taints},
            });
            unless_gone(api.patch(key, Patch::Merge, &patch).await)?;
        }
        Ok(if zone == Zone::Normal { Next::Change } else { Next::After(self.grace) })
    }
}

impl Controller {
    /// Once a node is lost, its pods are no longer ready. One whose kubelet itself says that it is not ready keeps its
    /// pods as that kubelet tells of them.
    async fn mark_pods(&self, node: &Node) -> Result<(), Error> {
        let name = node.name();
        if node.condition("Ready").is_none_or(|ready| ready.status != "Unknown") {
            self.state().marked.remove(name);
            return Ok(());
        }
        if !self.state().marked.insert(name.to_owned()) {
            return Ok(());
        }
        for pod in self.pods.list().iter().filter(|pod| pod.spec.node_name == name && pod.is_ready()) {
            let patch = json!({"status": {"conditions": [
                {"type": "Ready", "status": "False", "lastTransitionTime": now_rfc3339()},
            ]}});
            self.recorder.warning(&ObjectReference::of(&**pod), "NodeNotReady", "Node is not ready");
            let api = Api::<Pod>::namespaced(self.client.clone(), pod.namespace());
            if let Err(error) = unless_gone(api.patch_status(pod.name(), Patch::Strategic, &patch).await) {
                self.state().marked.remove(name);
                return Err(error);
            }
        }
        Ok(())
    }
}
