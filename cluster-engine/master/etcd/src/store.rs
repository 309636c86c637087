//! The state machine: keys with their history, leases and alarms. No clock, no files, no network.
//!
//! Every accepted change returns the [`Record`] that repeats it; replaying the records of a log in order
//! gives the same store. Time comes in as a [`Duration`] since the process started.
//!
//! - One revision counter, from 1; a request that changes something takes the next one, whatever it changes.
//! - A key changes at most once in a revision, so a revision names one version of a key.
//! - History reaches back to the last compaction; reads and watches below it are refused.

mod check;
mod history;
mod lease;
mod range;
mod record;
mod snapshot;
#[cfg(test)]
mod tests;
mod txn;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use drydock_etcd_proto::etcdserverpb::{
    AlarmType, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse, RangeRequest, RangeResponse,
    ResponseHeader, TxnRequest, TxnResponse,
};
use drydock_etcd_proto::mvccpb::{Event, KeyValue, event::EventType};

pub use check::check_txn;
pub use lease::{Lease, MAX_TTL, MIN_TTL};
pub use range::Span;
pub use record::{Begin, Body, Entry, Grant, Ready, Record};
pub use snapshot::Unusable;

use crate::error::Error;
use history::{History, Version};
use record::{Change, Commit};

/// What two stores must agree on to be the same member of the same cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's id, as in every answer's header.
    pub cluster: u64,
    /// This member's id.
    pub member: u64,
}

/// Everything the server knows.
#[derive(Debug)]
pub struct Store {
    identity: Identity,
    keys: BTreeMap<Bytes, History>,
    /// Which key changed, in order, from the compacted revision on: what watches read.
    changes: VecDeque<(i64, Bytes)>,
    revision: i64,
    /// Last compacted revision; -1 before the first compaction, as in etcd.
    compacted: i64,
    leases: BTreeMap<i64, Lease>,
    alarms: BTreeSet<i32>,
    /// Records applied, counted as etcd counts its raft entries.
    index: u64,
    /// Size of keys, values and bookkeeping of every version kept.
    bytes: u64,
}

/// Rough cost of keeping one version beside its key and value.
const VERSION_COST: u64 = 96;
/// Keys and values that [`Store::events`] hands out at a time.
const MOST_BYTES: usize = 1 << 20;

impl Store {
    /// An empty store at revision 1.
    pub fn new(identity: Identity) -> Store {
        Store {
            identity,
            keys: BTreeMap::new(),
            changes: VecDeque::new(),
            revision: 1,
            compacted: -1,
            leases: BTreeMap::new(),
            alarms: BTreeSet::new(),
            index: 0,
            bytes: 0,
        }
    }

    /// Who this store belongs to.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The last revision taken.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The last compacted revision; -1 before the first compaction.
    pub fn compacted(&self) -> i64 {
        self.compacted
    }

    /// Records applied so far.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Approximate size in bytes of everything kept, history included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Number of keys that exist now.
    pub fn live_keys(&self) -> usize {
        self.keys.values().filter(|history| history.at(self.revision).is_some()).count()
    }

    /// The header of an answer given now.
    pub fn header(&self) -> ResponseHeader {
        self.header_at(self.revision)
    }

    fn header_at(&self, revision: i64) -> ResponseHeader {
        ResponseHeader { cluster_id: self.identity.cluster, member_id: self.identity.member, revision, raft_term: TERM }
    }

