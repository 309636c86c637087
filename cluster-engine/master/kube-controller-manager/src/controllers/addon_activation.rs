//! Starts an add-on when the first object asks for it: the ingress controller with the first Ingress, the provisioner of
//! local volumes with the first PersistentVolumeClaim.
//!
//! A session begins with their Deployments scaled to nothing (and the ingress controller's Service without a load
//! balancer), so that whoever does not use them pays for none. Scaling one down again is people's own affair, until
//! somebody creates another such object.

use std::sync::Arc;

use drydock_api::meta::ObjectMeta;
use drydock_client::types::Service;
use drydock_client::{Api, Client, Error, Event, ListOptions, Object, Patch, Reflector, WorkQueue, object};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::context::Context;
use crate::kinds::{Claim, Deployment};
use crate::work::{Next, Reconcile, unless_gone, work};

const NAMESPACE: &str = "kube-system";
/// The Deployment's annotation that says what starts it.
const STARTED_BY: &str = "drydock/started-by";

/// An add-on that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Addon {
    Ingress,
    LocalPath,
}

impl Addon {
    /// Its Deployment, and its Service where that is to get a load balancer.
    fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress-controller",
            Self::LocalPath => "local-path-provisioner",
        }
    }

    /// What starts it, as its annotation says it.
    fn started_by(self) -> &'static str {
        match self {
            Self::Ingress => "ingresses.networking.k8s.io",
            Self::LocalPath => "persistentvolumeclaims",
        }
    }

    /// Whether its Deployment waits to be started.
    fn is_waiting(self, deployment: &Deployment) -> bool {
        deployment.metadata.annotations.get(STARTED_BY).is_some_and(|by| by == self.started_by())
            && deployment.spec.replicas == Some(0)
            && !deployment.metadata.is_deleting()
    }
}

/// An Ingress, of which it only matters that it is there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Ingress {
    metadata: ObjectMeta,
}

object!(Ingress, "networking.k8s.io", "v1", "Ingress", "ingresses", namespaced, Ingress::slim);

impl Ingress {
    fn slim(&mut self) {
        let meta = &mut self.metadata;
        meta.labels.clear();
        meta.annotations.clear();
        meta.owner_references = Vec::new();
    }
}

struct Controller {
    context: Arc<Context>,
    /// Asked for when there is something to do.
    client: OnceCell<Client>,
}

pub(super) async fn run(context: Arc<Context>) {
    let queue = WorkQueue::new();
    let options = ListOptions { metadata_only: true, ..ListOptions::default() };
    let ingresses = Reflector::<Ingress>::start(context.own_client(), options);
    tell(&ingresses, &queue, Addon::Ingress);
    tell(&context.watch::<Claim>(), &queue, Addon::LocalPath);
    work(Arc::new(Controller { context, client: OnceCell::new() }), queue, 1).await;
}

fn tell<K: Object>(reflector: &Reflector<K>, queue: &WorkQueue<Addon>, addon: Addon) {
    let queue = queue.clone();
    reflector.handle(move |event| {
        if let Event::Applied(_, None) = event {
            queue.add(addon);
        }
    });
}

impl Reconcile for Controller {
    type Key = Addon;
    const NAME: &'static str = "addon-activation";

    async fn reconcile(&self, addon: &Addon) -> Result<Next, Error> {
        let client = self.client.get_or_init(|| self.context.client("addon-activation-controller")).await;
        let api = Api::<Deployment>::namespaced(client.clone(), NAMESPACE);
        let Some(deployment) = api.get_opt(addon.name()).await? else { return Ok(Next::Change) };
        if addon.is_waiting(&deployment) {
            if *addon == Addon::Ingress {
                // Local: the controller sees who its clients are.
                let body = json!({"spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}});
                let services = Api::<Service>::namespaced(client.clone(), NAMESPACE);
                unless_gone(services.patch(addon.name(), Patch::Merge, &body).await)?;
            }
            let body = json!({"spec": {"replicas": 1}});
            unless_gone(api.patch(deployment.name(), Patch::Merge, &body).await)?;
            tracing::info!(addon = addon.name(), "an add-on was started");
        }
        Ok(Next::Change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(by: &str, replicas: i32) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"name": "x", "namespace": NAMESPACE, "annotations": {STARTED_BY: by}},
            "spec": {"replicas": replicas, "selector": {}, "template": {}},
        }))
        .expect("a Deployment")
    }

    #[test]
    fn only_what_waits_for_this_is_started() {
        let claims = "persistentvolumeclaims";
        assert!(Addon::LocalPath.is_waiting(&deployment(claims, 0)));
        assert!(!Addon::LocalPath.is_waiting(&deployment(claims, 1)), "somebody runs it already");
        assert!(!Addon::Ingress.is_waiting(&deployment(claims, 0)), "it waits for something else");
    }
}
