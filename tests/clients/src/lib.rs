//! Clients' daily work: tables of commands, run by genuine clients against a real cluster.
//!
//! A [`Step`] is one command line with what it must print and how it must end. A table of kubectl's runs once for each kubectl there is, at the
//! same time, in a namespace of its own. `DRYDOCK_TEST_KUBECTLS` names them, separated by colons, and `DRYDOCK_TEST_HELM` Helm's library, as
//! `cargo xtask test` finds them; without it kubectl is the one on the PATH and an old one.

mod kubectl;
mod step;

pub use kubectl::{Client, kubectls};
pub use step::{Step, Tool, run};
