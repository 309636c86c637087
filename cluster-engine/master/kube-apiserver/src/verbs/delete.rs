//! `delete` and `deletecollection`: preconditions, grace, finalizers and what becomes of dependents.

use bytes::Bytes;
use drydock_api::field::{FieldError, Path};
use drydock_api::meta::{self, Gvk, metadata_mut, set_meta};
use drydock_api::status::StatusDetails;
use drydock_api::{Status, time};
use drydock_component::serve::Body;
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{storage_failure, storage_key, wire_value};
use crate::addresses;
use crate::admission::{Attempt, Operation};
use crate::custom::conversion;
use crate::encode;
use crate::exchange::{Exchange, FieldValidation, WriteOptions};
use crate::row::{Hook, Resource};
use crate::server::Server;
use crate::storage::{Written, bytes_form};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
const TRIES: usize = 20;

/// `meta/v1` DeleteOptions.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeleteOptions {
    pub(crate) grace_period_seconds: Option<i64>,
    pub(crate) propagation_policy: Option<String>,
    pub(crate) orphan_dependents: Option<bool>,
    pub(crate) preconditions: Option<Preconditions>,
    pub(crate) dry_run: Vec<String>,
}

/// What must be true of the object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Preconditions {
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

impl DeleteOptions {
    /// From the body, or from the query when there is none.
    ///
    /// # Errors
    /// 400 for a body that is not DeleteOptions, 422 for values that do not fit.
    pub(crate) fn read(exchange: &Exchange, body: &[u8]) -> Result<Self, Status> {
        let mut options = if body.is_empty() {
            let query = &exchange.query;
            let given = |key| query.get(key).filter(|value: &&str| !value.is_empty());
            Self {
                grace_period_seconds: given("gracePeriodSeconds")
                    .map(|text| {
                        text.parse().map_err(|_| {
                            Status::bad_request(format!(
                                "strconv.ParseInt: parsing {}: invalid syntax",
                                drydock_api::go_quote(text)
                            ))
                        })
                    })
                    .transpose()?,
                propagation_policy: given("propagationPolicy").map(str::to_owned),
                orphan_dependents: given("orphanDependents").map(|text| text != "false" && text != "0"),
                preconditions: None,
                dry_run: query.all("dryRun").map(str::to_owned).collect(),
            }
        } else {
            let gvk = Gvk::new("", "v1", "DeleteOptions");
            let value = crate::body::decode(exchange, body, &gvk, FieldValidation::Ignore)?;
            let mut options: Self =
                serde_json::from_value(value).map_err(|error| Status::bad_request(error.to_string()))?;
            if options.dry_run.is_empty() {
                options.dry_run = exchange.query.all("dryRun").map(str::to_owned).collect();
            }
            options
        };
        if options.grace_period_seconds.is_some_and(|seconds| seconds < 0) {
            options.grace_period_seconds = Some(1);
        }
        options.validate()?;
        Ok(options)
    }

    /// As an object of `meta.k8s.io/v1`.
    fn to_value(&self) -> Value {
        let mut value = json!({"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"});
        if let Some(seconds) = self.grace_period_seconds {
            value["gracePeriodSeconds"] = seconds.into();
        }
        if let Some(policy) = &self.propagation_policy {
            value["propagationPolicy"] = policy.as_str().into();
        }
        if let Some(orphan) = self.orphan_dependents {
            value["orphanDependents"] = orphan.into();
        }
        if !self.dry_run.is_empty() {
            value["dryRun"] = json!(self.dry_run);
        }
        if let Some(wanted) = &self.preconditions {
            value["preconditions"] = json!({});
            for (key, text) in [("uid", &wanted.uid), ("resourceVersion", &wanted.resource_version)] {
                if let Some(text) = text {
                    value["preconditions"][key] = text.as_str().into();
                }
            }
        }
        value
    }

