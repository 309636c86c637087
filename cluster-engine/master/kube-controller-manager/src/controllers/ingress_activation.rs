//! Starts the ingress controller when the first Ingress asks for one.
//!
//! A session begins with the controller's Deployment scaled to nothing and its Service without a load balancer, so that
//! whoever does not use Ingress pays for none. It is started once; scaling it down again is people's own affair, until somebody creates another Ingress.

use std::sync::Arc;

use drydock_api::meta::ObjectMeta;
use drydock_client::types::Service;
use drydock_client::{Api, Client, Error, Event, ListOptions, Object, Patch, Reflector, WorkQueue, object};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::context::Context;
use crate::kinds::Deployment;
use crate::work::{Next, Reconcile, unless_gone, work};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "ingress-controller";
/// The Deployment's annotation that says what starts it.
const STARTED_BY: &str = "drydock/started-by";
const INGRESSES: &str = "ingresses.networking.k8s.io";

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
    let options = ListOptions { metadata_only: true, ..ListOptions::default() };
    let ingresses = Reflector::<Ingress>::start(context.own_client(), options);
    let queue = WorkQueue::new();
    let add = queue.clone();
    ingresses.handle(move |event| {
        if let Event::Applied(_, None) = event {
            add.add(());
        }
    });
    work(Arc::new(Controller { context, client: OnceCell::new() }), queue, 1).await;
}

/// Whether the Deployment waits for an Ingress.
fn is_waiting(deployment: &Deployment) -> bool {
    deployment.metadata.annotations.get(STARTED_BY).is_some_and(|by| by == INGRESSES)
        && deployment.spec.replicas == Some(0)
        && !deployment.metadata.is_deleting()
}

impl Reconcile for Controller {
    type Key = ();
    const NAME: &'static str = "ingress-activation";

    async fn reconcile(&self, (): &()) -> Result<Next, Error> {
        let client = self.client.get_or_init(|| self.context.client("ingress-activation-controller")).await;
        let api = Api::<Deployment>::namespaced(client.clone(), NAMESPACE);
        let Some(deployment) = api.get_opt(NAME).await? else { return Ok(Next::Change) };
        if is_waiting(&deployment) {
            // Local: the controller sees who its clients are.
            let body = json!({"spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}});
            let services = Api::<Service>::namespaced(client.clone(), NAMESPACE);
            unless_gone(services.patch(NAME, Patch::Merge, &body).await)?;
            let body = json!({"spec": {"replicas": 1}});
            unless_gone(api.patch(deployment.name(), Patch::Merge, &body).await)?;
            tracing::info!("the ingress controller was started");
        }
        Ok(Next::Change)
    }
}
