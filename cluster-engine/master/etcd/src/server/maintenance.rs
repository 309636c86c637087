//! Care of the one member.

use std::fs::File;
use std::io::Read;

use drydock_etcd_proto::etcdserverpb::alarm_request::AlarmAction;
use drydock_etcd_proto::etcdserverpb::maintenance_server::Maintenance;
use drydock_etcd_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, AlarmType, DefragmentRequest, DefragmentResponse, DowngradeRequest,
    DowngradeResponse, HashKvRequest, HashKvResponse, HashRequest, HashResponse, MoveLeaderRequest, MoveLeaderResponse,
    SnapshotRequest, SnapshotResponse, StatusRequest, StatusResponse,
};
use futures_util::stream::{Iter, iter};
use tonic::{Request, Response, Status};

use super::Services;
use crate::error::Error;
use crate::{STORAGE_VERSION, VERSION};

/// Bytes of a snapshot in one message.
const PIECE: usize = 32 << 10;

#[tonic::async_trait]
impl Maintenance for Services {
    type SnapshotStream = Iter<Pieces>;

    async fn alarm(&self, request: Request<AlarmRequest>) -> Result<Response<AlarmResponse>, Status> {
        let request = request.into_inner();
        let member = self.backend.overview().header.member_id;
        let action = AlarmAction::try_from(request.action).map_err(|_| Status::invalid_argument("unknown action"))?;
        let alarm = AlarmType::try_from(request.alarm).map_err(|_| Status::invalid_argument("unknown alarm"))?;
        let of_member = |alarm: AlarmType| AlarmMember { member_id: member, alarm: alarm.into() };
        let response = self.backend.write(|store, _| {
            let mut changed = None;
            let alarms = match action {
                AlarmAction::Get => store
                    .alarms()
                    .filter(|raised| alarm == AlarmType::None || *raised == alarm)
                    .map(of_member)
                    .collect(),
                AlarmAction::Activate => {
                    changed = store.raise_alarm(alarm);
                    vec![of_member(alarm)]
                }
                AlarmAction::Deactivate => {
                    changed = store.disarm_alarm(alarm);
                    changed.iter().map(|_| of_member(alarm)).collect()
                }
            };
            Ok((AlarmResponse { header: Some(store.header()), alarms }, changed))
        });
        Ok(Response::new(response.await?))
    }

    async fn status(&self, _request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let overview = self.backend.overview();
        let member = overview.header.member_id;
        let raised = self.backend.read(|store, _| Ok(store.alarms().collect::<Vec<_>>())).await?;
        let errors =
            raised.into_iter().map(|alarm| format!("memberID:{member} alarm:{}", alarm.as_str_name())).collect();
        let signed = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
        Ok(Response::new(StatusResponse {
            header: Some(overview.header),
            version: VERSION.to_owned(),
            db_size: signed(overview.log_size),
            leader: member,
            raft_index: overview.index,
            raft_term: overview.header.raft_term,
            raft_applied_index: overview.index,
            errors,
            db_size_in_use: signed(overview.bytes.min(overview.log_size)),
            is_learner: false,
            storage_version: STORAGE_VERSION.to_owned(),
            db_size_quota: signed(self.backend.limits.quota),
        }))
    }

    async fn defragment(&self, _request: Request<DefragmentRequest>) -> Result<Response<DefragmentResponse>, Status> {
        self.backend.defragment().await?;
        Ok(Response::new(DefragmentResponse { header: Some(self.backend.overview().header) }))
    }

    async fn hash(&self, _request: Request<HashRequest>) -> Result<Response<HashResponse>, Status> {
        let response =
            self.backend.read(|store, _| Ok(HashResponse { header: Some(store.header()), hash: store.hash(0)? }));
        Ok(Response::new(response.await?))
    }

    async fn hash_kv(&self, request: Request<HashKvRequest>) -> Result<Response<HashKvResponse>, Status> {
        let revision = request.into_inner().revision;
        let response = self.backend.read(|store, _| {
            Ok(HashKvResponse {
                header: Some(store.header()),
                hash: store.hash(revision)?,
                compact_revision: store.compacted(),
                hash_revision: if revision == 0 { store.revision() } else { revision },
            })
        });
        Ok(Response::new(response.await?))
    }

    async fn snapshot(&self, _request: Request<SnapshotRequest>) -> Result<Response<Self::SnapshotStream>, Status> {
        let (file, left) = self.backend.snapshot().await?;
        Ok(Response::new(iter(Pieces { file, left })))
    }

    async fn move_leader(&self, request: Request<MoveLeaderRequest>) -> Result<Response<MoveLeaderResponse>, Status> {
        let header = self.backend.overview().header;
        if request.into_inner().target_id != header.member_id {
            return Err(Error::BadLeaderTransferee.into());
        }
        Ok(Response::new(MoveLeaderResponse { header: Some(header) }))
    }

    async fn downgrade(&self, _request: Request<DowngradeRequest>) -> Result<Response<DowngradeResponse>, Status> {
        Err(Status::failed_precondition("etcdserver: this server has no older version to downgrade to"))
    }
}

/// A snapshot file, piece by piece.
#[derive(Debug)]
pub struct Pieces {
    file: File,
    left: u64,
}

impl Iterator for Pieces {
    type Item = Result<SnapshotResponse, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let mut blob = vec![0; PIECE.min(usize::try_from(self.left).unwrap_or(PIECE))];
        if let Err(error) = self.file.read_exact(&mut blob) {
            tracing::error!(%error, "cannot read the snapshot back");
            self.left = 0;
            return Some(Err(Status::internal("etcdserver: cannot read the snapshot")));
        }
        self.left -= blob.len() as u64;
        Some(Ok(SnapshotResponse {
            header: None,
            remaining_bytes: self.left,
            blob: blob.into(),
            version: STORAGE_VERSION.to_owned(),
        }))
    }
}
