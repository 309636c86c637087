//! Admission: the built-in plugins, policies and webhooks, in upstream's order. Mutating ones change the object, validating
//! ones refuse it.
//!
//! A plugin is a small file with one function; what it needs of the cluster it reads from the watch cache.

mod certificates;
mod claims;
mod defaults;
mod limit_range;
mod namespace;
mod node_restriction;
mod owners;
mod pod_defaults;
mod pod_security;
mod policy;
mod quota;
mod rules;
mod service_account;
pub(crate) mod webhook;

pub(crate) use policy::{OF_POLICIES, OF_WEBHOOKS, WITH_PARAMS};

use drydock_api::Status;
use drydock_api::meta::{self, Gvk};
use serde_json::{Value, json};

use crate::exchange::{Exchange, WriteOptions};
use crate::row::{Resource, Subresource};
use crate::server::Server;
use crate::verbs;

/// Plugins that run only when `--enable-admission-plugins` names them, as upstream.
const OFF_BY_DEFAULT: [&str; 2] = ["NodeRestriction", "OwnerReferencesPermissionEnforcement"];

/// What is done to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

impl Operation {
    /// The word in rules and reviews.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// One request as admission sees it.
pub(crate) struct Attempt<'a> {
    pub(crate) server: &'a Server,
    pub(crate) exchange: &'a Exchange,
    pub(crate) row: &'static Resource,
    pub(crate) subresource: Option<Subresource>,
    pub(crate) operation: Operation,
    /// Kind of the object: the row's, or that of the subresource (`Eviction`, `Scale` …).
    pub(crate) kind: Gvk,
    /// Empty when a create leaves the name to the server.
    pub(crate) name: &'a str,
    /// Empty for cluster scope; of a Namespace its own name, as upstream.
    pub(crate) namespace: &'a str,
    pub(crate) dry_run: bool,
    /// CreateOptions, UpdateOptions … as reviews carry them.
    pub(crate) options: Value,
    /// The object as it was.
    pub(crate) old: Option<&'a Value>,
}

impl<'a> Attempt<'a> {
    /// An attempt on the object that the request's path names.
    pub(crate) fn new(
        server: &'a Server,
        exchange: &'a Exchange,
        row: &'static Resource,
        subresource: Option<Subresource>,
        operation: Operation,
        options: &WriteOptions,
    ) -> Self {
        let mut sent = json!({"kind": options_kind(operation, exchange.info.verb), "apiVersion": "meta.k8s.io/v1"});
        if options.dry_run {
            sent["dryRun"] = json!(["All"]);
        }
        if !options.field_manager.is_empty() {
            sent["fieldManager"] = options.field_manager.clone().into();
        }
        if !exchange.query.text("fieldValidation").is_empty() {
            sent["fieldValidation"] = exchange.query.text("fieldValidation").into();
        }
        let of_namespaces = row.group.is_empty() && row.plural == "namespaces" && operation != Operation::Create;
        Self {
            server,
            exchange,
            row,
            subresource,
            operation,
            kind: verbs::gvk(row),
            name: &exchange.info.name,
            namespace: if of_namespaces { &exchange.info.name } else { exchange.info_namespace(row) },
            dry_run: options.dry_run,
            options: sent,
            old: None,
        }
    }

    /// The same with the object as it was.
    pub(crate) fn over(mut self, old: &'a Value) -> Self {
        self.old = Some(old);
        self
    }

    /// The same for an object of another kind than the row's.
    pub(crate) fn of_kind(mut self, kind: Gvk) -> Self {
        self.kind = kind;
        self
    }

    /// The same for an object of that name.
    pub(crate) fn named(mut self, name: &'a str) -> Self {
        self.name = name;
        self
    }

    /// Whether it is about this resource itself and does this.
    pub(crate) fn is(&self, operation: Operation, group: &str, plural: &str) -> bool {
        self.operation == operation && self.subresource.is_none() && self.on_resource(group, plural)
    }

    /// Whether it is about this resource or one of its subresources.
    pub(crate) fn on_resource(&self, group: &str, plural: &str) -> bool {
        self.row.group == group && self.row.plural == plural
    }

