//! The server as its clients see it, beside a genuine etcd-server and through a genuine etcdctl.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking and shows its servers' output")]

mod durability;
mod etcdctl;
mod process;
mod reference;
mod security;
mod watching;
