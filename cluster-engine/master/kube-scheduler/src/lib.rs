//! kube-scheduler: finds a node for each pod that has none.
//!
//! The decision is a pure function of what is known of the cluster: [`framework::schedule`] over a
//! [`snapshot::Snapshot`], with one small plugin per rule. The rest keeps that knowledge up to date
//! and carries decisions out. Plugins, weights, texts and events are those of upstream's default
//! profile.

pub mod framework;
mod options;
pub mod plugins;
pub mod preemption;
pub mod queue;
pub mod resources;
mod run;
pub mod snapshot;
pub mod volumes;

#[cfg(test)]
mod framework_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;

pub use options::Options;
pub use run::{Error, run};
