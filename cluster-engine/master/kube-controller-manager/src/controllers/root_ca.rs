//! Every namespace has a config map `kube-root-ca.crt` with the CA of the API server.

use std::sync::Arc;

use drydock_client::types::{ConfigMap, Namespace};
use drydock_client::{Api, Client, Error, Event, ListOptions, Object, Reflector, WorkQueue};
use serde_json::{Value, json};

use crate::context::Context;
use crate::work::{Next, Reconcile, work};

const NAME: &str = "kube-root-ca.crt";
const DESCRIPTION: (&str, &str) = (
    "kubernetes.io/description",
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the \
     internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes \
     clusters.",
);

struct Controller {
    client: Client,
    namespaces: Reflector<Namespace>,
    config_maps: Reflector<ConfigMap>,
    bundle: String,
}

pub(super) async fn run(context: Arc<Context>, bundle: String) {
    let namespaces = context.watch::<Namespace>();
    let only = ListOptions::fields(format!("metadata.name={NAME}"));
    let config_maps = Reflector::<ConfigMap>::start(context.own_client(), only);
    let client = context.client("root-ca-cert-publisher").await;
    config_maps.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    namespaces.handle(move |event| {
        if let Event::Applied(namespace, _) = event {
            add.add(namespace.name().to_owned());
        }
    });
    let add = queue.clone();
    config_maps.handle(move |event| add.add(event.object().namespace().to_owned()));
    work(Arc::new(Controller { client, namespaces, config_maps, bundle }), queue, 2).await;
}

#[derive(Debug, PartialEq)]
enum Action {
    Create(Value),
    Replace(Value),
}

fn plan(namespace: Option<&Namespace>, found: Option<&ConfigMap>, bundle: &str) -> Option<Action> {
    let namespace = namespace?;
    if namespace.status.phase == "Terminating" || namespace.metadata.is_deleting() {
        return None;
    }
    let Some(found) = found else {
        return Some(Action::Create(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": NAME,
                "namespace": namespace.metadata.name,
                "annotations": {DESCRIPTION.0: DESCRIPTION.1},
            },
            "data": {"ca.crt": bundle},
        })));
    };
    let is_right = found.data.len() == 1
        && found.data.get("ca.crt").map(String::as_str) == Some(bundle)
        && found.metadata.annotations.get(DESCRIPTION.0).map(String::as_str) == Some(DESCRIPTION.1);
    if is_right {
        return None;
    }
    let mut metadata = found.metadata.clone();
    metadata.annotations.insert(DESCRIPTION.0.to_owned(), DESCRIPTION.1.to_owned());
    Some(Action::Replace(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"ca.crt": bundle},
    })))
}

impl Reconcile for Controller {
    type Key = String;
    const NAME: &'static str = "root-ca-certificate-publisher";

    async fn reconcile(&self, key: &String) -> Result<Next, Error> {
        let namespace = self.namespaces.get("", key);
        let found = self.config_maps.get(key, NAME);
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), key);
        match plan(namespace.as_deref(), found.as_deref(), &self.bundle) {
            None => {}
            Some(Action::Create(body)) => match api.create(&body).await {
                Err(error) if error.is_already_exists() || error.is_namespace_terminating() => {}
                result => drop(result?),
            },
            Some(Action::Replace(body)) => drop(api.replace(NAME, &body).await?),
        }
        Ok(Next::Change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let namespace = Namespace::default();
        assert!(plan(None, None, "CA").is_none());
        let Some(Action::Create(made)) = plan(Some(&namespace), None, "CA") else { panic!("not created") };
        let mut found: ConfigMap = serde_json::from_value(made).unwrap();
        assert_eq!(plan(Some(&namespace), Some(&found), "CA"), None);
        found.data.insert("extra".into(), "x".into());
        assert!(
            matches!(plan(Some(&namespace), Some(&found), "CA"), Some(Action::Replace(body)) if body["data"] == json!({"ca.crt": "CA"}))
        );
        let mut dying = Namespace::default();
        dying.metadata.deletion_timestamp = Some("2026-01-01T00:00:00Z".into());
        assert_eq!(plan(Some(&dying), None, "CA"), None);
    }
}
