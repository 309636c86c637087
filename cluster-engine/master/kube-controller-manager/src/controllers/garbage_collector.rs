//! Deletes what has lost its owners, and lets owners wait for what they own.
//!
//! It watches the metadata of every kind that can be listed, watched and deleted, keeps a graph of
//! who owns whom, and follows upstream's rules for background, foreground and orphaning deletion.

mod graph;
mod plan;
mod watches;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drydock_client::{
    Api, Client, DeleteOptions, Error, EventRecorder, ObjectReference, PartialObject, Patch, Propagation, Resource,
    WorkQueue,
};
use serde_json::{Value, json};

use self::graph::{Graph, Item};
use self::plan::{Action, Owner, plan};
use self::watches::Watches;
use crate::context::Context;
use crate::work::{Next, Reconcile, unless_gone, work};

pub(super) const FOREGROUND: &str = "foregroundDeletion";
pub(super) const ORPHAN: &str = "orphan";

struct Controller {
    client: Client,
    recorder: EventRecorder,
    graph: Arc<Mutex<Graph>>,
    watches: Arc<Watches>,
}

pub(super) async fn run(context: Arc<Context>) {
    let client = context.client("generic-garbage-collector").await;
    let graph: Arc<Mutex<Graph>> = Arc::default();
    let queue = WorkQueue::new();
    let watches = Arc::new(Watches::new(context.own_client(), graph.clone(), queue.clone()));
    let follow = watches.clone();
    let recorder = context.recorder(&client, "garbage-collector-controller");
    let controller = Controller { client, recorder, graph, watches: watches.clone() };
    let loops = async {
        // An owner that is not known yet must not be taken for one that is gone.
        watches.synced().await;
        work(Arc::new(controller), queue, 5).await;
    };
    tokio::join!(follow.follow(), loops);
}

impl Reconcile for Controller {
    /// The object's uid.
    type Key = String;
    const NAME: &'static str = "garbage-collector";

    async fn reconcile(&self, uid: &String) -> Result<Next, Error> {
        let Some(seen) = self.graph().get(uid).cloned() else { return Ok(Next::Change) };
        let api = self.api(&seen.resource, &seen.namespace);
        // The graph may lag behind: decide on the object as it is now.
        let live = api.get_opt(&seen.name).await?;
        let Some(live) = live.filter(|live| live.metadata.uid == *uid) else {
            return Ok(Next::Change);
        };
        let item = Item::new(seen.resource.clone(), &live.metadata);
        let mut owners = Vec::new();
        for reference in &live.metadata.owner_references {
            owners.push((reference.clone(), self.look_up(&item, reference).await?));
        }
        let dependents = self.graph().dependents(uid);
        match plan(&item, &owners, &dependents) {
            Action::Nothing => {}
            Action::Delete(propagation) => {
                let options = DeleteOptions {
                    propagation: Some(propagation),
                    resource_version: Some(live.metadata.resource_version.clone()),
                    ..DeleteOptions::of_uid(uid)
                };
                tracing::debug!(kind = %item.resource.kind, item.namespace, item.name, "deleting: no owner is left");
                unless_gone(api.delete(&item.name, &options).await)?;
            }
            Action::Disown(gone) => {
                let patch = json!({"metadata": {
                    "resourceVersion": live.metadata.resource_version,
                    "ownerReferences": live.metadata.owner_references.iter().filter(|owner| !gone.contains(&owner.uid)).collect::<Vec<_>>(),
                }});
                unless_gone(api.patch(&item.name, Patch::Merge, &patch).await)?;
            }
            Action::UnblockAndDelete => {
                let references: Vec<Value> = live
                    .metadata
                    .owner_references
                    .iter()
                    .map(|owner| {
                        let mut reference = json!(owner);
                        reference["blockOwnerDeletion"] = false.into();
                        reference
                    })
                    .collect();
                let patch = json!({"metadata": {
                    "resourceVersion": live.metadata.resource_version,
                    "ownerReferences": references,
                }});
                if unless_gone(api.patch(&item.name, Patch::Merge, &patch).await)?.is_some() {
                    let options =
                        DeleteOptions { propagation: Some(Propagation::Foreground), ..DeleteOptions::of_uid(uid) };
                    unless_gone(api.delete(&item.name, &options).await)?;
                }
            }
            Action::Finalize(finalizer) => self.finalize(&api, &live, finalizer).await?,
            Action::Orphan => {
                for dependent in &dependents {
                    self.disown(dependent, uid).await?;
                }
                self.finalize(&api, &live, ORPHAN).await?;
            }
            Action::Visit(blocking) => {
                for uid in blocking {
                    self.watches.visit(uid);
                }
            }
        }
        Ok(Next::Change)
    }
}

