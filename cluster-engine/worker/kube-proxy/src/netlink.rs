//! nftables' and conntrack's netlink messages, written and read without a C library.

mod attributes;
pub mod conntrack;
mod expressions;
mod nftables;
mod socket;

use std::io;

use thiserror::Error;

pub use nftables::{apply, table_exists};
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
