//! `list`: from the watch cache, or from etcd's history for exact revisions and further pages.

use std::sync::Arc;

use bytes::Bytes;
use drydock_api::Status;
use drydock_api::field::{FieldError, Path};
use drydock_component::serve::Body;
use http::{Response, StatusCode};

use super::select::Selection;
use super::{storage_failure, wire};
use crate::cache::{Cache, Entry};
use crate::custom::conversion;
use crate::encode::table::{ListMeta, Table};
use crate::encode::{self, Form};
use crate::exchange::Exchange;
use crate::row::Resource;
use crate::server::Server;
use crate::storage::{StorageError, Stored, continue_token};

const EXACT: &str = "Exact";
const NOT_OLDER: &str = "NotOlderThan";

const CONTINUE_TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// What a list found.
pub(crate) struct Found {
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) meta: ListMeta,
}

/// Answers a list.
pub(crate) async fn list(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
) -> Result<Response<Body>, Status> {
    let mut found = find(server, exchange, row).await?;
    conversion::served_all(server, row, &mut found.entries).await?;
    let json = match exchange.accept.form {
        Form::Table(version) => {
            let objects: Vec<Bytes> = found.entries.iter().map(|entry| wire(row, &entry.bytes)).collect();
            Table::new(row, version, exchange.query.text("includeObject")).list(&found.meta, objects.iter())
        }
        form => assemble(row, form, &found),
    };
    encode::written(exchange, StatusCode::OK, Bytes::from(json))
}

/// The list as JSON, its items copied as they are.
pub(crate) fn assemble(row: &Resource, form: Form, found: &Found) -> Vec<u8> {
    let (kind, version) = match form {
        Form::Partial(version) => ("PartialObjectMetadataList".to_owned(), version.to_owned()),
        _ => (
            row.custom.map_or_else(|| format!("{}List", row.kind), |custom| custom.list_kind.clone()),
            row.api_version(),
        ),
    };
    let size: usize = found.entries.iter().map(|entry| entry.bytes.len() + 1).sum();
    let mut out = Vec::with_capacity(size + 256);
    out.extend_from_slice(
        format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",\"metadata\":{},\"items\":[", found.meta.to_json())
            .as_bytes(),
    );
    for (index, entry) in found.entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let bytes = wire(row, &entry.bytes);
        match form {
            Form::Partial(version) => out.extend_from_slice(&crate::storage::bytes_form::partial(&bytes, version)),
            _ => out.extend_from_slice(&bytes),
        }
    }
    out.extend_from_slice(b"]}");
    out
}

/// Reads a resourceVersion.
///
/// # Errors
/// 400 when it is not a number.
pub(crate) fn parse_version(text: &str) -> Result<i64, Status> {
    text.parse::<i64>().ok().filter(|version| *version >= 0).ok_or_else(|| {
        let quoted = drydock_api::go_quote(text);
        Status::bad_request(format!("Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: invalid syntax"))
    })
}

/// The objects a list request is about.
pub(crate) async fn find(server: &Server, exchange: &Exchange, row: &'static Resource) -> Result<Found, Status> {
    let query = &exchange.query;
    validate(exchange)?;
    let cache = server.cache(row)?;
    let selection = Selection::read(exchange, row, cache.row)?;
    let namespace = exchange.info_namespace(row);
    let prefix = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
    let limit: usize = match query.text("limit") {
        "" => 0,
        text => text
            .parse::<i64>()
            .map_err(|_| {
                Status::bad_request(format!(
                    "strconv.ParseInt: parsing {}: invalid syntax",
                    drydock_api::go_quote(text)
                ))
            })?
            .max(0)
            .unsigned_abs() as usize,
    };
    let (version, matching) = (query.text("resourceVersion"), query.text("resourceVersionMatch"));
    if let Some(token) = query.get("continue").filter(|token| !token.is_empty()) {
        if !version.is_empty() && version != "0" {
            return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
        }
        let (start, revision) = continue_token::decode(token).map_err(Status::bad_request)?;
        return history(server, &cache, &selection, &prefix, &start, limit, revision.max(0), true).await;
    }
    if matching == EXACT || (matching.is_empty() && limit > 0 && !matches!(version, "" | "0")) {
        return history(server, &cache, &selection, &prefix, "", limit, parse_version(version)?, false).await;
    }
    match version {
        "" => cache.wait(server.etcd.revision().await.map_err(storage_failure)?).await?,
        version => cache.wait(parse_version(version)?).await?,
    }
    let (mut all, revision) = cache.list(&prefix, "");
    if selection.needs_version() {
        conversion::served_all(server, row, &mut all).await?;
    }
    let limit = if version == "0" { 0 } else { limit };
    Ok(page(all, &selection, limit, revision))
}