impl Controller {
    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn api(&self, resource: &Resource, namespace: &str) -> Api<PartialObject> {
        Api::of(self.client.clone(), resource.clone(), namespace)
    }

    /// Whether an owner is there: by the graph, else by asking.
    async fn look_up(&self, item: &Item, reference: &drydock_api::meta::OwnerReference) -> Result<Owner, Error> {
        let known = self.graph().get(&reference.uid).cloned();
        match known {
            Some(owner) if owner.is_foreign_to(item) => self.tell_foreign(item, reference),
            Some(owner) => return Ok(if owner.waits_for_dependents() { Owner::Waiting } else { Owner::There }),
            None => {}
        }
        let Some(resource) = self.watches.resource(&reference.api_version, &reference.kind) else {
            // A kind that is not served (yet): nothing can be known, so nothing is deleted.
            return Ok(Owner::There);
        };
        let namespace = if resource.namespaced { item.namespace.as_str() } else { "" };
        if resource.namespaced && namespace.is_empty() {
            // A cluster-scoped object cannot have an owner in a namespace; upstream leaves it alone.
            return Ok(Owner::There);
        }
        let found = self.api(&resource, namespace).get_opt(&reference.name).await?;
        Ok(match found {
            Some(found) if found.metadata.uid == reference.uid => {
                let owner = Item::new(resource, &found.metadata);
                if owner.waits_for_dependents() { Owner::Waiting } else { Owner::There }
            }
            _ => Owner::Gone,
        })
    }

    /// Says that an owner cannot be one because it is in another namespace.
    fn tell_foreign(&self, item: &Item, reference: &drydock_api::meta::OwnerReference) {
        let about = ObjectReference {
            kind: item.resource.kind.to_string(),
            namespace: item.namespace.clone(),
            name: item.name.clone(),
            uid: item.uid.clone(),
            api_version: item.resource.api_version(),
            ..ObjectReference::default()
        };
        let message = format!(
            "ownerRef [{}/{}, namespace: {}, name: {}, uid: {}] does not exist in namespace {:?}",
            reference.api_version, reference.kind, item.namespace, reference.name, reference.uid, item.namespace
        );
        self.recorder.warning(&about, "OwnerRefInvalidNamespace", message);
    }

    /// Takes a finalizer away.
    async fn finalize(&self, api: &Api<PartialObject>, live: &PartialObject, finalizer: &str) -> Result<(), Error> {
        let left: Vec<&String> = live.metadata.finalizers.iter().filter(|found| *found != finalizer).collect();
        if left.len() == live.metadata.finalizers.len() {
            return Ok(());
        }
        let patch = json!({"metadata": {
            "resourceVersion": live.metadata.resource_version,
            "finalizers": left,
        }});
        unless_gone(api.patch(&live.metadata.name, Patch::Merge, &patch).await).map(drop)
    }

    /// Takes one owner away from an object.
    async fn disown(&self, dependent: &Item, owner: &str) -> Result<(), Error> {
        let api = self.api(&dependent.resource, &dependent.namespace);
        let Some(live) = api.get_opt(&dependent.name).await? else { return Ok(()) };
        if live.metadata.uid != dependent.uid || !live.metadata.owner_references.iter().any(|o| o.uid == owner) {
            return Ok(());
        }
        let left: Vec<_> = live.metadata.owner_references.iter().filter(|found| found.uid != owner).collect();
        let patch = json!({"metadata": {
            "resourceVersion": live.metadata.resource_version,
            "ownerReferences": left,
        }});
        unless_gone(api.patch(&dependent.name, Patch::Merge, &patch).await).map(drop)
    }
}
