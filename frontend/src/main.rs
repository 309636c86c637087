//! drydock-frontend.
fn main() {}
