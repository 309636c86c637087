//! Prometheus metrics.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use drydock_protocol::SessionState;

use super::App;

/// GET /metrics
pub(super) async fn text(State(app): State<App>) -> impl IntoResponse {
    let sessions: Vec<_> = app.sessions.open().iter().map(|hub| hub.session()).collect();
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, rows: &[(String, f64)]| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in rows {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let states = [
        SessionState::Pending,
        SessionState::Starting,
        SessionState::Ready,
        SessionState::Suspended,
        SessionState::Ending,
    ];
    let by_state = states.map(|state| {
        let count = sessions.iter().filter(|session| session.state == state).count();
        (format!("{{state=\"{state:?}\"}}"), count as f64)
    });
    gauge("drydock_sessions", "Sessions by state.", &by_state);
    let memory: u64 = sessions.iter().filter_map(|session| session.memory_bytes).sum();
    gauge(
        "drydock_sessions_memory_bytes",
        "Proportional set size of all sessions' processes, as last read.",
        &[(String::new(), memory as f64)],
    );
    let starts: Vec<_> = sessions.iter().filter_map(|session| session.start_millis).collect();
    let mean = starts.iter().sum::<u64>() as f64 / 1000.0 / starts.len().max(1) as f64;
    gauge(
        "drydock_session_start_seconds_mean",
        "Mean time from request to ready, over the open sessions.",
        &[(String::new(), mean)],
    );
    gauge("drydock_build_info", "The version.", &[(format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0)]);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], out)
}
