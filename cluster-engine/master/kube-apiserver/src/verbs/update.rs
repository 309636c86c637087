//! Changing an object that exists: the compare-and-swap loop below `update`, `patch` and the subresources that write.

use bytes::Bytes;
use drydock_api::Status;
use drydock_api::meta::{self, Gvk};
use drydock_component::serve::Body;
use http::{Response, StatusCode};
use serde_json::{Map, Value};

use super::{create, gvk, managed, metadata, storage_failure, storage_key, stored, wire_value};
use crate::addresses;
use crate::admission::{Attempt, Operation};
use crate::custom::conversion;
use crate::exchange::{Exchange, WriteOptions};
use crate::row::{Hook, Resource, Subresource};
use crate::server::Server;
use crate::storage::{Stored, Written, bytes_form, relative_key};
use crate::subresource::{scale_of, set_replicas};
use crate::{body, encode};

/// How often a write that others keep overtaking is tried.
const TRIES: usize = 500;

/// One change to make.
pub(crate) struct Change<'a> {
    pub(crate) row: &'static Resource,
    pub(crate) name: &'a str,
    pub(crate) subresource: Option<Subresource>,
    pub(crate) options: &'a WriteOptions,
    /// Whether `make` has already done managedFields (server-side apply).
    pub(crate) managed: bool,
}

/// Answers a PUT.
pub(crate) async fn update(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    subresource: Option<Subresource>,
    bytes: &[u8],
) -> Result<Response<Body>, Status> {
    let options = exchange.write_options("UpdateOptions")?;
    let mut object = body::decode(exchange, bytes, &gvk(row), options.field_validation)?;
    super::prune(exchange, row, &mut object, options.field_validation)?;
    super::default(row, &mut object);
    check_name(exchange, row, &object)?;
    let name = exchange.info.name.as_str();
    let change = Change { row, name, subresource, options: &options, managed: false };
    match change_object(server, exchange, &change, |_| Ok(object.clone())).await {
        Err(status) if status.code == 404 && row.create_on_update && subresource.is_none() && status.is("NotFound") => {
            server.authorize_also(exchange, "create", "")?;
            if let Some(metadata) = meta::metadata_mut(&mut object) {
                metadata.remove("resourceVersion");
                metadata.remove("uid");
            }
            let bytes = create::create_object(server, exchange, row, object, &options).await?;
            encode::object(exchange, row, StatusCode::CREATED, bytes)
        }
        changed => encode::object(exchange, row, StatusCode::OK, changed?),
    }
}

/// The object must be the one that the URL names.
pub(crate) fn check_name(exchange: &Exchange, row: &Resource, object: &Value) -> Result<(), Status> {
    let (name, asked) = (meta::name(object), exchange.info.name.as_str());
    if name.is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({asked} based on URL) was undeterminable: name must be provided"
        )));
    }
    if name != asked {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({asked})"
        )));
    }
    let (namespace, asked) = (meta::namespace(object), exchange.info_namespace(row));
    if !namespace.is_empty() && row.namespaced && namespace != asked {
        return Err(Status::bad_request(format!(
            "the namespace of the object ({namespace}) does not match the namespace on the URL ({asked})"
        )));
    }
    Ok(())
}

/// Reads the object, has `make` say what it becomes, and writes it if nobody was faster; gives the wire form.
///
/// # Errors
/// 404, 409, 422 and whatever `make` and admission refuse.
pub(crate) async fn change_object<F>(
    server: &Server,
    exchange: &Exchange,
    change: &Change<'_>,
    make: F,
) -> Result<Bytes, Status>
where
    F: Fn(&Value) -> Result<Value, Status>,
{
    let (row, namespace) = (change.row, exchange.info_namespace(change.row));
    let key = storage_key(row, namespace, change.name);
    let missing = || Status::not_found(row.group, row.plural, change.name);
    // The cache may be a moment behind: what it says is only tried, and a failure is checked against etcd.
    let mut cached = server
        .cache(row)?
        .get(&relative_key(namespace, change.name))
        .map(|entry| (entry.bytes.clone(), entry.revision));
    for _ in 0..TRIES {
        let (bytes, revision, fresh) = match cached.take() {
            Some((bytes, revision)) => (bytes, revision, false),
            None => {
                let present = server.etcd.get(&key).await.map_err(storage_failure)?.ok_or_else(missing)?;
                (present.bytes(), present.revision, true)
            }
        };
        let old = wire_value(row, &conversion::served(server, row, bytes).await?)?;
        let new = match prepare(server, exchange, change, &old, &make).await {
            Ok(new) => new,
            Err(_) if !fresh => continue,
            Err(status) => return Err(status),
        };
        match write(server, exchange, change, &key, revision, &old, new).await? {
            // "Nothing to change" counts only against the newest state.
            Outcome::Unchanged(_) if !fresh => {}
            Outcome::Done(bytes) | Outcome::Unchanged(bytes) => return Ok(bytes),
            Outcome::Overtaken(present) => {
                cached = Some(present.ok_or_else(missing)?).map(|present| (present.bytes(), present.revision))
            }
        }
    }
    Err(Status::modified(row.group, row.plural, change.name))
}

