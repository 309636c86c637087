//! How often is too often: a bucket of tokens for each address, person and account.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Error;

/// Buckets kept at once; full ones are let go first.
const KEPT: usize = 20_000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Passwords and setup links tried from an address.
    SignIn,
    /// Wrong passwords for an account, from wherever.
    Account,
    /// Classes joined and invitations opened from an address: a whole class may sit behind one.
    Join,
    /// The same of a person.
    JoinPerson,
    /// Sessions asked for from an address.
    Create,
    /// The same of a person.
    CreatePerson,
}

/// So many at once, and so many more in a second.
struct Rule {
    burst: f64,
    per_second: f64,
}

impl Kind {
    fn rule(self) -> Rule {
        let rule = |burst: f64, per_second: f64| Rule { burst, per_second };
        match self {
            Kind::SignIn => rule(20.0, 0.2),
            Kind::Account => rule(20.0, 0.1),
            Kind::Join => rule(400.0, 5.0),
            Kind::JoinPerson => rule(20.0, 0.2),
            Kind::Create => rule(400.0, 2.0),
            Kind::CreatePerson => rule(40.0, 0.1),
        }
    }
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn refill(&mut self, rule: &Rule, now: Instant) {
        let more = now.saturating_duration_since(self.at).as_secs_f64() * rule.per_second;
        self.tokens = (self.tokens + more).min(rule.burst);
        self.at = now;
    }
}

/// The buckets of this server; they count by a clock that nobody sets.
#[derive(Default)]
pub(crate) struct Limits {
    buckets: Mutex<HashMap<(Kind, String), Bucket>>,
}

impl Limits {
    /// Counts one.
    ///
    /// # Errors
    /// When it is one too many; says when to try again.
    pub(crate) fn take(&self, kind: Kind, key: &str) -> Result<(), Error> {
        self.take_at(kind, key, Instant::now()).map_err(|wait| Error::TooOften(wait.as_secs() + 1))
    }

    /// Counts one of an address.
    ///
    /// # Errors
    /// When it is one too many; says when to try again.
    pub(crate) fn take_address(&self, kind: Kind, address: IpAddr) -> Result<(), Error> {
        self.take(kind, &network(address))
    }

    /// Takes back what was counted and turned out well.
    pub(crate) fn give_back(&self, kind: Kind, key: &str) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(&(kind, key.to_owned())) {
            bucket.tokens = (bucket.tokens + 1.0).min(kind.rule().burst);
        }
    }

    fn take_at(&self, kind: Kind, key: &str, now: Instant) -> Result<(), Duration> {
        let rule = kind.rule();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= KEPT {
            buckets.retain(|(kind, _), bucket| {
                let rule = kind.rule();
                bucket.refill(&rule, now);
                bucket.tokens < rule.burst
            });
            if buckets.len() >= KEPT {
                // So many addresses at once: whoever floods is let through for a moment, memory is not.
                buckets.clear();
            }
        }
        let bucket = buckets.entry((kind, key.to_owned())).or_insert(Bucket { tokens: rule.burst, at: now });
        bucket.refill(&rule, now);
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.tokens) / rule.per_second))
    }
}

/// Who has an IPv6 address has 2^64 of them.
pub(crate) fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x}", u128::from(address) >> 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let limits = Limits::default();
        let start = Instant::now();
        for _ in 0..20 {
            limits.take_at(Kind::SignIn, "a", start).expect("within the burst");
        }
        assert_eq!(limits.take_at(Kind::SignIn, "a", start), Err(Duration::from_secs(5)));
        limits.take_at(Kind::SignIn, "b", start).expect("somebody else");
        limits.take_at(Kind::Account, "a", start).expect("something else");
        let later = start + Duration::from_secs(5);
        limits.take_at(Kind::SignIn, "a", later).expect("one more");
        limits.take_at(Kind::SignIn, "a", later).expect_err("but not two");
        limits.give_back(Kind::SignIn, "a");
        limits.take_at(Kind::SignIn, "a", later).expect("given back");
    }

    #[test]
    fn a_class_behind_one_address_joins_within_ten_seconds() {
        let (limits, start) = (Limits::default(), Instant::now());
        for _ in 0..200 {
            limits.take_at(Kind::Join, "a", start).expect("join");
            limits.take_at(Kind::Create, "a", start).expect("create");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let (limits, start) = (Limits::default(), Instant::now());
        for number in 0..2 * KEPT {
            limits.take_at(Kind::SignIn, &number.to_string(), start).expect("new");
        }
        assert!(limits.buckets.lock().expect("lock").len() <= KEPT);
    }

    #[test]
    fn networks() {
        let of = |text: &str| network(text.parse().expect("address"));
        assert_eq!(of("10.0.0.1"), "10.0.0.1");
        assert_eq!(of("2001:db8::1"), of("2001:db8::2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }
}
