//! The browser journey; see `tests/`.
