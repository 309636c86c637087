//! Endpoint slices: where a service leads, in pieces of at most a hundred endpoints; those of
//! services with a selector from pods, those without from Endpoints that somebody wrote.

mod mirror;
mod plan;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use drydock_client::types::{EndpointSlice, Node, Pod, Service};
use drydock_client::{Api, Client, DeleteOptions, Error, Event, Object, Reflector, WorkQueue};

use self::plan::{Action, Groups, MANAGED_BY, SERVICE_NAME, groups, plan};
use super::endpoints::{selected, services_of};
use crate::context::Context;
use crate::work::{Key, Next, Reconcile, key, unless_gone, work};

pub(super) use self::mirror::run as run_mirroring;

/// Who keeps slices made from pods.
const NAME: &str = "endpointslice-controller.k8s.io";

struct Controller {
    services: Reflector<Service>,
    pods: Reflector<Pod>,
    nodes: Reflector<Node>,
    writer: Writer,
}

pub(super) async fn run(context: Arc<Context>) {
    let services = context.watch::<Service>();
    let pods = context.watch::<Pod>();
    let nodes = context.watch::<Node>();
    let slices = context.watch::<EndpointSlice>();
    let client = context.client("endpointslice-controller").await;
    services.synced().await;
    pods.synced().await;
    nodes.synced().await;
    slices.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    services.handle(move |event| add.add(key(&**event.object())));
    let (add, all) = (queue.clone(), services.clone());
    pods.handle(move |event| {
        for key in services_of(event, &all) {
            add.add(key);
        }
    });
    watch_slices(&slices, &queue, NAME);
    let controller = Controller { services, pods, nodes, writer: Writer::new(client, slices, NAME) };
    work(Arc::new(controller), queue, 5).await;
}

/// Looks after slices that others change or delete.
fn watch_slices(slices: &Reflector<EndpointSlice>, queue: &WorkQueue<Key>, manager: &'static str) {
    let add = queue.clone();
    slices.handle(move |event| {
        let slice = event.object();
        let is_ours = slice.metadata.labels.get(MANAGED_BY).is_some_and(|by| by == manager);
        let is_news = !matches!(event, Event::Applied(_, None));
        if is_ours
            && is_news
            && let Some(service) = slice.service_name()
        {
            add.add((slice.namespace().to_owned(), service.to_owned()));
        }
    });
}

impl Reconcile for Controller {
    type Key = Key;
    const NAME: &'static str = "endpointslice";

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let Some(service) = self.services.get(&key.0, &key.1) else {
            // The garbage collector takes the slices of a service that is gone.
            self.writer.forget(key);
            return Ok(Next::Change);
        };
        if service.metadata.is_deleting() || service.spec.selector.is_empty() {
            return Ok(Next::Change);
        }
        let wanted = if service.spec.kind == "ExternalName" {
            Groups::default()
        } else {
            groups(&service, &selected(&service, &self.pods), |node| self.nodes.get("", node))
        };
        self.writer.write(&service, &wanted).await?;
        Ok(Next::Change)
    }
}

/// Writes slices, and remembers what it wrote until the watch shows it.
struct Writer {
    client: Client,
    slices: Reflector<EndpointSlice>,
    manager: &'static str,
    /// By service and slice; `None` for a deleted one.
    written: Mutex<HashMap<Key, BTreeMap<String, Written>>>,
}

struct Written {
    resource_version: u64,
    slice: Option<Arc<EndpointSlice>>,
}

fn version(slice: &EndpointSlice) -> u64 {
    slice.metadata.resource_version.parse().unwrap_or_default()
}

impl Writer {
    fn new(client: Client, slices: Reflector<EndpointSlice>, manager: &'static str) -> Writer {
        Writer { client, slices, manager, written: Mutex::default() }
    }

    fn forget(&self, service: &Key) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).remove(service);
    }

    /// Our slices of a service: what the watch shows, and what was written since.
    fn current(&self, key: &Key) -> Vec<Arc<EndpointSlice>> {
        let mut found: BTreeMap<String, Arc<EndpointSlice>> = self
            .slices
            .list_in(&key.0)
            .into_iter()
            .filter(|slice| {
                slice.metadata.labels.get(SERVICE_NAME) == Some(&key.1)
                    && slice.metadata.labels.get(MANAGED_BY).is_some_and(|by| by == self.manager)
                    && !slice.metadata.is_deleting()
            })
            .map(|slice| (slice.name().to_owned(), slice))
            .collect();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(written) = written.get_mut(key) {
            written.retain(|name, written| match (&written.slice, self.slices.get(&key.0, name)) {
                (Some(_), Some(seen)) => version(&seen) < written.resource_version,
                (Some(_), None) => true,
                (None, Some(seen)) => version(&seen) <= written.resource_version,
                (None, None) => false,
            });
            for (name, written) in written.iter() {
                match &written.slice {
                    Some(slice) => drop(found.insert(name.clone(), slice.clone())),
                    None => drop(found.remove(name)),
                }
            }
        }
        found.into_values().collect()
    }

    fn note(&self, key: &Key, name: &str, resource_version: u64, slice: Option<Arc<EndpointSlice>>) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.entry(key.clone()).or_default().insert(name.to_owned(), Written { resource_version, slice });
    }

    async fn write(&self, service: &Service, wanted: &Groups) -> Result<(), Error> {
        let key = key(service);
        let api = Api::<EndpointSlice>::namespaced(self.client.clone(), &key.0);
        for action in plan(service, wanted, &self.current(&key), self.manager) {
            match action {
                Action::Create(body) => match api.create(&body).await {
                    Err(error) if error.is_namespace_terminating() => {}
                    result => {
                        let slice = result?;
                        self.note(&key, slice.name(), version(&slice), Some(Arc::new(slice.clone())));
                    }
                },
                Action::Replace(name, body) => match api.replace(&name, &body).await {
                    Ok(slice) => self.note(&key, &name, version(&slice), Some(Arc::new(slice.clone()))),
                    Err(error) => {
                        // Whatever was remembered is not what is there.
                        self.forget(&key);
                        return Err(error);
                    }
                },
                Action::Delete(slice) => {
                    unless_gone(api.delete(slice.name(), &DeleteOptions::of_uid(slice.uid())).await)?;
                    self.note(&key, slice.name(), version(&slice), None);
                }
            }
        }
        Ok(())
    }

    /// Deletes all our slices of a service.
    async fn remove_all(&self, key: &Key) -> Result<(), Error> {
        let api = Api::<EndpointSlice>::namespaced(self.client.clone(), &key.0);
        for slice in self.current(key) {
            unless_gone(api.delete(slice.name(), &DeleteOptions::of_uid(slice.uid())).await)?;
            self.note(key, slice.name(), version(&slice), None);
        }
        Ok(())
    }
}
