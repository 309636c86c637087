//! `get` of one object.

use bytes::Bytes;
use drydock_api::Status;
use drydock_component::serve::Body;
use http::{Response, StatusCode};
use serde_json::Value;

use super::{storage_failure, storage_key, wire, wire_value};
use crate::custom::conversion;
use crate::encode;
use crate::exchange::Exchange;
use crate::row::Resource;
use crate::server::Server;
use crate::storage::{bytes_form, relative_key};

/// Answers a GET.
pub(crate) async fn get(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
) -> Result<Response<Body>, Status> {
    let bytes = find(server, exchange, row).await?;
    encode::object(exchange, row, StatusCode::OK, bytes)
}

/// The object that a request names, in this row's wire form.
pub(crate) async fn find(server: &Server, exchange: &Exchange, row: &'static Resource) -> Result<Bytes, Status> {
    let (namespace, name) = (exchange.info_namespace(row), exchange.info.name.as_str());
    let found = match exchange.query.text("resourceVersion") {
        "" => newest(server, row, namespace, name).await?,
        version => {
            let version = super::list::parse_version(version)?;
            let cache = server.cache(row)?;
            cache.wait(version).await?;
            cache.get(&relative_key(namespace, name)).map(|entry| entry.bytes.clone())
        }
    };
    let bytes = found.ok_or_else(|| Status::not_found(row.group, row.plural, name))?;
    Ok(wire(row, &conversion::served(server, row, bytes).await?))
}

/// The newest stored bytes with resourceVersion, read from etcd.
pub(crate) async fn newest(
    server: &Server,
    row: &Resource,
    namespace: &str,
    name: &str,
) -> Result<Option<Bytes>, Status> {
    let stored = server.etcd.get(&storage_key(row, namespace, name)).await.map_err(storage_failure)?;
    Ok(stored.map(|stored| bytes_form::with_version(&stored.value, stored.revision)))
}

/// The newest object of a row, as a value.
pub(crate) async fn newest_value(
    server: &Server,
    row: &Resource,
    namespace: &str,
    name: &str,
) -> Result<Value, Status> {
    match newest(server, row, namespace, name).await? {
        Some(bytes) => wire_value(row, &conversion::served(server, row, bytes).await?),
        None => Err(Status::not_found(row.group, row.plural, name)),
    }
}
