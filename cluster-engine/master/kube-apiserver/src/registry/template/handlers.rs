//! Probes and life-cycle handlers.

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use crate::registry::check::{self, Errors};
use crate::registry::value::Read as _;

/// All probes and handlers of a container that may have them.
pub(super) fn all(errors: &mut Errors, container: &Value, path: &Path, grace: Option<i64>) {
    for hook in ["postStart", "preStop"] {
        let handler = container.at("lifecycle").at(hook);
        if !handler.is_null() {
            self::handler(
                errors,
                handler,
                &path.child("lifecycle").child(hook),
                grace,
                &["exec", "httpGet", "tcpSocket", "sleep"],
            );
        }
    }
    if container.has("lifecycle.stopSignal") {
        check::maybe_one_of(errors, container.at("lifecycle"), &path.child("lifecycle"), "stopSignal", SIGNALS);
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.at(name);
        if probe.is_null() {
            continue;
        }
        let path = path.child(name);
        self::probe(errors, probe, &path);
        if name == "readinessProbe" {
            if let Some(value) = probe.int("terminationGracePeriodSeconds") {
                errors.push(FieldError::invalid(
                    &path.child("terminationGracePeriodSeconds"),
                    value,
                    "must not be set for readinessProbes",
                ));
            }
        } else if probe.int("successThreshold") != Some(1) {
            let value = probe.int("successThreshold").unwrap_or(0);
            errors.push(FieldError::invalid(&path.child("successThreshold"), value, "must be 1"));
        }
    }
}

/// Signals that a container may name as its stop signal.
const SIGNALS: &[&str] = &[
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGRTMAX",
    "SIGRTMIN",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];

fn probe(errors: &mut Errors, probe: &Value, path: &Path) {
    handler(errors, probe, path, None, &["exec", "httpGet", "tcpSocket", "grpc"]);
    for key in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        check::not_negative(errors, probe, path, key);
    }
    if let Some(value) = probe.int("terminationGracePeriodSeconds")
        && value <= 0
    {
        errors.push(FieldError::invalid(&path.child("terminationGracePeriodSeconds"), value, "must be greater than 0"));
    }
}

fn handler(errors: &mut Errors, handler: &Value, path: &Path, grace: Option<i64>, kinds: &[&str]) {
    let given: Vec<&str> = kinds.iter().copied().filter(|kind| handler.has(kind)).collect();
    for (index, kind) in given.iter().enumerate() {
        let action = handler.at(kind);
        let path = path.child(kind);
        if index > 0 {
            errors.push(FieldError::forbidden(&path, "may not specify more than 1 handler type"));
            continue;
        }
        match *kind {
            "exec" => {
                if action.items("command").is_empty() {
                    errors.push(FieldError::required(&path.child("command"), ""));
                }
            }
            "httpGet" => {
                check::required(errors, action, &path, "path");
                check::port(errors, &path.child("port"), action.at("port"));
                let scheme = action.text("scheme");
                if !matches!(scheme, "HTTP" | "HTTPS") {
                    errors.push(FieldError::not_supported(&path.child("scheme"), scheme, &["HTTP", "HTTPS"]));
                }
                for header in action.items("httpHeaders") {
                    let name = header.text("name");
                    check::each(errors, &path.child("httpHeaders"), name, names::is_http_header_name(name));
                }
            }
            "sleep" => {
                let seconds = action.int("seconds").unwrap_or(0);
                if let Some(grace) = grace
                    && (seconds < 0 || seconds > grace)
                {
                    errors.push(FieldError::invalid(
                        &path,
                        seconds,
                        format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})"),
                    ));
                }
            }
            // tcpSocket and grpc
            _ => check::port(errors, &path.child("port"), action.at("port")),
        }
    }
    if given.is_empty() {
        errors.push(FieldError::required(path, "must specify a handler type"));
    }
}
