//! The engine: creates, watches, repairs and removes session clusters on a host.
//!
//! Everything above it sees a kubeconfig, node handles and progress; everything below it is a
//! [`host::NodeHost`]. *Invariant*: no concrete host is named here.

pub mod engine;
pub mod host;
pub mod kubeconfig;
pub mod native;
pub mod pki;
pub mod spec;

pub use engine::{Cluster, ComponentFault, Engine, EngineError, NodeFault, Stage};
pub use spec::{ClusterSpec, Distribution, WorkstationSpec};
