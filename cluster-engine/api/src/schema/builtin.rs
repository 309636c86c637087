//! The built-in schema: every kind of Kubernetes 1.36.

use super::view::Schema;

static TABLE: Schema = Schema::from_static(include_bytes!(concat!(env!("OUT_DIR"), "/schema.bin")));

/// The built-in schema. It is part of the binary: nothing is loaded.
pub fn table() -> &'static Schema {
    &TABLE
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
