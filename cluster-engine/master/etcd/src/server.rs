//! The gRPC services: they take a request apart, ask the backend and fill in the answer.

mod auth;
mod cluster;
mod kv;
mod lease;
mod maintenance;
mod watch;

use std::sync::Arc;

use drydock_component::serve::Body;
use drydock_etcd_proto::etcdserverpb::auth_server::AuthServer;
use drydock_etcd_proto::etcdserverpb::cluster_server::ClusterServer;
use drydock_etcd_proto::etcdserverpb::kv_server::KvServer;
use drydock_etcd_proto::etcdserverpb::lease_server::LeaseServer;
use drydock_etcd_proto::etcdserverpb::maintenance_server::MaintenanceServer;
use drydock_etcd_proto::etcdserverpb::watch_server::WatchServer;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tonic::codegen::Service;

use crate::backend::Backend;

/// What a request may exceed `--max-request-bytes` by before the connection refuses to read it.
const MESSAGE_OVERHEAD: usize = 512 << 10;

/// How this member presents itself.
#[derive(Clone, Debug)]
pub struct Membership {
    /// `--name`.
    pub name: String,
    /// `--initial-advertise-peer-urls`.
    pub peer_urls: Vec<String>,
    /// `--advertise-client-urls`.
    pub client_urls: Vec<String>,
}

/// All services over one backend.
#[derive(Clone, Debug)]
pub struct Services {
    backend: Arc<Backend>,
    membership: Arc<Membership>,
}

impl Services {
    /// Services that answer from `backend`.
    pub fn new(backend: Arc<Backend>, membership: Membership) -> Services {
        Services { backend, membership: Arc::new(membership) }
    }

    /// What is behind them.
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// Answers one gRPC call.
    pub async fn call(&self, request: Request<Incoming>) -> Response<Body> {
        let most = self.backend.limits.request_bytes + MESSAGE_OVERHEAD;
        let service = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
        let this = self.clone();
        let answered = match service {
            "etcdserverpb.KV" => KvServer::new(this).max_decoding_message_size(most).call(request).await,
            "etcdserverpb.Watch" => WatchServer::new(this).max_decoding_message_size(most).call(request).await,
            "etcdserverpb.Lease" => LeaseServer::new(this).call(request).await,
            "etcdserverpb.Cluster" => ClusterServer::new(this).call(request).await,
            "etcdserverpb.Maintenance" => MaintenanceServer::new(this).call(request).await,
            "etcdserverpb.Auth" => AuthServer::new(this).call(request).await,
            unknown => Ok(tonic::Status::unimplemented(format!("unknown service {unknown}")).into_http()),
        };
        let Ok(response) = answered;
        response.map(|body| body.map_err(Into::into).boxed_unsync())
    }
}