    /// Answers a range request.
    ///
    /// # Errors
    /// As etcd's: compacted and future revisions, empty keys, unknown sort options.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Error> {
        check::range(request)?;
        self.readable()?;
        self.check_revision(request.revision)?;
        let mut response = self.range_at(request, self.revision);
        response.header = Some(self.header());
        Ok(response)
    }

    /// Stores one value.
    ///
    /// # Errors
    /// As etcd's: empty key, missing lease, `ignore_*` without a present key, no space.
    pub fn put(&mut self, request: PutRequest) -> Result<(PutResponse, Option<Record>), Error> {
        check::put(&request)?;
        self.readable()?;
        self.has_space()?;
        // Alone, a put fails on its lease first; in a transaction on its key.
        self.check_lease(&request)?;
        self.check_put(&request)?;
        let mut session = self.session();
        let mut response = session.put(request);
        let record = session.finish();
        response.header = Some(self.header());
        Ok((response, record))
    }

    /// Deletes a key or a range.
    ///
    /// # Errors
    /// An empty key.
    pub fn delete_range(
        &mut self,
        request: &DeleteRangeRequest,
    ) -> Result<(DeleteRangeResponse, Option<Record>), Error> {
        check::delete(request)?;
        self.readable()?;
        let mut session = self.session();
        let mut response = session.delete_range(request);
        let record = session.finish();
        response.header = Some(self.header());
        Ok((response, record))
    }

    /// Runs a transaction that [`check_txn`] accepted: all compares see the state before it.
    ///
    /// # Errors
    /// As etcd's; nothing was changed then.
    pub fn txn(&mut self, request: TxnRequest) -> Result<(TxnResponse, Option<Record>), Error> {
        self.readable()?;
        if txn::puts(&request) {
            self.has_space()?;
        }
        let plan = self.plan(request)?;
        let mut session = self.session();
        let mut response = session.run(plan);
        let record = session.finish();
        response.header = Some(self.header());
        Ok((response, record))
    }

    /// Forgets versions that no read at `revision` or later can see.
    ///
    /// # Errors
    /// When `revision` is compacted already or lies in the future.
    pub fn compact(&mut self, revision: i64) -> Result<Record, Error> {
        if revision <= self.compacted {
            return Err(Error::Compacted);
        }
        if revision > self.revision {
            return Err(Error::FutureRevision);
        }
        self.forget_before(revision);
        Ok(self.logged(Body::Compact(record::Compact { revision })))
    }

    fn forget_before(&mut self, revision: i64) {
        self.compacted = revision;
        // What happened at the compacted revision itself can still be watched.
        while self.changes.front().is_some_and(|(changed, _)| *changed < revision) {
            self.changes.pop_front();
        }
        if self.changes.capacity() > 4 * self.changes.len() + 1024 {
            self.changes.shrink_to_fit();
        }
        let bytes = &mut self.bytes;
        self.keys.retain(|key, history| {
            for version in history.compact(revision) {
                *bytes = bytes.saturating_sub(cost(key, &version));
            }
            !history.is_empty()
        });
    }

    /// Raises an alarm; `None` if it was raised before.
    pub fn raise_alarm(&mut self, alarm: AlarmType) -> Option<Record> {
        self.alarms.insert(alarm.into()).then(|| self.alarms_record())
    }

    /// Disarms an alarm; `None` if it was not raised.
    pub fn disarm_alarm(&mut self, alarm: AlarmType) -> Option<Record> {
        self.alarms.remove(&alarm.into()).then(|| self.alarms_record())
    }

    fn alarms_record(&mut self) -> Record {
        let raised = self.alarms.iter().copied().collect();
        self.logged(Body::Alarms(record::Alarms { raised }))
    }

    /// The alarms that are raised.
    pub fn alarms(&self) -> impl Iterator<Item = AlarmType> + '_ {
        self.alarms.iter().filter_map(|alarm| AlarmType::try_from(*alarm).ok())
    }

    fn readable(&self) -> Result<(), Error> {
        if self.alarms.contains(&AlarmType::Corrupt.into()) { Err(Error::Corrupt) } else { Ok(()) }
    }

    fn has_space(&self) -> Result<(), Error> {
        if self.alarms.contains(&AlarmType::Nospace.into()) { Err(Error::NoSpace) } else { Ok(()) }
    }

    fn check_revision(&self, revision: i64) -> Result<(), Error> {
        match revision {
            ..=0 => Ok(()),
            _ if revision > self.revision => Err(Error::FutureRevision),
            _ if revision < self.compacted => Err(Error::Compacted),
            _ => Ok(()),
        }
    }

    fn logged(&mut self, body: Body) -> Record {
        self.index += 1;
        Record { body: Some(body) }
    }

    /// Repeats a change from the log.
    ///
    /// `now` is when leases in it begin to run: after a restart every lease has its full time again,
    /// as in etcd.
    ///
    /// # Errors
    /// When the record cannot follow what was replayed before it: the log is not ours or is damaged.
    pub fn replay(&mut self, record: Record, now: Duration) -> Result<(), Unusable> {
        let body = record.body.ok_or(Unusable::Unknown)?;
        self.index += 1;
        match body {
            Body::Commit(commit) => self.replay_commit(commit)?,
            Body::Grant(grant) => self.insert_lease(grant.id, grant.ttl, now),
            Body::Revoke(revoke) => {
                self.leases.remove(&revoke.id);
                if let Some(commit) = revoke.commit {
                    self.replay_commit(commit)?;
                }
            }
            Body::Compact(compact) => self.forget_before(compact.revision),
            Body::Alarms(alarms) => self.alarms = alarms.raised.into_iter().collect(),
            Body::Begin(_) | Body::Entry(_) | Body::Held(_) | Body::Ready(_) => {
                return Err(Unusable::Misplaced);
            }
        }
        Ok(())
    }

    fn replay_commit(&mut self, commit: Commit) -> Result<(), Unusable> {
        if commit.revision != self.revision + 1 {
            return Err(Unusable::Gap { have: self.revision, next: commit.revision });
        }
        for change in commit.changes {
            self.write(change);
        }
        self.revision = commit.revision;
        Ok(())
    }

    /// Writes one change at the revision after the current one, which the caller then takes.
    fn write(&mut self, change: Change) {
        let revision = self.revision + 1;
        let Change { key, value, lease } = change;
        let (key, last) = match self.keys.get_key_value(&key) {
            Some((key, history)) => (key.clone(), history.live(self.revision)),
            None => (key, None),
        };
        let (created, version, held) =
            last.map_or((revision, 1, 0), |last| (last.created, last.version + 1, last.lease));
        let version = match &value {
            Some(_) => Version { modified: revision, created, version, lease, value },
            None => Version { modified: revision, created: 0, version: 0, lease: 0, value: None },
        };
        if held != version.lease {
            if let Some(lease) = self.leases.get_mut(&held) {
                lease.keys.remove(&key);
            }
            if let Some(lease) = self.leases.get_mut(&version.lease) {
                lease.keys.insert(key.clone());
            }
        }
        self.bytes += cost(&key, &version);
        self.changes.push_back((revision, key.clone()));
        self.keys.entry(key).or_default().push(version);
    }

    /// The changes from revision `from` to `to` (both included) of keys in `span`, in order, with what
    /// stood there before where `with_previous` asks for it. Ends after `most` events or about a megabyte,
    /// but never inside a revision; the second part is the revision to go on from, `None` at the end.
    pub fn events(
        &self,
        span: &Span,
        from: i64,
        to: i64,
        with_previous: bool,
        most: usize,
    ) -> (Vec<Event>, Option<i64>) {
        let start = self.changes.partition_point(|(revision, _)| *revision < from);
        let mut events: Vec<Event> = Vec::new();
        let mut size = 0;
        for (revision, key) in self.changes.range(start..).take_while(|(revision, _)| *revision <= to) {
            if !span.contains(key) {
                continue;
            }
            if (events.len() >= most || size >= MOST_BYTES)
                && events.last().is_some_and(|event| modified(event) != *revision)
            {
                return (events, Some(*revision));
            }
            if let Some(event) = self.event(key, *revision, with_previous) {
                size += event.kv.as_ref().map_or(0, |kv| kv.key.len() + kv.value.len());
                events.push(event);
            }
        }
        (events, None)
    }

    /// Keys that changed in the revisions `from..=to`.
    pub fn changed(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, &Bytes)> {
        let start = self.changes.partition_point(|(revision, _)| *revision < from);
        self.changes.range(start..).take_while(move |(revision, _)| *revision <= to).map(|(r, key)| (*r, key))
    }

    fn event(&self, key: &Bytes, revision: i64, with_previous: bool) -> Option<Event> {
        let history = self.keys.get(key)?;
        let version = history.exactly(revision)?;
        let previous = (with_previous && revision > self.compacted)
            .then(|| history.at(revision - 1))
            .flatten()
            .map(|previous| previous.key_value(key));
        let (kind, kv) = match version.value {
            Some(_) => (EventType::Put, version.key_value(key)),
            None => (EventType::Delete, KeyValue { key: key.clone(), mod_revision: revision, ..KeyValue::default() }),
        };
        Some(Event { r#type: kind.into(), kv: Some(kv), prev_kv: previous })
    }

    /// A checksum of the keys and versions at `revision` (0: now) that equal stores share.
    ///
    /// # Errors
    /// For compacted and future revisions.
    pub fn hash(&self, revision: i64) -> Result<u32, Error> {
        self.check_revision(revision)?;
        let upto = if revision <= 0 { self.revision } else { revision };
        let mut hasher = crc32fast::Hasher::new();
        for (key, history) in &self.keys {
            for version in history.iter().filter(|version| version.modified <= upto) {
                hasher.update(key);
                for number in [version.created, version.modified, version.version, version.lease] {
                    hasher.update(&number.to_be_bytes());
                }
                hasher.update(version.value.as_deref().unwrap_or_default());
            }
        }
        Ok(hasher.finalize())
    }
}

/// A server with one member never has another election.
pub const TERM: u64 = 2;

fn cost(key: &Bytes, version: &Version) -> u64 {
    (key.len() + version.value.as_ref().map_or(0, Bytes::len)) as u64 + VERSION_COST
}

fn modified(event: &Event) -> i64 {
    event.kv.as_ref().map_or(0, |kv| kv.mod_revision)
}
