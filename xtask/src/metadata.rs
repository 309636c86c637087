//! What `cargo metadata` tells of the workspace, as far as checks ask.

use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use crate::tools;

/// The workspace's packages, or all that they depend on too.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) license: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Option<String>,
    pub(crate) path: Option<String>,
}

impl Metadata {
    /// Asks cargo; `more` are arguments such as `--no-deps`.
    ///
    /// # Errors
    /// When cargo fails.
    pub(crate) fn load(more: &[&str]) -> anyhow::Result<Metadata> {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(tools::root()).args(["metadata", "--format-version=1", "--locked"]).args(more);
        serde_json::from_str(&tools::output(&mut cargo)?).context("cargo metadata")
    }
}
