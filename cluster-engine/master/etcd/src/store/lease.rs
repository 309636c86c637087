//! Leases: keys that go when their owner stops renewing.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use super::Store;
use super::record::{Body, Grant, Record, Revoke};
use crate::error::Error;

/// Shortest lease in seconds; shorter ones are raised to it, as in etcd with its default election timeout.
pub const MIN_TTL: i64 = 2;
/// Longest lease in seconds.
pub const MAX_TTL: i64 = 9_000_000_000;

/// A lease and the keys that hang on it.
#[derive(Debug)]
pub struct Lease {
    /// Granted time in seconds.
    pub ttl: i64,
    /// When it ends, on the clock that the store's callers use.
    pub expires: Duration,
    /// Its keys.
    pub keys: BTreeSet<Bytes>,
}

impl Lease {
    /// Whole seconds left; negative once it is over.
    pub fn remaining(&self, now: Duration) -> i64 {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        match self.expires.checked_sub(now) {
            Some(left) => seconds(left),
            None => -seconds(now.saturating_sub(self.expires)),
        }
    }
}

impl Store {
    /// Grants a lease under `id`, which the caller chose if the client did not; answers its real TTL.
    ///
    /// # Errors
    /// When the id is taken or the time too long.
    pub fn grant(&mut self, id: i64, ttl: i64, now: Duration) -> Result<(i64, Record), Error> {
        self.has_space()?;
        if ttl > MAX_TTL {
            return Err(Error::LeaseTtlTooLarge);
        }
        if self.leases.contains_key(&id) {
            return Err(Error::LeaseExists);
        }
        let ttl = ttl.max(MIN_TTL);
        self.insert_lease(id, ttl, now);
        Ok((ttl, self.logged(Body::Grant(Grant { id, ttl }))))
    }

    pub(super) fn insert_lease(&mut self, id: i64, ttl: i64, now: Duration) {
        let lease = Lease { ttl, expires: now + seconds(ttl), keys: BTreeSet::new() };
        self.leases.insert(id, lease);
    }

    /// Ends a lease and deletes its keys in one revision.
    ///
    /// # Errors
    /// When there is no such lease.
    pub fn revoke(&mut self, id: i64) -> Result<Record, Error> {
        let lease = self.leases.remove(&id).ok_or(Error::LeaseNotFound)?;
        let mut session = self.session();
        for key in lease.keys {
            session.delete(key);
        }
        let commit = session.commit();
        Ok(self.logged(Body::Revoke(Revoke { id, commit })))
    }

    /// Starts a lease's time anew and answers its TTL; none if there is no such lease or it is over.
    pub fn keep_alive(&mut self, id: i64, now: Duration) -> Option<i64> {
        let lease = self.leases.get_mut(&id).filter(|lease| lease.expires > now)?;
        lease.expires = now + seconds(lease.ttl);
        Some(lease.ttl)
    }

    /// One lease.
    pub fn lease(&self, id: i64) -> Option<&Lease> {
        self.leases.get(&id)
    }

    /// All lease ids, the one that ends first first.
    pub fn lease_ids(&self) -> Vec<i64> {
        let mut ids: Vec<_> = self.leases.iter().map(|(id, lease)| (lease.expires, *id)).collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// Leases that are over.
    pub fn expired(&self, now: Duration) -> Vec<i64> {
        self.leases.iter().filter(|(_, lease)| lease.expires <= now).map(|(id, _)| *id).collect()
    }

    /// When the next lease ends.
    pub fn next_expiry(&self) -> Option<Duration> {
        self.leases.values().map(|lease| lease.expires).min()
    }
}

fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(u64::try_from(ttl).unwrap_or(0))
}
