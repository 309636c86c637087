//! The engine: creates, watches, repairs and removes session clusters on a host.

pub mod host;