    fn validate(&self) -> Result<(), Status> {
        let mut errors = Vec::new();
        let path = Path::new("propagationPolicy");
        if let Some(policy) = &self.propagation_policy {
            if self.orphan_dependents.is_some() {
                errors.push(FieldError::invalid(
                    &path,
                    policy.as_str(),
                    "orphanDependents and deletionPropagation cannot be both set",
                ));
            }
            if !matches!(policy.as_str(), "Foreground" | "Background" | "Orphan") {
                errors.push(FieldError::not_supported(
                    &path,
                    policy.as_str(),
                    &["Foreground", "Background", "Orphan", "nil"],
                ));
            }
        }
        for value in &self.dry_run {
            if value != "All" {
                errors.push(FieldError::not_supported(&Path::new("dryRun"), value.as_str(), &["All"]));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Status::invalid("meta.k8s.io", "DeleteOptions", "", errors)) }
    }
}

/// Answers a DELETE of one object.
pub(crate) async fn delete(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    body: &[u8],
) -> Result<Response<Body>, Status> {
    let options = DeleteOptions::read(exchange, body)?;
    let name = exchange.info.name.as_str();
    match delete_object(server, exchange, row, exchange.info_namespace(row), name, &options).await? {
        Deleted::Waits(object) => {
            let code = if options.orphan_dependents == Some(false) { StatusCode::ACCEPTED } else { StatusCode::OK };
            encode::object(exchange, row, code, object)
        }
        Deleted::Gone(object, _) if row.graceful.is_some() => encode::object(exchange, row, StatusCode::OK, object),
        Deleted::Gone(_, uid) => {
            let details = StatusDetails {
                name: name.to_owned(),
                group: row.group.to_owned(),
                kind: row.plural.to_owned(),
                uid,
                ..StatusDetails::default()
            };
            let mut status = Status::success(Some(details));
            status.code = 0;
            encode::written(exchange, StatusCode::OK, Bytes::from(status.to_json()))
        }
    }
}

/// Answers a DELETE of a collection.
pub(crate) async fn collection(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    body: &[u8],
) -> Result<Response<Body>, Status> {
    let options = DeleteOptions::read(exchange, body)?;
    let found = super::list::find(server, exchange, row).await?;
    for entry in &found.entries {
        match delete_object(server, exchange, row, entry.namespace(), entry.name(), &options).await {
            Ok(_) => {}
            Err(status) if status.code == 404 || status.code == 409 => {}
            Err(status) => return Err(status),
        }
    }
    let json = super::list::assemble(row, encode::Form::Whole, &found);
    encode::written(exchange, StatusCode::OK, Bytes::from(json))
}

/// What a delete did.
pub(crate) enum Deleted {
    /// The object is gone; this is its last state, and its uid.
    Gone(Bytes, String),
    /// It waits for its grace to end or for finalizers; this is how it now looks.
    Waits(Bytes),
}

/// Deletes one object.
///
/// # Errors
/// 404, or 409 when a precondition does not hold.
pub(crate) async fn delete_object(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    namespace: &str,
    name: &str,
    options: &DeleteOptions,
) -> Result<Deleted, Status> {
    let key = storage_key(row, namespace, name);
    for _ in 0..TRIES {
        let present = server
            .etcd
            .get(&key)
            .await
            .map_err(storage_failure)?
            .ok_or_else(|| Status::not_found(row.group, row.plural, name))?;
        let bytes = bytes_form::with_version(&present.value, present.revision);
        let old = wire_value(row, &conversion::served(server, row, bytes).await?)?;
        check(row, &old, options)?;
        admit(server, exchange, row, &old, options).await?;
        let wire = |object: &Value, revision| {
            bytes_form::with_version(&bytes_form::encode(object, &row.api_version(), row.kind), revision)
        };
        let (plan, object) = plan(row, &old, options, time::unix_now());
        exchange.notes.object(&object);
        let dry = !options.dry_run.is_empty();
        let uid = meta::uid(&old).to_owned();
        let written = match plan {
            Plan::Nothing => return Ok(Deleted::Waits(wire(&old, present.revision))),
            Plan::Remove if dry => return Ok(Deleted::Gone(wire(&object, present.revision), uid)),
            Plan::Mark if dry => return Ok(Deleted::Waits(wire(&object, present.revision))),
            Plan::Remove => server.etcd.delete(&key, present.revision).await,
            Plan::Mark => {
                let bytes = conversion::stored(server, row, &object).await?;
                server.etcd.put(&key, bytes, present.revision, server.time_to_live(row)).await
            }
        };
        match (written.map_err(storage_failure)?, plan) {
            (Written::Done(at), Plan::Mark) => return Ok(Deleted::Waits(wire(&object, at))),
            (Written::Done(at), _) => {
                if row.hook == Hook::ServiceAddresses {
                    addresses::settle(server, Some(&old), None, at).await;
                }
                return Ok(Deleted::Gone(wire(&object, at), uid));
            }
            (Written::Conflict(_), _) => {}
        }
    }
    Err(Status::modified(row.group, row.plural, name))
}

