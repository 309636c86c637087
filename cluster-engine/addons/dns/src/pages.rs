//! /health and /ready, on CoreDNS's ports.

use std::net::SocketAddr;

use drydock_component::Shutdown;
use drydock_component::serve::{self, Peer, text};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use crate::Error;

pub(crate) struct Pages {
    health: TcpListener,
    ready: TcpListener,
}

impl Pages {
    pub(crate) async fn bind(health: SocketAddr, ready: SocketAddr) -> Result<Pages, Error> {
        let bind = async |address| TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source });
        Ok(Pages { health: bind(health).await?, ready: bind(ready).await? })
    }

    /// Answers until `shutdown`; `is_ready` says whether the cluster's names are known.
    pub(crate) async fn serve(self, is_ready: impl Fn() -> bool + Clone + Send + Sync + 'static, shutdown: Shutdown) {
        let health = |request: Request<Incoming>, _: Peer| {
            let response = match request.uri().path() {
                "/health" => text(StatusCode::OK, "OK"),
                _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
            };
            async move { response }
        };
        let ready = move |request: Request<Incoming>, _: Peer| {
            let response = match request.uri().path() {
                "/ready" if is_ready() => text(StatusCode::OK, "OK"),
                "/ready" => text(StatusCode::SERVICE_UNAVAILABLE, "kubernetes"),
                _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
            };
            async move { response }
        };
        tokio::join!(serve::http(self.health, health, shutdown.clone()), serve::http(self.ready, ready, shutdown),);
    }
}
