//! What every cluster has from its first moment: namespaces, the default policy, priority classes, the `kubernetes` Service.
//!
//! Missing objects are written in a few large transactions, so that a new cluster is ready within milliseconds.

mod flow_control;
mod objects;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use drydock_api::meta::{self, Gvk};
use serde_json::Value;

use crate::row::Resource;
use crate::server::Server;
use crate::storage::{StorageError, Written};
use crate::{addresses, rbac, verbs};

/// Operations per transaction; etcd's default limit is 128.
const BATCH: usize = 100;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Writes what is missing, then says so on the server.
pub(crate) async fn run(server: Arc<Server>) {
    server.caches.synced().await;
    let mut pause = FIRST_PAUSE;
    loop {
        let written = match write_missing(&server).await {
            Ok(count) => addresses::repair(&server).await.map(|()| count),
            Err(error) => Err(error),
        };
        match written {
            Ok(count) => {
                server.bootstrapped.store(true, Ordering::Release);
                tracing::info!(objects.written = count, ready_ms = server.started.elapsed().as_millis(), "ready");
                return;
            }
            Err(error) => tracing::warn!(%error, "cannot write the objects that every cluster has"),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = server.shutdown.wait() => return,
        }
    }
}

/// One object to be there, with its row and key.
struct Wanted {
    row: &'static Resource,
    key: String,
    object: Value,
}

async fn write_missing(server: &Server) -> Result<usize, StorageError> {
    let (mut missing, mut count) = (Vec::new(), 0);
    for object in all(server) {
        let Some(wanted) = wanted(server, object) else { continue };
        let namespace = if wanted.row.namespaced { meta::namespace(&wanted.object) } else { "" };
        match server.object(wanted.row.storage, namespace, meta::name(&wanted.object)) {
            None => missing.push(wanted),
            Some(existing) => count += reconcile(server, &wanted, &existing).await?,
        }
    }
    count += missing.len();
    let mut last = 0;
    for batch in missing.chunks(BATCH) {
        let puts = batch
            .iter()
            .map(|wanted| (wanted.key.clone(), verbs::stored(wanted.row, &wanted.object)))
            .collect::<Vec<_>>();
        if let Some(revision) = server.etcd.create_all(&puts).await? {
            last = revision;
            continue;
        }
        // Somebody else made one of them meanwhile: one by one then.
        for (key, value) in puts {
            if let Written::Done(revision) = server.etcd.put(&key, value, 0, 0).await? {
                last = revision;
            }
        }
    }
    if let Some(cache) = server.caches.get("/registry/namespaces") {
        // A request that comes after "ready" must see all of it.
        let _ = cache.wait(last).await;
    }
    Ok(count)
}

fn all(server: &Server) -> Vec<Value> {
    let mut all = objects::namespaces();
    all.extend(objects::priority_classes());
    all.extend(flow_control::levels());
    all.extend(flow_control::schemas());
    all.extend(rbac::bootstrap::cluster_roles());
    all.extend(rbac::bootstrap::cluster_role_bindings());
    all.extend(rbac::bootstrap::roles());
    all.extend(rbac::bootstrap::role_bindings());
    all.extend(objects::service(server));
    all.extend(objects::authentication(server));
    all.extend(crate::aggregator::objects(&server.rows.all(), &drydock_api::time::now_rfc3339()));
    all
}

/// Writes one object of ours unless it is there already.
pub(crate) async fn create(server: &Server, object: Value) -> Result<(), StorageError> {
    if let Some(wanted) = wanted(server, object) {
        server.etcd.put(&wanted.key, verbs::stored(wanted.row, &wanted.object), 0, 0).await?;
    }
    Ok(())
}

/// The object as it would be stored had a client created it.
fn wanted(server: &Server, mut object: Value) -> Option<Wanted> {
    let gvk = Gvk::from_api_version(object["apiVersion"].as_str()?, object["kind"].as_str()?);
    let row = server
        .rows
        .all()
        .into_iter()
        .find(|row| row.group == gvk.group && row.version == gvk.version && row.kind == gvk.kind)?;
    (row.default)(&mut object);
    meta::set_meta(&mut object, "uid", crate::meta::new_uid());
    meta::set_meta(&mut object, "creationTimestamp", drydock_api::time::now_rfc3339());
    if row.generation {
        meta::set_meta(&mut object, "generation", 1);
    }
    let key = verbs::storage_key(row, meta::namespace(&object), meta::name(&object));
    Some(Wanted { row, key, object })
}

/// Brings an object that exists up to date where it is ours: policy rules, and the endpoints of this server.
async fn reconcile(server: &Server, wanted: &Wanted, existing: &Value) -> Result<usize, StorageError> {
    let merged = if wanted.row.group == "rbac.authorization.k8s.io" {
        rbac::bootstrap::reconcile(existing, &wanted.object)
    } else if matches!(wanted.row.plural, "endpoints" | "endpointslices" | "configmaps") {
        objects::refreshed(existing, &wanted.object)
    } else {
        None
    };
    let Some(mut merged) = merged else { return Ok(0) };
    let revision = meta::resource_version(existing).parse().unwrap_or(0);
    if let Some(metadata) = meta::metadata_mut(&mut merged) {
        for key in ["uid", "creationTimestamp"] {
            metadata.insert(key.to_owned(), existing["metadata"][key].clone());
        }
    }
    server.etcd.put(&wanted.key, verbs::stored(wanted.row, &merged), revision, 0).await?;
    Ok(1)
}
