//! Endpoints: the older form of where a service leads. Deprecated upstream, still kept.

mod plan;

use std::sync::Arc;

use drydock_api::selector::Selector;
use drydock_client::types::{Pod, Service};
use drydock_client::{Api, Client, DeleteOptions, Error, Event, Object, Reflector, WorkQueue};

use self::plan::{Action, plan};
use crate::context::Context;
use crate::kinds::Endpoints;
use crate::work::{Key, Next, Reconcile, key, unless_gone, work};

pub(super) use self::plan::{host_name, pod_reference, target_port};

struct Controller {
    client: Client,
    services: Reflector<Service>,
    pods: Reflector<Pod>,
    endpoints: Reflector<Endpoints>,
}

pub(super) async fn run(context: Arc<Context>) {
    let services = context.watch::<Service>();
    let pods = context.watch::<Pod>();
    let endpoints = context.watch::<Endpoints>();
    let client = context.client("endpoint-controller").await;
    services.synced().await;
    pods.synced().await;
    endpoints.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    services.handle(move |event| add.add(key(&**event.object())));
    let (add, all) = (queue.clone(), services.clone());
    pods.handle(move |event| {
        for key in services_of(event, &all) {
            add.add(key);
        }
    });
    let add = queue.clone();
    endpoints.handle(move |event| {
        if let Event::Deleted(endpoints) = event {
            add.add(key(&**endpoints));
        }
    });
    work(Arc::new(Controller { client, services, pods, endpoints }), queue, 5).await;
}

/// The services that a pod's change concerns: those that select it now, and those that did before.
pub(super) fn services_of(event: &Event<Pod>, services: &Reflector<Service>) -> Vec<Key> {
    let pod = event.object();
    let before = match event {
        Event::Applied(_, Some(old)) => {
            if !matters(old, pod) {
                return Vec::new();
            }
            Some(old)
        }
        _ => None,
    };
    let mut keys = Vec::new();
    for service in services.list_in(pod.namespace()) {
        if service.spec.selector.is_empty() {
            continue;
        }
        let selects = |pod: &Pod| service.spec.selector.iter().all(|(k, v)| pod.metadata.labels.get(k) == Some(v));
        if selects(pod) || before.is_some_and(|old| selects(old)) {
            keys.push(key(&*service));
        }
    }
    keys
}

/// Whether a change of a pod can change endpoints.
fn matters(old: &Pod, new: &Pod) -> bool {
    old.metadata.labels != new.metadata.labels
        || old.metadata.is_deleting() != new.metadata.is_deleting()
        || old.is_ready() != new.is_ready()
        || old.is_terminal() != new.is_terminal()
        || old.status.pod_ip != new.status.pod_ip
        || old.status.pod_ips != new.status.pod_ips
        || old.spec.node_name != new.spec.node_name
        || old.uid() != new.uid()
}

/// The pods that a service selects.
pub(super) fn selected(service: &Service, pods: &Reflector<Pod>) -> Vec<Arc<Pod>> {
    let pairs = service.spec.selector.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let selector = Selector::from_pairs(pairs);
    let mut found = pods.list_in(service.namespace());
    found.retain(|pod| selector.matches_map(&pod.metadata.labels));
    found
}

impl Reconcile for Controller {
    type Key = Key;
    const NAME: &'static str = "endpoints";

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let service = self.services.get(&key.0, &key.1);
        let existing = self.endpoints.get(&key.0, &key.1);
        let pods = service.as_ref().map(|service| selected(service, &self.pods)).unwrap_or_default();
        let api = Api::<Endpoints>::namespaced(self.client.clone(), &key.0);
        match plan(service.as_deref(), existing.as_deref(), &pods) {
            None => {}
            Some(Action::Create(body)) => match api.create(&body).await {
                Err(error) if error.is_namespace_terminating() => {}
                result => drop(result?),
            },
            Some(Action::Replace(body)) => drop(api.replace(&key.1, &body).await?),
            Some(Action::Delete) => drop(unless_gone(api.delete(&key.1, &DeleteOptions::default()).await)?),
        }
        Ok(Next::Change)
    }
}
