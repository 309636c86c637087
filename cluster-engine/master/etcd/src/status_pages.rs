//! The plain HTTP side: `/health`, `/livez`, `/readyz`, `/version`, `/metrics`.

use std::fmt::Write;

use bytes::Bytes;
use drydock_component::serve::{Body, full, text};
use drydock_etcd_proto::etcdserverpb::{AlarmType, RangeRequest};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};

use crate::backend::Backend;
use crate::{STORAGE_VERSION, VERSION};

/// Answers a request for `path?query`.
pub(crate) async fn answer(backend: &Backend, method: &Method, path: &str, query: &str) -> Response<Body> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    }
    match path {
        "/health" => health(backend, query).await,
        "/livez" | "/readyz" => match backend.read(|store, _| store.range(&probe()).map(|_| ())).await {
            Ok(()) => text(StatusCode::OK, "ok\n"),
            Err(error) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
        },
        "/version" => json(
            StatusCode::OK,
            format!(r#"{{"etcdserver":"{VERSION}","etcdcluster":"{STORAGE_VERSION}","storage":"{STORAGE_VERSION}"}}"#),
        ),
        "/metrics" => text(StatusCode::OK, metrics(backend).await),
        _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
    }
}

/// The read that etcd's own health check makes.
fn probe() -> RangeRequest {
    RangeRequest { key: Bytes::from_static(b"health"), limit: 1, ..RangeRequest::default() }
}

fn json(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// As etcd's: unhealthy with a raised alarm, unless the query excludes it, or when reads fail.
async fn health(backend: &Backend, query: &str) -> Response<Body> {
    let excluded = |alarm: AlarmType| {
        query.split('&').filter_map(|pair| pair.strip_prefix("exclude=")).any(|name| name == alarm.as_str_name())
    };
    let raised = backend.read(|store, _| Ok(store.alarms().find(|alarm| !excluded(*alarm)))).await;
    let reason = match raised {
        Ok(None) => return json(StatusCode::OK, r#"{"health":"true","reason":""}"#.to_owned()),
        Ok(Some(alarm)) => format!("ALARM {}", alarm.as_str_name()),
        Err(error) => format!("RANGE ERROR:{error}"),
    };
    json(StatusCode::SERVICE_UNAVAILABLE, format!(r#"{{"health":"false","reason":"{reason}"}}"#))
}

async fn metrics(backend: &Backend) -> String {
    let keys = backend.read(|store, _| Ok(store.live_keys())).await.unwrap_or_default();
    let overview = backend.overview();
    let counters = overview.statistics;
    let mut page = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, value: f64| {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    };
    metric("etcd_server_has_leader", "gauge", "Whether or not a leader exists. 1 is existence, 0 is not.", 1.0);
    metric("etcd_server_is_leader", "gauge", "Whether or not this member is a leader. 1 if is, 0 otherwise.", 1.0);
    metric(
        "etcd_server_proposals_committed_total",
        "gauge",
        "The total number of consensus proposals committed.",
        overview.index as f64,
    );
    metric(
        "etcd_server_proposals_applied_total",
        "gauge",
        "The total number of consensus proposals applied.",
        overview.index as f64,
    );
    metric(
        "etcd_server_quota_backend_bytes",
        "gauge",
        "Current backend storage quota size in bytes.",
        backend.limits.quota as f64,
    );
    metric(
        "etcd_mvcc_db_total_size_in_bytes",
        "gauge",
        "Total size of the underlying database physically allocated in bytes.",
        overview.log_size as f64,
    );
    metric(
        "etcd_mvcc_db_total_size_in_use_in_bytes",
        "gauge",
        "Total size of the underlying database logically in use in bytes.",
        overview.bytes as f64,
    );
    metric("etcd_debugging_mvcc_keys_total", "gauge", "Total number of keys.", keys as f64);
    metric(
        "etcd_debugging_mvcc_current_revision",
        "gauge",
        "The current revision of store.",
        overview.header.revision as f64,
    );
    metric(
        "etcd_debugging_mvcc_compact_revision",
        "gauge",
        "The revision of the last compaction in store.",
        overview.compacted as f64,
    );
    metric("etcd_debugging_mvcc_watcher_total", "gauge", "Total number of watchers.", overview.watchers as f64);
    metric(
        "etcd_debugging_mvcc_watch_stream_total",
        "gauge",
        "Total number of watch streams.",
        overview.streams as f64,
    );
    metric("etcd_mvcc_range_total", "counter", "Total number of ranges seen by this member.", counters.ranges as f64);
    metric("etcd_mvcc_put_total", "counter", "Total number of puts seen by this member.", counters.puts as f64);
    metric(
        "etcd_mvcc_delete_total",
        "counter",
        "Total number of deletes seen by this member.",
        counters.deletes as f64,
    );
    metric("etcd_mvcc_txn_total", "counter", "Total number of txns seen by this member.", counters.txns as f64);
    let _ = writeln!(
        page,
        "# HELP etcd_disk_wal_fsync_duration_seconds The latency distributions of fsync called by WAL.\n\
         # TYPE etcd_disk_wal_fsync_duration_seconds summary\n\
         etcd_disk_wal_fsync_duration_seconds_sum {}\n\
         etcd_disk_wal_fsync_duration_seconds_count {}",
        counters.writing.as_secs_f64(),
        counters.batches
    );
    page
}