enum Outcome {
    Done(Bytes),
    Unchanged(Bytes),
    Overtaken(Option<Stored>),
}

impl Stored {
    fn bytes(&self) -> Bytes {
        bytes_form::with_version(&self.value, self.revision)
    }
}

/// The object as it is to be written, admitted and valid.
async fn prepare<F>(
    server: &Server,
    exchange: &Exchange,
    change: &Change<'_>,
    old: &Value,
    make: &F,
) -> Result<Value, Status>
where
    F: Fn(&Value) -> Result<Value, Status>,
{
    let (row, subresource) = (change.row, change.subresource);
    let mut new = make(old)?;
    metadata::begin_update(row, &mut new, old)?;
    super::default(row, &mut new);
    restrict(row, subresource, &mut new, old);
    if !change.managed {
        managed::update(row, subresource, &change.options.field_manager, &exchange.now, Some(old), &mut new)?;
    }
    let attempt = Attempt::new(server, exchange, row, subresource, Operation::Update, change.options)
        .named(change.name)
        .over(old);
    // What a Binding or an Eviction changes was admitted as that.
    let admitted = exchange.info.verb == "create";
    let scaled = match subresource {
        Some(paths @ Subresource::Scale { .. }) => Some((paths, scale_of(old, paths))),
        _ => None,
    };
    if let Some((paths, before)) = &scaled {
        let attempt = Attempt::new(server, exchange, row, subresource, Operation::Update, change.options)
            .of_kind(Gvk::new("autoscaling", "v1", "Scale"))
            .named(change.name)
            .over(before);
        let mut scale = scale_of(&new, *paths);
        attempt.mutate(Some(&mut scale)).await?;
        attempt.validate(Some(&scale)).await?;
        set_replicas(&mut new, *paths, &scale);
    } else if !admitted {
        attempt.mutate(Some(&mut new)).await?;
    }
    let context = exchange.context(row, subresource);
    match subresource {
        None => (row.prepare_update)(&mut new, old, &context),
        Some(_) => (row.prepare_subresource)(&mut new, old, &context),
    }
    metadata::tidy(&mut new);
    // A pod that gets its node is still as its author wrote it.
    if subresource != Some(Subresource::Binding) {
        metadata::bump_generation(row, &mut new, old);
    }
    let mut errors = metadata::validate_update(&new, old);
    errors.extend(match subresource {
        None => (row.validate_update)(&new, old, &context),
        Some(_) => (row.validate_subresource)(&new, old, &context),
    });
    errors.extend(row.custom.map(|custom| custom.validate(&new, Some(old))).unwrap_or_default());
    if !errors.is_empty() {
        return Err(Status::invalid(row.group, row.kind, change.name, errors));
    }
    if subresource.is_none() {
        for warning in (row.warnings)(&new, Some(old)) {
            exchange.warn(warning);
        }
    }
    if !admitted && scaled.is_none() {
        attempt.validate(Some(&new)).await?;
    }
    Ok(new)
}

async fn write(
    server: &Server,
    exchange: &Exchange,
    change: &Change<'_>,
    key: &str,
    revision: i64,
    old: &Value,
    mut new: Value,
) -> Result<Outcome, Status> {
    let row = change.row;
    let mut held = None;
    if row.hook == Hook::ServiceAddresses && change.subresource.is_none() {
        held = Some(server.addresses.allocate(server, &mut new, Some(old)).await?);
    }
    let wire = |object: &Value, revision| {
        bytes_form::with_version(&bytes_form::encode(object, &row.api_version(), row.kind), revision)
    };
    if stored(row, &new) == stored(row, old) {
        exchange.notes.object(&new);
        return Ok(Outcome::Unchanged(wire(&new, revision)));
    }
    if change.options.dry_run {
        exchange.notes.object(&new);
        return Ok(Outcome::Done(wire(&new, revision)));
    }
    let bytes = conversion::stored(server, row, &new).await?;
    // The last finalizer is gone: the update is the deletion.
    let finished = super::delete::is_finished(row, &new);
    let written = if finished {
        server.etcd.delete(key, revision).await
    } else {
        server.etcd.put(key, bytes, revision, server.time_to_live(row)).await
    };
    match written.map_err(storage_failure)? {
        Written::Conflict(present) => Ok(Outcome::Overtaken(present)),
        Written::Done(written_at) => {
            let at = if finished { revision } else { written_at };
            bytes_form::set_version(&mut new, at);
            exchange.notes.object(&new);
            if held.is_some() {
                server.cache(row)?.wait(at).await?;
            }
            if row.hook == Hook::ServiceAddresses {
                addresses::settle(server, Some(old), (!finished).then_some(&new), written_at).await;
            }
            Ok(Outcome::Done(wire(&new, at)))
        }
    }
}

