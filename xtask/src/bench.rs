//! `cargo xtask bench`: builds the product and runs tests/bench against it.

use std::process::Command;

use clap::Args;

use crate::{build, tools};

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Plays a class of so many learners instead, and draws docs/images/class-unprepared.svg; class.svg with --prepared.
    #[arg(long, value_name = "LEARNERS")]
    class: Option<u16>,
    /// Lets them come when the class's clusters are ready, as a few minutes before its beginning, and not at once.
    #[arg(long, requires = "class")]
    prepared: bool,
}

/// Measures and prints a table.
///
/// # Errors
/// When the build or a measurement fails.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let drydock = build::release()?;
    let package = ["run", "--release", "--quiet", "--locked", "--package", "drydock-tests-bench"];
    let mut command = Command::new("cargo");
    command.current_dir(tools::root()).args(package).env("DRYDOCK_TEST_BINARY", drydock);
    if let Some(learners) = options.class {
        let (what, picture) = if options.prepared {
            ("prepared-class", "docs/images/class.svg")
        } else {
            ("class", "docs/images/class-unprepared.svg")
        };
        command.args(["--", what, &learners.to_string(), picture]);
    }
    tools::run(&mut command)
}
