//! The state as a database of etcd: what `etcdctl snapshot save` gets and what `etcdctl snapshot restore` leaves.
//!
//! The bucket `key` holds every version of every key by its revision, `meta` the compacted revision, `lease` the leases
//! and `alarm` the alarms, all encoded as etcd encodes them. A saved file ends with the SHA-256 of what stands before:
//! etcd's clients want its length to be 32 more than a multiple of 512.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use drydock_etcd_proto::etcdserverpb::AlarmMember;
use drydock_etcd_proto::mvccpb::KeyValue;
use prost::Message;
use sha2::{Digest, Sha256};

use crate::bolt::{Database, ReadError, Writer};
use crate::store::{Begin, Body, Entry, Grant, Identity, Ready, Record, Store, TERM};

const SHA256_SIZE: u64 = 32;

/// A lease as etcd stores it.
#[derive(Clone, Copy, PartialEq, Message)]
struct StoredLease {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(int64, tag = "2")]
    ttl: i64,
}

/// Writes a snapshot of `store` to a new file in `directory` that has no name any more and vanishes with
/// its last user; it stands at its beginning. The second part is its size in bytes.
///
/// # Errors
/// When the file cannot be written.
pub fn write(store: &Store, directory: &Path) -> io::Result<(File, u64)> {
    let path = directory.join(format!("snapshot-{}-{}.tmp", std::process::id(), store.index()));
    let file = File::options().create(true).truncate(true).read(true).write(true).open(&path)?;
    std::fs::remove_file(&path)?;
    let mut file = write_database(store, file)?;
    let mut hash = Sha256::new();
    let size = io::copy(&mut file, &mut hash)?;
    file.write_all(&hash.finalize())?;
    file.seek(SeekFrom::Start(0))?;
    Ok((file, size + SHA256_SIZE))
}

fn write_database(store: &Store, file: File) -> io::Result<File> {
    let mut begin = Begin::default();
    let mut ready = Ready::default();
    let mut leases = BTreeMap::new();
    // What is too old to be watched comes in the order of its keys.
    let mut base = Vec::new();
    for body in store.snapshot().filter_map(|record| record.body) {
        match body {
            Body::Begin(found) => begin = found,
            Body::Ready(found) => ready = found,
            Body::Held(lease) => {
                // Ids are stored as unsigned numbers, and so is their order.
                leases.insert(lease.id.to_be_bytes(), StoredLease { id: lease.id, ttl: lease.ttl });
            }
            Body::Entry(entry) if !entry.watchable => base.push(entry),
            _ => {}
        }
    }
    base.sort_by_key(|entry| entry.modified);
    let recent = store.snapshot().filter_map(|record| match record.body {
        Some(Body::Entry(entry)) if entry.watchable => Some(entry),
        _ => None,
    });
    let mut last = (0, 0);
    let versions = base.into_iter().chain(recent).map(|entry| {
        last = if last.0 == entry.modified { (last.0, last.1 + 1) } else { (entry.modified, 0) };
        stored(entry, last.1)
    });
    let mut numbers = BTreeMap::from([("consistent_index", begin.index.to_be_bytes().to_vec())]);
    numbers.insert("term", TERM.to_be_bytes().to_vec());
    if begin.compacted > 0 {
        numbers.insert("finishedCompactRev", revision(begin.compacted, 0));
        numbers.insert("scheduledCompactRev", revision(begin.compacted, 0));
    }
    let alarms = ready.alarms.iter().map(|alarm| AlarmMember { member_id: begin.member, alarm: *alarm });
    let mut writer = Writer::new(file)?;
    writer.bucket("key", versions)?;
    writer.bucket("lease", leases.into_iter().map(|(id, lease)| (id.to_vec(), lease.encode_to_vec())))?;
    writer.bucket("alarm", alarms.map(|alarm| (alarm.encode_to_vec(), Vec::new())))?;
    writer.bucket("meta", numbers.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value)))?;
    writer.bucket("members", std::iter::empty())?;
    writer.bucket("members_removed", std::iter::empty())?;
    writer.finish()
}

