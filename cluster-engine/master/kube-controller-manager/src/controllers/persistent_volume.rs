//! Volumes and claims: who belongs to whom, and what becomes of a volume that lost its claim.

mod plan;

use std::sync::Arc;

use drydock_client::types::Pod;
use drydock_client::{
    Api, Client, DeleteOptions, Error, Event, EventRecorder, Object, ObjectReference, Reflector, WorkQueue,
};
use serde_json::{Value, json};

use self::plan::{ForClaim, ForVolume, Reclaim, World, claim_for, for_claim, for_volume, give_to};
use crate::context::Context;
use crate::kinds::{BIND_COMPLETED, BOUND_BY_CONTROLLER, Claim, StorageClass, Volume};
use crate::work::{Next, Reconcile, edit, unless_gone, work};

/// What is looked at: a claim or a volume.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Claim(String, String),
    Volume(String),
}

impl Subject {
    fn claim(claim: &Claim) -> Subject {
        Subject::Claim(claim.namespace().to_owned(), claim.name().to_owned())
    }
}

struct Controller {
    client: Client,
    recorder: EventRecorder,
    claims: Reflector<Claim>,
    volumes: Reflector<Volume>,
    classes: Reflector<StorageClass>,
    pods: Reflector<Pod>,
    queue: WorkQueue<Subject>,
}

pub(super) async fn run(context: Arc<Context>) {
    let claims = context.watch::<Claim>();
    let volumes = context.watch::<Volume>();
    let classes = context.watch::<StorageClass>();
    let pods = context.watch::<Pod>();
    let client = context.client("persistent-volume-binder").await;
    claims.synced().await;
    volumes.synced().await;
    classes.synced().await;
    pods.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    claims.handle(move |event| {
        let claim = event.object();
        add.add(Subject::claim(claim));
        let named = |claim: &Claim| Some(claim.spec.volume_name.clone()).filter(|name| !name.is_empty());
        if let Some(name) = named(claim) {
            add.add(Subject::Volume(name));
        }
    });
    let (add, all) = (queue.clone(), claims.clone());
    volumes.handle(move |event| {
        let volume = event.object();
        add.add(Subject::Volume(volume.name().to_owned()));
        match &volume.spec.claim_ref {
            Some(held) => add.add(Subject::Claim(held.namespace.clone(), held.name.clone())),
            None if matches!(event, Event::Applied(..)) => add_unbound(&add, &all),
            None => {}
        }
        if matches!(event, Event::Deleted(_)) {
            for claim in all.list().iter().filter(|claim| claim.spec.volume_name == volume.name()) {
                add.add(Subject::claim(claim));
            }
        }
    });
    let (add, all) = (queue.clone(), claims.clone());
    classes.handle(move |event| {
        if matches!(event, Event::Applied(..)) {
            add_unbound(&add, &all);
        }
    });
    let recorder = context.recorder(&client, "persistentvolume-controller");
    let controller = Controller { client, recorder, claims, volumes, classes, pods, queue: queue.clone() };
    // One at a time: two claims must not reach for the same volume.
    work(Arc::new(controller), queue, 1).await;
}

fn add_unbound(queue: &WorkQueue<Subject>, claims: &Reflector<Claim>) {
    for claim in claims.list().iter().filter(|claim| claim.status.phase != "Bound") {
        queue.add(Subject::claim(claim));
    }
}

impl Reconcile for Controller {
    type Key = Subject;
    const NAME: &'static str = "persistentvolume-binder";

    async fn reconcile(&self, subject: &Subject) -> Result<Next, Error> {
        match subject {
            Subject::Claim(namespace, name) => {
                if let Some(claim) = self.claims.get(namespace, name) {
                    self.sync_claim(&claim).await?;
                }
            }
            Subject::Volume(name) => {
                if let Some(volume) = self.volumes.get("", name) {
                    self.sync_volume(&volume).await?;
                }
            }
        }
        Ok(Next::Change)
    }
}

impl Controller {
    async fn sync_claim(&self, claim: &Arc<Claim>) -> Result<(), Error> {
        let waiting: Vec<String> = self
            .pods
            .list_in(claim.namespace())
            .iter()
            .filter(|pod| pod.spec.node_name.is_empty() && mounts(pod, claim.name()))
            .map(|pod| pod.name().to_owned())
            .collect();
        let (volumes, classes) = (self.volumes.list(), self.classes.list());
        let world = World { volumes: &volumes, classes: &classes, waiting_pods: &waiting };
        let (what, told) = for_claim(claim, &world);
        let about = ObjectReference::of(&**claim);
        let is_lost = what == ForClaim::Lost;
        if let Some((kind, reason, message)) = told
            && !(is_lost && claim.status.phase == "Lost")
        {
            self.recorder.event(&about, kind, reason, message);
        }
        match what {
            ForClaim::Pending => self.set_phase(claim, "Pending", None).await,
            ForClaim::Lost => self.set_phase(claim, "Lost", None).await,
            ForClaim::SetClass(name) => {
                let set = |body: &mut Value| {
                    body["spec"]["storageClassName"] = name.into();
                    true
                };
                edit(&self.client, &**claim, "", set).await.map(drop)
            }
            ForClaim::AskProvisioner(provisioner) => {
                let ask = |body: &mut Value| {
                    let mut changed = false;
                    for key in
                        ["volume.beta.kubernetes.io/storage-provisioner", "volume.kubernetes.io/storage-provisioner"]
                    {
                        let slot = &mut body["metadata"]["annotations"][key];
                        changed |= *slot != provisioner.as_str();
                        *slot = provisioner.as_str().into();
                    }
                    changed
                };
                if let Some(claim) = edit(&self.client, &**claim, "", ask).await? {
                    self.set_phase(&claim, "Pending", None).await?;
                }
                Ok(())
            }
            ForClaim::Bind(volume) => self.bind(claim, &volume).await,
        }
    }

