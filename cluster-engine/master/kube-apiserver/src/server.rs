//! What all requests share.

use std::sync::Arc;
use std::time::Instant;

use drydock_api::Status;
use drydock_component::Shutdown;
use serde_json::Value;

use crate::addresses::Addresses;
use crate::aggregator::Aggregator;
use crate::audit::log::AuditLog;
use crate::authn::{Authenticator, Tokens};
use crate::authorize::chain::Chain;
use crate::authorize::{Attributes, Lookup as _};
use crate::cache::{Cache, Caches};
use crate::documents::Documents;
use crate::exchange::Exchange;
use crate::flow::Flows;
use crate::kubelet::Kubelets;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::rbac;
use crate::row::{Hook, Resource};
use crate::rows::Rows;
use crate::storage::Etcd;

/// The server's parts.
pub(crate) struct Server {
    pub(crate) options: Options,
    pub(crate) etcd: Etcd,
    pub(crate) caches: Arc<Caches>,
    pub(crate) rows: Rows,
    pub(crate) authenticator: Authenticator,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) chain: Arc<Chain>,
    pub(crate) rbac: Arc<rbac::Authorizer>,
    pub(crate) flows: Flows,
    pub(crate) audit: AuditLog,
    pub(crate) metrics: Metrics,
    pub(crate) addresses: Addresses,
    pub(crate) kubelets: Kubelets,
    pub(crate) documents: Documents,
    pub(crate) aggregator: Aggregator,
    pub(crate) started: Instant,
    /// Set when the objects that every cluster has are written.
    pub(crate) bootstrapped: std::sync::atomic::AtomicBool,
    pub(crate) shutdown: Shutdown,
}

impl Server {
    /// The cache that holds a row's objects.
    ///
    /// # Errors
    /// 405 for rows that are not stored, 503 until the caches are filled.
    pub(crate) fn cache(&self, row: &Resource) -> Result<Arc<Cache>, Status> {
        if !self.caches.is_synced() {
            return Err(Status::service_unavailable("storage is (re)initializing"));
        }
        self.caches.get(row.storage).ok_or_else(|| Status::method_not_supported(row.group, row.plural, "list"))
    }

    /// One object from the cache.
    pub(crate) fn object(&self, storage: &str, namespace: &str, name: &str) -> Option<Value> {
        serde_json::from_slice(&self.caches.object(storage, namespace, name)?).ok()
    }

    /// All objects of a storage prefix in one namespace (empty: everywhere), from the cache.
    pub(crate) fn objects(&self, storage: &str, namespace: &str) -> Vec<Value> {
        let prefix = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        let Some(cache) = self.caches.get(storage) else { return Vec::new() };
        cache.list(&prefix, "").0.iter().map(|entry| entry.value()).collect()
    }

    /// The lifetime of a row's objects in etcd, 0 for ever.
    pub(crate) fn time_to_live(&self, row: &Resource) -> i64 {
        match row.time_to_live {
            0 => 0,
            _ => i64::try_from(self.options.event_ttl.as_secs()).unwrap_or(row.time_to_live),
        }
    }

    /// Asks the authorizers about another verb (and subresource) on the request's object.
    ///
    /// # Errors
    /// 403 in upstream's words.
    pub(crate) fn authorize_also(&self, exchange: &Exchange, verb: &str, subresource: &str) -> Result<(), Status> {
        let info = &exchange.info;
        let attributes = Attributes {
            user: &exchange.user,
            verb,
            group: &info.group,
            resource: &info.resource,
            subresource,
            name: &info.name,
            namespace: &info.namespace,
            path: "",
        };
        self.chain.check(&attributes).map(|_| ())
    }

    /// Nobody may grant more rights than they hold.
    ///
    /// # Errors
    /// 403 in upstream's words.
    pub(crate) fn check_escalation(
        &self,
        exchange: &Exchange,
        row: &Resource,
        object: &Value,
        old: Option<&Value>,
    ) -> Result<(), Status> {
        debug_assert_eq!(row.hook, Hook::RbacEscalation);
        let Some(kind) = rbac::RbacKind::of_plural(row.plural) else { return Ok(()) };
        let name = drydock_api::meta::name(object);
        rbac::escalation::check(&self.rbac, &exchange.user, kind, object, old)
            .map_err(|why| Status::forbidden(row.group, row.plural, name, why))
    }
}
