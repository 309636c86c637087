//! The image service: fetches images from registries for nodes that have no way out.
//!
//! A node asks on a socket ([`drydock_images::service`]), its session's service ([`Service`]) answers: it joins equal
//! requests, tries the pod's credentials, carries out the pull ([`pull`], usually in a process of its own that runs
//! [`run`] and ends with it), and holds what the session uses, so that [`drydock_images::ImageStore::sweep`] clears away
//! only what nobody needs. Images that were fetched without credentials go to the machine's store, where every
//! session finds them; those that needed some go to the session's own.
//!
//! Who names the registry is a learner, so the registry is hostile: it may be a name for an address inside (every
//! address is looked at after its name is resolved, at each redirect and for the token service, and the connection goes to
//! that very address), send without end (every part has a size, a digest and a time), or ask for passwords (they go to
//! the registry they are for, or to the token service that it names, over TLS).
//!
//! Why not `oci-client`: it brings some twenty crates of its own, `reqwest` and a JSON web token library among them, and
//! leaves name resolution and redirects to them, where the checks above have no place. What a pull needs on top of
//! `hyper` and `rustls`, which are here anyway, is the few hundred lines of this crate.

mod auth;
mod connect;
mod error;
mod policy;
mod pull;
mod registry;
mod serve;
mod url;

use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub use error::Error;
pub use policy::{FILE, Policy};
pub use pull::{Order, Outcome, PULL_TIME, Progress, pull};
pub use serve::{InProcess, Puller, Service};

/// Most bytes of an order: names and credentials.
const ORDER_LIMIT: u64 = 1 << 20;

/// Flags of `drydock-node image-pull`.
#[derive(Debug, clap::Parser)]
#[command(name = "image-pull")]
pub struct Options {}

/// Carries out the one order that comes on standard input and tells its outcome on standard output.
///
/// # Errors
/// When the order is not readable or nobody listens.
pub async fn run(_options: Options) -> Result<(), Error> {
    let mut text = Vec::new();
    tokio::io::stdin().take(ORDER_LIMIT).read_to_end(&mut text).await.map_err(Error::io("cannot read the order"))?;
    let order: Order = serde_json::from_slice(&text).map_err(|error| Error::Invalid(format!("no order: {error}")))?;
    let outcome = pull(&order, &Progress::default()).await;
    let bytes = serde_json::to_vec(&outcome).map_err(|error| Error::Invalid(error.to_string()))?;
    let mut out = tokio::io::stdout();
    out.write_all(&bytes).await.map_err(Error::io("cannot tell the outcome"))?;
    out.flush().await.map_err(Error::io("cannot tell the outcome"))
}

/// The order as the pulling process reads it.
///
/// # Errors
/// Never in practice: an order holds text and numbers.
pub fn encode(order: &Order) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(order).map_err(|error| Error::Invalid(error.to_string()))
}

/// The outcome as the pulling process writes it.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Outcome> {
    serde_json::from_slice(bytes).ok()
}

/// Where a session's own store lies, in its folder.
#[must_use]
pub fn private_store(session: &std::path::Path) -> PathBuf {
    session.join("images")
}
