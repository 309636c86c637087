//! `GET /metrics` for Prometheus, and the middleware that counts requests.

use std::net::SocketAddr;
use std::time::Instant;

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use clap::Args;
use drydock_protocol::SessionState;
use sha2::{Digest, Sha256};

use super::App;
use crate::metrics;
use crate::metrics::monitor::{self, Monitor};
use crate::metrics::routes::{self, ROUTES};
use crate::metrics::text::Page;
use crate::sessions::now_millis;

/// Who may read the metrics.
#[derive(Args, Clone, Debug, Default)]
#[group(skip)]
pub(crate) struct Options {
    /// Address that serves /metrics to everybody who reaches it, e.g. 127.0.0.1:9090 [default: none].
    #[arg(long, env = "DRYDOCK_METRICS_LISTEN", value_name = "ADDRESS")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// Token that /metrics wants as `Authorization: Bearer` where the app is served; without one, only programs on this machine
    /// that ask directly are answered there [default: none].
    #[arg(long, env = "DRYDOCK_METRICS_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) metrics_token: Option<String>,
}

/// Headers by which a proxy tells that it asks for somebody else.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

/// Whether metrics are for who asks: by the token if there is one, else by being on this machine.
fn is_for(token: Option<&str>, headers: &HeaderMap, peer: Option<SocketAddr>) -> bool {
    match token {
        Some(token) => {
            let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            let given = given.and_then(|value| value.strip_prefix("Bearer "));
            // Digests are compared, so that the time it takes tells nothing of the token.
            given.is_some_and(|given| Sha256::digest(given) == Sha256::digest(token))
        }
        None => {
            peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
                && !FORWARDED.iter().any(|name| headers.contains_key(*name))
        }
    }
}

/// GET /metrics, where the app is served
pub(super) async fn guarded(State(app): State<App>, request: Request) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    if is_for(app.metrics_token.as_deref(), request.headers(), peer) {
        page(&app.monitor).into_response()
    } else {
        let sentence = "Metrics are for programs on the server's own machine, or with the token of --metrics-token.\n";
        (StatusCode::FORBIDDEN, sentence).into_response()
    }
}

/// What is served on an address of its own.
pub(crate) fn alone(monitor: std::sync::Arc<Monitor>) -> Router {
    Router::new()
        .route("/metrics", get(|State(monitor): State<std::sync::Arc<Monitor>>| async move { page(&monitor) }))
        .with_state(monitor)
}

/// Counts a request by its route.
pub(super) async fn count(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let begun = Instant::now();
    let response = next.run(request).await;
    // What is asked of a preview's host may look like a route of the app.
    let is_preview = response.extensions().get::<metrics::OfPreview>().is_some();
    let route = if is_preview { "(preview)" } else { route.as_deref().unwrap_or("(web app)") };
    ROUTES.observe(&method, route, response.status(), begun.elapsed());
    response
}

fn page(monitor: &Monitor) -> impl IntoResponse + use<> {
    let mut page = Page::default();
    sessions(&mut page, monitor);
    resources(&mut page, monitor);
    routes::write(&mut page, &ROUTES.read());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.into_text())
}

/// Every state that a session that is not over can have: a state without sessions has a row, too.
const STATES: [SessionState; 5] =
    [SessionState::Pending, SessionState::Starting, SessionState::Ready, SessionState::Suspended, SessionState::Ending];

fn sessions(page: &mut Page, monitor: &Monitor) {
    let sessions = monitor.sessions();
    let mut by_state: Vec<(String, f64)> = STATES.iter().map(|state| (format!("{state:?}"), 0.0)).collect();
    for (session, _) in &sessions {
        let state = format!("{:?}", session.state);
        match by_state.iter_mut().find(|(known, _)| *known == state) {
            Some((_, count)) => *count += 1.0,
            None => by_state.push((state, 1.0)),
        }
    }
    let labels: Vec<_> = by_state.iter().map(|(state, _)| [("state", state.as_str())]).collect();
    let rows: Vec<_> = labels.iter().zip(&by_state).map(|(labels, (_, count))| (labels.as_slice(), *count)).collect();
    page.gauge("drydock_sessions", "Sessions by state.", &rows);
    let memory: u64 = sessions.iter().filter_map(|(session, _)| session.memory_bytes).sum();
    let queue = monitor::queue(&sessions, now_millis());
    for (name, help, value) in [
        ("drydock_warm_clusters", "Clusters that are ready for whoever comes next.", monitor.warm() as f64),
        ("drydock_sessions_max", "Sessions at once that the server takes.", monitor.max_sessions() as f64),
        (
            "drydock_sessions_memory_bytes",
            "Proportional set size of the processes of sessions whose page is open, as last read.",
            memory as f64,
        ),
        ("drydock_queue_length", "Sessions that wait for a place.", queue.length as f64),
        (
            "drydock_queue_oldest_seconds",
            "How long the first of them has been waiting.",
            queue.oldest_millis as f64 / 1000.0,
        ),
        ("drydock_terminals", "Terminals that are connected.", metrics::TERMINALS.get() as f64),
    ] {
        page.gauge(name, help, &[(&[], value)]);
    }
    for (name, help, counter) in [
        ("drydock_sessions_created_total", "Sessions that were asked for.", &metrics::SESSIONS_CREATED),
        ("drydock_sessions_failed_total", "Sessions that could not start.", &metrics::SESSIONS_FAILED),
        ("drydock_terminals_opened_total", "Terminals that were opened.", &metrics::TERMINALS_OPENED),
        ("drydock_preview_requests_total", "Requests to learners' workloads.", &metrics::PREVIEW_REQUESTS),
    ] {
        page.counter(name, help, &[(&[], counter.get() as f64)]);
    }
    let start = "Time from the request to all nodes Ready.";
    page.histogram("drydock_session_start_seconds", start, &[(&[], metrics::SESSION_START.read())]);
    let wait = "Time that sessions waited for a place, of those that had to.";
    page.histogram("drydock_queue_wait_seconds", wait, &[(&[], metrics::QUEUE_WAIT.read())]);
}