/// Puts back to `old` everything that this endpoint may not change.
fn restrict(row: &Resource, subresource: Option<Subresource>, new: &mut Value, old: &Value) {
    match subresource {
        None => {
            if row.has_status() {
                replace(new, old, "status");
            }
        }
        Some(Subresource::Status) => {
            keep_only(new, old, &["status"]);
            if row.custom.is_some() {
                // Of custom resources, `/status` writes the status and nothing else.
                replace(new, old, "metadata");
            }
        }
        Some(Subresource::Approval) => {
            let conditions = new.pointer("/status/conditions").cloned();
            keep_only(new, old, &[]);
            set(new, "status", "conditions", conditions);
        }
        Some(Subresource::Finalize) => {
            let finalizers = new.pointer("/spec/finalizers").cloned();
            keep_only(new, old, &[]);
            set(new, "spec", "finalizers", finalizers);
        }
        Some(Subresource::EphemeralContainers) => {
            let containers = new.pointer("/spec/ephemeralContainers").cloned();
            keep_only(new, old, &[]);
            set(new, "spec", "ephemeralContainers", containers);
        }
        Some(Subresource::Resize) => {
            let asked = new.get("spec").cloned().unwrap_or_default();
            keep_only(new, old, &[]);
            for list in ["containers", "initContainers"] {
                resize(new, &asked, list);
            }
        }
        Some(_) => {}
    }
}

/// Takes resources and resize policies of containers from `asked`, by name.
fn resize(pod: &mut Value, asked: &Value, list: &str) {
    let asked = asked.get(list).and_then(Value::as_array);
    let Some(containers) = pod.get_mut("spec").and_then(|spec| spec.get_mut(list)).and_then(Value::as_array_mut) else {
        return;
    };
    for container in containers {
        let found = asked.into_iter().flatten().find(|other| other.get("name") == container.get("name"));
        let (Some(found), Some(fields)) = (found, container.as_object_mut()) else { continue };
        for key in ["resources", "resizePolicy"] {
            match found.get(key) {
                Some(value) => fields.insert(key.to_owned(), value.clone()),
                None => fields.remove(key),
            };
        }
    }
}

fn replace(new: &mut Value, old: &Value, key: &str) {
    let Some(fields) = new.as_object_mut() else { return };
    match old.get(key) {
        Some(value) => fields.insert(key.to_owned(), value.clone()),
        None => fields.remove(key),
    };
}

/// Everything but metadata and `keys` becomes `old`'s again.
fn keep_only(new: &mut Value, old: &Value, keys: &[&str]) {
    let mut fields: Map<String, Value> = old.as_object().cloned().unwrap_or_default();
    for key in ["metadata"].iter().chain(keys) {
        match new.get(*key) {
            Some(value) => fields.insert((*key).to_owned(), value.clone()),
            None => fields.remove(*key),
        };
    }
    *new = Value::Object(fields);
}

fn set(object: &mut Value, outer: &str, key: &str, value: Option<Value>) {
    let Some(fields) = object.as_object_mut() else { return };
    let inner = fields.entry(outer.to_owned()).or_insert_with(|| Value::Object(Map::new()));
    let Some(inner) = inner.as_object_mut() else { return };
    match value {
        Some(value) => inner.insert(key.to_owned(), value),
        None => inner.remove(key),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    static ROW: Resource =
        Resource { kind: "Pod", plural: "pods", subresources: &[Subresource::Status], ..Resource::BASE };

    #[test]
    fn each_endpoint_changes_its_own_part() {
        let old =
            json!({"metadata": {"name": "a"}, "spec": {"x": 1, "finalizers": ["k"]}, "status": {"phase": "Running"}});
        let wish =
            json!({"metadata": {"name": "a", "labels": {"l": "m"}}, "spec": {"x": 2}, "status": {"phase": "Failed"}});
        let after = |subresource| {
            let mut new = wish.clone();
            restrict(&ROW, subresource, &mut new, &old);
            new
        };
        assert_eq!(
            after(None),
            json!({"metadata": wish["metadata"], "spec": {"x": 2}, "status": {"phase": "Running"}})
        );
        assert_eq!(
            after(Some(Subresource::Status)),
            json!({"metadata": wish["metadata"], "spec": {"x": 1, "finalizers": ["k"]}, "status": {"phase": "Failed"}})
        );
        assert_eq!(after(Some(Subresource::Finalize))["spec"], json!({"x": 1}));
    }

    #[test]
    fn a_resize_touches_resources_only() {
        let old = json!({"spec": {"containers": [{"name": "c", "image": "i", "resources": {}}]}});
        let mut new =
            json!({"spec": {"containers": [{"name": "c", "image": "j", "resources": {"limits": {"cpu": "1"}}}]}});
        restrict(&ROW, Some(Subresource::Resize), &mut new, &old);
        assert_eq!(
            new["spec"]["containers"][0],
            json!({"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}})
        );
    }
}
