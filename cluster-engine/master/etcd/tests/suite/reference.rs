//! The same random requests to ours and to a genuine etcd: both must answer alike.

use std::collections::HashMap;

use drydock_etcd_proto::etcdserverpb as pb;
use drydock_etcd_proto::mvccpb::Event;
use pb::request_op::Request;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::process::{Client, PATIENCE, Process};

const KEYS: [&str; 9] = ["a", "a/", "a/1", "a/2", "a/22", "b", "b/1", "c", "zz"];
const OPERATIONS: usize = 1200;
/// Transactions in transactions.
const DEPTH: u32 = 2;
const LEASES: std::ops::Range<i64> = 1..5;

#[tokio::test]
async fn the_same_requests_get_the_same_answers() {
    for seed in [1, 2, 3] {
        let directory = tempfile::tempdir().unwrap();
        let ours = Process::ours(&directory.path().join("ours"), &["--unsafe-no-fsync"]);
        let genuine = Process::genuine(&directory.path().join("genuine"));
        let pair = (ours.client().await, genuine.client().await);
        Run::new(seed, pair).run().await;
    }
}

struct Run {
    seed: u64,
    random: StdRng,
    ours: Client,
    genuine: Client,
    revision: i64,
    compacted: i64,
    watches: Vec<Watched>,
    history: Vec<String>,
}

struct Watched {
    request: pb::WatchCreateRequest,
    /// The compacted revision when it began.
    compacted: i64,
    ours: Watching,
    genuine: Watching,
}

impl Run {
    fn new(seed: u64, (ours, genuine): (Client, Client)) -> Run {
        Run {
            seed,
            random: StdRng::seed_from_u64(seed),
            ours,
            genuine,
            revision: 1,
            compacted: -1,
            watches: Vec::new(),
            history: Vec::new(),
        }
    }

    async fn run(mut self) {
        for _ in 0..OPERATIONS {
            self.step().await;
        }
        self.finish_watches().await;
    }

    async fn step(&mut self) {
        // Refusals are answers like any other: both servers must refuse alike.
        match self.random.random_range(0..100) {
            0..30 => {
                let request = self.put();
                let _ = self.both(request, async |client, request| client.kv.put(request).await).await;
            }
            30..55 => {
                let request = self.range();
                let _ = self.both(request, async |client, request| client.kv.range(request).await).await;
            }
            55..65 => {
                let request = self.delete();
                let _ = self.both(request, async |client, request| client.kv.delete_range(request).await).await;
            }
            65..88 => {
                let request = self.txn(DEPTH);
                let _ = self.both(request, async |client, request| client.kv.txn(request).await).await;
            }
            88..91 => {
                let request = pb::LeaseGrantRequest { ttl: 1000, id: self.random.random_range(LEASES) };
                let _ = self.both(request, async |client, request| client.lease.lease_grant(request).await).await;
            }
            91..93 => {
                let request = pb::LeaseRevokeRequest { id: self.random.random_range(LEASES) };
                let _ = self.both(request, async |client, request| client.lease.lease_revoke(request).await).await;
            }
            93..95 => {
                let request = pb::LeaseTimeToLiveRequest { id: self.random.random_range(LEASES), keys: true };
                let _ =
                    self.both(request, async |client, request| client.lease.lease_time_to_live(request).await).await;
            }
            95..97 => {
                let request = pb::CompactionRequest { revision: self.past(), physical: true };
                let answer = self.both(request, async |client, request| client.kv.compact(request).await).await;
                if answer.is_ok() {
                    self.compacted = request.revision;
                }
            }
            _ => self.watch().await,
        }
    }

