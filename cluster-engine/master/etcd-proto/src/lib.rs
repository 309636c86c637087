//! etcd's v3 gRPC API as Rust types: messages, client stubs and server traits.
//!
//! The `.proto` files in this crate are our own; package names, field numbers and service paths are etcd's
//! (<https://etcd.io/docs/v3.6/dev-guide/api_reference_v3/>), so genuine etcd servers and clients speak with us.
//! All `bytes` fields are [`bytes::Bytes`], so a stored value travels without a copy.
//!
//! *Invariant:* no logic lives here.

/// Keys, values and events (`mvccpb`).
#[allow(missing_docs, clippy::all, clippy::allow_attributes_without_reason, reason = "generated from proto/kv.proto")]
pub mod mvccpb {
    tonic::include_proto!("mvccpb");
}

/// Users, roles and permissions (`authpb`).
#[allow(missing_docs, clippy::all, clippy::allow_attributes_without_reason, reason = "generated from proto/auth.proto")]
pub mod authpb {
    tonic::include_proto!("authpb");
}

/// Requests, answers and services (`etcdserverpb`).
#[allow(missing_docs, clippy::all, clippy::allow_attributes_without_reason, reason = "generated from proto/rpc.proto")]
pub mod etcdserverpb {
    tonic::include_proto!("etcdserverpb");
}

pub use bytes::Bytes;
