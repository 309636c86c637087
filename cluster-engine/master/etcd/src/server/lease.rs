//! Leases.

use std::pin::Pin;

use drydock_etcd_proto::etcdserverpb::lease_server::Lease;
use drydock_etcd_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseLeasesRequest,
    LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseStatus, LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
};
use futures_util::StreamExt;
use tonic::{Request, Response, Status, Streaming};

use super::Services;

type KeepAliveStream = Pin<Box<dyn futures_util::Stream<Item = Result<LeaseKeepAliveResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Lease for Services {
    type LeaseKeepAliveStream = KeepAliveStream;

    async fn lease_grant(&self, request: Request<LeaseGrantRequest>) -> Result<Response<LeaseGrantResponse>, Status> {
        let LeaseGrantRequest { ttl, id } = request.into_inner();
        let id = if id == 0 { self.backend.new_lease_id() } else { id };
        let response = self
            .backend
            .write(|store, now| {
                let (ttl, record) = store.grant(id, ttl, now)?;
                let response = LeaseGrantResponse { header: Some(store.header()), id, ttl, error: String::new() };
                Ok((response, Some(record)))
            })
            .await?;
        self.backend.lease_granted();
        Ok(Response::new(response))
    }

    async fn lease_revoke(
        &self,
        request: Request<LeaseRevokeRequest>,
    ) -> Result<Response<LeaseRevokeResponse>, Status> {
        let id = request.into_inner().id;
        let header = self
            .backend
            .write(|store, _| {
                let record = store.revoke(id)?;
                Ok((store.header(), Some(record)))
            })
            .await?;
        Ok(Response::new(LeaseRevokeResponse { header: Some(header) }))
    }

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let this = self.clone();
        let answers = request.into_inner().then(move |request| {
            let this = this.clone();
            async move {
                let id = request?.id;
                // Renewals are not logged: after a restart every lease has its full time again anyway.
                let renewed =
                    this.backend.write(|store, now| Ok(((store.keep_alive(id, now), store.header()), None))).await;
                let (ttl, header) = renewed?;
                Ok(LeaseKeepAliveResponse { header: Some(header), id, ttl: ttl.unwrap_or(0) })
            }
        });
        let backend = self.backend.clone();
        let answers = answers.take_until(async move { backend.stopping().await });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<LeaseTimeToLiveRequest>,
    ) -> Result<Response<LeaseTimeToLiveResponse>, Status> {
        let LeaseTimeToLiveRequest { id, keys } = request.into_inner();
        let response = self.backend.read(|store, now| {
            let response = LeaseTimeToLiveResponse { header: Some(store.header()), id, ..Default::default() };
            Ok(match store.lease(id) {
                None => LeaseTimeToLiveResponse { ttl: -1, ..response },
                Some(lease) => LeaseTimeToLiveResponse {
                    ttl: lease.remaining(now),
                    granted_ttl: lease.ttl,
                    keys: if keys { lease.keys.iter().cloned().collect() } else { Vec::new() },
                    ..response
                },
            })
        });
        Ok(Response::new(response.await?))
    }

    async fn lease_leases(
        &self,
        _request: Request<LeaseLeasesRequest>,
    ) -> Result<Response<LeaseLeasesResponse>, Status> {
        let response = self.backend.read(|store, _| {
            let leases = store.lease_ids().into_iter().map(|id| LeaseStatus { id }).collect();
            Ok(LeaseLeasesResponse { header: Some(store.header()), leases })
        });
        Ok(Response::new(response.await?))
    }
}