    /// The subresource's name, empty for the resource itself.
    pub(crate) fn subresource_name(&self) -> &'static str {
        self.subresource.map_or("", Subresource::name)
    }

    /// A refusal in upstream's words.
    pub(crate) fn forbidden(&self, name: &str, why: impl std::fmt::Display) -> Status {
        Status::forbidden(self.row.group, self.row.plural, name, why)
    }

    /// Whether a plugin runs.
    fn on(&self, plugin: &str) -> bool {
        let has = |list: &[String]| list.iter().any(|name| name == plugin);
        !has(&self.server.options.disable_admission_plugins)
            && (!OFF_BY_DEFAULT.contains(&plugin) || has(&self.server.options.enable_admission_plugins))
    }

    /// Lets the mutating plugins change the object; none on deletions.
    ///
    /// # Errors
    /// What a plugin refuses, in upstream's words.
    pub(crate) async fn mutate(&self, mut object: Option<&mut Value>) -> Result<(), Status> {
        if self.on("NamespaceLifecycle") {
            namespace::admit(self, object.as_deref()).await?;
        }
        if let Some(object) = object.as_deref_mut() {
            self.built_in(object).await?;
        }
        policy::mutate(self, object.as_deref_mut())?;
        let again = webhook::mutate(self, object.as_deref_mut(), None).await?;
        if again.is_due() {
            // Something changed after others had seen it: once more, for those who asked for that.
            if let Some(object) = object.as_deref_mut() {
                self.built_in(object).await?;
            }
            webhook::mutate(self, object, Some(&again)).await?;
        }
        Ok(())
    }

    async fn built_in(&self, object: &mut Value) -> Result<(), Status> {
        if self.is(Operation::Create, "", "nodes") && self.on("TaintNodesByCondition") {
            defaults::node_taint(object);
        }
        if self.is(Operation::Create, "", "pods") {
            self.built_in_pod(object).await?;
        }
        if self.is(Operation::Update, "", "pods") && self.on("Priority") {
            pod_defaults::keep_priority(object, self.old);
        }
        // Whoever replaces all tolerations keeps these.
        if self.is(Operation::Update, "", "pods") && self.on("DefaultTolerationSeconds") {
            pod_defaults::tolerations(self, object);
        }
        if self.is(Operation::Create, "", "persistentvolumeclaims") && self.on("DefaultStorageClass") {
            defaults::storage_class(self, object);
        }
        if self.operation == Operation::Create && self.subresource.is_none() && self.on("StorageObjectInUseProtection")
        {
            claims::protect(self, object);
        }
        if self.is(Operation::Create, "networking.k8s.io", "ingresses") && self.on("DefaultIngressClass") {
            defaults::ingress_class(self, object)?;
        }
        let binding = self.subresource == Some(Subresource::Binding) && self.operation == Operation::Create;
        if binding && self.on("PodTopologyLabels") {
            defaults::topology_labels(self, object);
        }
        if self.is(Operation::Create, "certificates.k8s.io", "certificatesigningrequests") {
            defaults::certificate_request(self, object);
        }
        Ok(())
    }

    async fn built_in_pod(&self, pod: &mut Value) -> Result<(), Status> {
        if self.on("LimitRanger") {
            limit_range::default_pod(self, pod);
        }
        if self.on("ServiceAccount") {
            service_account::admit(self, pod).await?;
        }
        if self.on("Priority") {
            pod_defaults::priority(self, pod)?;
        }
        if self.on("DefaultTolerationSeconds") {
            pod_defaults::tolerations(self, pod);
        }
        if self.on("RuntimeClass") {
            pod_defaults::runtime_class(self, pod)?;
        }
        Ok(())
    }

    /// Lets the validating plugins refuse.
    ///
    /// # Errors
    /// What a plugin refuses, in upstream's words.
    pub(crate) async fn validate(&self, object: Option<&Value>) -> Result<(), Status> {
        if self.on("LimitRanger") {
            limit_range::check(self, object)?;
        }
        if self.on("NodeRestriction") {
            node_restriction::check(self, object)?;
        }
        if self.on("PodSecurity") {
            pod_security::check(self, object)?;
        }
        if let Some(class) = object
            && self.on_resource("scheduling.k8s.io", "priorityclasses")
            && self.on("Priority")
        {
            pod_defaults::one_default_class(self, class)?;
        }
        if self.on("OwnerReferencesPermissionEnforcement") {
            owners::check(self, object)?;
        }
        if self.is(Operation::Update, "", "persistentvolumeclaims") && self.on("PersistentVolumeClaimResize") {
            claims::check_resize(self, object)?;
        }
        if self.on_resource("certificates.k8s.io", "certificatesigningrequests") {
            certificates::check(self, object)?;
        }
        if let Some(object) = object
            && self.row.hook == crate::row::Hook::RbacEscalation
        {
            self.server.check_escalation(self.exchange, self.row, object, self.old)?;
        }
        if self.on("ValidatingAdmissionPolicy") {
            policy::validate(self, object)?;
        }
        webhook::validate(self, object).await?;
        if self.on("ResourceQuota") {
            quota::check(self, object).await?;
        }
        Ok(())
    }

    /// The object's name for texts: its own, or what the path says.
    pub(crate) fn shown_name<'b>(&'b self, object: Option<&'b Value>) -> &'b str {
        match object.map(meta::name) {
            Some(name) if !name.is_empty() => name,
            _ => self.name,
        }
    }
}

fn options_kind(operation: Operation, verb: &str) -> &'static str {
    match (operation, verb) {
        (Operation::Update, "patch") => "PatchOptions",
        (Operation::Update, _) => "UpdateOptions",
        (Operation::Delete, _) => "DeleteOptions",
        // An apply or update that creates is a create.
        _ => "CreateOptions",
    }
}
