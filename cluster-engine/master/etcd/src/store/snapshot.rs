//! A store as records, and records as a store.

use std::time::Duration;

use thiserror::Error;

use super::history::Version;
use super::record::{Begin, Body, Entry, Grant, Ready, Record};
use super::{Identity, Store, cost};

/// Version of the record format.
const FORMAT: u32 = 1;

/// Why records cannot become a store.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Unusable {
    /// Written by a newer version of this program.
    #[error("format {format} is not known to this version")]
    Format {
        /// The format found.
        format: u32,
    },
    /// A record of a kind this version does not know.
    #[error("a record of an unknown kind")]
    Unknown,
    /// A record where it cannot be.
    #[error("a record in the wrong place")]
    Misplaced,
    /// A revision is missing.
    #[error("revision {next} follows {have}")]
    Gap {
        /// Last revision read.
        have: i64,
        /// The one that came next.
        next: i64,
    },
    /// The state ends early.
    #[error("the state at the beginning is not complete")]
    Incomplete,
}

impl Begin {
    /// The head of a file of this format, with nothing behind it yet.
    pub fn of(identity: Identity) -> Begin {
        Begin { format: FORMAT, cluster: identity.cluster, member: identity.member, ..Begin::default() }
    }
}

impl Store {
    /// The records from which [`Store::restore`] makes an equal store, oldest version first.
    pub fn snapshot(&self) -> impl Iterator<Item = Record> + '_ {
        let begin =
            Begin { revision: self.revision, compacted: self.compacted, index: self.index, ..Begin::of(self.identity) };
        let held = self.leases.iter().map(|(id, lease)| Body::Held(Grant { id: *id, ttl: lease.ttl }));
        // Entries of one key must come oldest first. Those behind the watchable part are each a key's
        // first one, so their order among themselves does not matter.
        let first = self.changes.front().map_or(i64::MAX, |(revision, _)| *revision);
        let base = self.keys.iter().flat_map(move |(key, history)| {
            history.iter().take_while(move |version| version.modified < first).map(|version| entry(key, version, false))
        });
        let recent = self.changes.iter().filter_map(|(revision, key)| {
            let version = self.keys.get(key)?.exactly(*revision)?;
            Some(entry(key, version, true))
        });
        let entries = self.keys.values().map(|history| history.iter().count() as u64).sum();
        let ready = Ready { alarms: self.alarms.iter().copied().collect(), entries };
        std::iter::once(Body::Begin(begin))
            .chain(held)
            .chain(base)
            .chain(recent)
            .chain(std::iter::once(Body::Ready(ready)))
            .map(|body| Record { body: Some(body) })
    }

    /// Reads the state at the beginning of `records` and leaves the rest to [`Store::replay`].
    ///
    /// # Errors
    /// When the records are not a complete snapshot; an error of `records` itself is passed on.
    pub fn restore<E: From<Unusable>>(
        records: &mut impl Iterator<Item = Result<Record, E>>,
        now: Duration,
    ) -> Result<Store, E> {
        let begin = match records.next().transpose()?.and_then(|record| record.body) {
            Some(Body::Begin(begin)) => begin,
            _ => return Err(Unusable::Incomplete.into()),
        };
        if begin.format != FORMAT {
            return Err(Unusable::Format { format: begin.format }.into());
        }
        let mut store = Store::new(Identity { cluster: begin.cluster, member: begin.member });
        store.revision = begin.revision;
        store.compacted = begin.compacted;
        store.index = begin.index;
        let mut entries = 0;
        for record in records {
            match record?.body.ok_or(Unusable::Unknown)? {
                Body::Held(grant) => store.insert_lease(grant.id, grant.ttl, now),
                Body::Entry(entry) => {
                    entries += 1;
                    store.enter(entry);
                }
                Body::Ready(ready) if ready.entries == entries => {
                    store.alarms = ready.alarms.into_iter().collect();
                    return Ok(store);
                }
                Body::Ready(_) => return Err(Unusable::Incomplete.into()),
                _ => return Err(Unusable::Misplaced.into()),
            }
        }
        Err(Unusable::Incomplete.into())
    }

    fn enter(&mut self, entry: Entry) {
        let Entry { key, value, modified, created, version, lease, watchable } = entry;
        let key = self.keys.get_key_value(&key).map_or(key, |(key, _)| key.clone());
        let history = self.keys.entry(key.clone()).or_default();
        if let Some(before) = history.iter().last()
            && before.lease != lease
            && let Some(lease) = self.leases.get_mut(&before.lease)
        {
            lease.keys.remove(&key);
        }
        if let Some(lease) = self.leases.get_mut(&lease) {
            lease.keys.insert(key.clone());
        }
        let version = Version { modified, created, version, lease, value };
        self.bytes += cost(&key, &version);
        history.push(version);
        if watchable {
            self.changes.push_back((modified, key));
        }
    }
}

fn entry(key: &bytes::Bytes, version: &Version, watchable: bool) -> Body {
    Body::Entry(Entry {
        key: key.clone(),
        value: version.value.clone(),
        modified: version.modified,
        created: version.created,
        version: version.version,
        lease: version.lease,
        watchable,
    })
}
