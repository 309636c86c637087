//! Objects that pods refer to: config maps, secrets and services, watched while somebody needs them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use base64::Engine;
use drydock_api::meta::ObjectMeta;
use drydock_client::{Client, ListOptions, Object, Reflector};
use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ConfigMap {
    pub(crate) metadata: ObjectMeta,
    pub(crate) data: BTreeMap<String, String>,
    pub(crate) binary_data: BTreeMap<String, String>,
}

drydock_client::object!(ConfigMap, "", "v1", "ConfigMap", "configmaps", namespaced);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Secret {
    pub(crate) metadata: ObjectMeta,
    /// Base64, as on the wire.
    pub(crate) data: BTreeMap<String, String>,
}

drydock_client::object!(Secret, "", "v1", "Secret", "secrets", namespaced);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Service {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: ServiceSpec,
}

drydock_client::object!(Service, "", "v1", "Service", "services", namespaced);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ServiceSpec {
    #[serde(rename = "clusterIP")]
    pub(crate) cluster_ip: String,
    pub(crate) ports: Vec<ServicePort>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ServicePort {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) protocol: String,
}

impl Secret {
    pub(crate) fn value(&self, key: &str) -> Option<Vec<u8>> {
        decode(self.data.get(key)?)
    }

    pub(crate) fn decoded(&self) -> impl Iterator<Item = (&String, Vec<u8>)> {
        self.data.iter().filter_map(|(key, value)| Some((key, decode(value)?)))
    }
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

/// How long a pod waits for an object's first answer before it tries again later.
const SYNC_TIME: Duration = Duration::from_secs(5);

type Key = (String, String);
type Watches<K> = Mutex<HashMap<Key, Weak<Watch<K>>>>;

/// One object under watch; the watch ends with the last user.
pub(crate) struct Watch<K> {
    reflector: Reflector<K>,
    namespace: String,
    name: String,
}

impl<K: Object> Watch<K> {
    /// The object, or `None` if it does not exist.
    ///
    /// # Errors
    /// Upstream's text when the API server gives no answer.
    pub(crate) async fn get(&self, what: &str) -> Result<Option<Arc<K>>, String> {
        if tokio::time::timeout(SYNC_TIME, self.reflector.synced()).await.is_err() {
            return Err(format!("failed to sync {what} cache: timed out waiting for the condition"));
        }
        Ok(self.reflector.get(&self.namespace, &self.name))
    }

    /// Calls `tell` at each change from now on.
    pub(crate) fn on_change(&self, tell: impl Fn() -> bool + Send + Sync + 'static) {
        let mut events = self.reflector.subscribe();
        tokio::spawn(async move { while events.recv().await.is_some() && tell() {} });
    }
}

/// The watches of a node's pods.
pub(crate) struct Objects {
    client: Client,
    config_maps: Watches<ConfigMap>,
    secrets: Watches<Secret>,
}

impl Objects {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, config_maps: Mutex::default(), secrets: Mutex::default() }
    }

    pub(crate) fn config_map(&self, namespace: &str, name: &str) -> Arc<Watch<ConfigMap>> {
        watch(&self.config_maps, &self.client, namespace, name)
    }

    pub(crate) fn secret(&self, namespace: &str, name: &str) -> Arc<Watch<Secret>> {
        watch(&self.secrets, &self.client, namespace, name)
    }
}

fn watch<K: Object>(watches: &Watches<K>, client: &Client, namespace: &str, name: &str) -> Arc<Watch<K>> {
    let mut watches = watches.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (namespace.to_owned(), name.to_owned());
    if let Some(watch) = watches.get(&key).and_then(Weak::upgrade) {
        return watch;
    }
    watches.retain(|_, watch| watch.strong_count() > 0);
    let options = ListOptions::fields(format!("metadata.name={name}"));
    let reflector = Reflector::start_in(client.clone(), namespace, options);
    let watch = Arc::new(Watch { reflector, namespace: namespace.to_owned(), name: name.to_owned() });
    watches.insert(key, Arc::downgrade(&watch));
    watch
}
