//! Container images of one machine: named, content-addressed, unpacked once, shared read-only by every node.

mod error;
mod image;
mod reference;
mod store;

pub use error::Error;
pub use image::{Image, ImageConfig};
pub use reference::Reference;
pub use store::{ImageStore, Source};
