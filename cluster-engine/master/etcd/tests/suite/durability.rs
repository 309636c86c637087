//! What was acknowledged survives `kill -9`, and a damaged log is told from an unfinished one.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use drydock_etcd_proto::etcdserverpb as pb;

use crate::process::{Client, Process};

fn log_file(server: &Process) -> PathBuf {
    let logs = std::fs::read_dir(server.data.join("member/log")).unwrap();
    let mut found: Vec<_> =
        logs.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "log")).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Eight writers until the server dies; answers what was acknowledged: key → (value, revision).
async fn write_until_killed(server: &mut Process, client: Client, acknowledged: usize) -> Vec<(String, String, i64)> {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    for writer in 0..8 {
        let (mut client, sender) = (client.clone(), sender.clone());
        tokio::spawn(async move {
            for turn in 0.. {
                let (key, value) = (format!("w{writer}/{}", turn % 50), format!("{turn}"));
                let request =
                    pb::PutRequest { key: key.clone().into(), value: value.clone().into(), ..Default::default() };
                let Ok(response) = client.kv.put(request).await else { return };
                let revision = response.into_inner().header.unwrap().revision;
                let _ = sender.send((key, value, revision));
            }
        });
    }
    drop(sender);
    let mut done = Vec::new();
    while let Some(write) = receiver.recv().await {
        done.push(write);
        if done.len() == acknowledged {
            server.kill();
        }
    }
    done
}

#[tokio::test]
async fn kill_9_loses_nothing_that_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    for (round, flags) in [&[][..], &["--unsafe-no-fsync"], &[]].into_iter().enumerate() {
        let mut server = Process::ours(&data, flags);
        let client = server.client().await;
        let done = write_until_killed(&mut server, client, 400 * (round + 1)).await;
        let server = Process::ours(&data, &[]);
        let mut client = server.client().await;
        for (key, value, revision) in done {
            let request = pb::RangeRequest { key: key.clone().into(), revision, ..Default::default() };
            let response = client.kv.range(request).await.unwrap().into_inner();
            assert_eq!(response.kvs.len(), 1, "{key} at {revision}");
            assert_eq!(response.kvs[0].value, value, "{key} at {revision}");
            assert_eq!(response.kvs[0].mod_revision, revision);
        }
    }
}

#[tokio::test]
async fn a_restart_changes_nothing_a_client_can_see() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Process::ours(&directory.path().join("data"), &["--unsafe-no-fsync"]);
    let mut client = server.client().await;
    client.lease.lease_grant(pb::LeaseGrantRequest { id: 7, ttl: 600 }).await.unwrap();
    for turn in 0..50 {
        client.put(&format!("k{}", turn % 7), &turn.to_string()).await;
    }
    let leased = pb::PutRequest { key: "leased".into(), lease: 7, ..Default::default() };
    client.kv.put(leased).await.unwrap();
    let delete = pb::DeleteRangeRequest { key: "k3".into(), ..Default::default() };
    client.kv.delete_range(delete).await.unwrap();
    client.kv.compact(pb::CompactionRequest { revision: 30, physical: false }).await.unwrap();
    let hash = pb::HashKvRequest { revision: 0 };
    let before = (client.all().await, client.maintenance.hash_kv(hash).await.unwrap().into_inner());
    for rewritten in [false, true] {
        if rewritten {
            client.maintenance.defragment(pb::DefragmentRequest {}).await.unwrap();
        }
        server.kill();
        server = Process::ours(&server.data.clone(), &["--unsafe-no-fsync"]);
        client = server.client().await;
        let after = (client.all().await, client.maintenance.hash_kv(hash).await.unwrap().into_inner());
        assert_eq!(before, after, "rewritten: {rewritten}");
        let lease = pb::LeaseTimeToLiveRequest { id: 7, keys: true };
        let lease = client.lease.lease_time_to_live(lease).await.unwrap().into_inner();
        assert_eq!((lease.granted_ttl, lease.keys), (600, vec!["leased".into()]));
        let old = pb::RangeRequest { key: "k1".into(), revision: 29, ..Default::default() };
        assert_eq!(client.kv.range(old).await.unwrap_err().code(), tonic::Code::OutOfRange);
    }
}

#[tokio::test]
async fn an_unfinished_record_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Process::ours(&directory.path().join("data"), &[]);
    server.client().await.put("a", "1").await;
    server.kill();
    let log = log_file(&server);
    let whole = std::fs::metadata(&log).unwrap().len();
    // A head that promises more than there is, as a write cut short by a power cut leaves it.
    OpenOptions::new().append(true).open(&log).unwrap().write_all(&[40, 0, 0, 0, 1, 2, 3, 4, 5]).unwrap();
    let mut server = Process::ours(&server.data.clone(), &[]);
    let mut client = server.client().await;
    assert_eq!(std::fs::metadata(&log).unwrap().len(), whole);
    assert_eq!(client.all().await.kvs[0].value, "1");
    assert_eq!(client.put("a", "2").await, 3);
    server.kill();
    let server = Process::ours(&server.data.clone(), &[]);
    assert_eq!(server.client().await.all().await.kvs[0].value, "2");
}

#[tokio::test]
async fn damage_in_the_middle_refuses_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Process::ours(&directory.path().join("data"), &[]);
    let mut client = server.client().await;
    client.put("a", "precious").await;
    client.put("b", "later").await;
    server.kill();
    let log = log_file(&server);
    let mut bytes = std::fs::read(&log).unwrap();
    let place = bytes.windows(8).position(|window| window == b"precious").unwrap();
    bytes[place] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let mut server = Process::ours(&server.data.clone(), &[]);
    assert!(!server.wait().success());
    assert!(server.output().contains("is damaged at byte"), "{}", server.output());
}

#[tokio::test]
async fn the_log_shrinks_when_history_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Process::ours(&directory.path().join("data"), &["--unsafe-no-fsync"]);
    let mut client = server.client().await;
    let large = "x".repeat(100_000);
    let mut revision = 0;
    for _ in 0..100 {
        revision = client.put("same", &large).await;
    }
    assert!(std::fs::metadata(log_file(&server)).unwrap().len() > 9_000_000);
    client.kv.compact(pb::CompactionRequest { revision, physical: true }).await.unwrap();
    // The rewrite goes with the batch of the compaction, which is acknowledged after it.
    let size = std::fs::metadata(log_file(&server)).unwrap().len();
    assert!(size < 300_000, "{size} bytes");
    client.put("other", "1").await;
    server.kill();
    let server = Process::ours(&server.data.clone(), &[]);
    let all = server.client().await.all().await;
    assert_eq!(all.kvs.iter().map(|kv| kv.value.len()).collect::<Vec<_>>(), [1, 100_000]);
    assert_eq!(all.header.unwrap().revision, revision + 1);
}
