//! One metadata watch per kind that can be collected; kinds come and go with custom resources.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drydock_api::meta::ObjectMeta;
use drydock_client::{Client, Event, ListOptions, Reflector, Resource, WorkQueue, object};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use super::graph::{Graph, Item};
use crate::discovery;

/// How long after a custom resource definition changed the served kinds are asked for.
const SETTLE: Duration = Duration::from_millis(500);
/// How soon a failed question is asked again.
const RETRY: Duration = Duration::from_millis(200);

/// What the collector keeps of an object.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Collected {
    metadata: ObjectMeta,
}

object!(Collected, "meta.k8s.io", "v1", "PartialObjectMetadata", "", namespaced, Collected::slim);

impl Collected {
    /// The graph has what matters; the reflector needs only to know the object again.
    fn slim(&mut self) {
        let meta = &mut self.metadata;
        meta.labels = Default::default();
        meta.annotations = Default::default();
        meta.generate_name = String::new();
        meta.creation_timestamp = None;
        meta.owner_references.shrink_to_fit();
    }
}

pub(super) struct Watches {
    client: Client,
    graph: Arc<Mutex<Graph>>,
    queue: WorkQueue<String>,
    running: Mutex<BTreeMap<Resource, Reflector<Collected>>>,
    /// Every served kind, collected or not, to find owners by.
    known: Mutex<Vec<Resource>>,
    again: Arc<Notify>,
    synced: watch::Sender<bool>,
}

impl Watches {
    pub(super) fn new(client: Client, graph: Arc<Mutex<Graph>>, queue: WorkQueue<String>) -> Watches {
        Watches {
            client,
            graph,
            queue,
            running: Mutex::default(),
            known: Mutex::default(),
            again: Arc::default(),
            synced: watch::channel(false).0,
        }
    }

    /// Waits until all kinds are known.
    pub(super) async fn synced(&self) {
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// Looks at an object.
    pub(super) fn visit(&self, uid: String) {
        self.queue.add(uid);
    }

    /// The resource of a kind.
    pub(super) fn resource(&self, api_version: &str, kind: &str) -> Option<Resource> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
        // Any version of the kind will do: they are the same objects.
        known
            .iter()
            .find(|resource| resource.kind == kind && resource.api_version() == api_version)
            .or_else(|| known.iter().find(|resource| resource.kind == kind && resource.group == group))
            .cloned()
    }

    /// Keeps the watches in step with what is served.
    pub(super) async fn follow(&self) {
        loop {
            match discovery::served(&self.client).await {
                Ok(served) => {
                    *self.known.lock().unwrap_or_else(PoisonError::into_inner) = served
                        .iter()
                        .filter(|served| !served.resource.plural.contains('/'))
                        .map(|served| served.resource.clone())
                        .collect();
                    let wanted: Vec<Resource> = served
                        .into_iter()
                        .filter(|served| served.can(&["list", "watch", "delete"]))
                        .map(|served| served.resource)
                        // Events expire by themselves and are many (upstream ignores them too).
                        .filter(|resource| resource.plural != "events")
                        .collect();
                    self.set(wanted).await;
                    self.synced.send_replace(true);
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot ask what is served");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            }
            self.again.notified().await;
            // A definition is served a moment after it is written.
            tokio::time::sleep(SETTLE).await;
        }
    }

    async fn set(&self, wanted: Vec<Resource>) {
        let gone: Vec<Resource> = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            let gone = running.keys().filter(|resource| !wanted.contains(resource)).cloned().collect();
            running.retain(|resource, _| wanted.contains(resource));
            gone
        };
        for resource in gone {
            self.graph.lock().unwrap_or_else(PoisonError::into_inner).forget(&resource);
        }
        let mut fresh = Vec::new();
        for resource in wanted {
            let is_running = self.running.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&resource);
            if !is_running {
                let reflector = self.start(resource.clone());
                self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(resource, reflector.clone());
                fresh.push(reflector);
            }
        }
        for reflector in fresh {
            // A kind that cannot be listed must not hold up all others for ever.
            let _ = tokio::time::timeout(Duration::from_secs(10), reflector.synced()).await;
        }
        let suspects = self.graph.lock().unwrap_or_else(PoisonError::into_inner).suspects();
        for uid in suspects {
            self.queue.add(uid);
        }
    }

    fn start(&self, resource: Resource) -> Reflector<Collected> {
        let options = ListOptions { metadata_only: true, ..ListOptions::default() };
        let reflector = Reflector::<Collected>::start_of(self.client.clone(), resource.clone(), options);
        let defines_kinds =
            matches!(resource.plural.as_ref(), "customresourcedefinitions" | "apiservices").then(|| self.again.clone());
        let (graph, queue, synced) = (self.graph.clone(), self.queue.clone(), self.synced.subscribe());
        reflector.handle(move |event| {
            let mut graph = graph.lock().unwrap_or_else(PoisonError::into_inner);
            let visit = match event {
                Event::Applied(object, _) => graph.apply(Item::new(resource.clone(), &object.metadata)),
                Event::Deleted(object) => graph.remove(&object.metadata.uid),
            };
            drop(graph);
            // Before everything is known an unknown owner says nothing; suspects are looked at then.
            let is_known = *synced.borrow();
            for uid in visit {
                if is_known {
                    queue.add(uid);
                } else {
                    queue.add_after(uid, SETTLE);
                }
            }
            if let Some(again) = &defines_kinds
                && is_known
            {
                again.notify_one();
            }
        });
        reflector
    }
}