    /// Sends one request to both servers and compares what they answer.
    async fn both<T: Clone + std::fmt::Debug, R: std::fmt::Debug + Normal>(
        &mut self,
        request: T,
        call: impl AsyncFn(&mut Client, T) -> Result<tonic::Response<R>, tonic::Status>,
    ) -> Result<R, tonic::Status> {
        self.history.push(format!("{request:?}"));
        let ours = call(&mut self.ours, request.clone()).await.map(normal);
        let genuine = call(&mut self.genuine, request.clone()).await.map(normal);
        let text = |answer: &Result<R, tonic::Status>| match answer {
            Ok(answer) => format!("{answer:#?}"),
            Err(status) => format!("{:?} {}", status.code(), status.message()),
        };
        let recent = self.history.iter().rev().take(12).rev().cloned().collect::<Vec<_>>().join("\n");
        assert_eq!(
            text(&ours),
            text(&genuine),
            "seed {}: ours (left) and etcd (right) differ on {request:#?}\nafter\n{recent}",
            self.seed
        );
        if let Ok(answer) = &ours {
            self.revision = self.revision.max(answer.revision());
        }
        ours
    }

    fn key(&mut self) -> bytes::Bytes {
        // Now and then none at all, which is refused.
        match self.random.random_range(0..60) {
            0 => bytes::Bytes::new(),
            _ => KEYS[self.random.random_range(0..KEYS.len())].into(),
        }
    }

    fn range_end(&mut self) -> bytes::Bytes {
        match self.random.random_range(0..4) {
            0 => bytes::Bytes::from_static(&[0]),
            1 => ["a0", "b", "c", "zzz", "a"][self.random.random_range(0..5)].into(),
            _ => bytes::Bytes::new(),
        }
    }

    fn chance(&mut self, one_in: u32) -> bool {
        self.random.random_range(0..one_in) == 0
    }

    /// A revision that mostly exists.
    fn past(&mut self) -> i64 {
        let back = self.random.random_range(-1..30);
        (self.revision - back).max(0)
    }

    fn value(&mut self) -> bytes::Bytes {
        format!("v{}", self.random.random_range(0..6)).into()
    }

    fn put(&mut self) -> pb::PutRequest {
        let ignore_value = self.chance(8);
        let ignore_lease = self.chance(8);
        pb::PutRequest {
            key: self.key(),
            value: if ignore_value && !self.chance(5) { bytes::Bytes::new() } else { self.value() },
            lease: if (ignore_lease && !self.chance(5)) || !self.chance(4) {
                0
            } else {
                self.random.random_range(LEASES)
            },
            prev_kv: self.chance(2),
            ignore_value,
            ignore_lease,
        }
    }

    /// Any put but of the key that nested deletions are of.
    fn put_in_txn(&mut self) -> pb::PutRequest {
        let mut request = self.put();
        if request.key == "zz" {
            request.key = "c".into();
        }
        request
    }

    fn range(&mut self) -> pb::RangeRequest {
        let sort_target = if self.chance(3) { self.random.random_range(0..5) } else { 0 };
        // Values, versions and creations repeat, and etcd's sort is not stable: there only one key may win.
        let unique = matches!(sort_target, 0 | 3);
        let mut filter = |one_in: u32| if self.chance(one_in) { self.past() } else { 0 };
        let (min_mod, max_mod, min_create, max_create) = (filter(12), filter(12), filter(12), filter(12));
        pb::RangeRequest {
            key: self.key(),
            range_end: if unique { self.range_end() } else { bytes::Bytes::new() },
            limit: if self.chance(3) { self.random.random_range(0..5) } else { 0 },
            revision: if self.chance(3) { self.past() } else { 0 },
            sort_order: self.random.random_range(0..3),
            sort_target,
            serializable: self.chance(2),
            keys_only: self.chance(5),
            count_only: self.chance(8),
            min_mod_revision: min_mod,
            max_mod_revision: max_mod,
            min_create_revision: min_create,
            max_create_revision: max_create,
        }
    }

    fn delete(&mut self) -> pb::DeleteRangeRequest {
        pb::DeleteRangeRequest { key: self.key(), range_end: self.range_end(), prev_kv: self.chance(2) }
    }

