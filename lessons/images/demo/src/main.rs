//! drydock-demo.
fn main() {}
