//! Deleting a namespace: its contents first, found by discovery, then the namespace itself.

mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drydock_api::time::now_rfc3339;
use drydock_client::types::Namespace;
use drydock_client::{
    Api, Client, DeleteOptions, Error, Event, ListOptions, Object, PartialObject, Propagation, Reflector, WorkQueue,
};
use serde_json::{Value, json};

use self::plan::{Remains, conditions};
use crate::context::Context;
use crate::discovery::{self, Served};
use crate::work::{Next, Reconcile, unless_gone, with_status, work};

/// The finalizer that this controller takes away last.
const FINALIZER: &str = "kubernetes";
/// How soon is looked again whether the contents are gone.
const LOOK_AGAIN: Duration = Duration::from_millis(400);

struct Controller {
    client: Client,
    namespaces: Reflector<Namespace>,
}

pub(super) async fn run(context: Arc<Context>) {
    let namespaces = context.watch::<Namespace>();
    let client = context.client("namespace-controller").await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    namespaces.handle(move |event| {
        if let Event::Applied(namespace, _) = event
            && namespace.metadata.is_deleting()
        {
            add.add(namespace.name().to_owned());
        }
    });
    work(Arc::new(Controller { client, namespaces }), queue, 4).await;
}

impl Reconcile for Controller {
    type Key = String;
    const NAME: &'static str = "namespace";

    async fn reconcile(&self, key: &String) -> Result<Next, Error> {
        let Some(cached) = self.namespaces.get("", key) else { return Ok(Next::Change) };
        if !cached.metadata.is_deleting() || cached.spec.finalizers.is_empty() {
            return Ok(Next::Change);
        }
        let api = Api::<Namespace>::all(self.client.clone());
        // The freshest state: this is about to delete everything.
        let Some(mut namespace) = api.get_opt(key).await? else { return Ok(Next::Change) };
        if namespace.uid() != cached.uid() || !namespace.metadata.is_deleting() {
            return Ok(Next::Change);
        }
        if namespace.status.phase != "Terminating" {
            let status = json!({"phase": "Terminating", "conditions": namespace.status.conditions});
            namespace = api.replace_status(key, &with_status(&namespace, &status)).await?;
        }
        if !namespace.spec.finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            return Ok(Next::Change);
        }

        let remains = self.delete_contents(key).await;
        let wanted = conditions(&namespace.status.conditions, &remains, &now_rfc3339());
        if wanted != namespace.status.conditions {
            let status = json!({"phase": "Terminating", "conditions": wanted});
            namespace = api.replace_status(key, &with_status(&namespace, &status)).await?;
        }
        if !remains.is_empty() {
            return Ok(Next::After(LOOK_AGAIN));
        }
        let mut body: Value = api.get_as(key).await?;
        if let Some(finalizers) = body.pointer_mut("/spec/finalizers").and_then(Value::as_array_mut) {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
        unless_gone(api.replace_subresource::<Value>(namespace.name(), "finalize", &body).await)?;
        Ok(Next::Change)
    }
}

impl Controller {
    /// Deletes what can be deleted now, and tells what is left.
    async fn delete_contents(&self, namespace: &str) -> Remains {
        let mut remains = Remains::default();
        let resources = match discovery::served(&self.client).await {
            Ok(served) => served,
            Err(error) => {
                remains.discovery_failure = Some(error.to_string());
                return remains;
            }
        };
        let mut resources: Vec<Served> = resources
            .into_iter()
            .filter(|served| served.resource.namespaced && served.can(&["list", "delete"]))
            // Events are told about the deletion itself, and they are one storage under two names.
            .filter(|served| served.resource.plural != "events" || served.resource.group.is_empty())
            .collect();
        // Pods go before what they may still be using (upstream: OrderedNamespaceDeletion).
        resources.sort_by_key(|served| !(served.resource.group.is_empty() && served.resource.plural == "pods"));
        for served in &resources {
            match self.delete_all(namespace, served).await {
                Ok(left) => remains.add(served, left),
                Err(error) if error.is_not_found() || error.code() == 405 => {}
                Err(error) => remains.content_failures.push(error.to_string()),
            }
            let is_pods = served.resource.group.is_empty() && served.resource.plural == "pods";
            if is_pods && !remains.is_empty() {
                return remains;
            }
        }
        remains
    }

    /// Deletes all objects of one resource; how many are left, and for which finalizers.
    async fn delete_all(&self, namespace: &str, served: &Served) -> Result<(usize, BTreeMap<String, usize>), Error> {
        let api = Api::<PartialObject>::of(self.client.clone(), served.resource.clone(), namespace);
        let which = ListOptions { metadata_only: true, ..ListOptions::default() };
        let before = api.list(&which).await?;
        if before.items.is_empty() {
            return Ok((0, BTreeMap::new()));
        }
        let background = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        if served.can(&["deletecollection"]) {
            api.delete_collection(&background, &ListOptions::default()).await?;
        } else {
            for object in &before.items {
                unless_gone(api.delete(object.name(), &background).await)?;
            }
        }
        let after = api.list(&which).await?;
        let mut finalizers: BTreeMap<String, usize> = BTreeMap::new();
        for finalizer in after.items.iter().flat_map(|object| &object.metadata.finalizers) {
            *finalizers.entry(finalizer.clone()).or_default() += 1;
        }
        Ok((after.items.len(), finalizers))
    }
}