    fn compare(&mut self) -> pb::Compare {
        use pb::compare::TargetUnion;
        let target = self.random.random_range(0..5);
        let near = self.past();
        let union = match target {
            0 => TargetUnion::Version(self.random.random_range(0..4)),
            1 => TargetUnion::CreateRevision(if self.chance(2) { 0 } else { near }),
            2 => TargetUnion::ModRevision(if self.chance(2) { 0 } else { near }),
            3 => TargetUnion::Value(self.value()),
            _ => TargetUnion::Lease(self.random.random_range(0..3)),
        };
        pb::Compare {
            result: self.random.random_range(0..4),
            target,
            key: self.key(),
            range_end: if self.chance(3) { self.range_end() } else { bytes::Bytes::new() },
            target_union: if self.chance(12) { None } else { Some(union) },
        }
    }

    fn txn(&mut self, depth: u32) -> pb::TxnRequest {
        let compares = self.random.random_range(0..3);
        pb::TxnRequest {
            compare: (0..compares).map(|_| self.compare()).collect(),
            success: self.operations(depth),
            failure: self.operations(depth),
        }
    }

    fn operations(&mut self, depth: u32) -> Vec<pb::RequestOp> {
        let count = self.random.random_range(0..4);
        (0..count)
            .map(|_| {
                let request = match self.random.random_range(0..10) {
                    0..3 => Request::RequestRange(self.range()),
                    3..7 => Request::RequestPut(self.put_in_txn()),
                    7..8 => {
                        let mut request = self.delete();
                        // etcd overlooks that a put lies in a deletion without end, or in a later nested
                        // one, and changes the key twice in one revision; ours refuses, so neither is asked.
                        if request.range_end.as_ref() == [0] {
                            request.range_end = bytes::Bytes::new();
                        }
                        if depth < DEPTH {
                            (request.key, request.range_end) = ("zz".into(), bytes::Bytes::new());
                        }
                        Request::RequestDeleteRange(request)
                    }
                    _ if depth > 0 => Request::RequestTxn(self.txn(depth - 1)),
                    _ => Request::RequestRange(self.range()),
                };
                pb::RequestOp { request: Some(request) }
            })
            .collect()
    }

    async fn watch(&mut self) {
        let past = self.chance(2);
        let request = pb::WatchCreateRequest {
            key: KEYS[self.random.random_range(0..KEYS.len())].into(),
            range_end: self.range_end(),
            start_revision: if past { self.past() } else { 0 },
            prev_kv: self.chance(2),
            filters: match self.random.random_range(0..6) {
                0 => vec![0],
                1 => vec![1],
                _ => vec![],
            },
            fragment: self.chance(3),
            ..Default::default()
        };
        // What a deletion at the compacted revision itself leaves behind differs between etcd's versions,
        // and so does the value before the first change after a compaction.
        if request.start_revision != 0 && (request.start_revision - self.compacted).abs() <= 1 {
            return;
        }
        self.history.push(format!("{request:?}"));
        let ours = Watching::begin(&mut self.ours, request.clone()).await;
        let genuine = Watching::begin(&mut self.genuine, request.clone()).await;
        assert_eq!(ours.created, genuine.created, "seed {}: {request:?}", self.seed);
        if ours.created.canceled {
            return;
        }
        self.watches.push(Watched { request, compacted: self.compacted, ours, genuine });
    }

