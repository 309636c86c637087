//! Every namespace has a service account `default`.

use std::sync::Arc;

use drydock_client::types::{Namespace, ServiceAccount};
use drydock_client::{Api, Client, Error, Event, Object, Reflector, WorkQueue};
use serde_json::json;

use crate::context::Context;
use crate::work::{Next, Reconcile, work};

const NAME: &str = "default";

struct Controller {
    client: Client,
    namespaces: Reflector<Namespace>,
    accounts: Reflector<ServiceAccount>,
}

pub(super) async fn run(context: Arc<Context>) {
    let namespaces = context.watch::<Namespace>();
    let accounts = context.watch::<ServiceAccount>();
    let client = context.client("service-account-controller").await;
    accounts.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    namespaces.handle(move |event| {
        if let Event::Applied(namespace, _) = event {
            add.add(namespace.name().to_owned());
        }
    });
    let add = queue.clone();
    accounts.handle(move |event| {
        if let Event::Deleted(account) = event
            && account.name() == NAME
        {
            add.add(account.namespace().to_owned());
        }
    });
    work(Arc::new(Controller { client, namespaces, accounts }), queue, 2).await;
}

/// Whether the account must be made.
fn is_missing(namespace: Option<&Namespace>, account: Option<&ServiceAccount>) -> bool {
    namespace.is_some_and(|namespace| namespace.status.phase != "Terminating" && !namespace.metadata.is_deleting())
        && account.is_none()
}

impl Reconcile for Controller {
    type Key = String;
    const NAME: &'static str = "serviceaccount";

    async fn reconcile(&self, key: &String) -> Result<Next, Error> {
        let namespace = self.namespaces.get("", key);
        let account = self.accounts.get(key, NAME);
        if is_missing(namespace.as_deref(), account.as_deref()) {
            let body = json!({
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": NAME, "namespace": key},
            });
            match Api::<ServiceAccount>::namespaced(self.client.clone(), key).create(&body).await {
                Err(error) if error.is_already_exists() || error.is_namespace_terminating() => {}
                result => drop(result?),
            }
        }
        Ok(Next::Change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_living_namespaces_get_one() {
        let living = Namespace::default();
        let mut dying = Namespace::default();
        dying.status.phase = "Terminating".into();
        assert!(is_missing(Some(&living), None));
        assert!(!is_missing(Some(&living), Some(&ServiceAccount::default())));
        assert!(!is_missing(Some(&dying), None));
        assert!(!is_missing(None, None));
    }
}
