//! drydock-node.
fn main() {}
