//! Kubernetes' API as data and pure functions: names, quantities, selectors, the schema of every built-in kind, codecs, patches and field ownership.
//!
//! This room knows no network, no storage and no clock of its own beyond [`time`]; it depends on nothing of ours, and compiles for wasm32 too.
//! Texts and rules are upstream's (Kubernetes 1.36); where a rule comes from a package of `k8s.io/apimachinery` the module says which.

#![allow(
    clippy::result_large_err,
    reason = "a Status is made only when something failed; boxing it would clutter every signature"
)]

pub mod apply;
pub mod check;
pub mod codec;
pub mod field;
pub mod meta;
pub mod names;
pub mod openapi;
pub mod patch;
pub mod quantity;
pub mod schema;
pub mod selector;
pub mod status;
pub mod time;

mod quote;

pub use quote::go_quote;
pub use status::Status;

/// The version of Kubernetes that every component presents.
pub const KUBERNETES_VERSION: &str = "v1.36.2";
