//! Logs to stderr, text or JSON.

use tracing_subscriber::{EnvFilter, fmt};

/// Installs the process-wide subscriber for the component `name`.
///
/// Level and targets come from `DRYDOCK_LOG` (the syntax of `RUST_LOG`, default `info`); the form
/// is text, or JSON when `DRYDOCK_LOG_FORMAT=json`. A second call changes nothing.
pub fn init_logging(name: &str) {
    let filter = EnvFilter::try_from_env("DRYDOCK_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_writer(std::io::stderr).with_env_filter(filter).with_ansi(false);
    let json = std::env::var_os("DRYDOCK_LOG_FORMAT").is_some_and(|form| form == "json");
    let installed = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
    if installed.is_ok() {
        tracing::debug!(component = name, "logging to stderr");
    }
}
