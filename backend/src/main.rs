//! drydock.
fn main() {}
