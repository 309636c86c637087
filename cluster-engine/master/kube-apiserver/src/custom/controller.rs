//! Keeps the served rows in step with the definitions: status, rows, caches, and the end of a definition with its objects.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use drydock_api::{Status, meta, time};
use http::HeaderMap;
use serde_json::Value;

use super::{CLEANUP, definition};
use crate::authorize::UserInfo;
use crate::encode::{Accept, Form, Media};
use crate::exchange::{Exchange, FieldValidation, WriteOptions};
use crate::request::{Query, RequestInfo};
use crate::row::{Resource, Subresource};
use crate::server::Server;
use crate::verbs::delete::{DeleteOptions, delete_object};
use crate::verbs::storage_failure;
use crate::verbs::update::{Change, change_object};

const RETRY: Duration = Duration::from_millis(500);

/// One definition as it is now served.
struct Served {
    /// The parts of the definition that rows are made of.
    made_of: Value,
    rows: Vec<&'static Resource>,
}

/// Runs until shutdown.
pub(crate) async fn run(server: Arc<Server>) {
    server.caches.synced().await;
    let Some(row) = server.rows.find("apiextensions.k8s.io", "v1", "customresourcedefinitions") else { return };
    let Some(cache) = server.caches.get(row.storage) else { return };
    let (_, _, mut cursor) = cache.list_and_follow("");
    let mut served = HashMap::new();
    loop {
        // A lost place in the ring does not matter: each round looks at everything.
        if cursor.take().is_err() {
            cursor = cache.list_and_follow("").2;
        }
        let again = match round(&server, row, &mut served).await {
            Ok(again) => again,
            Err(error) => {
                tracing::warn!(%error, "cannot bring custom resources up to date");
                true
            }
        };
        tokio::select! {
            () = cursor.changed() => {}
            () = tokio::time::sleep(RETRY), if again => {}
            () = server.shutdown.wait() => return,
        }
    }
}

/// One look at all definitions; true when something needs another look soon.
async fn round(server: &Server, row: &'static Resource, served: &mut HashMap<String, Served>) -> Result<bool, Status> {
    let mut all = server.objects(row.storage, "");
    let exchange = own_exchange();
    let mut again = false;
    let mut news = Vec::new();
    for index in 0..all.len() {
        let Some(object) = all.get(index) else { break };
        if meta::deletion_timestamp(object).is_some() {
            again |= finish(server, &exchange, row, object, served.get(meta::name(object))).await?;
            continue;
        }
        // The next one must see which names this one takes.
        if let Some(wanted) = definition::with_status(object, &all, &time::now_rfc3339())
            && let Some(object) = all.get_mut(index)
        {
            news.push(index);
            *object = wanted;
        }
    }
    let mut changed = false;
    for object in all.iter().filter(|object| definition::is_established(object)) {
        let made_of = Value::Array(vec![
            object["spec"].clone(),
            object["status"]["acceptedNames"].clone(),
            object["status"]["storedVersions"].clone(),
        ]);
        if served.get(meta::name(object)).is_some_and(|known| known.made_of == made_of) {
            continue;
        }
        let rows = definition::rows(object);
        if let Some(first) = rows.first() {
            fill(server, first).await?;
        }
        served.insert(meta::name(object).to_owned(), Served { made_of, rows });
        changed = true;
    }
    let before = served.len();
    served.retain(|name, known| {
        let there = all.iter().any(|object| meta::name(object) == name);
        if !there && let Some(first) = known.rows.first() {
            server.caches.remove(first.storage);
        }
        there
    });
    if changed || served.len() != before {
        let mut rows: Vec<&'static Resource> = served.values().flat_map(|known| known.rows.iter().copied()).collect();
        rows.retain(|row| row.verbs != crate::row::Verbs::NONE);
        rows.sort_by_key(|row| (row.group, row.plural, row.version));
        server.rows.set_custom(rows);
        server.documents.forget();
    }
    // Who reads that a kind is established finds it served.
    for wanted in news.iter().filter_map(|index| all.get(*index)) {
        let change = Change {
            row,
            name: meta::name(wanted),
            subresource: Some(Subresource::Status),
            options: &options(),
            managed: true,
        };
        change_object(server, &exchange, &change, |old| {
            let mut new = old.clone();
            new["status"] = wanted["status"].clone();
            Ok(new)
        })
        .await?;
    }
    Ok(again)
}

/// Reads what is already stored of a kind.
async fn fill(server: &Server, row: &'static Resource) -> Result<(), Status> {
    let Some(cache) = server.caches.add(row) else { return Ok(()) };
    let (start, end) = (format!("{}/", row.storage), format!("{}0", row.storage));
    let page = server.etcd.page(start.as_bytes(), end.as_bytes(), 0, 0).await.map_err(storage_failure)?;
    let items = page.items.iter().filter_map(|item| {
        let key = std::str::from_utf8(&item.key).ok()?.strip_prefix(&start)?;
        Some((key.to_owned(), item.revision, item.value.clone()))
    });
    cache.fill(items.collect(), page.revision);
    Ok(())
}

/// The end of a definition: its objects are deleted, then the finalizer goes. True while objects remain.
async fn finish(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    object: &Value,
    served: Option<&Served>,
) -> Result<bool, Status> {
    if !meta::finalizers(object).contains(&CLEANUP) {
        return Ok(false);
    }
    if let Some(wanted) = definition::terminating(object, &time::now_rfc3339()) {
        let change = Change {
            row,
            name: meta::name(object),
            subresource: Some(Subresource::Status),
            options: &options(),
            managed: true,
        };
        let make = |old: &Value| {
            let mut new = old.clone();
            new["status"] = wanted["status"].clone();
            Ok(new)
        };
        match change_object(server, exchange, &change, make).await {
            Err(status) if status.code != 404 => return Err(status),
            // The change brings the definition here again.
            _ => return Ok(true),
        }
    }
    if let Some(stored) = served.and_then(|served| served.rows.first())
        && let Some(cache) = server.caches.get(stored.storage)
    {
        for entry in cache.list("", "").0 {
            match delete_object(server, exchange, stored, entry.namespace(), entry.name(), &DeleteOptions::default())
                .await
            {
                Err(status) if status.code != 404 => return Err(status),
                _ => {}
            }
        }
        if cache.len() > 0 {
            return Ok(true);
        }
    }
    let change = Change { row, name: meta::name(object), subresource: None, options: &options(), managed: true };
    let without = |old: &Value| {
        let mut new = old.clone();
        let rest: Vec<Value> =
            meta::finalizers(old).into_iter().filter(|name| *name != CLEANUP).map(Value::from).collect();
        meta::set_meta(&mut new, "finalizers", rest);
        Ok(new)
    };
    match change_object(server, exchange, &change, without).await {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(false),
    }
}

fn options() -> WriteOptions {
    WriteOptions {
        dry_run: false,
        field_manager: "kube-apiserver".to_owned(),
        field_validation: FieldValidation::Ignore,
    }
}

/// The server's own requests.
fn own_exchange() -> Exchange {
    let accept = Accept { media: Media::Json, form: Form::Whole };
    let user = UserInfo::new("system:apiserver", &["system:masters"]);
    Exchange::new(RequestInfo::default(), Query::default(), String::new(), HeaderMap::new(), user, accept)
}
