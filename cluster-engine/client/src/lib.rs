//! The Kubernetes client that every Drydock component uses: one HTTP/2 connection, typed calls,
//! reflectors, a work queue and an event recorder.
//!
//! It is small on purpose. Caches hold slim types: a type lists only the fields that its user
//! reads, everything else is dropped while parsing. The vocabulary is client-go's (reflector,
//! work queue, recorder), so that a reader of upstream's components finds the way.

pub mod api;
pub mod client;
pub mod config;
pub mod error;
mod lenient;
pub mod object;
pub mod queue;
pub mod recorder;
pub mod reflector;
pub mod review;
pub mod types;
pub mod watch;

pub use api::{Api, DeleteOptions, List, ListOptions, Patch, Propagation, WriteOptions};
pub use client::{Client, Response, TokenSource};
pub use config::{Auth, Config, Dialer, Io};
pub use error::Error;
pub use object::{Object, PartialObject, Resource};
pub use queue::WorkQueue;
pub use recorder::{EventRecorder, EventType, ObjectReference};
pub use reflector::{Event, Reflector};
pub use review::User;
pub use watch::{WatchEvent, Watcher};

/// What calls of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