    /// Changes every key once more, so that every watch has a last event to wait for, and compares.
    async fn finish_watches(&mut self) {
        let mut puts = HashMap::new();
        let mut deletes = HashMap::new();
        for key in KEYS {
            let request = pb::PutRequest { key: key.into(), value: "last".into(), ..Default::default() };
            self.both(request, async |client, request| client.kv.put(request).await).await.unwrap();
            puts.insert(key, self.revision);
        }
        for key in KEYS {
            let request = pb::DeleteRangeRequest { key: key.into(), ..Default::default() };
            self.both(request, async |client, request| client.kv.delete_range(request).await).await.unwrap();
            deletes.insert(key, self.revision);
        }
        let mut compared = 0;
        for watched in std::mem::take(&mut self.watches) {
            let Watched { request, compacted, mut ours, mut genuine } = watched;
            let span = drydock_etcd::store::Span::new(&request.key, &request.range_end);
            let last = if request.filters.contains(&1) { &puts } else { &deletes };
            let last = last.iter().filter(|(key, _)| span.contains(key.as_bytes())).map(|(_, at)| *at).max();
            let last = last.expect("every watch has a key");
            let (ours, genuine) = (ours.until(last).await, genuine.until(last).await);
            match (ours, genuine) {
                // etcd catches up with the past ten times a second, and a compaction may come first.
                (Ok(_), Err(_)) if request.start_revision > compacted => continue,
                (Err(ours), Err(genuine)) => assert!(ours <= genuine, "seed {}: {request:?}", self.seed),
                (Ok(ours), Ok(genuine)) => {
                    let differs = ours.iter().zip(&genuine).position(|(ours, genuine)| ours != genuine);
                    let differs = differs.unwrap_or(ours.len().min(genuine.len()));
                    assert_eq!(ours.get(differs), genuine.get(differs), "seed {}: {request:?}", self.seed);
                }
                (ours, genuine) => panic!("seed {}: {request:?}: {ours:?} and {genuine:?}", self.seed),
            }
            compared += 1;
        }
        assert!(compared > 10, "too few watches to mean anything");
    }
}

struct Watching {
    created: pb::WatchResponse,
    _requests: mpsc::UnboundedSender<pb::WatchRequest>,
    responses: tonic::Streaming<pb::WatchResponse>,
}

impl Watching {
    async fn begin(client: &mut Client, request: pb::WatchCreateRequest) -> Watching {
        let (requests, receiver) = mpsc::unbounded_channel();
        let request_union = Some(pb::watch_request::RequestUnion::CreateRequest(request));
        requests.send(pb::WatchRequest { request_union }).unwrap();
        let mut responses = client.watch.watch(UnboundedReceiverStream::new(receiver)).await.unwrap().into_inner();
        let mut created = responses.message().await.unwrap().unwrap();
        created.header = None;
        Watching { created, _requests: requests, responses }
    }

    /// All events up to the revision, or the compacted revision with which the watch was cancelled.
    async fn until(&mut self, last: i64) -> Result<Vec<Event>, i64> {
        let mut events: Vec<Event> = Vec::new();
        while events.last().is_none_or(|event| event.kv.as_ref().unwrap().mod_revision < last) {
            let message = tokio::time::timeout(PATIENCE, self.responses.message()).await;
            let message = message.unwrap_or_else(|_| panic!("no event {last} after {events:#?}"));
            let response = message.unwrap().unwrap();
            if response.canceled {
                return Err(response.compact_revision);
            }
            events.extend(response.events);
        }
        Ok(events)
    }
}

/// What must be taken out of an answer before two servers' can be compared.
trait Normal {
    fn header(&mut self) -> &mut Option<pb::ResponseHeader>;
    fn tidy(&mut self) {}
    fn revision(&self) -> i64;
}

fn normal<R: Normal>(response: tonic::Response<R>) -> R {
    let mut response = response.into_inner();
    if let Some(header) = response.header() {
        (header.cluster_id, header.member_id, header.raft_term) = (0, 0, 0);
    }
    response.tidy();
    response
}

macro_rules! normal {
    ($($answer:ident $($tidy:expr)?;)*) => {$(
        impl Normal for pb::$answer {
            fn header(&mut self) -> &mut Option<pb::ResponseHeader> {
                &mut self.header
            }
            $(fn tidy(&mut self) {
                let tidy: fn(&mut Self) = $tidy;
                tidy(self);
            })?
            fn revision(&self) -> i64 {
                self.header.as_ref().map_or(0, |header| header.revision)
            }
        }
    )*};
}

normal! {
    PutResponse;
    RangeResponse;
    DeleteRangeResponse;
    TxnResponse;
    CompactionResponse;
    LeaseGrantResponse;
    LeaseRevokeResponse;
    LeaseTimeToLiveResponse |response| {
        // etcd lists them in any order; a second may have passed between the two.
        response.keys.sort();
        response.ttl = response.ttl.signum();
    };
}