/// A version's key and value in the bucket `key`.
fn stored(entry: Entry, sub: i64) -> (Vec<u8>, Vec<u8>) {
    let mut key = revision(entry.modified, sub);
    let Entry { key: name, value, modified, created, version, lease, .. } = entry;
    let kept = match value {
        Some(value) => KeyValue { key: name, value, create_revision: created, mod_revision: modified, version, lease },
        None => {
            key.push(TOMBSTONE);
            KeyValue { key: name, ..KeyValue::default() }
        }
    };
    (key, kept.encode_to_vec())
}

/// What ends the revision of a deletion.
const TOMBSTONE: u8 = b't';

fn revision(main: i64, sub: i64) -> Vec<u8> {
    [main.to_be_bytes().as_slice(), b"_", &sub.to_be_bytes()].concat()
}

fn main_revision(key: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(key.get(..8)?.try_into().ok()?))
}

/// Reads the records of a database's state, those with which a log begins.
///
/// # Errors
/// When it is no database of etcd or damaged.
pub fn read(path: &Path, identity: Identity) -> Result<Vec<Record>, ReadError> {
    let mut database = Database::open(File::open(path)?)?;
    let mut begin = Begin { revision: 1, compacted: -1, ..Begin::of(identity) };
    database.each("meta", |name, value| match name {
        b"finishedCompactRev" => begin.compacted = main_revision(value).unwrap_or(begin.compacted),
        b"consistent_index" => begin.index = value.try_into().map_or(0, u64::from_be_bytes),
        _ => {}
    })?;
    let mut leases = Vec::new();
    database.each("lease", |_, value| {
        leases.extend(StoredLease::decode(value).ok().map(|lease| Grant { id: lease.id, ttl: lease.ttl }));
    })?;
    let mut alarms = Vec::new();
    database.each("alarm", |key, _| alarms.extend(AlarmMember::decode(key).ok().map(|member| member.alarm)))?;
    let mut entries: Vec<Entry> = Vec::new();
    let mut wrong = false;
    let found = database.each("key", |key, value| {
        let (Some(modified), Ok(kept)) = (main_revision(key), KeyValue::decode(value)) else {
            wrong = true;
            return;
        };
        let deleted = key.len() == 18 && key.last() == Some(&TOMBSTONE);
        // Copies of their own and not parts of one page.
        let KeyValue { key, value, create_revision: created, version, lease, .. } = kept;
        let value = (!deleted).then_some(value);
        let entry =
            Entry { key, value, modified, created, version, lease, watchable: modified >= begin.compacted.max(1) };
        // A transaction may delete a key and write it again; the last one counts.
        if let Some(last) =
            entries.iter_mut().rev().take_while(|it| it.modified == modified).find(|it| it.key == entry.key)
        {
            *last = entry;
        } else {
            entries.push(entry);
        }
    })?;
    if !found || wrong {
        return Err(ReadError::Foreign);
    }
    begin.revision = entries.last().map_or(1, |last| last.modified).max(begin.compacted).max(1);
    let ready = Ready { alarms, entries: entries.len() as u64 };
    let records = std::iter::once(Body::Begin(begin))
        .chain(leases.into_iter().map(Body::Held))
        .chain(entries.into_iter().map(Body::Entry))
        .chain(std::iter::once(Body::Ready(ready)));
    Ok(records.map(|body| Record { body: Some(body) }).collect())
}

/// Whether the file's last 32 bytes are the SHA-256 of what stands before them.
///
/// # Errors
/// When the file cannot be read.
pub fn is_whole(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let Some(content) = file.metadata()?.len().checked_sub(SHA256_SIZE) else { return Ok(false) };
    let mut hash = Sha256::new();
    io::copy(&mut (&mut file).take(content), &mut hash)?;
    let mut stored = [0; SHA256_SIZE as usize];
    file.read_exact(&mut stored)?;
    Ok(hash.finalize()[..] == stored)
}
