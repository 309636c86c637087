//! `create`.

use bytes::Bytes;
use drydock_api::meta::{self, set_meta};
use drydock_api::{Status, names};
use drydock_component::serve::Body;
use http::{Response, StatusCode};
use serde_json::Value;

use super::{gvk, managed, metadata, storage_failure, storage_key};
use crate::addresses;
use crate::admission::{Attempt, Operation};
use crate::custom::conversion;
use crate::exchange::{Exchange, WriteOptions};
use crate::row::{Hook, Resource};
use crate::server::Server;
use crate::storage::{Written, bytes_form};
use crate::{body, encode};

/// How often a generated name that is taken is drawn anew.
const NAME_TRIES: usize = 8;

/// Answers a POST to a collection.
pub(crate) async fn create(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    bytes: &[u8],
) -> Result<Response<Body>, Status> {
    let options = exchange.write_options("CreateOptions")?;
    if row.namespaced && exchange.info.namespace.is_empty() {
        return Err(Status::method_not_supported(row.group, row.plural, "POST"));
    }
    if row.custom.is_some() && is_terminating(server, row) {
        let mut status = Status::method_not_supported(row.group, row.plural, "create");
        "create not allowed while custom resource definition is terminating".clone_into(&mut status.message);
        return Err(status);
    }
    let mut object = body::decode(exchange, bytes, &gvk(row), options.field_validation)?;
    super::prune(exchange, row, &mut object, options.field_validation)?;
    super::default(row, &mut object);
    if !row.stored() {
        return crate::reviews::create(server, exchange, row, object).await;
    }
    let bytes = create_object(server, exchange, row, object, &options).await?;
    encode::object(exchange, row, StatusCode::CREATED, bytes)
}

/// Whether the definition of a custom kind is being deleted.
fn is_terminating(server: &Server, row: &Resource) -> bool {
    let definitions = server.rows.find("apiextensions.k8s.io", "v1", "customresourcedefinitions");
    let name = format!("{}.{}", row.plural, row.group);
    let definition = definitions.and_then(|definitions| server.object(definitions.storage, "", &name));
    definition.is_some_and(|definition| meta::deletion_timestamp(&definition).is_some())
}

/// Creates a decoded and defaulted object; gives its wire form.
pub(crate) async fn create_object(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    object: Value,
    options: &WriteOptions,
) -> Result<Bytes, Status> {
    let mut object = object;
    metadata::begin_create(exchange, row, &mut object)?;
    if meta::metadata(&object).is_some_and(|metadata| !metadata.contains_key("managedFields")) {
        managed::update(row, None, &options.field_manager, &exchange.now, None, &mut object)?;
    }
    finish(server, exchange, row, object, options).await
}

/// The rest of a create, for an object whose managedFields are done.
pub(crate) async fn finish(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    mut object: Value,
    options: &WriteOptions,
) -> Result<Bytes, Status> {
    let given = meta::name(&object).to_owned();
    let attempt = Attempt::new(server, exchange, row, None, Operation::Create, options).named(&given);
    attempt.mutate(Some(&mut object)).await?;
    let base = meta::generate_name(&object).to_owned();
    let generated = meta::name(&object).is_empty() && !base.is_empty();
    for _ in 1..NAME_TRIES {
        if !generated {
            break;
        }
        let mut named = object.clone();
        set_meta(&mut named, "name", names::generate_name(&base, rand::random()));
        if let Some(bytes) = finish_named(&attempt, named, options).await? {
            return Ok(bytes);
        }
    }
    if generated {
        set_meta(&mut object, "name", names::generate_name(&base, rand::random()));
    }
    let name = meta::name(&object).to_owned();
    match finish_named(&attempt, object, options).await? {
        Some(bytes) => Ok(bytes),
        None if generated => Err(Status::generate_name_conflict(row.group, row.plural, &name)),
        None => Err(Status::already_exists(row.group, row.plural, &name)),
    }
}

/// Prepares, checks and puts an object whose name is known, generated or not; none when the name is taken.
async fn finish_named(
    attempt: &Attempt<'_>,
    mut object: Value,
    options: &WriteOptions,
) -> Result<Option<Bytes>, Status> {
    let (row, exchange) = (attempt.row, attempt.exchange);
    let context = exchange.context(row, None);
    (row.prepare_create)(&mut object, &context);
    metadata::tidy(&mut object);
    let mut errors = metadata::validate(row, &object);
    errors.extend((row.validate)(&object, &context));
    errors.extend(row.custom.map(|custom| custom.validate(&object, None)).unwrap_or_default());
    if !errors.is_empty() {
        return Err(Status::invalid(row.group, row.kind, meta::name(&object), errors));
    }
    for warning in (row.warnings)(&object, None) {
        exchange.warn(warning);
    }
    attempt.validate(Some(&object)).await?;
    write(attempt.server, exchange, row, &mut object, options).await
}

/// Puts the object; none when the name is taken.
async fn write(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    object: &mut Value,
    options: &WriteOptions,
) -> Result<Option<Bytes>, Status> {
    let mut held = None;
    if row.hook == Hook::ServiceAddresses {
        held = Some(server.addresses.allocate(server, object, None).await?);
    }
    let (namespace, name) = (exchange.info_namespace(row), meta::name(object));
    let key = storage_key(row, namespace, name);
    let bytes = conversion::stored(server, row, object).await?;
    if options.dry_run {
        let taken = server.etcd.get(&key).await.map_err(storage_failure)?.is_some();
        exchange.notes.object(object);
        return Ok((!taken).then(|| bytes_form::encode(object, &row.api_version(), row.kind)));
    }
    match server.etcd.put(&key, bytes, 0, server.time_to_live(row)).await.map_err(storage_failure)? {
        Written::Conflict(_) => Ok(None),
        Written::Done(revision) => {
            bytes_form::set_version(object, revision);
            exchange.notes.object(object);
            if held.is_some() {
                // The next allocation must see this one.
                server.cache(row)?.wait(revision).await?;
                addresses::settle(server, None, Some(object), revision).await;
            }
            drop(held);
            Ok(Some(bytes_form::with_version(&bytes_form::encode(object, &row.api_version(), row.kind), revision)))
        }
    }
}
