//! kube-controller-manager: the loops that make what is what is wanted.
//!
//! Each controller is a room of its own under [`controllers`]: a pure `plan` from what is observed to
//! actions, and a thin loop that observes and applies. They share one reflector per kind and one
//! connection, but each speaks under its own service account, so that the audit log tells who did what.

mod context;
pub mod controllers;
mod discovery;
mod identity;
mod kinds;
mod options;
mod run;
mod work;

pub use options::Options;
pub use run::{Error, run};
