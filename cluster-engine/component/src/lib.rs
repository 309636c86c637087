//! What every Drydock component shares: shutdown, logging, TLS set-up and a small HTTPS server.
//!
//! A component is a library `run(options, shutdown)`; this crate holds the few pieces that each of
//! them would otherwise write again. It knows nothing of Kubernetes objects.

pub mod duration;
pub mod logging;
pub mod serve;
pub mod shutdown;
pub mod tls;

pub use logging::init_logging;
pub use shutdown::Shutdown;
