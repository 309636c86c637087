//! Identity and metadata: group/version/kind, `ObjectMeta`, and accessors on objects held as JSON.

mod access;
mod types;

pub use access::*;
pub use types::*;
