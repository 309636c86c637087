//! Packet rules as plain data, and nftables' netlink messages written without a C library.
//!
//! [`ruleset`] holds a table's chains and sets and says by which steps one becomes another; [`apply`] writes such steps
//! to the kernel as one transaction; [`conntrack`] forgets connections. kube-proxy and the network policies plan with it.
//!
//! Applying needs CAP_NET_ADMIN in the user namespace that owns the network namespace, nothing else.

mod attributes;
mod batch;
pub mod conntrack;
mod expressions;
pub mod ruleset;
mod socket;

use std::io;

use thiserror::Error;

pub use batch::{apply, remove_table, table_exists};
pub use socket::Socket;

/// What the kernel or the socket refused.
#[derive(Debug, Error)]
pub enum Error {
    /// The socket does not work.
    #[error("netfilter netlink socket")]
    Socket(#[source] io::Error),
    /// The kernel refused a message of a batch, and so the whole batch.
    #[error("the kernel refused {step}")]
    Refused {
        /// What was asked.
        step: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}
