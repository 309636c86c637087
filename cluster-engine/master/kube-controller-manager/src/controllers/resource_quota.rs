//! Resource quotas: how much of what they limit is used. The API server books what comes; what goes is found out here.

mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drydock_client::types::{Pod, Service};
use drydock_client::{Api, Client, Error, Event, ListOptions, Object, PartialObject, Reflector, WorkQueue};
use tokio::sync::Mutex;

use self::usage::{Holdings, counted, used};
use crate::context::Context;
use crate::discovery;
use crate::kinds::{Claim, Quota, QuotaStatus};
use crate::work::{Key, Next, Reconcile, key, unless_gone, with_status, work};

/// Everything is counted anew after this time (upstream: `--resource-quota-sync-period`).
const RESYNC: Duration = Duration::from_secs(300);

struct Controller {
    client: Client,
    own: Client,
    quotas: Reflector<Quota>,
    pods: Reflector<Pod>,
    services: Reflector<Service>,
    claims: Reflector<Claim>,
    queue: WorkQueue<Key>,
    /// Kinds whose number a quota limits; they are watched from then on.
    counted: Mutex<BTreeMap<String, Reflector<PartialObject>>>,
}

pub(super) async fn run(context: Arc<Context>) {
    let quotas = context.watch::<Quota>();
    let pods = context.watch::<Pod>();
    let services = context.watch::<Service>();
    let claims = context.watch::<Claim>();
    let client = context.client("resourcequota-controller").await;
    quotas.synced().await;
    pods.synced().await;
    services.synced().await;
    claims.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    quotas.handle(move |event| {
        if let Event::Applied(quota, old) = event
            && (quota.status.hard != quota.spec.hard || old.as_ref().is_none_or(|old| old.spec != quota.spec))
        {
            add.add(key(&**quota));
        }
    });
    let (add, all) = (queue.clone(), quotas.clone());
    pods.handle(move |event| {
        let frees = match event {
            Event::Applied(pod, Some(old)) => {
                (pod.is_terminal() && !old.is_terminal()) || pod.spec.containers != old.spec.containers
            }
            Event::Applied(_, None) => false,
            Event::Deleted(_) => true,
        };
        if frees {
            add_all(&add, &all, event.object().namespace());
        }
    });
    let (add, all) = (queue.clone(), quotas.clone());
    services.handle(move |event| {
        let frees = match event {
            Event::Applied(new, Some(old)) => new.spec.kind != old.spec.kind || new.spec.ports != old.spec.ports,
            Event::Applied(_, None) => false,
            Event::Deleted(_) => true,
        };
        if frees {
            add_all(&add, &all, event.object().namespace());
        }
    });
    follow_deletions(&queue, &quotas, &claims);
    let controller = Controller {
        client,
        own: context.own_client(),
        quotas,
        pods,
        services,
        claims,
        queue: queue.clone(),
        counted: Mutex::default(),
    };
    work(Arc::new(controller), queue, 1).await;
}

fn add_all(queue: &WorkQueue<Key>, quotas: &Reflector<Quota>, namespace: &str) {
    quotas.list_in(namespace).iter().for_each(|quota| queue.add(key(&**quota)));
}

fn follow_deletions<K: Object>(queue: &WorkQueue<Key>, quotas: &Reflector<Quota>, objects: &Reflector<K>) {
    let (add, all) = (queue.clone(), quotas.clone());
    objects.handle(move |event| {
        if let Event::Deleted(object) = event {
            add_all(&add, &all, object.namespace());
        }
    });
}

impl Reconcile for Controller {
    type Key = Key;
    const NAME: &'static str = "resourcequota";

    async fn reconcile(&self, (namespace, name): &Key) -> Result<Next, Error> {
        let Some(quota) = self.quotas.get(namespace, name) else { return Ok(Next::Change) };
        let there = Holdings {
            pods: self.pods.list_in(namespace),
            services: self.services.list_in(namespace),
            claims: self.claims.list_in(namespace),
            counts: self.counts(&quota).await?,
        };
        let status = QuotaStatus { hard: quota.spec.hard.clone(), used: used(&quota, &there) };
        if status != quota.status {
            let api = Api::<Quota>::namespaced(self.client.clone(), namespace);
            unless_gone(api.replace_status(name, &with_status(&*quota, &status)).await)?;
        }
        Ok(Next::After(RESYNC))
    }
}

impl Controller {
    /// How many objects there are of each kind that the quota counts.
    async fn counts(&self, quota: &Quota) -> Result<BTreeMap<String, usize>, Error> {
        // A quota counts itself, too, and must not miss itself because another watch is a little behind.
        let quotas = self.quotas.list_in(quota.namespace()).len();
        let mut counts = BTreeMap::from([("resourcequotas".to_owned(), quotas)]);
        let special = ["pods", "services", "persistentvolumeclaims", "resourcequotas"];
        let kinds = quota.spec.hard.keys().filter_map(|name| counted(name)).filter(|kind| !special.contains(kind));
        for kind in kinds {
            if let Some(objects) = self.watched(kind).await? {
                objects.synced().await;
                counts.insert(kind.to_owned(), objects.list_in(quota.namespace()).len());
            }
        }
        Ok(counts)
    }

    /// The watch of a kind, started at its first use; `None` if it is not served.
    async fn watched(&self, kind: &str) -> Result<Option<Reflector<PartialObject>>, Error> {
        let mut watched = self.counted.lock().await;
        if let Some(found) = watched.get(kind) {
            return Ok(Some(found.clone()));
        }
        let (plural, group) = kind.split_once('.').unwrap_or((kind, ""));
        let served = discovery::served(&self.own).await?;
        let found = served.into_iter().find(|served| {
            served.resource.plural == plural
                && served.resource.group == group
                && served.resource.namespaced
                && served.can(&["list", "watch"])
        });
        let Some(found) = found else { return Ok(None) };
        let options = ListOptions { metadata_only: true, ..ListOptions::default() };
        let objects = Reflector::<PartialObject>::start_of(self.own.clone(), found.resource, options);
        follow_deletions(&self.queue, &self.quotas, &objects);
        watched.insert(kind.to_owned(), objects.clone());
        Ok(Some(objects))
    }
}
