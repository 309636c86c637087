//! `componentstatuses`: made when asked for. Deprecated upstream, still what `kubectl get cs` prints.

use std::sync::Arc;

use drydock_api::Status;
use drydock_component::serve::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::cache::Entry;
use crate::encode;
use crate::exchange::Exchange;
use crate::row::Resource;
use crate::server::Server;
use crate::verbs::list::{Found, assemble};

/// Answers a GET of one.
pub(crate) async fn get(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
) -> Result<Response<Body>, Status> {
    let name = exchange.info.name.as_str();
    let found = all(server).await.into_iter().find(|status| drydock_api::meta::name(status) == name);
    let status = found.ok_or_else(|| Status::not_found(row.group, row.plural, name))?;
    encode::object(exchange, row, StatusCode::OK, serde_json::to_vec(&status).map_err(Status::internal)?.into())
}

/// Answers a list.
pub(crate) async fn list(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
) -> Result<Response<Body>, Status> {
    let entries: Vec<Arc<Entry>> = all(server)
        .await
        .iter()
        .map(|status| Arc::new(Entry::new(row, drydock_api::meta::name(status), 0, status.to_string().as_bytes())))
        .collect();
    let found = Found { entries, meta: encode::table::ListMeta::default() };
    let json = match exchange.accept.form {
        encode::Form::Table(version) => encode::table::Table::new(row, version, exchange.query.text("includeObject"))
            .list(&found.meta, found.entries.iter().map(|entry| &entry.bytes)),
        form => assemble(row, form, &found),
    };
    encode::written(exchange, StatusCode::OK, json.into())
}

async fn all(server: &Server) -> Vec<Value> {
    let etcd = server.etcd.revision().await.map_err(|error| error.to_string());
    let probe = |port: u16| async move {
        // Whoever listens there is up; what it thinks of itself is on its own /healthz.
        let connect = tokio::net::TcpStream::connect(("127.0.0.1", port));
        match tokio::time::timeout(std::time::Duration::from_secs(1), connect).await {
            Ok(Ok(_)) => Ok(0),
            Ok(Err(error)) => {
                Err(format!("Get \"https://127.0.0.1:{port}/healthz\": dial tcp 127.0.0.1:{port}: {error}"))
            }
            Err(_) => Err(format!("Get \"https://127.0.0.1:{port}/healthz\": timed out")),
        }
    };
    let (manager, scheduler) = (probe(10257).await, probe(10259).await);
    let status = |name: &str, result: Result<i64, String>| {
        let condition = match result {
            Ok(_) => json!({"type": "Healthy", "status": "True", "message": "ok"}),
            Err(error) => json!({"type": "Healthy", "status": "False", "message": error, "error": error}),
        };
        json!({"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": name, "creationTimestamp": null}, "conditions": [condition]})
    };
    vec![status("controller-manager", manager), status("etcd-0", etcd), status("scheduler", scheduler)]
}
