//! Gives services of type LoadBalancer an address, as a cloud's controller manager would.
//!
//! The addresses are a part of the nodes' own network. One node answers for each; which one is written into an annotation
//! that kube-proxy on that node follows. Nothing is kept beside the services themselves: an address is free as soon as no
//! service has it any more.

mod plan;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use drydock_client::types::{EndpointSlice, Node, Service};
use drydock_client::{Api, Client, Error, Event, EventRecorder, Object, ObjectReference, Patch, Reflector, WorkQueue};
use serde_json::json;
use tokio::sync::OnceCell;

pub(super) use self::plan::Range;
use self::plan::{Assignment, Facts, assigned, is_ours, plan};
use crate::context::Context;
use crate::work::{Key, Next, Reconcile, key, unless_gone, work};

struct Controller {
    context: Arc<Context>,
    /// Who writes; asked for when there is something to write.
    identity: OnceCell<Identity>,
    range: Range,
    services: Reflector<Service>,
    nodes: Reflector<Node>,
    slices: Reflector<EndpointSlice>,
    /// What was written and the reflector may not show yet.
    written: Mutex<BTreeMap<Key, Assignment>>,
}

struct Identity {
    client: Client,
    recorder: EventRecorder,
}

pub(super) async fn run(context: Arc<Context>, range: Range) {
    let services = context.watch::<Service>();
    let nodes = context.watch::<Node>();
    let slices = context.watch::<EndpointSlice>();
    services.synced().await;
    nodes.synced().await;
    slices.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    services.handle(move |event| {
        let service = event.object();
        if is_ours(service) || assigned(service).is_some() {
            add.add(key(&**service));
        }
    });
    let (add, all) = (queue.clone(), services.clone());
    nodes.handle(move |event| {
        let changed = match event {
            Event::Applied(new, Some(old)) => plan::standing(new) != plan::standing(old),
            _ => true,
        };
        if changed {
            all.list().iter().filter(|service| is_ours(service)).for_each(|service| add.add(key(&**service)));
        }
    });
    let (add, all) = (queue.clone(), services.clone());
    slices.handle(move |event| {
        let slice = event.object();
        // Only with local traffic does it matter where the endpoints are.
        if let Some(name) = slice.service_name()
            && let Some(service) = all.get(slice.namespace(), name)
            && is_ours(&service)
            && service.spec.external_traffic_policy == "Local"
        {
            add.add(key(&*service));
        }
    });
    let (identity, written) = (OnceCell::new(), Mutex::default());
    // One worker: two services never choose at the same time.
    work(Arc::new(Controller { context, identity, range, services, nodes, slices, written }), queue, 1).await;
}

impl Controller {
    async fn identity(&self) -> &Identity {
        let begin = || async {
            let client = self.context.client("service-controller").await;
            Identity { recorder: self.context.recorder(&client, "service-controller"), client }
        };
        self.identity.get_or_init(begin).await
    }

    /// The assignments of all other services.
    fn others(&self, own: &Key) -> Vec<Assignment> {
        let mut all: BTreeMap<Key, Assignment> = self
            .services
            .list()
            .into_iter()
            .filter_map(|service| Some((key(&*service), assigned(&service)?)))
            .collect();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.retain(|key, assignment| {
            let service = self.services.get(&key.0, &key.1);
            // Seen by now, or gone.
            service.is_some_and(|service| is_ours(&service) && assigned(&service).as_ref() != Some(assignment))
        });
        all.extend(written.iter().map(|(key, assignment)| (key.clone(), assignment.clone())));
        all.remove(own);
        all.into_values().collect()
    }

    async fn write(&self, service: &Service, assignment: Option<&Assignment>) -> Result<(), Error> {
        let ingress: Vec<_> = assignment.iter().map(|a| json!({"ip": a.address, "ipMode": "VIP"})).collect();
        let body = json!({
            "metadata": {"annotations": {Service::ANNOUNCING_NODE: assignment.and_then(|a| a.node.as_ref())}},
            "status": {"loadBalancer": {"ingress": ingress}},
        });
        let api = Api::<Service>::namespaced(self.identity().await.client.clone(), service.namespace());
        unless_gone(api.patch_status(service.name(), Patch::Merge, &body).await)?;
        Ok(())
    }
}

impl Reconcile for Controller {
    type Key = Key;
    const NAME: &'static str = "service-lb";

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let Some(service) = self.services.get(&key.0, &key.1) else { return Ok(Next::Change) };
        let current = assigned(&service);
        if !is_ours(&service) {
            if current.is_some() {
                self.write(&service, None).await?;
            }
            return Ok(Next::Change);
        }
        let nodes = self.nodes.list();
        let slices = self.slices.list_in(&key.0);
        let facts = Facts { range: self.range, others: &self.others(key), nodes: &nodes, slices: &slices };
        let about = ObjectReference::of(&*service);
        let Some(wanted) = plan(&service, &facts) else {
            let message = format!("Error syncing load balancer: no address of {} is free", self.range);
            self.identity().await.recorder.warning(&about, "SyncLoadBalancerFailed", message);
            return Ok(Next::Change);
        };
        if current.as_ref() == Some(&wanted) {
            return Ok(Next::Change);
        }
        let is_new = current.is_none_or(|current| current.address != wanted.address);
        if is_new {
            self.identity().await.recorder.normal(&about, "EnsuringLoadBalancer", "Ensuring load balancer");
        }
        self.write(&service, Some(&wanted)).await?;
        if is_new {
            self.identity().await.recorder.normal(&about, "EnsuredLoadBalancer", "Ensured load balancer");
        }
        tracing::info!(
            service.namespace = key.0, service.name = key.1, address = %wanted.address,
            node.name = wanted.node.as_deref().unwrap_or_default(), "load balancer"
        );
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), wanted);
        Ok(Next::Change)
    }
}

/// Reads the flag.
pub(super) fn range(text: &str) -> Result<Range, String> {
    let wrong = || format!("--load-balancer-cidr: {text:?} is not an IPv4 range such as 10.20.0.128/26");
    let (address, length) = text.split_once('/').ok_or_else(wrong)?;
    let (address, length) = (address.parse::<Ipv4Addr>(), length.parse::<u32>());
    match (address, length) {
        (Ok(address), Ok(length @ 16..=32)) => Ok(Range::new(address, length)),
        _ => Err(wrong()),
    }
}
