//! One suite for every `NodeHost`: see `tests/session`.
