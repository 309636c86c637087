//! The thin loop: what changed is looked at and acted upon, one thing at a time.

use drydock_client::types::Node;
use drydock_client::{
    Api, Client, DeleteOptions, Error, Event, EventRecorder, ListOptions, Object, ObjectReference, Reflector, WorkQueue,
};
use serde_json::Value;

use crate::plan::{
    Claim, FINALIZER, ForClaim, ForVolume, HELPER_LABEL, Helper, SELECTED_NODE, StorageClass, Volume, for_claim,
    for_volume, helper_for, volume_for, volume_name,
};
use crate::{Options, PROVISIONER};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Claim(String, String),
    Volume(String),
}

struct Provisioner {
    client: Client,
    options: Options,
    recorder: EventRecorder,
    claims: Reflector<Claim>,
    volumes: Reflector<Volume>,
    classes: Reflector<StorageClass>,
    helpers: Reflector<Helper>,
}

pub(crate) async fn work(client: Client, options: Options) {
    let queue = WorkQueue::new();
    let claims = Reflector::<Claim>::start(client.clone(), ListOptions::default());
    let volumes = Reflector::<Volume>::start(client.clone(), ListOptions::default());
    let classes = Reflector::<StorageClass>::start(client.clone(), ListOptions::default());
    let helpers = Reflector::<Helper>::start_in(client.clone(), &options.namespace, ListOptions::labels(HELPER_LABEL));
    claims.synced().await;
    volumes.synced().await;
    classes.synced().await;
    helpers.synced().await;
    let add = queue.clone();
    claims.handle(move |event| {
        if let Event::Applied(claim, _) = event {
            add.add(Subject::Claim(claim.namespace().to_owned(), claim.name().to_owned()));
        }
    });
    let add = queue.clone();
    volumes.handle(move |event| {
        if let Event::Applied(volume, _) = event {
            add.add(Subject::Volume(volume.name().to_owned()));
        }
    });
    let (add, all) = (queue.clone(), claims.clone());
    classes.handle(move |_| {
        for claim in all.list().iter().filter(|claim| claim.spec.volume_name.is_empty()) {
            add.add(Subject::Claim(claim.namespace().to_owned(), claim.name().to_owned()));
        }
    });
    let add = queue.clone();
    helpers.handle(move |event| {
        if let Some(name) = event.object().metadata.labels.get(HELPER_LABEL) {
            add.add(Subject::Volume(name.clone()));
        }
    });
    let recorder = EventRecorder::new(client.clone(), PROVISIONER, "");
    let provisioner = Provisioner { client, options, recorder, claims, volumes, classes, helpers };
    while let Some(subject) = queue.get().await {
        let done = match &subject {
            Subject::Claim(namespace, name) => provisioner.sync_claim(namespace, name).await,
            Subject::Volume(name) => provisioner.sync_volume(name).await,
        };
        match done {
            Ok(()) => queue.forget(&subject),
            Err(error) => {
                tracing::debug!(?subject, %error, "trying again");
                queue.add_rate_limited(subject.clone());
            }
        }
        queue.done(&subject);
    }
}

impl Provisioner {
    async fn sync_claim(&self, namespace: &str, name: &str) -> Result<(), Error> {
        let Some(claim) = self.claims.get(namespace, name) else { return Ok(()) };
        let class = claim.spec.storage_class_name.as_ref().and_then(|class| self.classes.get("", class));
        let Some(class) = class.filter(|class| class.provisioner == PROVISIONER) else { return Ok(()) };
        if !claim.spec.volume_name.is_empty() || self.volumes.get("", &volume_name(&claim)).is_some() {
            return Ok(());
        }
        // Claims come seldom: the nodes are asked for then, and not held.
        let nodes = Api::<Node>::all(self.client.clone()).list(&ListOptions::default()).await?.items;
        let nodes: Vec<_> = nodes.into_iter().map(std::sync::Arc::new).collect();
        let about = ObjectReference::of(&*claim);
        let chosen = match for_claim(&claim, Some(&class), &nodes) {
            ForClaim::Nothing => return Ok(()),
            ForClaim::Refuse(why) => {
                self.recorder.warning(&about, "ProvisioningFailed", why);
                return Ok(());
            }
            ForClaim::Reschedule => {
                let message = "the selected node is gone, the claim waits for another one";
                self.recorder.warning(&about, "ProvisioningFailed", message);
                return self.edit_claim(&claim).await;
            }
            ForClaim::Provision(node) => node,
        };
        let Some(node) = nodes.iter().find(|node| node.name() == chosen) else { return Ok(()) };
        let message = format!("External provisioner is provisioning volume for claim \"{namespace}/{name}\"");
        self.recorder.normal(&about, "Provisioning", message);
        let body = volume_for(&claim, &class, node, &self.options);
        match Api::<Volume>::all(self.client.clone()).create(&body).await {
            Ok(volume) => {
                let message = format!("Successfully provisioned volume {}", volume.name());
                self.recorder.normal(&about, "ProvisioningSucceeded", message);
                Ok(())
            }
            Err(error) if error.is_already_exists() => Ok(()),
            Err(error) => {
                self.recorder.warning(&about, "ProvisioningFailed", format!("Error saving volume: {error}"));
                Err(error)
            }
        }
    }

