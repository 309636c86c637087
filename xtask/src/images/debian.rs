//! Debian packages as material for images: downloaded by apt, unpacked without being installed.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

use super::archive::Layer;
use crate::tools;

/// What nobody reads in a workstation.
const LEFT_OUT: [&str; 9] = [
    "usr/share/doc/",
    "usr/share/man/",
    "usr/share/info/",
    "usr/share/locale/",
    "usr/share/lintian/",
    "usr/share/bug/",
    "usr/lib/systemd/",
    "etc/systemd/",
    "usr/share/doc-base/",
];

/// Downloads packages and all that they depend on; returns their files in a stable order.
pub(super) fn download(cache: &Path, packages: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    if tools::find("apt-get").is_none() || tools::find("dpkg-deb").is_none() {
        bail!(
            "the workstation's image is made of Debian packages, and this machine has no apt: \
             build Drydock on Debian or Ubuntu, or in a container of theirs (see Dockerfile)"
        );
    }
    refresh()?;
    let mut names = BTreeSet::new();
    let listed = tools::output(
        Command::new("apt-cache")
            .args(["depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks"])
            .args(["--no-replaces", "--no-enhances"])
            .args(packages),
    )?;
    for line in listed.lines() {
        let name = line.trim();
        if !line.starts_with(' ') && !name.starts_with('<') && !name.contains(':') && !is_maintenance(name) {
            names.insert(name.to_owned());
        }
    }
    let folder = cache.join("packages");
    fs::create_dir_all(&folder)?;
    let before: BTreeSet<_> = files(&folder)?;
    let have = |name: &str, files: &BTreeSet<PathBuf>| {
        files.iter().any(|file| {
            file.file_name().and_then(|file| file.to_str()).is_some_and(|file| file.starts_with(&format!("{name}_")))
        })
    };
    let missing: Vec<_> = names.iter().filter(|name| !have(name, &before)).collect();
    if !missing.is_empty() {
        tools::run(
            Command::new("apt-get")
                .current_dir(&folder)
                .args(["download", "-qq", "-o", "APT::Sandbox::User=root"])
                .args(missing)
                .stdout(Stdio::null()),
        )?;
    }
    let after = files(&folder)?;
    Ok(after.into_iter().filter(|file| names.iter().any(|name| have(name, &BTreeSet::from([file.clone()])))).collect())
}

/// The statically linked busybox, for images that need a shell and nothing else.
pub(super) fn busybox(cache: &Path) -> anyhow::Result<PathBuf> {
    let target = cache.join("busybox");
    if target.is_file() {
        return Ok(target);
    }
    let packages = download(cache, &["busybox-static".to_owned()])?;
    let package = packages
        .iter()
        .find(|package| package.to_string_lossy().contains("busybox-static_"))
        .context("apt did not deliver busybox-static")?;
    let mut found = None;
    each_entry(package, |path, entry| {
        if path == "bin/busybox" || path == "usr/bin/busybox" {
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents)?;
            found = Some(contents);
        }
        Ok(())
    })?;
    let partial = target.with_extension("partial");
    fs::write(&partial, found.context("busybox-static holds no busybox")?)?;
    fs::set_permissions(&partial, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    fs::rename(&partial, &target)?;
    Ok(target)
}

/// Adds a package's files to a layer, with `/usr` merged.
pub(super) fn unpack(package: &Path, layer: &mut Layer) -> anyhow::Result<()> {
    each_entry(package, |path, entry| {
        if path.is_empty() || LEFT_OUT.iter().any(|prefix| path.starts_with(prefix) || format!("{path}/") == *prefix) {
            return Ok(());
        }
        let mode = entry.header().mode()? & 0o7777;
        match entry.header().entry_type() {
            tar::EntryType::Directory => layer.directory(&path, mode),
            tar::EntryType::Symlink => {
                let target = entry.link_name()?.context("a link names its target")?;
                let target = target.to_string_lossy();
                // From trixie on, base-files brings `/bin` → `usr/bin` itself; the layer has it already.
                if is_merger(&path, &target) { Ok(()) } else { layer.link(&path, &target) }
            }
            tar::EntryType::Link => {
                let target = entry.link_name()?.context("a link names its target")?;
                layer.hard_link(&path, &merged(&target.to_string_lossy()))
            }
            tar::EntryType::Regular => {
                let mut contents = Vec::new();
                entry.read_to_end(&mut contents)?;
                layer.file(&path, mode, &contents)
            }
            other => bail!("{}: {path} is of kind {other:?}", package.display()),
        }
    })
}

