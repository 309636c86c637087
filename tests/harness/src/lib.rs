//! What tests of the whole product share: the built `drydock`, clusters that go away by themselves, genuine kubectl,
//! a look at what the machine holds.

pub mod census;
mod cluster;
mod follow;
pub mod http;
pub mod oidc;
mod product;
pub mod registry;
mod server;
mod wait;

pub use census::Census;
pub use cluster::{Cluster, words};
pub use follow::Follow;
pub use product::{Outcome, Product};
pub use server::Server;
pub use wait::{wait_for, wait_for_within};