    /// Takes the choice of the node back.
    async fn edit_claim(&self, claim: &Claim) -> Result<(), Error> {
        let api = Api::<Claim>::namespaced(self.client.clone(), claim.namespace());
        let mut body: Value = match api.get_as(claim.name()).await {
            Err(error) if error.is_not_found() => return Ok(()),
            body => body?,
        };
        if let Some(annotations) = body.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.remove(SELECTED_NODE);
        }
        api.replace(claim.name(), &body).await.map(drop)
    }

    async fn sync_volume(&self, name: &str) -> Result<(), Error> {
        let Some(volume) = self.volumes.get("", name) else { return Ok(()) };
        let pods = Api::<Helper>::namespaced(self.client.clone(), &self.options.namespace);
        let pod_name = format!("helper-pod-delete-{name}");
        let helper = self.helpers.get(&self.options.namespace, &pod_name);
        let node = volume.metadata.annotations.get(crate::plan::NODE).cloned().unwrap_or_default();
        let before = for_volume(&volume, helper.as_deref(), |_| true, &self.options);
        let what = match before {
            // Only now the node is asked for.
            ForVolume::StartHelper { .. } => {
                let found = Api::<Node>::all(self.client.clone()).get_opt(&node).await?;
                for_volume(&volume, helper.as_deref(), |_| found.is_some(), &self.options)
            }
            other => other,
        };
        match what {
            ForVolume::Nothing => Ok(()),
            ForVolume::LetGo => self.let_go(&volume).await,
            ForVolume::StartHelper { node, directory } => {
                match pods.create(&helper_for(&volume, &node, &directory, &self.options)).await {
                    Err(error) if !error.is_already_exists() => Err(error),
                    _ => Ok(()),
                }
            }
            ForVolume::DropHelper => {
                let message = format!("the directory on node {node} could not be removed");
                self.recorder.warning(&ObjectReference::of(&*volume), "VolumeFailedDelete", message.clone());
                unless_gone(pods.delete(&pod_name, &DeleteOptions::now()).await)?;
                // Comes back later and later.
                Err(Error::Config(message))
            }
            ForVolume::Finish => {
                if !volume.metadata.is_deleting() {
                    let api = Api::<Volume>::all(self.client.clone());
                    unless_gone(api.delete(name, &DeleteOptions::of_uid(volume.uid())).await)?;
                }
                self.let_go(&volume).await?;
                unless_gone(pods.delete(&pod_name, &DeleteOptions::now()).await)
            }
        }
    }

    /// Takes the finalizer from a volume.
    async fn let_go(&self, volume: &Volume) -> Result<(), Error> {
        let api = Api::<Volume>::all(self.client.clone());
        let mut body: Value = match api.get_as(volume.name()).await {
            Err(error) if error.is_not_found() => return Ok(()),
            body => body?,
        };
        if body.pointer("/metadata/uid").and_then(Value::as_str) != Some(volume.uid()) {
            return Ok(());
        }
        if let Some(finalizers) = body.pointer_mut("/metadata/finalizers").and_then(Value::as_array_mut) {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
        unless_gone(api.replace(volume.name(), &body).await.map(drop))
    }
}

fn unless_gone(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        result => result,
    }
}
