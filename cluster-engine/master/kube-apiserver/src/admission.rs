//! Admission: the built-in plugins, in upstream's order. Mutating ones change the object, validating ones refuse it.
//!
//! A plugin is a small file with one function; what it needs of the cluster it reads from the watch cache.

mod defaults;
mod limit_range;
mod namespace;
mod pod_defaults;
mod service_account;

use drydock_api::Status;
use serde_json::Value;

use crate::exchange::Exchange;
use crate::row::{Resource, Subresource};
use crate::server::Server;

/// What is done to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
}

/// One request as admission sees it.
pub(crate) struct Attempt<'a> {
    pub(crate) server: &'a Server,
    pub(crate) exchange: &'a Exchange,
    pub(crate) row: &'static Resource,
    pub(crate) subresource: Option<Subresource>,
    pub(crate) operation: Operation,
}

impl Attempt<'_> {
    /// Whether it is about this resource itself and does this.
    pub(crate) fn is(&self, operation: Operation, group: &str, plural: &str) -> bool {
        self.operation == operation
            && self.subresource.is_none()
            && self.row.group == group
            && self.row.plural == plural
    }

    /// A refusal in upstream's words.
    pub(crate) fn forbidden(&self, name: &str, why: impl std::fmt::Display) -> Status {
        Status::forbidden(self.row.group, self.row.plural, name, why)
    }

    fn on(&self, plugin: &str) -> bool {
        !self.server.options.disable_admission_plugins.iter().any(|off| off == plugin)
    }
}

/// Lets the mutating plugins change the object.
///
/// # Errors
/// What a plugin refuses, in upstream's words.
pub(crate) async fn mutate(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    subresource: Option<Subresource>,
    operation: Operation,
    object: &mut Value,
) -> Result<(), Status> {
    let attempt = Attempt { server, exchange, row, subresource, operation };
    if attempt.on("NamespaceLifecycle") {
        namespace::admit(&attempt, Some(object)).await?;
    }
    if attempt.is(Operation::Create, "", "pods") {
        if attempt.on("ServiceAccount") {
            service_account::admit(&attempt, object).await?;
        }
        if attempt.on("Priority") {
            pod_defaults::priority(&attempt, object)?;
        }
        if attempt.on("DefaultTolerationSeconds") {
            pod_defaults::tolerations(&attempt, object);
        }
        if attempt.on("RuntimeClass") {
            pod_defaults::runtime_class(&attempt, object)?;
        }
        if attempt.on("LimitRanger") {
            limit_range::default_pod(&attempt, object);
        }
    }
    if attempt.is(Operation::Create, "", "nodes") && attempt.on("TaintNodesByCondition") {
        defaults::node_taint(object);
    }
    if attempt.is(Operation::Create, "", "persistentvolumeclaims") && attempt.on("DefaultStorageClass") {
        defaults::storage_class(&attempt, object);
    }
    if attempt.is(Operation::Create, "networking.k8s.io", "ingresses") && attempt.on("DefaultIngressClass") {
        defaults::ingress_class(&attempt, object)?;
    }
    if attempt.is(Operation::Create, "certificates.k8s.io", "certificatesigningrequests") {
        defaults::certificate_request(&attempt, object);
    }
    Ok(())
}

/// Lets the validating plugins refuse.
///
/// # Errors
/// What a plugin refuses, in upstream's words.
pub(crate) async fn validate(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    subresource: Option<Subresource>,
    operation: Operation,
    object: Option<&Value>,
    old: Option<&Value>,
) -> Result<(), Status> {
    let attempt = Attempt { server, exchange, row, subresource, operation };
    if operation == Operation::Delete && attempt.on("NamespaceLifecycle") {
        namespace::admit(&attempt, None).await?;
    }
    let limited =
        attempt.is(Operation::Create, "", "pods") || attempt.is(Operation::Create, "", "persistentvolumeclaims");
    if let Some(object) = object.filter(|_| limited && attempt.on("LimitRanger")) {
        limit_range::check(&attempt, object)?;
    }
    if let Some(object) = object
        && row.hook == crate::row::Hook::RbacEscalation
    {
        server.check_escalation(exchange, row, object, old)?;
    }
    Ok(())
}