fn validate(exchange: &Exchange) -> Result<(), Status> {
    let query = &exchange.query;
    let (version, matching) = (query.text("resourceVersion"), query.text("resourceVersionMatch"));
    let path = Path::new("resourceVersionMatch");
    let mut errors = Vec::new();
    if !matching.is_empty() {
        if version.is_empty() {
            errors.push(FieldError::forbidden(
                &path,
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        if !query.text("continue").is_empty() {
            errors.push(FieldError::forbidden(&path, "resourceVersionMatch is forbidden when continue is provided"));
        }
        if matching != EXACT && matching != NOT_OLDER {
            errors.push(FieldError::not_supported(&path, matching, &[EXACT, NOT_OLDER]));
        }
        if matching == EXACT && version == "0" {
            errors.push(FieldError::forbidden(
                &path,
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ));
        }
    }
    if query.get("sendInitialEvents").is_some() {
        errors.push(FieldError::forbidden(&Path::new("sendInitialEvents"), "sendInitialEvents is forbidden for list"));
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid("meta.k8s.io", "ListOptions", "", errors)) }
}

/// The first page of what the cache holds.
fn page(all: Vec<Arc<Entry>>, selection: &Selection, limit: usize, revision: i64) -> Found {
    let mut meta = ListMeta { resource_version: revision.to_string(), ..ListMeta::default() };
    if limit == 0 {
        let entries = all.into_iter().filter(|entry| selection.matches(entry)).collect();
        return Found { entries, meta };
    }
    let total = all.len();
    let mut entries = Vec::new();
    for (index, entry) in all.into_iter().enumerate() {
        if !selection.matches(&entry) {
            continue;
        }
        let full = entries.len() + 1 == limit;
        let key = entry.key.clone();
        entries.push(entry);
        if full {
            if index + 1 < total {
                meta.continue_ = continue_token::encode(&key, revision);
                if selection.is_everything() {
                    meta.remaining = i64::try_from(total - index - 1).ok();
                }
            }
            break;
        }
    }
    Found { entries, meta }
}

/// A page of etcd's history at `revision` (0: now), from the key `start` on.
#[allow(clippy::too_many_arguments, reason = "one call site's worth of plain values; a struct would only rename them")]
async fn history(
    server: &Server,
    cache: &Cache,
    selection: &Selection,
    prefix: &str,
    start: &str,
    limit: usize,
    revision: i64,
    continued: bool,
) -> Result<Found, Status> {
    let base = format!("{}/", cache.row.storage);
    let mut from = format!("{base}{}", if start > prefix { start } else { prefix }).into_bytes();
    let mut end = format!("{base}{prefix}").into_bytes();
    if let Some(last) = end.last_mut() {
        // '/' + 1: the end of everything that begins with the prefix.
        *last += 1;
    }
    let (mut entries, mut at, mut meta) = (Vec::new(), revision, ListMeta::default());
    loop {
        let want = if limit == 0 { 0 } else { limit as i64 };
        let page = server
            .etcd
            .page(&from, &end, want, at)
            .await
            .map_err(|error| failure(error, start, continued, revision, cache))?;
        if at == 0 {
            at = page.revision;
        }
        let entry = |item: &Stored| {
            let key = String::from_utf8_lossy(&item.key[base.len()..]);
            Arc::new(Entry::new(cache.row, &key, item.revision, &item.value))
        };
        let mut found: Vec<Arc<Entry>> = page.items.iter().map(entry).collect();
        if selection.needs_version() {
            conversion::served_all(server, selection.row(), &mut found).await?;
        }
        for (index, entry) in found.into_iter().enumerate() {
            let key = entry.key.clone();
            if !selection.matches(&entry) {
                continue;
            }
            entries.push(entry);
            if limit > 0 && entries.len() == limit {
                let left = page.count - index as i64 - 1;
                if left > 0 {
                    meta.continue_ = continue_token::encode(&key, at);
                    if selection.is_everything() {
                        meta.remaining = Some(left);
                    }
                }
                meta.resource_version = at.to_string();
                return Ok(Found { entries, meta });
            }
        }
        match page.items.last() {
            Some(last) if page.more => {
                from = last.key.to_vec();
                from.push(0);
            }
            _ => break,
        }
    }
    meta.resource_version = at.to_string();
    Ok(Found { entries, meta })
}

fn failure(error: StorageError, start: &str, continued: bool, revision: i64, cache: &Cache) -> Status {
    match error {
        StorageError::Compacted if continued => {
            let mut status = Status::expired(CONTINUE_TOO_OLD);
            status.metadata.continue_ = continue_token::encode(start.trim_end_matches('\0'), -1);
            status
        }
        StorageError::FutureRevision => {
            Status::too_large_resource_version(revision.unsigned_abs(), cache.revision().unsigned_abs(), 1)
        }
        error => storage_failure(error),
    }
}
