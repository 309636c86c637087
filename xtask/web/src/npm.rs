//! The npm packages that `frontend/package-lock.json` pins.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;

/// Oldest Node.js that the pinned tools run on.
const OLDEST_NODE: u32 = 18;

/// Installs the packages when they are not those of the lock file yet.
pub(crate) fn install(frontend: &Path, progress: &dyn Fn(&str)) -> Result<()> {
    let lock = fs::read(frontend.join("package-lock.json")).context("cannot read frontend/package-lock.json")?;
    let stamp = frontend.join("node_modules").join(".drydock-lock");
    ensure_node(progress)?;
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    progress("installing npm packages for the browser app");
    // The packages used here run without their install scripts, so none is run.
    command::output(Command::new("npm").current_dir(frontend).args([
        "ci",
        "--ignore-scripts",
        "--omit-lockfile-registry-resolved",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]))
    .context("the npm packages of the browser app could not be installed; is the npm registry reachable?")?;
    fs::write(stamp, lock).context("cannot write to frontend/node_modules")
}

/// A `node` command that runs `script` of the installed packages.
pub(crate) fn node(frontend: &Path, script: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(frontend.join("node_modules").join(script));
    command
}

fn ensure_node(progress: &dyn Fn(&str)) -> Result<()> {
    if (!command::exists("node") || !command::exists("npm")) && is_root() && command::exists("apt-get") {
        progress("installing Node.js and npm from Debian");
        let _ = command::output(Command::new("apt-get").args(["update", "-q"]));
        command::output(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args([
            "install",
            "-y",
            "-q",
            "--no-install-recommends",
            "nodejs",
            "npm",
        ]))
        .context("Node.js could not be installed")?;
    }
    if !command::exists("node") || !command::exists("npm") {
        bail!(
            "Node.js {OLDEST_NODE} or newer with npm is needed to build the browser app: sudo apt-get install nodejs npm"
        );
    }
    let version = command::output(Command::new("node").arg("--version"))?;
    match major(&version) {
        Some(found) if found >= OLDEST_NODE => Ok(()),
        _ => bail!(
            "Node.js {} is too old to build the browser app; version {OLDEST_NODE} or newer is needed",
            version.trim()
        ),
    }
}

/// Whether this process runs as root, without a system call crate: the owner of `/proc/self` is its user.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_number_of_node() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("20.1"), None);
        assert_eq!(major("vnext"), None);
    }
}
