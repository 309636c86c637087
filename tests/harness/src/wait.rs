//! Waiting for a state, with the last one seen in the message of a failure.

use std::time::{Duration, Instant};

/// Repeats `look` until it gives `Ok`, for at most 30 s.
///
/// # Panics
/// With what `look` saw last, when the time is over.
#[track_caller]
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    wait_for_within(Duration::from_secs(30), what, look)
}

/// As [`wait_for`], with another time.
///
/// # Panics
/// With what `look` saw last, when the time is over.
#[track_caller]
pub fn wait_for_within<T>(time: Duration, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + time;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if Instant::now() >= end => panic!("waited {time:?} for {what}; last seen:\n{seen}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
