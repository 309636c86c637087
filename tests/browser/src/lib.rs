//! A browser for the journeys in `tests/`: Chromium, with waits that tell what they saw last.

mod browser;

pub use browser::Browser;
pub use fantoccini::key::Key;
