//! One key's versions.

use bytes::Bytes;
use drydock_etcd_proto::mvccpb::KeyValue;

/// What a key held from one revision on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Version {
    /// The revision that wrote it.
    pub(super) modified: i64,
    /// The revision that began this life of the key.
    pub(super) created: i64,
    /// Puts in this life, from 1.
    pub(super) version: i64,
    /// The lease it hangs on; 0 for none.
    pub(super) lease: i64,
    /// The value; none says that the key was deleted.
    pub(super) value: Option<Bytes>,
}

impl Version {
    pub(super) fn key_value(&self, key: &Bytes) -> KeyValue {
        KeyValue {
            key: key.clone(),
            create_revision: self.created,
            mod_revision: self.modified,
            version: self.version,
            value: self.value.clone().unwrap_or_default(),
            lease: self.lease,
        }
    }
}

/// A key's versions, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    versions: Vec<Version>,
}

impl History {
    pub(super) fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Version> {
        self.versions.iter()
    }

    /// The version a read at `revision` sees; none if the key did not exist then.
    pub(super) fn at(&self, revision: i64) -> Option<&Version> {
        let after = self.versions.partition_point(|version| version.modified <= revision);
        let version = self.versions.get(after.checked_sub(1)?)?;
        version.value.is_some().then_some(version)
    }

    /// [`History::at`], copied, for a caller about to change the store.
    pub(super) fn live(&self, revision: i64) -> Option<Version> {
        self.at(revision).cloned()
    }

    /// The version written by `revision` itself, deletions included.
    pub(super) fn exactly(&self, revision: i64) -> Option<&Version> {
        let index = self.versions.binary_search_by_key(&revision, |version| version.modified).ok()?;
        self.versions.get(index)
    }

    pub(super) fn push(&mut self, version: Version) {
        if self.versions.is_empty() {
            // Most keys are written once between two compactions.
            self.versions.reserve_exact(1);
        }
        self.versions.push(version);
    }

    /// Drops and returns what no read at `revision` or later sees. A deletion at `revision` itself
    /// stays until the next compaction, for watches that begin there.
    pub(super) fn compact(&mut self, revision: i64) -> impl Iterator<Item = Version> {
        let after = self.versions.partition_point(|version| version.modified <= revision);
        let keeps_last = after
            .checked_sub(1)
            .and_then(|last| self.versions.get(last))
            .is_some_and(|last| last.value.is_some() || last.modified == revision);
        let gone = if keeps_last { after - 1 } else { after };
        let dropped: Vec<Version> = self.versions.drain(..gone).collect();
        if self.versions.capacity() > 2 * self.versions.len() {
            self.versions.shrink_to_fit();
        }
        dropped.into_iter()
    }
}