    /// The four writes of a binding, each of which may have been done already.
    async fn bind(&self, claim: &Arc<Claim>, volume: &Volume) -> Result<(), Error> {
        let volume = match &volume.spec.claim_ref {
            Some(held) if held.uid == claim.uid() => volume.clone(),
            _ => match edit(&self.client, volume, "", |body| claim_for(body, claim)).await? {
                Some(volume) => volume,
                None => return Ok(()),
            },
        };
        self.set_volume_phase(&volume, "Bound", "").await?;
        let is_given =
            claim.spec.volume_name == volume.name() && claim.metadata.annotations.contains_key(BIND_COMPLETED);
        if is_given {
            return self.set_phase(claim, "Bound", Some(&volume)).await;
        }
        match edit(&self.client, &**claim, "", |body| give_to(body, &volume)).await? {
            Some(claim) => self.set_phase(&claim, "Bound", Some(&volume)).await,
            None => Ok(()),
        }
    }

    async fn set_phase(&self, claim: &Claim, phase: &str, volume: Option<&Volume>) -> Result<(), Error> {
        let is_same = claim.status.phase == phase
            && volume.is_none_or(|volume| {
                claim.status.access_modes == volume.spec.access_modes && !claim.status.capacity.is_empty()
            });
        if is_same {
            return Ok(());
        }
        let set = |body: &mut Value| {
            body["status"]["phase"] = phase.into();
            match volume {
                Some(volume) => {
                    body["status"]["accessModes"] = json!(volume.spec.access_modes);
                    body["status"]["capacity"] = json!(volume.spec.capacity);
                }
                None => {
                    if let Some(status) = body["status"].as_object_mut() {
                        status.remove("accessModes");
                        status.remove("capacity");
                    }
                }
            }
            true
        };
        edit(&self.client, claim, "status", set).await.map(drop)
    }

    async fn sync_volume(&self, volume: &Arc<Volume>) -> Result<(), Error> {
        let held = volume.spec.claim_ref.as_ref();
        let claim = match held {
            None => None,
            Some(held) => match self.claims.get(&held.namespace, &held.name) {
                // A volume is not given up because a watch is late.
                None if !held.uid.is_empty() => Api::<Claim>::namespaced(self.client.clone(), &held.namespace)
                    .get_opt(&held.name)
                    .await?
                    .map(Arc::new),
                found => found,
            },
        };
        match for_volume(volume, claim.as_deref()) {
            ForVolume::Phase(phase) => self.set_volume_phase(volume, phase, "").await,
            ForVolume::Claim => {
                if let Some(held) = held {
                    self.queue.add(Subject::Claim(held.namespace.clone(), held.name.clone()));
                }
                Ok(())
            }
            ForVolume::Unbind => {
                let unbind = |body: &mut Value| {
                    let by_us = body["metadata"]["annotations"].get(BOUND_BY_CONTROLLER).is_some();
                    if by_us {
                        if let Some(annotations) = body["metadata"]["annotations"].as_object_mut() {
                            annotations.remove(BOUND_BY_CONTROLLER);
                        }
                        if let Some(spec) = body["spec"].as_object_mut() {
                            spec.remove("claimRef");
                        }
                    } else if let Some(held) = body.pointer_mut("/spec/claimRef").and_then(Value::as_object_mut) {
                        held.remove("uid");
                        held.remove("resourceVersion");
                    }
                    true
                };
                match edit(&self.client, &**volume, "", unbind).await? {
                    Some(volume) => self.set_volume_phase(&volume, "Available", "").await,
                    None => Ok(()),
                }
            }
            ForVolume::Reclaim(reclaim) => self.reclaim(volume, reclaim).await,
        }
    }

    async fn reclaim(&self, volume: &Arc<Volume>, reclaim: Reclaim) -> Result<(), Error> {
        if !matches!(volume.status.phase.as_str(), "Released" | "Failed") {
            // The write comes back as an event, and the rest follows then.
            return self.set_volume_phase(volume, "Released", "").await;
        }
        match reclaim {
            Reclaim::Leave => Ok(()),
            Reclaim::Delete => {
                let api = Api::<Volume>::all(self.client.clone());
                unless_gone(api.delete(volume.name(), &DeleteOptions::of_uid(volume.uid())).await).map(drop)
            }
            Reclaim::Fail((kind, reason, message)) => {
                if volume.status.phase == "Failed" {
                    return Ok(());
                }
                self.recorder.event(&ObjectReference::of(&**volume), kind, reason, message.clone());
                self.set_volume_phase(volume, "Failed", &message).await
            }
        }
    }

    async fn set_volume_phase(&self, volume: &Volume, phase: &str, message: &str) -> Result<(), Error> {
        if volume.status.phase == phase {
            return Ok(());
        }
        let set = |body: &mut Value| {
            body["status"]["phase"] = phase.into();
            if let Some(status) = body["status"].as_object_mut() {
                if message.is_empty() {
                    status.remove("message");
                } else {
                    status.insert("message".to_owned(), message.into());
                }
            }
            true
        };
        edit(&self.client, volume, "status", set).await.map(drop)
    }
}

/// Whether the pod mounts the claim, by name or as one made for it.
pub(super) fn mounts(pod: &Pod, claim: &str) -> bool {
    pod.spec.volumes.iter().any(|volume| match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(mounted), _) => mounted.claim_name == claim,
        (None, Some(_)) => format!("{}-{}", pod.name(), volume.name) == claim,
        (None, None) => false,
    })
}
