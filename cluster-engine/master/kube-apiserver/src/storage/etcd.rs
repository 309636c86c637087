//! The few etcd calls the API server makes, over one gRPC channel.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use drydock_etcd_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use drydock_etcd_proto::etcdserverpb::kv_client::KvClient;
use drydock_etcd_proto::etcdserverpb::lease_client::LeaseClient;
use drydock_etcd_proto::etcdserverpb::request_op::Request as Operation;
use drydock_etcd_proto::etcdserverpb::response_op::Response as Outcome;
use drydock_etcd_proto::etcdserverpb::watch_client::WatchClient;
use drydock_etcd_proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use tokio::sync::Mutex;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::StorageError;

/// Largest answer we accept from etcd.
const MESSAGE_LIMIT: usize = 256 << 20;
/// A lease is shared by the objects written within this time (upstream's reuse window).
const LEASE_REUSE: Duration = Duration::from_secs(60);

/// How to reach etcd.
#[derive(Clone, Debug, Default)]
pub(crate) struct Address {
    pub(crate) endpoints: Vec<String>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

/// A client of etcd's v3 API.
#[derive(Clone)]
pub(crate) struct Etcd {
    kv: KvClient<Channel>,
    watch: WatchClient<Channel>,
    lease: LeaseClient<Channel>,
    shared: Arc<Shared>,
}

struct Shared {
    lease: Mutex<Option<Lease>>,
    /// Total time spent in calls, and their number, for /metrics and audit.
    micros: AtomicU64,
    calls: AtomicU64,
}

struct Lease {
    id: i64,
    ttl: i64,
    granted: Instant,
}

/// A key's value and version.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
    pub(crate) revision: i64,
}

/// Result of a compare-and-swap.
#[derive(Debug)]
pub(crate) enum Written {
    /// Done at this revision.
    Done(i64),
    /// The key was not at the expected version: its present state, if it exists.
    Conflict(Option<Stored>),
}

/// A page of keys.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) items: Vec<Stored>,
    pub(crate) more: bool,
    pub(crate) count: i64,
    pub(crate) revision: i64,
}

impl Etcd {
    /// A client that connects when it is first used.
    pub(crate) fn new(address: &Address) -> Result<Self, StorageError> {
        let setup = |endpoint: &str, source: tonic::transport::Error| StorageError::Setup {
            endpoint: endpoint.to_owned(),
            source: source.into(),
        };
        let mut endpoints = Vec::new();
        for text in &address.endpoints {
            let mut endpoint = Endpoint::from_shared(text.clone())
                .map_err(|source| setup(text, source))?
                .connect_timeout(Duration::from_secs(2))
                .tcp_nodelay(true)
                .http2_keep_alive_interval(Duration::from_secs(30))
                .initial_connection_window_size(8 << 20)
                .initial_stream_window_size(4 << 20);
            if text.starts_with("https:") {
                let mut tls = ClientTlsConfig::new();
                if let Some(ca) = &address.ca {
                    tls = tls.ca_certificate(Certificate::from_pem(read(ca)?));
                }
                if let (Some(cert), Some(key)) = (&address.cert, &address.key) {
                    tls = tls.identity(Identity::from_pem(read(cert)?, read(key)?));
                }
                endpoint = endpoint.tls_config(tls).map_err(|source| setup(text, source))?;
            }
            endpoints.push(endpoint);
        }
        let channel = match endpoints.len() {
            1 => endpoints.remove(0).connect_lazy(),
            _ => Channel::balance_list(endpoints.into_iter()),
        };
        Ok(Self {
            kv: KvClient::new(channel.clone())
                .max_decoding_message_size(MESSAGE_LIMIT)
                .max_encoding_message_size(MESSAGE_LIMIT),
            watch: WatchClient::new(channel.clone()).max_decoding_message_size(MESSAGE_LIMIT),
            lease: LeaseClient::new(channel),
            shared: Arc::new(Shared { lease: Mutex::new(None), micros: AtomicU64::new(0), calls: AtomicU64::new(0) }),
        })
    }

    /// The raw watch service, for the cache's feed.
    pub(crate) fn watch_client(&self) -> WatchClient<Channel> {
        self.watch.clone()
    }

    /// Number of calls so far and the microseconds they took.
    pub(crate) fn timings(&self) -> (u64, u64) {
        (self.shared.calls.load(Ordering::Relaxed), self.shared.micros.load(Ordering::Relaxed))
    }

