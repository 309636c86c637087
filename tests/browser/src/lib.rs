//! A browser for the journeys in `tests/`: Chromium, with waits that tell what they saw last.

mod browser;

pub use browser::{Browser, ELSEWHERE};
pub use fantoccini::key::Key;