/// All certificates that the package `ca-certificates` ships, as its installation would join them.
pub(super) fn certificates(packages: &[PathBuf]) -> anyhow::Result<Vec<u8>> {
    let mut bundle = Vec::new();
    for package in packages.iter().filter(|package| package.to_string_lossy().contains("ca-certificates_")) {
        each_entry(package, |path, entry| {
            if path.starts_with("usr/share/ca-certificates/") && path.ends_with(".crt") {
                entry.read_to_end(&mut bundle)?;
                bundle.push(b'\n');
            }
            Ok(())
        })?;
    }
    Ok(bundle)
}

type Entry<'a> = tar::Entry<'a, std::process::ChildStdout>;

fn each_entry(
    package: &Path,
    mut visit: impl FnMut(String, &mut Entry<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut child: Child =
        Command::new("dpkg-deb").arg("--fsys-tarfile").arg(package).stdout(Stdio::piped()).spawn()?;
    let mut tar = tar::Archive::new(child.stdout.take().context("stdout is piped")?);
    for entry in tar.entries()? {
        let mut entry = entry?;
        let path = merged(&entry.path()?.to_string_lossy());
        visit(path, &mut entry)?;
    }
    drop(tar);
    let status = child.wait()?;
    if !status.success() {
        bail!("dpkg-deb --fsys-tarfile {} ended with {status}", package.display());
    }
    Ok(())
}

/// Whether a link, its path already merged, is the one that merges a folder with `/usr`.
fn is_merger(path: &str, target: &str) -> bool {
    path == target.trim_matches('/') && path.starts_with("usr/")
}

/// Without leading `./`, and with `/bin`, `/sbin`, `/lib` and `/lib64` below `/usr`.
fn merged(path: &str) -> String {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    let top = path.split('/').next().unwrap_or_default();
    if ["bin", "sbin", "lib", "lib64"].contains(&top) { format!("usr/{path}") } else { path.to_owned() }
}

/// Packages that only manage a Debian installation.
fn is_maintenance(name: &str) -> bool {
    ["debconf", "dpkg", "perl-base", "cdebconf", "init-system-helpers", "sensible-utils"].contains(&name)
        || name.starts_with("gcc-")
        || name.starts_with("libpam-runtime")
        || name.starts_with("perl")
        || name.starts_with("libperl")
}

/// Makes sure that apt knows which packages there are.
fn refresh() -> anyhow::Result<()> {
    let known = || {
        Command::new("apt-cache").args(["show", "busybox-static"]).stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    if known()?.success() {
        return Ok(());
    }
    if !tools::is_root() {
        bail!("apt knows no packages yet: run `sudo apt-get update` and this again");
    }
    tools::run(Command::new("apt-get").args(["update", "-qq"]))
}

fn files(folder: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    Ok(fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "deb"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        assert_eq!(merged(path), expected);
    }

    #[test]
    fn usr_is_merged() {
        check("./bin/bash", "usr/bin/bash");
        check("./lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2");
        check("./usr/bin/curl", "usr/bin/curl");
        assert!(is_merger(&merged("./bin"), "usr/bin") && is_merger(&merged("./lib64"), "/usr/lib64"));
        assert!(!is_merger("usr/bin/awk", "mawk"));
        check("./", "");
        check("./library/x", "library/x");
    }
}
