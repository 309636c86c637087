//! Keys and values.

use drydock_etcd_proto::etcdserverpb::kv_server::Kv;
use drydock_etcd_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, TxnRequest, TxnResponse,
};
use prost::Message;
use tonic::{Request, Response, Status};

use super::Services;
use crate::error::Error;
use crate::store::check_txn;

impl Services {
    fn check_size(&self, message: &impl Message) -> Result<(), Error> {
        if message.encoded_len() > self.backend.limits.request_bytes { Err(Error::RequestTooLarge) } else { Ok(()) }
    }
}

#[tonic::async_trait]
impl Kv for Services {
    async fn range(&self, request: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        self.backend.count(|counters| counters.ranges += 1);
        let request = request.into_inner();
        Ok(Response::new(self.backend.read(|store, _| store.range(&request)).await?))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        self.backend.count(|counters| counters.puts += 1);
        let request = request.into_inner();
        self.check_size(&request)?;
        Ok(Response::new(self.backend.write(|store, _| store.put(request)).await?))
    }

    async fn delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        self.backend.count(|counters| counters.deletes += 1);
        let request = request.into_inner();
        Ok(Response::new(self.backend.write(|store, _| store.delete_range(&request)).await?))
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        self.backend.count(|counters| counters.txns += 1);
        let request = request.into_inner();
        check_txn(&request, self.backend.limits.txn_ops)?;
        self.check_size(&request)?;
        Ok(Response::new(self.backend.write(|store, _| store.txn(request)).await?))
    }

    async fn compact(&self, request: Request<CompactionRequest>) -> Result<Response<CompactionResponse>, Status> {
        let revision = request.into_inner().revision;
        let header = self
            .backend
            .write(|store, _| {
                let record = store.compact(revision)?;
                Ok((store.header(), Some(record)))
            })
            .await?;
        Ok(Response::new(CompactionResponse { header: Some(header) }))
    }
}
