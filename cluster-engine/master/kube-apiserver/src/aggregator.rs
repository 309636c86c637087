//! API aggregation: groups that other API servers answer for.
//!
//! Every served group version has an APIService. One without a Service is ours ("local") and always available. One with a Service is answered
//! by that Service's endpoints: requests are passed on under our front-proxy certificate with the user's name in headers, as long as the last
//! look at it succeeded. Looks happen when something about it changes and every [`AGAIN`]; a cluster without such groups never looks.

mod availability;
pub(crate) mod discovery;
mod local;
mod proxy;
mod swagger;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use drydock_api::{meta, time};
use serde_json::Value;

use crate::bootstrap;
use crate::registry::Read as _;
use crate::row::Resource;
use crate::server::Server;
use crate::storage::StorageError;
use crate::verbs;

use availability::Finding;
pub(crate) use local::objects;
pub(crate) use proxy::serve;
pub(crate) use swagger::Swagger;

/// The label of APIServices that we made.
const AUTOMANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";
/// Time between two looks at a group that answers.
const AGAIN: Duration = Duration::from_secs(30);
/// Time to the next look at one that does not, doubled each time.
const SOON: Duration = Duration::from_millis(500);

/// One group version that another server answers for.
#[derive(Debug, PartialEq)]
pub(crate) struct Remote {
    pub(crate) group: String,
    pub(crate) version: String,
    /// Namespace, name and port of the Service.
    service: (String, String, u16),
    ca: Option<Vec<u8>>,
    insecure: bool,
    pub(crate) available: bool,
    /// Its APIResourceList, as it answered last.
    pub(crate) resources: Option<Value>,
    /// Its part of `/openapi/v3`: the address with the hash.
    pub(crate) openapi: Option<String>,
    /// Its part of `/openapi/v2`.
    pub(crate) swagger: Option<Arc<Swagger>>,
}

/// Remotes by group and version.
type Remotes = HashMap<(String, String), Arc<Remote>>;

/// The groups of others, by group and version.
#[derive(Default)]
pub(crate) struct Aggregator(RwLock<Arc<Remotes>>);

impl Aggregator {
    /// All of them, in order.
    pub(crate) fn all(&self) -> Vec<Arc<Remote>> {
        let map = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let mut all: Vec<Arc<Remote>> = map.values().cloned().collect();
        all.sort_by(|a, b| (&a.group, &a.version).cmp(&(&b.group, &b.version)));
        all
    }

    /// Who answers for a path, if not we.
    pub(crate) fn find(&self, path: &str) -> Option<Arc<Remote>> {
        let map = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        if map.is_empty() {
            return None;
        }
        let path = path.strip_prefix("/openapi/v3").unwrap_or(path);
        let mut parts = path.strip_prefix("/apis/")?.split('/');
        map.get(&(parts.next()?.to_owned(), parts.next()?.to_owned())).cloned()
    }

    /// What is known of a group version.
    fn get(&self, group: &str, version: &str) -> Option<Arc<Remote>> {
        let map = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        map.get(&(group.to_owned(), version.to_owned())).cloned()
    }

    /// Takes in a new state; whether it is another.
    fn set(&self, map: Remotes) -> bool {
        let mut own = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = **own != map;
        *own = Arc::new(map);
        changed
    }
}

