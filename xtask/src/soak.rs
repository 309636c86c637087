//! `cargo xtask soak`: builds the product and lets everything go wrong in many sessions at once.

use std::process::Command;

use crate::{build, tools};

/// How bad it gets.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Sessions at once, of three nodes each.
    #[arg(long, default_value_t = 20)]
    sessions: usize,
    /// For how long things go wrong.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Tells the same story again; without it, another one each time.
    #[arg(long)]
    seed: Option<u64>,
}

impl Options {
    /// What every run of the tests does: long enough that most kinds of faults happen.
    pub(crate) fn short() -> Options {
        Options { sessions: 3, seconds: 30, seed: None }
    }
}

/// Soaks and prints what happened.
///
/// # Errors
/// When the build fails, a session is not well in the end, a write is lost, or something is left behind.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let drydock = build::release()?;
    let mut command = Command::new("cargo");
    command.current_dir(tools::root()).env("DRYDOCK_TEST_BINARY", drydock);
    command.args(["run", "--quiet", "--locked", "--package", "drydock-tests-soak", "--"]);
    command.args(["--sessions", &options.sessions.to_string(), "--seconds", &options.seconds.to_string()]);
    if let Some(seed) = options.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    tools::run(&mut command)
}
