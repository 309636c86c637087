//! Watch streams and leases beyond what a comparison with etcd shows.

use drydock_etcd_proto::etcdserverpb as pb;
use pb::watch_request::RequestUnion;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::process::{Client, PATIENCE, Process};

struct Watches {
    requests: mpsc::UnboundedSender<pb::WatchRequest>,
    responses: tonic::Streaming<pb::WatchResponse>,
}

impl Watches {
    async fn open(client: &mut Client) -> Watches {
        let (requests, receiver) = mpsc::unbounded_channel();
        let responses = client.watch.watch(UnboundedReceiverStream::new(receiver)).await.unwrap().into_inner();
        Watches { requests, responses }
    }

    fn ask(&self, request: RequestUnion) {
        self.requests.send(pb::WatchRequest { request_union: Some(request) }).unwrap();
    }

    async fn next(&mut self) -> pb::WatchResponse {
        let message = tokio::time::timeout(PATIENCE, self.responses.message()).await.expect("no answer");
        message.unwrap().unwrap()
    }

    async fn create(&mut self, request: pb::WatchCreateRequest) -> pb::WatchResponse {
        self.ask(RequestUnion::CreateRequest(request));
        self.next().await
    }
}

fn prefix(key: &str) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest { key: key.to_owned().into(), range_end: vec![0].into(), ..Default::default() }
}

async fn server(flags: &[&str]) -> (tempfile::TempDir, Process, Client) {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::ours(&directory.path().join("data"), flags);
    let client = server.client().await;
    (directory, server, client)
}

#[tokio::test]
async fn many_watches_on_one_stream() {
    let (_directory, _server, mut client) = server(&["--unsafe-no-fsync"]).await;
    let mut watches = Watches::open(&mut client).await;
    assert_eq!(watches.create(prefix("a")).await.watch_id, 0);
    assert_eq!(watches.create(pb::WatchCreateRequest { watch_id: 1, ..prefix("b") }).await.watch_id, 1);
    // 1 is taken, so the next free number is 2.
    assert_eq!(watches.create(prefix("b")).await.watch_id, 2);
    let taken = watches.create(pb::WatchCreateRequest { watch_id: 1, ..prefix("b") }).await;
    assert!(taken.canceled && taken.cancel_reason.contains("duplicate watch ID"), "{taken:?}");
    client.put("a", "1").await;
    let told = watches.next().await;
    assert_eq!((told.watch_id, told.events.len()), (0, 1));
    watches.ask(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id: 0 }));
    let ended = watches.next().await;
    assert!(ended.canceled && ended.watch_id == 0);
    client.put("b", "1").await;
    let mut told = [watches.next().await.watch_id, watches.next().await.watch_id];
    told.sort_unstable();
    assert_eq!(told, [1, 2]);
}

#[tokio::test]
async fn progress_comes_after_every_event() {
    let (_directory, _server, mut client) = server(&[]).await;
    let mut watches = Watches::open(&mut client).await;
    watches.create(prefix("a")).await;
    for round in 0..20 {
        let revision = client.put("a", &round.to_string()).await;
        watches.ask(RequestUnion::ProgressRequest(pb::WatchProgressRequest {}));
        let event = watches.next().await;
        assert_eq!(event.events[0].kv.as_ref().unwrap().mod_revision, revision);
        let progress = watches.next().await;
        assert_eq!((progress.watch_id, progress.events.len()), (-1, 0));
        assert!(progress.header.unwrap().revision >= revision);
    }
}

#[tokio::test]
async fn idle_watches_hear_of_progress() {
    let (_directory, _server, mut client) = server(&["--watch-progress-notify-interval=100ms"]).await;
    let mut watches = Watches::open(&mut client).await;
    watches.create(pb::WatchCreateRequest { progress_notify: true, ..prefix("a") }).await;
    let revision = client.put("0", "not watched").await;
    loop {
        let notified = watches.next().await;
        assert!(notified.events.is_empty() && notified.watch_id == 0, "{notified:?}");
        if notified.header.unwrap().revision == revision {
            break;
        }
    }
}