/// Runs until shutdown.
pub(crate) async fn run(server: Arc<Server>) {
    server.caches.synced().await;
    let Some(row) = server.rows.find("apiregistration.k8s.io", "v1", "apiservices") else { return };
    let caches =
        [row.storage, "/registry/services/specs", "/registry/endpointslices"].map(|key| server.caches.get(key));
    let [Some(own), Some(services), Some(slices)] = caches else { return };
    let mut cursors = [&own, &services, &slices].map(|cache| cache.list_and_follow("\u{10ffff}").2);
    let mut rows = server.rows.changes();
    let mut pause = SOON;
    loop {
        rows.borrow_and_update();
        for (cursor, cache) in cursors.iter_mut().zip([&own, &services, &slices]) {
            // Each round looks at everything, so a lost place does not matter.
            if cursor.take().is_err() {
                *cursor = cache.list_and_follow("\u{10ffff}").2;
            }
        }
        let wait = match round(&server, row).await {
            Ok(State::Local) => None,
            Ok(State::Available) => {
                pause = SOON;
                Some(AGAIN)
            }
            Ok(State::Unavailable) => {
                pause = (pause * 2).min(AGAIN);
                Some(pause)
            }
            Err(error) => {
                tracing::warn!(%error, "cannot bring APIServices up to date");
                Some(SOON)
            }
        };
        let [own, services, slices] = &mut cursors;
        tokio::select! {
            () = own.changed() => {}
            // Endpoints matter only to groups of others.
            () = services.changed(), if wait.is_some() => {}
            () = slices.changed(), if wait.is_some() => {}
            _ = rows.changed() => {}
            () = tokio::time::sleep(wait.unwrap_or(AGAIN)), if wait.is_some() => {}
            () = server.shutdown.wait() => return,
        }
    }
}

enum State {
    /// All groups are ours.
    Local,
    Available,
    Unavailable,
}

/// One look at everything.
async fn round(server: &Arc<Server>, row: &'static Resource) -> Result<State, StorageError> {
    if !server.bootstrapped.load(Ordering::Acquire) {
        // Those of the built-in groups are being written just now.
        return Ok(State::Unavailable);
    }
    let existing = server.objects(row.storage, "");
    for object in local::missing(&server.rows.all(), &existing) {
        bootstrap::create(server, object).await?;
    }
    let mut map = Remotes::new();
    for object in &existing {
        let name = meta::name(object);
        let revision = meta::resource_version(object).parse().unwrap_or(0);
        if local::is_orphan(object, &server.rows.all()) {
            server.etcd.delete(&verbs::storage_key(row, "", name), revision).await?;
            continue;
        }
        let finding = if object.has("spec.service") {
            let (finding, remote) = look(server, object).await;
            map.insert((remote.group.clone(), remote.version.clone()), Arc::new(remote));
            finding
        } else {
            Finding::local()
        };
        if let Some(new) = availability::with_condition(object, &finding, &time::now_rfc3339()) {
            let bytes = verbs::stored(row, &new);
            // Whoever was faster brings us here again.
            server.etcd.put(&verbs::storage_key(row, "", name), bytes, revision, 0).await?;
        }
    }
    let state = match (map.is_empty(), map.values().all(|remote| remote.available)) {
        (true, _) => State::Local,
        (false, true) => State::Available,
        (false, false) => State::Unavailable,
    };
    if server.aggregator.set(map) {
        server.documents.forget();
    }
    Ok(state)
}

/// Whether another server answers, and what.
async fn look(server: &Arc<Server>, object: &Value) -> (Finding, Remote) {
    use base64::Engine as _;
    let spec = object.at("spec");
    let port = u16::try_from(spec.int("service.port").unwrap_or(443)).unwrap_or(443);
    let mut remote = Remote {
        group: spec.text("group").to_owned(),
        version: spec.text("version").to_owned(),
        service: (spec.text("service.namespace").to_owned(), spec.text("service.name").to_owned(), port),
        ca: base64::engine::general_purpose::STANDARD.decode(spec.text("caBundle")).ok().filter(|ca| !ca.is_empty()),
        insecure: spec.flag("insecureSkipTLSVerify"),
        available: false,
        resources: None,
        openapi: None,
        swagger: None,
    };
    let before = server.aggregator.get(&remote.group, &remote.version).and_then(|before| before.swagger.clone());
    let finding = match proxy::address(server, &remote) {
        Err(finding) => finding,
        Ok(_) => match proxy::discover(server, &remote).await {
            Ok((resources, openapi)) => {
                remote.available = true;
                remote.resources = Some(resources);
                remote.openapi = openapi;
                let asked = proxy::swagger(server, &remote, before.as_ref().map_or("", |before| &before.etag)).await;
                remote.swagger = swagger::next(before, asked, &remote.group, &remote.version);
                Finding::passed()
            }
            Err(why) => Finding::failed("FailedDiscoveryCheck", why),
        },
    };
    (finding, remote)
}
