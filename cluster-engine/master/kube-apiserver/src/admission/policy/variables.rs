//! What expressions of webhooks and policies may speak of.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ::cel::ExecutionError;
use ::cel::common::traits::Indexer;
use ::cel::common::types::{CelString, DYN_TYPE, Type};
use ::cel::common::value::{CowVal, StaticVal, Val};
use serde_json::{Value, json};

use super::super::{Attempt, rules};
use crate::authorize::chain::Chain;
use crate::authorize::{Attributes, Authorize as _, Decision, UserInfo};
use crate::cel::authorizer::{Answer, Authorizer, Question};
use crate::cel::{Error, Scope};
use crate::registry::Read as _;
use crate::row::Resource;

/// Variables of match conditions of webhooks.
pub(crate) const OF_WEBHOOKS: &[&str] = &["object", "oldObject", "request", "authorizer"];
/// Variables of policies without parameters.
pub(crate) const OF_POLICIES: &[&str] =
    &["object", "oldObject", "request", "authorizer", "namespaceObject", "variables"];
/// Variables of policies with parameters.
pub(crate) const WITH_PARAMS: &[&str] =
    &["object", "oldObject", "request", "authorizer", "namespaceObject", "variables", "params"];

/// The scope of a request; objects are those that the rule wants to see.
pub(super) fn scope(attempt: &Attempt<'_>, row: &Resource, object: Option<&Value>, old: Option<&Value>) -> Scope {
    let mut scope = Scope::new();
    scope.json("object", object.unwrap_or(&Value::Null));
    scope.json("oldObject", old.unwrap_or(&Value::Null));
    scope.json("request", &request(attempt, row));
    let answer = answers(Arc::clone(&attempt.server.chain), attempt.exchange.user.clone());
    let own = Question {
        group: attempt.row.group.to_owned(),
        resource: attempt.row.plural.to_owned(),
        subresource: attempt.subresource_name().to_owned(),
        namespace: attempt.namespace.to_owned(),
        name: attempt.name.to_owned(),
        ..Question::default()
    };
    scope.val("authorizer.requestResource", Box::new(Authorizer::of_request(Arc::clone(&answer), own)));
    scope.val("authorizer", Box::new(Authorizer::new(answer)));
    scope
}

/// The variable `namespaceObject`: what policies may know of the namespace.
pub(super) fn namespace(attempt: &Attempt<'_>) -> Value {
    let Some(namespace) = rules::namespace_object(attempt) else { return Value::Null };
    let mut metadata = json!({});
    for key in [
        "name",
        "labels",
        "annotations",
        "creationTimestamp",
        "deletionTimestamp",
        "finalizers",
        "resourceVersion",
        "uid",
    ] {
        let value = namespace.at("metadata").at(key);
        if !value.is_null() {
            metadata[key] = value.clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata, "spec": namespace.at("spec"), "status": namespace.at("status")})
}

/// The variable `request`: the AdmissionRequest without the objects.
fn request(attempt: &Attempt<'_>, row: &Resource) -> Value {
    let user = &attempt.exchange.user;
    let of_row = attempt.kind == crate::verbs::gvk(attempt.row);
    let resource = |row: &Resource| json!({"group": row.group, "version": row.version, "resource": row.plural});
    let own = json!({"group": attempt.kind.group, "version": attempt.kind.version, "kind": attempt.kind.kind});
    let seen = if of_row { json!({"group": row.group, "version": row.version, "kind": row.kind}) } else { own.clone() };
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = user.uid.clone().into();
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    let mut request = json!({
        "kind": seen, "resource": resource(row), "requestKind": own, "requestResource": resource(attempt.row),
        "operation": attempt.operation.name(), "userInfo": info, "dryRun": attempt.dry_run,
        "name": attempt.name, "namespace": attempt.namespace,
    });
    if !attempt.options.is_null() {
        request["options"] = attempt.options.clone();
    }
    if attempt.subresource.is_some() {
        request["subResource"] = attempt.subresource_name().into();
        request["requestSubResource"] = attempt.subresource_name().into();
    }
    request
}

/// Answers questions of expressions about the requester, or a service account.
fn answers(chain: Arc<Chain>, user: UserInfo) -> Answer {
    Arc::new(move |question: &Question| {
        let account = question.account.as_ref().map(|(namespace, name)| {
            let groups = format!("system:serviceaccounts:{namespace}");
            UserInfo::new(
                &format!("system:serviceaccount:{namespace}:{name}"),
                &["system:serviceaccounts", &groups, "system:authenticated"],
            )
        });
        let attributes = Attributes {
            user: account.as_ref().unwrap_or(&user),
            verb: &question.verb,
            group: &question.group,
            resource: &question.resource,
            subresource: &question.subresource,
            name: &question.name,
            namespace: &question.namespace,
            path: &question.path,
        };
        match chain.authorize(&attributes) {
            Decision::Allow(reason) => (true, reason),
            Decision::NoOpinion(reason) => (false, reason),
        }
    })
}

type Held = BTreeMap<String, Result<Box<dyn Val>, Error>>;

/// The variable `variables`: values of a policy's own variables, or why one has none, which matters only to those who use it.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables(Arc<Mutex<Held>>);

impl Variables {
    /// Adds one; expressions that follow can use it.
    pub(super) fn set(&self, name: &str, value: Result<Box<dyn Val>, Error>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value);
    }

    fn value(&self, key: &dyn Val) -> Result<Box<dyn Val>, ExecutionError> {
        let key = key.downcast_ref::<CelString<'_>>().map_or("", |key| key.inner());
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
            None => Err(ExecutionError::no_such_key(key)),
            Some(Ok(value)) => Ok(value.clone_as_boxed()),
            Some(Err(error)) => Err(ExecutionError::function_error(
                "variables",
                format!("composited variable \"{key}\" fails to evaluate: {error}"),
            )),
        }
    }
}

impl Val for Variables {
    fn get_type(&self) -> &Type {
        &DYN_TYPE
    }

    fn cel_type() -> &'static Type {
        &DYN_TYPE
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Variables {}

impl Indexer for Variables {
    fn get<'b, 'v>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.value(key).map(CowVal::Owned)
    }

    fn steal<'v>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.value(key).map(|value| value as Box<dyn Val + 'v>)
    }
}