#[tokio::test]
async fn large_answers_are_split_on_request() {
    let (_directory, _server, mut client) = server(&["--unsafe-no-fsync", "--max-request-bytes=50000"]).await;
    let value = "x".repeat(20_000);
    for number in 0..10 {
        client.put(&format!("k{number}"), &value).await;
    }
    let mut watches = Watches::open(&mut client).await;
    watches.create(pb::WatchCreateRequest { start_revision: 2, fragment: true, ..prefix("k") }).await;
    let mut events = 0;
    let mut parts = 0;
    loop {
        let part = watches.next().await;
        assert!(prost::Message::encoded_len(&part) <= 50_000);
        events += part.events.len();
        parts += 1;
        if !part.fragment {
            break;
        }
    }
    assert_eq!(events, 10);
    assert!(parts >= 5, "{parts}");
    let refused =
        client.kv.put(pb::PutRequest { key: "k".into(), value: "x".repeat(50_000).into(), ..Default::default() });
    assert_eq!(refused.await.unwrap_err().message(), "etcdserver: request is too large");
}

#[tokio::test]
async fn a_lease_that_is_over_takes_its_keys_along() {
    let (_directory, mut server, mut client) = server(&["--unsafe-no-fsync"]).await;
    // Raised to the shortest time there is.
    let granted = client.lease.lease_grant(pb::LeaseGrantRequest { ttl: 1, id: 0 }).await.unwrap().into_inner();
    assert_eq!(granted.ttl, drydock_etcd::store::MIN_TTL);
    for key in ["l/1", "l/2"] {
        let request = pb::PutRequest { key: key.into(), lease: granted.id, ..Default::default() };
        client.kv.put(request).await.unwrap();
    }
    // The lease survives a restart and begins anew.
    server.kill();
    let server = Process::ours(&server.data.clone(), &["--unsafe-no-fsync"]);
    let mut client = server.client().await;
    let mut watches = Watches::open(&mut client).await;
    watches.create(prefix("l/")).await;
    let gone = watches.next().await;
    let keys: Vec<_> = gone.events.iter().map(|event| event.kv.clone().unwrap()).collect();
    assert_eq!(keys.iter().map(|kv| kv.key.as_ref()).collect::<Vec<_>>(), [b"l/1", b"l/2"]);
    assert_eq!(keys[0].mod_revision, keys[1].mod_revision);
    let left = pb::LeaseTimeToLiveRequest { id: granted.id, keys: true };
    assert_eq!(client.lease.lease_time_to_live(left).await.unwrap().into_inner().ttl, -1);
    let put = pb::PutRequest { key: "l/3".into(), lease: granted.id, ..Default::default() };
    let refused = client.kv.put(put).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (tonic::Code::NotFound, "etcdserver: requested lease not found"));
}

#[tokio::test]
async fn a_used_up_quota_refuses_puts_until_space_is_made() {
    let (_directory, _server, mut client) = server(&["--unsafe-no-fsync", "--quota-backend-bytes=100000"]).await;
    let value = bytes::Bytes::from(vec![0; 30_000]);
    let put = pb::PutRequest { key: "k".into(), value, ..Default::default() };
    let mut refused = None;
    for _ in 0..10 {
        refused = client.kv.put(put.clone()).await.err();
    }
    let refused = refused.expect("no space");
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    assert_eq!(refused.message(), "etcdserver: mvcc: database space exceeded");
    let revision = client.all().await.header.unwrap().revision;
    client.kv.compact(pb::CompactionRequest { revision, physical: true }).await.unwrap();
    let alarm = pb::AlarmRequest { action: 2, member_id: 0, alarm: pb::AlarmType::Nospace.into() };
    assert_eq!(client.maintenance.alarm(alarm).await.unwrap().into_inner().alarms.len(), 1);
    client.kv.put(put).await.unwrap();
}
