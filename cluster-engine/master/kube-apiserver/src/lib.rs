//! Drydock's kube-apiserver: upstream's wire behaviour on one pipeline with one row per resource.
//!
//! Storage is etcd's v3 gRPC API and nothing else, so that the real etcd can take our own's place.

pub mod authorize;
pub mod row;

mod rbac;
mod registry;
