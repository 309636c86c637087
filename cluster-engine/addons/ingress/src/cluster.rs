//! The loop: watch, plan, hand over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use drydock_client::types::{EndpointSlice, Service};
use drydock_client::{Client, EventRecorder, ListOptions, Object, ObjectReference, Reflector};
use drydock_component::Shutdown;
use tokio::sync::{Notify, watch};

use crate::Options;
use crate::objects::{Ingress, IngressClass, Secret};
use crate::routes::{Services, Table, plan};
use crate::status::Publisher;
use crate::tls::{self, Certificates};

/// Changes that come together are planned together.
const GATHER: Duration = Duration::from_millis(20);
/// The annotation from before there were classes.
const OLD_CLASS: &str = "kubernetes.io/ingress.class";

/// Local copies of what routes are made of.
pub(crate) struct Cluster {
    client: Client,
    options: Options,
    ingresses: Reflector<Ingress>,
    classes: Reflector<IngressClass>,
    services: Reflector<Service>,
    slices: Reflector<EndpointSlice>,
    changed: Arc<Notify>,
    table: watch::Sender<Option<Arc<Table>>>,
}

impl Cluster {
    pub(crate) fn start(client: Client, options: &Options) -> Cluster {
        let changed = Arc::new(Notify::new());
        Cluster {
            ingresses: watch_all(&client, &changed),
            classes: watch_all(&client, &changed),
            services: watch_all(&client, &changed),
            slices: watch_all(&client, &changed),
            options: options.clone(),
            client,
            changed,
            table: watch::channel(None).0,
        }
    }

    /// The newest table.
    pub(crate) fn table(&self) -> watch::Receiver<Option<Arc<Table>>> {
        self.table.subscribe()
    }

    /// Keeps table, certificates and status up to date until `shutdown`.
    pub(crate) async fn follow(self, certificates: Arc<Certificates>, shutdown: Shutdown) {
        let synced = async {
            tokio::join!(self.ingresses.synced(), self.classes.synced(), self.services.synced(), self.slices.synced())
        };
        tokio::select! {
            _ = synced => {}
            () = shutdown.wait() => return,
        }
        let mut secrets = Secrets::default();
        let mut told = Told::new(&self.client);
        let publisher = Publisher::new(self.client.clone());
        loop {
            let ours = self.ours();
            told.tell(&ours);
            let table = plan(&ours, &self);
            secrets.follow(&table, &self.client, &self.changed);
            certificates.replace(secrets.certificates(&table));
            let is_new = self.table.borrow().as_ref().is_none_or(|known| **known != table);
            if is_new {
                tracing::info!(ingresses = ours.len(), "routes changed");
                self.table.send_replace(Some(Arc::new(table)));
            }
            let (namespace, name) = &self.options.publish_service;
            let again = publisher.publish(&ours, self.services.get(namespace, name).as_deref()).await;
            tokio::select! {
                () = self.changed.notified() => tokio::time::sleep(GATHER).await,
                () = tokio::time::sleep(Duration::from_secs(1)), if again => {}
                () = shutdown.wait() => return,
            }
        }
    }

    /// The Ingresses that are for us.
    fn ours(&self) -> Vec<Arc<Ingress>> {
        let classes = self.classes.list();
        let is_ours = |name: &str| {
            let class = classes.iter().find(|class| class.name() == name);
            class.is_some_and(|class| class.spec.controller == self.options.controller_class)
        };
        let mut ingresses = self.ingresses.list();
        ingresses.retain(|ingress| {
            let old = || ingress.metadata.annotations.get(OLD_CLASS).is_some_and(|c| *c == self.options.ingress_class);
            let class = ingress.spec.ingress_class_name.as_deref();
            !ingress.metadata.is_deleting() && class.map_or_else(old, is_ours)
        });
        ingresses
    }
}

impl Services for Cluster {
    fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>> {
        self.services.get(namespace, name)
    }

    fn slices(&self, namespace: &str, service: &str) -> Vec<Arc<EndpointSlice>> {
        let mut slices = self.slices.list_in(namespace);
        slices.retain(|slice| slice.service_name() == Some(service));
        slices
    }
}

fn watch_all<K: Object>(client: &Client, changed: &Arc<Notify>) -> Reflector<K> {
    let reflector = Reflector::<K>::start(client.clone(), ListOptions::default());
    on_change(&reflector, changed);
    reflector
}

fn on_change<K: Object>(reflector: &Reflector<K>, changed: &Arc<Notify>) {
    let changed = changed.clone();
    reflector.handle(move |_| changed.notify_one());
}

/// Says of each Ingress, new or with another spec, that it is taken in.
struct Told {
    recorder: EventRecorder,
    /// The generations told of, by uid.
    generations: BTreeMap<String, i64>,
}

impl Told {
    fn new(client: &Client) -> Told {
        Told { recorder: EventRecorder::new(client.clone(), "ingress-controller", ""), generations: BTreeMap::new() }
    }

    fn tell(&mut self, ingresses: &[Arc<Ingress>]) {
        for ingress in ingresses {
            let generation = ingress.metadata.generation;
            if self.generations.get(ingress.uid()) != Some(&generation) {
                self.recorder.normal(&ObjectReference::of(&**ingress), "Sync", "Scheduled for sync");
            }
        }
        let present = ingresses.iter().map(|ingress| (ingress.uid().to_owned(), ingress.metadata.generation));
        self.generations = present.collect();
    }
}

/// The Secrets that Ingresses name, each watched by itself: nobody else's are ever read.
#[derive(Default)]
struct Secrets {
    watched: BTreeMap<(String, String), Reflector<Secret>>,
}

impl Secrets {
    fn follow(&mut self, table: &Table, client: &Client, changed: &Arc<Notify>) {
        let wanted: BTreeSet<_> = table.secrets.iter().map(|s| (s.namespace.clone(), s.name.clone())).collect();
        self.watched.retain(|key, _| wanted.contains(key));
        for key in wanted {
            self.watched.entry(key).or_insert_with_key(|(namespace, name)| {
                let options = ListOptions::fields(format!("metadata.name={name}"));
                let reflector = Reflector::start_in(client.clone(), namespace, options);
                on_change(&reflector, changed);
                reflector
            });
        }
    }

    fn certificates(&self, table: &Table) -> BTreeMap<String, Arc<rustls::sign::CertifiedKey>> {
        let mut by_host = BTreeMap::new();
        for wanted in &table.secrets {
            let (namespace, name) = (&wanted.namespace, &wanted.name);
            let watched = self.watched.get(&(namespace.clone(), name.clone()));
            let Some(secret) = watched.and_then(|watched| watched.get(namespace, name)) else {
                tracing::debug!(secret.namespace = namespace, secret.name = name, "there is no such Secret");
                continue;
            };
            match tls::read(&secret) {
                Ok(key) => {
                    let key = Arc::new(key);
                    let whole = [String::new()];
                    let hosts = if wanted.hosts.is_empty() { &whole[..] } else { &wanted.hosts };
                    for host in hosts {
                        // The older Ingress has the host.
                        by_host.entry(host.to_ascii_lowercase()).or_insert_with(|| key.clone());
                    }
                }
                Err(error) => {
                    tracing::warn!(secret.namespace = namespace, secret.name = name, %error, "unusable certificate");
                }
            }
        }
        by_host
    }
}