/// Admission of the deletion of one object; an eviction was admitted as such.
async fn admit(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    old: &Value,
    options: &DeleteOptions,
) -> Result<(), Status> {
    if !matches!(exchange.info.verb, "delete" | "deletecollection") {
        return Ok(());
    }
    let write = WriteOptions {
        dry_run: !options.dry_run.is_empty(),
        field_manager: String::new(),
        field_validation: FieldValidation::Ignore,
    };
    let mut attempt =
        Attempt::new(server, exchange, row, None, Operation::Delete, &write).named(meta::name(old)).over(old);
    attempt.options = options.to_value();
    attempt.mutate(None).await?;
    attempt.validate(None).await
}

fn check(row: &Resource, object: &Value, options: &DeleteOptions) -> Result<(), Status> {
    let Some(wanted) = &options.preconditions else { return Ok(()) };
    let name = meta::name(object);
    if let Some(uid) = wanted.uid.as_deref().filter(|uid| *uid != meta::uid(object)) {
        let text =
            format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", meta::uid(object));
        return Err(Status::conflict(row.group, row.plural, name, text));
    }
    if let Some(version) =
        wanted.resource_version.as_deref().filter(|version| *version != meta::resource_version(object))
    {
        let text = format!(
            "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {}",
            meta::resource_version(object)
        );
        return Err(Status::conflict(row.group, row.plural, name, text));
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// Take the key away.
    Remove,
    /// Write the object with its deletion begun.
    Mark,
    /// It is already going at least as fast.
    Nothing,
}

/// What a delete does to an object, and how the object then looks.
fn plan(row: &Resource, old: &Value, options: &DeleteOptions, now: i64) -> (Plan, Value) {
    let mut object = old.clone();
    let begun = meta::deletion_timestamp(old).and_then(time::parse_seconds);
    if let Some(begin) = row.begin_delete.filter(|_| begun.is_none()) {
        begin(&mut object);
    }
    let finalizers = finalizers(row, &object, options);
    set_meta(&mut object, "finalizers", finalizers.clone());
    if finalizers.is_empty() {
        metadata_mut(&mut object).map(|metadata| metadata.remove("finalizers"));
    }
    let held = !finalizers.is_empty() || row.held.is_some_and(|held| held(&object));
    let asked = options.grace_period_seconds;
    if let (Some(begun), Some(graceful)) = (begun, row.graceful) {
        let running = meta::deletion_grace_period_seconds(old).unwrap_or(0);
        let wanted = graceful(old, asked);
        if running == 0 {
            return if held { (Plan::Nothing, object) } else { (Plan::Remove, object) };
        }
        if asked.is_some() && wanted < running {
            if wanted == 0 && !held {
                return (Plan::Remove, object);
            }
            set_meta(&mut object, "deletionGracePeriodSeconds", wanted);
            set_meta(&mut object, "deletionTimestamp", time::format_seconds((begun - running + wanted).max(0)));
            return (Plan::Mark, object);
        }
        return (Plan::Nothing, object);
    }
    let grace = row.graceful.map_or(0, |graceful| graceful(old, asked));
    if grace == 0 && !held {
        return (Plan::Remove, object);
    }
    if begun.is_none() {
        set_meta(&mut object, "deletionTimestamp", time::format_seconds(now + grace));
        set_meta(&mut object, "deletionGracePeriodSeconds", grace);
        if meta::generation(&object) > 0 {
            set_meta(&mut object, "generation", meta::generation(old) + 1);
        }
    }
    if object == *old { (Plan::Nothing, object) } else { (Plan::Mark, object) }
}

/// The finalizers after the client said what becomes of dependents.
fn finalizers(row: &Resource, object: &Value, options: &DeleteOptions) -> Vec<String> {
    let mut own: Vec<String> = meta::finalizers(object).into_iter().map(str::to_owned).collect();
    let has = |name: &str| own.iter().any(|own| own == name);
    let policy = options.propagation_policy.as_deref();
    let orphan = match (options.orphan_dependents, policy) {
        (Some(orphan), _) => orphan,
        (None, Some(policy)) => policy == "Orphan",
        (None, None) if has(ORPHAN) || has(FOREGROUND) => has(ORPHAN),
        (None, None) => row.orphan_by_default,
    };
    let foreground = match (options.orphan_dependents, policy) {
        (Some(_), _) => false,
        (None, Some(policy)) => policy == "Foreground",
        (None, None) => has(FOREGROUND) && !orphan,
    };
    own.retain(|name| name != ORPHAN && name != FOREGROUND);
    if orphan {
        own.push(ORPHAN.to_owned());
    }
    if foreground {
        own.push(FOREGROUND.to_owned());
    }
    own
}

/// Whether an updated object has nothing left to wait for.
pub(crate) fn is_finished(row: &Resource, object: &Value) -> bool {
    meta::deletion_timestamp(object).is_some()
        && meta::finalizers(object).is_empty()
        && meta::deletion_grace_period_seconds(object).unwrap_or(0) == 0
        && !row.held.is_some_and(|held| held(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    static MAP: Resource = Resource { kind: "ConfigMap", plural: "configmaps", ..Resource::BASE };
    static POD: Resource =
        Resource { kind: "Pod", plural: "pods", graceful: Some(|_, asked| asked.unwrap_or(30)), ..Resource::BASE };

    fn options(policy: Option<&str>, grace: Option<i64>) -> DeleteOptions {
        DeleteOptions {
            propagation_policy: policy.map(str::to_owned),
            grace_period_seconds: grace,
            ..DeleteOptions::default()
        }
    }

    #[test]
    fn an_object_without_finalizers_goes_at_once() {
        assert_eq!(plan(&MAP, &json!({"metadata": {"name": "a"}}), &options(None, None), 0).0, Plan::Remove);
    }

    #[test]
    fn foreground_waits_for_dependents() {
        let (what, object) =
            plan(&MAP, &json!({"metadata": {"name": "a", "generation": 2}}), &options(Some("Foreground"), None), 60);
        assert_eq!(what, Plan::Mark);
        let expected = json!({"name": "a", "generation": 3, "finalizers": ["foregroundDeletion"], "deletionTimestamp": "1970-01-01T00:01:00Z", "deletionGracePeriodSeconds": 0});
        assert_eq!(object["metadata"], expected);
        assert!(!is_finished(&MAP, &object));
        assert_eq!(plan(&MAP, &object, &options(None, None), 90).0, Plan::Nothing);
    }

    #[test]
    fn a_pod_gets_its_grace_and_can_be_hurried() {
        let (what, object) = plan(&POD, &json!({"metadata": {"name": "a"}}), &options(None, None), 0);
        assert_eq!((what, &object["metadata"]["deletionGracePeriodSeconds"]), (Plan::Mark, &json!(30)));
        assert_eq!(plan(&POD, &object, &options(None, None), 5).0, Plan::Nothing);
        let (what, hurried) = plan(&POD, &object, &options(None, Some(3)), 5);
        assert_eq!((what, &hurried["metadata"]["deletionTimestamp"]), (Plan::Mark, &json!("1970-01-01T00:00:03Z")));
        assert_eq!(plan(&POD, &object, &options(None, Some(0)), 5).0, Plan::Remove);
    }
}
