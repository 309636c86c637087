//! Makes the claims of volumes that live as long as their pod.

use std::sync::Arc;

use drydock_client::types::{Pod, Volume};
use drydock_client::{Api, Client, Error, Event, EventRecorder, Object, ObjectReference, Reflector, WorkQueue};
use serde_json::{Value, json};

use super::owned::controller_reference;
use crate::context::Context;
use crate::kinds::Claim;
use crate::work::{Key, Next, Reconcile, key, work};

struct Controller {
    client: Client,
    recorder: EventRecorder,
    pods: Reflector<Pod>,
    claims: Reflector<Claim>,
}

pub(super) async fn run(context: Arc<Context>) {
    let pods = context.watch::<Pod>();
    let claims = context.watch::<Claim>();
    let client = context.client("ephemeral-volume-controller").await;
    pods.synced().await;
    claims.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    pods.handle(move |event| {
        if let Event::Applied(pod, _) = event
            && needs_claims(pod)
        {
            add.add(key(&**pod));
        }
    });
    let (add, all) = (queue.clone(), pods.clone());
    claims.handle(move |event| {
        // A claim that goes may be one that a pod still waits for.
        if let Event::Deleted(claim) = event
            && let Some(owner) = claim.metadata.controller().filter(|owner| owner.kind == Pod::KIND)
            && all.get(claim.namespace(), &owner.name).is_some_and(|pod| pod.uid() == owner.uid)
        {
            add.add((claim.namespace().to_owned(), owner.name.clone()));
        }
    });
    let recorder = context.recorder(&client, "ephemeral_volume");
    work(Arc::new(Controller { client, recorder, pods, claims }), queue, 2).await;
}

fn needs_claims(pod: &Pod) -> bool {
    !pod.metadata.is_deleting() && pod.spec.volumes.iter().any(|volume| volume.ephemeral.is_some())
}

fn claim_name(pod: &Pod, volume: &Volume) -> String {
    format!("{}-{}", pod.name(), volume.name)
}

/// The claim of one of the pod's volumes.
fn claim_for(pod: &Pod, volume: &Volume, template: &Value) -> Value {
    let mut metadata = json!({
        "name": claim_name(pod, volume),
        "namespace": pod.namespace(),
        "ownerReferences": [controller_reference::<Pod>(&pod.metadata)],
    });
    for field in ["labels", "annotations"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}")).filter(|value| value.is_object()) {
            metadata[field] = value.clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]})
}

impl Reconcile for Controller {
    type Key = Key;
    const NAME: &'static str = "ephemeral-volume";

    async fn reconcile(&self, (namespace, name): &Key) -> Result<Next, Error> {
        let Some(pod) = self.pods.get(namespace, name).filter(|pod| needs_claims(pod)) else {
            return Ok(Next::Change);
        };
        for volume in &pod.spec.volumes {
            let Some(ephemeral) = &volume.ephemeral else { continue };
            let claim_name = claim_name(&pod, volume);
            if let Some(claim) = self.claims.get(namespace, &claim_name) {
                if claim.metadata.controller().is_none_or(|owner| owner.uid != pod.uid()) {
                    let message = format!(
                        "ephemeral volume {}: PVC {namespace}/{claim_name} was not created for pod {namespace}/{name} (pod is not owner)",
                        volume.name
                    );
                    self.recorder.warning(&ObjectReference::of(&*pod), "FailedBinding", message);
                }
                continue;
            }
            let Some(template) = &ephemeral.volume_claim_template else { continue };
            let api = Api::<Claim>::namespaced(self.client.clone(), namespace);
            match api.create(&claim_for(&pod, volume, template)).await {
                Ok(_) => {}
                // Whose it is shows when the watch has it.
                Err(error) if error.is_already_exists() || error.is_namespace_terminating() => {}
                Err(error) => {
                    let message = format!("ephemeral volume {}: create PVC {claim_name}: {error}", volume.name);
                    self.recorder.warning(&ObjectReference::of(&*pod), "FailedBinding", message);
                    return Err(error);
                }
            }
        }
        Ok(Next::Change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drydock_client::types::EphemeralVolume;

    #[test]
    fn the_claim_is_the_pods() {
        let mut pod = Pod::default();
        pod.metadata.name = "web".into();
        pod.metadata.namespace = "x".into();
        pod.metadata.uid = "u".into();
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"accessModes": ["ReadWriteOnce"]}});
        let volume = Volume {
            name: "scratch".into(),
            ephemeral: Some(EphemeralVolume { volume_claim_template: Some(template.clone()) }),
            ..Volume::default()
        };
        let claim = claim_for(&pod, &volume, &template);
        assert_eq!(claim["metadata"]["name"], "web-scratch");
        assert_eq!(claim["metadata"]["ownerReferences"][0]["uid"], "u");
        assert_eq!(claim["metadata"]["labels"], json!({"a": "b"}));
        assert_eq!(claim["spec"], template["spec"]);
        pod.spec.volumes.push(volume);
        assert!(needs_claims(&pod));
        pod.metadata.deletion_timestamp = Some("T".into());
        assert!(!needs_claims(&pod));
    }
}
