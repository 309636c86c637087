//! What every Drydock component shares: shutdown, logging, TLS set-up, a small HTTPS server and its WebSockets.
//!
//! A component is a library `run(options, shutdown)`; this crate holds the few pieces that each of
//! them would otherwise write again. It knows nothing of Kubernetes objects.

pub mod duration;
pub mod logging;
pub mod serve;
pub mod shutdown;
pub mod tls;
pub mod websocket;

pub use logging::init_logging;
pub use shutdown::Shutdown;
