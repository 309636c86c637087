//! A whole API server over a whole etcd, asked over TLS. One program: eight of them, each with both in it, took minutes to build.

mod access;
mod admission;
mod crud;
mod custom;
mod extension;
mod lifecycle;
mod nodes;
mod support;
mod watches;