    /// The present value of a key, read through consensus.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Stored>, StorageError> {
        let request = RangeRequest { key: Bytes::copy_from_slice(key.as_bytes()), ..Default::default() };
        let answer = self.timed(self.kv.clone().range(request)).await?;
        Ok(answer.kvs.into_iter().next().map(stored))
    }

    /// etcd's present revision, read through consensus.
    pub(crate) async fn revision(&self) -> Result<i64, StorageError> {
        let request =
            RangeRequest { key: Bytes::from_static(b"compact_rev_key"), count_only: true, ..Default::default() };
        let answer = self.timed(self.kv.clone().range(request)).await?;
        Ok(answer.header.map_or(0, |header| header.revision))
    }

    /// Keys from `start` (inclusive) to `end` (exclusive) as they were at `revision` (0: now).
    pub(crate) async fn page(&self, start: &[u8], end: &[u8], limit: i64, revision: i64) -> Result<Page, StorageError> {
        let request = RangeRequest {
            key: Bytes::copy_from_slice(start),
            range_end: Bytes::copy_from_slice(end),
            limit,
            revision,
            ..Default::default()
        };
        let answer = self.timed(self.kv.clone().range(request)).await?;
        Ok(Page {
            more: answer.more,
            count: answer.count,
            revision: answer.header.map_or(0, |header| header.revision),
            items: answer.kvs.into_iter().map(stored).collect(),
        })
    }

    /// Writes `value` if the key is at `expected` (0: must not exist).
    pub(crate) async fn put(&self, key: &str, value: Bytes, expected: i64, ttl: i64) -> Result<Written, StorageError> {
        let lease = if ttl > 0 { self.lease(ttl).await? } else { 0 };
        let key = Bytes::copy_from_slice(key.as_bytes());
        self.swap(key.clone(), expected, Operation::RequestPut(PutRequest { key, value, lease, ..Default::default() }))
            .await
    }

    /// Removes the key if it is at `expected`.
    pub(crate) async fn delete(&self, key: &str, expected: i64) -> Result<Written, StorageError> {
        let key = Bytes::copy_from_slice(key.as_bytes());
        self.swap(
            key.clone(),
            expected,
            Operation::RequestDeleteRange(DeleteRangeRequest { key, ..Default::default() }),
        )
        .await
    }

    /// Creates all of these keys at one revision, or none of them when one exists.
    pub(crate) async fn create_all(&self, puts: &[(String, Bytes)]) -> Result<Option<i64>, StorageError> {
        let key = |key: &String| Bytes::copy_from_slice(key.as_bytes());
        let absent = |name| Compare {
            result: CompareResult::Equal as i32,
            target: CompareTarget::Mod as i32,
            key: key(name),
            target_union: Some(TargetUnion::ModRevision(0)),
            ..Default::default()
        };
        let put = |name, value: &Bytes| PutRequest { key: key(name), value: value.clone(), ..Default::default() };
        let request = TxnRequest {
            compare: puts.iter().map(|(name, _)| absent(name)).collect(),
            success: puts
                .iter()
                .map(|(name, value)| RequestOp { request: Some(Operation::RequestPut(put(name, value))) })
                .collect(),
            failure: Vec::new(),
        };
        let answer = self.timed(self.kv.clone().txn(request)).await?;
        Ok(answer.succeeded.then(|| answer.header.map_or(0, |header| header.revision)))
    }

    /// Forgets history before `revision`.
    pub(crate) async fn compact(&self, revision: i64) -> Result<(), StorageError> {
        self.timed(self.kv.clone().compact(CompactionRequest { revision, physical: false })).await?;
        Ok(())
    }

    async fn swap(&self, key: Bytes, expected: i64, operation: Operation) -> Result<Written, StorageError> {
        let request = TxnRequest {
            compare: vec![Compare {
                result: CompareResult::Equal as i32,
                target: CompareTarget::Mod as i32,
                key: key.clone(),
                target_union: Some(TargetUnion::ModRevision(expected)),
                ..Default::default()
            }],
            success: vec![RequestOp { request: Some(operation) }],
            failure: vec![RequestOp {
                request: Some(Operation::RequestRange(RangeRequest { key, ..Default::default() })),
            }],
        };
        let answer = self.timed(self.kv.clone().txn(request)).await?;
        if answer.succeeded {
            return Ok(Written::Done(answer.header.map_or(0, |header| header.revision)));
        }
        let present = answer.responses.into_iter().find_map(|response| match response.response {
            Some(Outcome::ResponseRange(range)) => range.kvs.into_iter().next().map(stored),
            _ => None,
        });
        Ok(Written::Conflict(present))
    }

    /// A lease that lives at least `ttl` seconds, shared by writes of the same minute.
    async fn lease(&self, ttl: i64) -> Result<i64, StorageError> {
        let mut held = self.shared.lease.lock().await;
        if let Some(lease) = &*held
            && lease.ttl == ttl
            && lease.granted.elapsed() < LEASE_REUSE
        {
            return Ok(lease.id);
        }
        let long = ttl + LEASE_REUSE.as_secs() as i64;
        let answer = self.timed(self.lease.clone().lease_grant(LeaseGrantRequest { ttl: long, id: 0 })).await?;
        *held = Some(Lease { id: answer.id, ttl, granted: Instant::now() });
        Ok(answer.id)
    }

    async fn timed<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, StorageError> {
        let start = Instant::now();
        let answer = call.await;
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.shared.micros.fetch_add(micros, Ordering::Relaxed);
        self.shared.calls.fetch_add(1, Ordering::Relaxed);
        let _ = crate::audit::ETCD_MICROS.try_with(|total| total.fetch_add(micros, Ordering::Relaxed));
        Ok(answer?.into_inner())
    }
}

fn stored(kv: drydock_etcd_proto::mvccpb::KeyValue) -> Stored {
    Stored { key: kv.key, value: kv.value, revision: kv.mod_revision }
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, StorageError> {
    std::fs::read(path).map_err(|source| StorageError::File { path: path.to_owned(), source })
}
