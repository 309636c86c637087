//! Paths that are not resources: health, version, metrics, discovery, OpenAPI, OIDC discovery.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use drydock_api::KUBERNETES_VERSION;
use drydock_api::Status;
use drydock_component::serve::{Body, text};
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use crate::documents::Documents;
use crate::encode;
use crate::exchange::Exchange;
use crate::server::Server;

/// Answers a request for a path.
pub(crate) async fn serve(
    server: &Arc<Server>,
    exchange: &Exchange,
    method: &Method,
    _: Incoming,
) -> Result<Response<Body>, Status> {
    let path = exchange.info.path.trim_end_matches('/');
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Status::method_not_supported("", "", method.as_str()));
    }
    let first = path.split('/').nth(1).unwrap_or("");
    match first {
        "healthz" | "livez" | "readyz" => Ok(health(server, exchange, path, first)),
        "version" => encode::value(exchange, StatusCode::OK, &version()),
        "metrics" if path == "/metrics" => {
            let mut response = text(StatusCode::OK, server.metrics.text(server));
            let kind = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
            Ok(response)
        }
        "api" | "apis" => server.documents.discovery(server, exchange, path),
        "openid" if path == "/openid/v1/jwks" => {
            Ok(encode::with_type(StatusCode::OK, "application/jwk-set+json", server.tokens.jwks().to_string().into()))
        }
        "openapi" => Documents::openapi(server, exchange, path),
        ".well-known" if path == "/.well-known/openid-configuration" => {
            Ok(encode::json(StatusCode::OK, openid(server).to_string()))
        }
        "" => {
            let paths = server.documents.paths(server);
            Ok(encode::json(StatusCode::OK, serde_json::to_string_pretty(&json!({"paths": paths})).unwrap_or_default()))
        }
        _ => Err(Status::unknown_path()),
    }
}

fn version() -> serde_json::Value {
    json!({
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36", "minCompatibilityMajor": "1", "minCompatibilityMinor": "35",
        "gitVersion": KUBERNETES_VERSION, "gitCommit": "0000000000000000000000000000000000000000", "gitTreeState": "clean",
        "buildDate": "2026-11-21T00:00:00Z", "goVersion": "go1.26.0", "compiler": "gc", "platform": "linux/amd64",
    })
}

fn openid(server: &Server) -> serde_json::Value {
    let issuer = server.tokens.issuer();
    let keys = server.options.service_account_jwks_uri.clone();
    let keys = keys.unwrap_or_else(|| {
        let host = server
            .options
            .advertise_address
            .map_or_else(|| "kubernetes.default.svc".to_owned(), |address| address.to_string());
        format!("https://{host}:{}/openid/v1/jwks", server.options.secure_port)
    });
    json!({
        "issuer": issuer, "jwks_uri": keys, "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": server.tokens.algorithms(),
    })
}

/// `/readyz`, `/readyz/etcd`, `/readyz?verbose`, `?exclude=etcd`.
fn health(server: &Server, exchange: &Exchange, path: &str, kind: &str) -> Response<Body> {
    let synced = server.caches.is_synced();
    let mut checks = vec![("ping", true), ("log", true), ("etcd", synced)];
    if kind == "readyz" {
        checks.push(("informer-sync", synced));
    }
    if kind != "livez" {
        let written = server.bootstrapped.load(Ordering::Acquire);
        checks.extend([
            ("poststarthook/rbac/bootstrap-roles", written),
            ("poststarthook/scheduling/bootstrap-system-priority-classes", written),
            ("poststarthook/start-service-ip-repair-controllers", synced),
        ]);
    }
    if kind == "readyz" {
        checks.push(("shutdown", !server.shutdown.is_requested()));
    }
    let named = path.splitn(3, '/').nth(2).unwrap_or("");
    if !named.is_empty() {
        return match checks.iter().find(|(name, _)| *name == named) {
            Some((_, true)) => text(StatusCode::OK, "ok"),
            Some(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "internal server error: not ready\n"),
            None => text(StatusCode::NOT_FOUND, "404 page not found\n"),
        };
    }
    let excluded: Vec<&str> = exchange.query.all("exclude").collect();
    let failed = checks.iter().any(|(name, good)| !good && !excluded.contains(name));
    if !failed && !exchange.query.flag("verbose") {
        return text(StatusCode::OK, "ok");
    }
    let mut out = String::new();
    for (name, good) in &checks {
        let mark = if excluded.contains(name) || *good { "+" } else { "-" };
        let said = if excluded.contains(name) {
            "excluded: ok"
        } else if *good {
            "ok"
        } else {
            "failed: reason withheld"
        };
        out.push_str(&format!("[{mark}]{name} {said}\n"));
    }
    let word = if failed { "failed" } else { "passed" };
    out.push_str(&format!("{kind} check {word}\n"));
    text(if failed { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }, out)
}
