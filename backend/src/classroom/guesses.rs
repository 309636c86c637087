//! Who tries codes is slowed down: wrong ones are counted by the address they come from.
//!
//! A room full of learners behind one address may mistype a lot; only who tries far more than that has to wait. With the 2.5
//! billion codes that there are, an address finds one of a hundred classes after some 400 days of trying.

use std::collections::HashMap;
use std::net::IpAddr;

/// Wrong codes that an address may try in [`WINDOW_MILLIS`].
const MOST: u32 = 40;
/// Each window counts anew.
const WINDOW_MILLIS: u64 = 60_000;
/// Addresses remembered; beyond them, those whose window is over are forgotten.
const ADDRESSES: usize = 10_000;

/// What is known of addresses that tried wrong codes.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    wrong: HashMap<IpAddr, (u64, u32)>,
}

impl Guesses {
    /// Seconds that an address has to wait, 0 when it may try.
    pub(super) fn wait_seconds(&self, address: IpAddr, now_millis: u64) -> u64 {
        match self.wrong.get(&network(address)) {
            Some((since, count)) if *count >= MOST => {
                (since + WINDOW_MILLIS).saturating_sub(now_millis).min(WINDOW_MILLIS).div_ceil(1000)
            }
            _ => 0,
        }
    }

    /// Notes a wrong code.
    pub(super) fn wrong(&mut self, address: IpAddr, now_millis: u64) {
        if self.wrong.len() >= ADDRESSES {
            self.wrong.retain(|_, (since, _)| now_millis < *since + WINDOW_MILLIS);
        }
        let (since, count) = self.wrong.entry(network(address)).or_insert((now_millis, 0));
        // A clock that was turned back begins a window, too.
        if now_millis >= *since + WINDOW_MILLIS || now_millis < *since {
            (*since, *count) = (now_millis, 0);
        }
        *count += 1;
    }
}

/// Whoever has one IPv6 address has a /64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mut parts = address.segments();
            parts[4..].fill(0);
            IpAddr::from(parts)
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn who_tries_too_many_waits_for_the_window_to_end() {
        let mut guesses = Guesses::default();
        let (mallory, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for tried in 0..MOST {
            assert_eq!(guesses.wait_seconds(mallory, 1_000), 0, "{tried}");
            guesses.wrong(mallory, 1_000);
        }
        assert_eq!(guesses.wait_seconds(mallory, 2_000), 59);
        assert_eq!(guesses.wait_seconds(other, 2_000), 0);
        assert_eq!(guesses.wait_seconds(mallory, 61_000), 0);
        guesses.wrong(mallory, 61_000);
        assert_eq!(guesses.wait_seconds(mallory, 61_001), 0);
    }

    #[test]
    fn a_network_of_ipv6_is_one() {
        let mut guesses = Guesses::default();
        for tried in 0..MOST {
            guesses.wrong(address(&format!("2001:db8::{tried}:1")), 0);
        }
        assert_eq!(guesses.wait_seconds(address("2001:db8::ffff"), 0), 60);
        assert_eq!(guesses.wait_seconds(address("2001:db8:0:1::1"), 0), 0);
    }
}
