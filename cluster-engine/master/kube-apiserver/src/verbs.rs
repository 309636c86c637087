//! The verbs, the same for every resource.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod managed;
pub(crate) mod metadata;
pub(crate) mod patch;
pub(crate) mod select;
pub(crate) mod update;
pub(crate) mod watch;
mod yaml;

use bytes::Bytes;
use drydock_api::Status;
use drydock_api::meta::Gvk;
use drydock_api::schema::{self, Type};
use serde_json::Value;

use crate::body;
use crate::exchange::{Exchange, FieldValidation};
use crate::row::Resource;
use crate::storage::{StorageError, bytes_form};

/// The kind of a row.
pub(crate) fn gvk(row: &Resource) -> Gvk {
    Gvk::new(row.group, row.version, row.kind)
}

/// The types by which fields of a row's kind are owned: the built-in ones, or those made of a custom kind's schema.
pub(crate) fn types_of(row: &Resource) -> Option<Type<'static>> {
    match row.custom {
        Some(custom) => custom.types.as_ref()?.by_gvk(&gvk(row)),
        None => schema_of(row),
    }
}

/// The built-in schema of a row's kind; none for custom kinds.
pub(crate) fn schema_of(row: &Resource) -> Option<Type<'static>> {
    schema::table().by_gvk(&gvk(row))
}

/// An object of the stored form (with resourceVersion) as this row serves it.
pub(crate) fn wire(row: &Resource, bytes: &Bytes) -> Bytes {
    if row.from_storage.is_none() && !row.custom.is_some_and(|custom| custom.on_read) {
        return bytes.clone();
    }
    let Ok(mut object) = serde_json::from_slice::<Value>(bytes) else { return bytes.clone() };
    let version = drydock_api::meta::resource_version(&object).parse().unwrap_or(0);
    from_storage(row, &mut object);
    bytes_form::with_version(&bytes_form::encode(&object, &row.api_version(), row.kind), version)
}

fn from_storage(row: &Resource, object: &mut Value) {
    if let Some(convert) = row.from_storage {
        convert(object);
    }
    if let Some(custom) = row.custom {
        custom.read(object);
    }
}

/// The same as a value, apiVersion and kind set.
pub(crate) fn wire_value(row: &Resource, bytes: &[u8]) -> Result<Value, Status> {
    let mut object: Value = serde_json::from_slice(bytes).map_err(Status::internal)?;
    from_storage(row, &mut object);
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), row.api_version().into());
        fields.insert("kind".to_owned(), row.kind.into());
    }
    Ok(object)
}

/// The stored form of an object that this row serves.
pub(crate) fn stored(row: &Resource, object: &Value) -> Bytes {
    match row.to_storage {
        None => bytes_form::encode(object, &row.api_version(), row.kind),
        Some(convert) => {
            let mut object = object.clone();
            convert(&mut object);
            let (group, version) = row.storage_version;
            let api_version =
                drydock_api::meta::api_version(group, if version.is_empty() { row.version } else { version });
            let kind = object.get("kind").and_then(Value::as_str).unwrap_or(row.kind).to_owned();
            bytes_form::encode(&object, &api_version, &kind)
        }
    }
}

/// Fills in the defaults of an object of this row.
pub(crate) fn default(row: &Resource, object: &mut Value) {
    (row.default)(object);
    if let Some(custom) = row.custom {
        custom.default(object);
    }
}

/// Takes out what a custom kind's schema does not know; what it was becomes a failure or warnings, as the request asks.
pub(crate) fn prune(
    exchange: &Exchange,
    row: &Resource,
    object: &mut Value,
    validation: FieldValidation,
) -> Result<(), Status> {
    let Some(custom) = row.custom else { return Ok(()) };
    let unknown = custom.prune(object);
    body::strict(exchange, &unknown, &gvk(row), &gvk(row), validation)
}

/// A storage failure as the client sees it.
pub(crate) fn storage_failure(error: StorageError) -> Status {
    match error {
        StorageError::Compacted => Status::expired("The resourceVersion for the provided list is too old."),
        error => {
            tracing::error!(%error, "storage failed");
            Status::internal(error)
        }
    }
}

/// The whole key of an object in etcd.
pub(crate) fn storage_key(row: &Resource, namespace: &str, name: &str) -> String {
    format!("{}/{}", row.storage, crate::storage::relative_key(if row.namespaced { namespace } else { "" }, name))
}
