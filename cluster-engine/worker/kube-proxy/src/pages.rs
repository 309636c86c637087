//! What the proxy tells over HTTP: /healthz, /livez, /metrics, /proxyMode, and for each load-balanced service with
//! local traffic policy whether this node has endpoints (`healthCheckNodePort`).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drydock_component::Shutdown;
use drydock_component::serve::{self, Body, Peer, full, text};
use drydock_component::shutdown::Trigger;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use tokio::net::TcpListener;

use crate::Error;
use crate::proxy::{SharedHealth, Wanted};

/// How the proxy is doing.
#[derive(Debug, Default)]
pub(crate) struct Health {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the rules were last brought up to date.
    last_synced: Option<String>,
    failing: bool,
    ineligible: bool,
    syncs: u64,
    failures: u64,
    spent: Duration,
    local_endpoints: BTreeMap<u16, crate::plan::HealthPort>,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules are up to date.
    pub(crate) fn synced(&self, took: Duration) {
        let mut state = self.state();
        state.last_synced = Some(drydock_api::time::now_rfc3339());
        state.failing = false;
        state.syncs += 1;
        state.spent += took;
    }

    /// The rules could not be brought up to date.
    pub(crate) fn failed(&self) {
        let mut state = self.state();
        state.failing = true;
        state.failures += 1;
    }

    /// Whether load balancers should use this node.
    pub(crate) fn set_eligible(&self, eligible: bool) {
        self.state().ineligible = !eligible;
    }

    fn healthz(&self, with_node: bool) -> Response<Body> {
        let state = self.state();
        let healthy = !state.failing && state.last_synced.is_some() && !(with_node && state.ineligible);
        let mut body = json!({
            "lastUpdated": state.last_synced,
            "currentTime": drydock_api::time::now_rfc3339(),
        });
        if with_node && let Some(body) = body.as_object_mut() {
            body.insert("nodeEligible".to_owned(), json!(!state.ineligible));
        }
        answer(if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &body)
    }

    fn metrics(&self) -> String {
        let state = self.state();
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "# HELP kubeproxy_sync_proxy_rules_duration_seconds SyncProxyRules latency in seconds\n\
             # TYPE kubeproxy_sync_proxy_rules_duration_seconds summary\n\
             kubeproxy_sync_proxy_rules_duration_seconds_sum {}\n\
             kubeproxy_sync_proxy_rules_duration_seconds_count {}\n\
             # HELP kubeproxy_sync_proxy_rules_nftables_sync_failures_total Cumulative proxy nftables sync failures\n\
             # TYPE kubeproxy_sync_proxy_rules_nftables_sync_failures_total counter\n\
             kubeproxy_sync_proxy_rules_nftables_sync_failures_total {}",
            state.spent.as_secs_f64(),
            state.syncs,
            state.failures,
        );
        page
    }

    fn service(&self, port: u16) -> Response<Body> {
        let state = self.state();
        let Some(service) = state.local_endpoints.get(&port) else {
            return text(StatusCode::NOT_FOUND, "404 page not found\n");
        };
        let healthy = !state.failing && !state.ineligible;
        let code =
            if service.local_endpoints > 0 && healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let mut response = answer(
            code,
            &json!({
                "service": {"namespace": service.namespace, "name": service.name},
                "localEndpoints": service.local_endpoints,
                "serviceProxyHealthy": healthy,
            }),
        );
        let weight = HeaderValue::from(service.local_endpoints);
        response.headers_mut().insert("x-load-balancing-endpoint-weight", weight);
        response
    }
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(full(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// The two listeners every proxy has.
pub(crate) struct Pages {
    health: SharedHealth,
    healthz: TcpListener,
    metrics: TcpListener,
}

impl Pages {
    pub(crate) async fn listen(healthz: SocketAddr, metrics: SocketAddr) -> Result<Pages, Error> {
        let bind = async |address| TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source });
        Ok(Pages { health: Arc::default(), healthz: bind(healthz).await?, metrics: bind(metrics).await? })
    }

    pub(crate) fn health(&self) -> SharedHealth {
        self.health.clone()
    }

    pub(crate) async fn serve(self, shutdown: Shutdown) {
        let Pages { health, healthz, metrics } = self;
        let of_metrics = health.clone();
        let healthz = serve::http(
            healthz,
            move |request: Request<Incoming>, _: Peer| {
                let response = match request.uri().path() {
                    "/healthz" => health.healthz(true),
                    "/livez" => health.healthz(false),
                    _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
                };
                async move { response }
            },
            shutdown.clone(),
        );
        let metrics = serve::http(
            metrics,
            move |request: Request<Incoming>, _: Peer| {
                let response = match request.uri().path() {
                    "/metrics" => text(StatusCode::OK, of_metrics.metrics()),
                    "/proxyMode" => text(StatusCode::OK, "nftables"),
                    "/healthz" => text(StatusCode::OK, "ok"),
                    _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
                };
                async move { response }
            },
            shutdown,
        );
        tokio::join!(healthz, metrics);
    }
}

/// The listeners for load balancers' questions.
pub(crate) struct HealthPorts {
    health: SharedHealth,
    shutdown: Shutdown,
    open: BTreeMap<u16, Trigger>,
}

impl HealthPorts {
    pub(crate) fn new(health: SharedHealth, shutdown: Shutdown) -> HealthPorts {
        HealthPorts { health, shutdown, open: BTreeMap::new() }
    }

    /// Opens and closes ports so that exactly the wanted ones answer.
    pub(crate) async fn set(&mut self, wanted: Wanted) {
        // Dropping a trigger ends its listener.
        self.open.retain(|port, _| wanted.contains_key(port));
        for port in wanted.keys().copied().filter(|port| !self.open.contains_key(port)).collect::<Vec<_>>() {
            let listener = match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await {
                Ok(listener) => listener,
                Err(error) => {
                    tracing::warn!(health.port = port, %error, "cannot listen for a load balancer's questions");
                    continue;
                }
            };
            let (trigger, closed) = Shutdown::new();
            let health = self.health.clone();
            let handler = move |_: Request<Incoming>, _: Peer| {
                let response = health.service(port);
                async move { response }
            };
            let shutdown = self.shutdown.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = serve::http(listener, handler, closed) => {}
                    () = shutdown.wait() => {}
                }
            });
            self.open.insert(port, trigger);
        }
        self.health.state().local_endpoints = wanted;
    }
}