fn resources(page: &mut Page, monitor: &Monitor) {
    let (machine, server, cpu) = monitor.resources();
    for (name, help, value) in [
        ("drydock_machine_cpus", "Processors of the machine.", f64::from(machine.cpus)),
        ("drydock_machine_load1", "Load average of the last minute.", machine.load),
        ("drydock_machine_memory_bytes", "Memory of the machine.", machine.memory_total_bytes as f64),
        (
            "drydock_machine_memory_available_bytes",
            "Memory that can still be given.",
            machine.memory_available_bytes as f64,
        ),
        ("drydock_data_disk_bytes", "Size of the data folder's file system.", machine.disk_total_bytes as f64),
        ("drydock_data_disk_free_bytes", "Space that is left on it.", machine.disk_free_bytes as f64),
        ("drydock_machine_pids", "Processes and threads of the machine.", machine.pids as f64),
        ("drydock_machine_pids_max", "How many the kernel allows.", machine.pids_max as f64),
        ("drydock_database_bytes", "Size of the database's files.", server.database_bytes as f64),
        // Names by the conventions of Prometheus' own client libraries.
        ("process_resident_memory_bytes", "Memory that the server's process holds.", server.memory_bytes as f64),
        ("process_open_fds", "Open files and connections of the server's process.", server.open_files as f64),
        (
            "process_start_time_seconds",
            "When the server started, in seconds since the epoch.",
            monitor.started_millis() as f64 / 1000.0,
        ),
    ] {
        page.gauge(name, help, &[(&[], value)]);
    }
    for (name, help, value) in [
        ("drydock_machine_cpu_busy_seconds_total", "Time that the processors were busy.", cpu.busy_seconds()),
        ("process_cpu_seconds_total", "CPU time of the server's process.", cpu.own_seconds()),
    ] {
        page.counter(name, help, &[(&[], value)]);
    }
    page.gauge("drydock_build_info", "The version.", &[(&[("version", env!("CARGO_PKG_VERSION"))], 1.0)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(token: Option<&str>, pairs: &[(&'static str, &'static str)], peer: &str, expected: bool) {
        let headers = pairs.iter().map(|(name, value)| {
            (axum::http::HeaderName::from_static(name), axum::http::HeaderValue::from_static(value))
        });
        let peer = Some(peer.parse().expect("an address"));
        assert_eq!(is_for(token, &headers.collect(), peer), expected, "{token:?} {pairs:?} {peer:?}");
    }

    #[test]
    fn metrics_are_not_for_everybody() {
        check(None, &[], "127.0.0.1:5000", true);
        check(None, &[], "[::ffff:127.0.0.1]:5000", true);
        check(None, &[], "10.0.0.9:5000", false);
        check(None, &[("x-forwarded-for", "127.0.0.1")], "127.0.0.1:5000", false);
        check(None, &[("authorization", "Bearer x")], "10.0.0.9:5000", false);
        check(Some("hush"), &[], "127.0.0.1:5000", false);
        check(Some("hush"), &[("authorization", "Bearer hush")], "10.0.0.9:5000", true);
        check(Some("hush"), &[("authorization", "Bearer hus")], "10.0.0.9:5000", false);
        check(Some("hush"), &[("authorization", "hush")], "127.0.0.1:5000", false);
        assert!(!is_for(None, &HeaderMap::new(), None), "who cannot be known is nobody");
    }
}
