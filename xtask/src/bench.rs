//! `cargo xtask bench`: builds the product and runs tests/bench against it.

use std::process::Command;

use crate::{build, tools};

/// Measures and prints a table.
///
/// # Errors
/// When the build or a measurement fails.
pub(crate) fn run() -> anyhow::Result<()> {
    let drydock = build::release()?;
    let package = ["run", "--release", "--quiet", "--locked", "--package", "drydock-tests-bench"];
    tools::run(Command::new("cargo").current_dir(tools::root()).args(package).env("DRYDOCK_TEST_BINARY", drydock))
}
