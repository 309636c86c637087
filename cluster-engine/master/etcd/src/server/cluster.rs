//! Membership: this server is always its cluster's only member.

use drydock_etcd_proto::etcdserverpb::cluster_server::Cluster;
use drydock_etcd_proto::etcdserverpb::{
    Member, MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse, MemberPromoteRequest,
    MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse, MemberUpdateRequest, MemberUpdateResponse,
};
use tonic::{Request, Response, Status};

use super::Services;
use crate::error::Error;

fn fixed() -> Status {
    Status::unimplemented("etcdserver: this server is the only member of its cluster and stays so")
}

impl Services {
    fn known_member(&self, id: u64) -> Result<(), Status> {
        if self.backend.overview().header.member_id == id { Ok(()) } else { Err(Error::MemberNotFound.into()) }
    }
}

#[tonic::async_trait]
impl Cluster for Services {
    async fn member_list(&self, _request: Request<MemberListRequest>) -> Result<Response<MemberListResponse>, Status> {
        let header = self.backend.overview().header;
        let member = Member {
            id: header.member_id,
            name: self.membership.name.clone(),
            peer_ur_ls: self.membership.peer_urls.clone(),
            client_ur_ls: self.membership.client_urls.clone(),
            is_learner: false,
        };
        Ok(Response::new(MemberListResponse { header: Some(header), members: vec![member] }))
    }

    async fn member_add(&self, _request: Request<MemberAddRequest>) -> Result<Response<MemberAddResponse>, Status> {
        Err(fixed())
    }

    async fn member_remove(
        &self,
        request: Request<MemberRemoveRequest>,
    ) -> Result<Response<MemberRemoveResponse>, Status> {
        self.known_member(request.into_inner().id)?;
        Err(fixed())
    }

    async fn member_update(
        &self,
        request: Request<MemberUpdateRequest>,
    ) -> Result<Response<MemberUpdateResponse>, Status> {
        self.known_member(request.into_inner().id)?;
        Err(fixed())
    }

    async fn member_promote(
        &self,
        request: Request<MemberPromoteRequest>,
    ) -> Result<Response<MemberPromoteResponse>, Status> {
        self.known_member(request.into_inner().id)?;
        Err(Status::failed_precondition("etcdserver: can only promote a learner member"))
    }
}
