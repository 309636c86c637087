//! Container images of one machine: named, content-addressed, unpacked once, shared read-only by every node.
//!
//! A store is a directory: `index.json` says which image has which name, configuration and layers; `layers/<sha256>/`
//! hold the layers, unpacked for overlayfs. Layers are written under another name and appear by one rename, the index
//! is replaced as a whole, so a reader never sees half of anything and needs no lock; writers exclude each other.
//!
//! Archives are hostile input: every part is checked against its digest, and nothing in one can be written outside of
//! the layer's own directory (see `unpack`).

mod archive;
mod build;
pub mod digest;
mod error;
mod image;
mod oci;
mod reference;
pub mod service;
mod store;
mod unpack;
mod zstd;

pub use build::Source;
pub use error::Error;
pub use image::{Image, ImageConfig};
pub use reference::Reference;
pub use store::{ImageStore, Layer, Manifest, Pins, Staging, Usage};
pub use unpack::Limits;

/// Folder of the store for what only one session may see: the session's own store is mounted here in its nodes.
pub const PRIVATE: &str = "private";

/// This machine's architecture in the words of images.
#[must_use]
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
