//! `cargo xtask up`: build, then serve.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::bail;

use crate::{build, tools};

/// What `up` may be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Address to serve on.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
    /// Further arguments for `drydock serve`, after `--`.
    #[arg(last = true)]
    serve: Vec<String>,
}

/// Builds and becomes `drydock serve`, through sudo if this user is not root.
///
/// # Errors
/// When the build fails or the server cannot be started.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let binary = build::release()?;
    let mut command = if tools::is_root() {
        Command::new(&binary)
    } else if let Some(sudo) = tools::find("sudo") {
        eprintln!("Sessions run in namespaces, which needs root: sudo asks for your password for this step alone.");
        let mut command = Command::new(sudo);
        command.arg(&binary);
        command
    } else {
        bail!("starting sessions needs root and there is no sudo here: run `{} serve` as root", binary.display());
    };
    let error = command.args(["serve", "--listen", &options.listen]).args(&options.serve).exec();
    bail!("cannot start {}: {error}", binary.display())
}
