//! The standard library for wasm32: there already, fetched by rustup, or built from Debian's copy of its source.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command;

/// The target of the browser app.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// How long rustup may take to fetch some 20 MB.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

/// Where the standard library comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StandardLibrary {
    /// Installed for the target.
    Installed,
    /// To be compiled along with the app (`-Z build-std`).
    FromSource,
}

/// Sees to it that the standard library can be had.
pub(crate) fn ensure(scratch: &Path, progress: &dyn Fn(&str)) -> Result<StandardLibrary> {
    if is_installed()? {
        return Ok(StandardLibrary::Installed);
    }
    if command::exists("rustup") {
        progress("adding the wasm32 target to the Rust toolchain");
        command::succeeds_within(Command::new("rustup").args(["target", "add", TARGET]), RUSTUP_LIMIT);
        if is_installed()? {
            return Ok(StandardLibrary::Installed);
        }
    }
    let link = sysroot()?.join("lib/rustlib/src/rust");
    if !link.join("library/std/Cargo.toml").is_file() {
        progress("fetching the source of the Rust standard library from Debian");
        let source = debian_source(&scratch.join("rust-src")).with_context(|| {
            format!("the Rust toolchain has no {TARGET} target, rustup could not add it (rustup target add {TARGET}), and its source could not be had from Debian either")
        })?;
        if let Some(parent) = link.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        }
        // A dangling link of an earlier, removed build folder is in the way.
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(&source, &link).with_context(|| format!("cannot link {}", link.display()))?;
    }
    Ok(StandardLibrary::FromSource)
}

fn is_installed() -> Result<bool> {
    let folder = rustc(&["--print", "target-libdir", "--target", TARGET])?;
    Ok(holds_std(Path::new(folder.trim())))
}

fn holds_std(folder: &Path) -> bool {
    fs::read_dir(folder)
        .is_ok_and(|entries| entries.flatten().any(|it| it.file_name().to_string_lossy().starts_with("libstd-")))
}

fn sysroot() -> Result<PathBuf> {
    Ok(PathBuf::from(rustc(&["--print", "sysroot"])?.trim()))
}

fn rustc(arguments: &[&str]) -> Result<String> {
    command::output(Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).args(arguments))
}

/// Fetches and unpacks Debian's `rust-src` of exactly the compiler's version. apt checks signatures and hashes; its
/// state lives in `folder`, so neither root nor the machine's own package lists are touched.
fn debian_source(folder: &Path) -> Result<PathBuf> {
    for program in ["apt-get", "apt-cache", "dpkg-deb"] {
        if !command::exists(program) {
            bail!("{program} is not on this machine");
        }
    }
    let release = rustc(&["--version"])?;
    let version = release.split_whitespace().nth(1).context("rustc does not tell its version")?.to_owned();
    let unpacked = folder.join("root").join("usr/src").join(format!("rustc-{version}"));
    if unpacked.join("library/std/Cargo.toml").is_file() {
        return Ok(unpacked);
    }
    for part in ["lists/partial", "cache/archives/partial", "root"] {
        fs::create_dir_all(folder.join(part))?;
    }
    fs::write(folder.join("sources.list"), sources(&mirror()))?;
    let apt = |program: &str| {
        let mut command = Command::new(program);
        command.current_dir(folder);
        let folder = folder.display();
        for option in [
            format!("Dir::Etc::SourceList={folder}/sources.list"),
            "Dir::Etc::SourceParts=-".to_owned(),
            "Dir::Etc::PreferencesParts=-".to_owned(),
            format!("Dir::State::Lists={folder}/lists"),
            format!("Dir::Cache={folder}/cache"),
            "APT::Sandbox::User=".to_owned(),
            "Acquire::Languages=none".to_owned(),
            // Descriptions for software centres are large and not wanted.
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        command
    };
    command::output(apt("apt-get").args(["update", "-q"]))?;
    let table = command::output(apt("apt-cache").args(["madison", "rust-src"]))?;
    let package = matching(&table, &version).with_context(|| format!("Debian has no rust-src {version}"))?;
    command::output(apt("apt-get").args(["download", "-q", &format!("rust-src={package}")]))?;
    let archive = fs::read_dir(folder)?
        .flatten()
        .map(|it| it.path())
        .find(|it| it.extension().is_some_and(|it| it == "deb"))
        .context("apt-get download left no file")?;
    command::output(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(folder.join("root")))?;
    fs::remove_file(archive)?;
    if !unpacked.join("library/std/Cargo.toml").is_file() {
        bail!("Debian's rust-src does not hold {}", unpacked.display());
    }
    Ok(unpacked)
}

fn sources(mirror: &str) -> String {
    ["trixie", "trixie-backports", "forky", "sid"].iter().map(|suite| format!("deb {mirror} {suite} main\n")).collect()
}

/// The mirror that this machine uses already, else Debian's own.
fn mirror() -> String {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|it| it.path()));
    }
    let text: String = files.iter().filter_map(|it| fs::read_to_string(it).ok()).collect::<Vec<_>>().join("\n");
    mirror_in(&text).unwrap_or_else(|| "http://deb.debian.org/debian".to_owned())
}

fn mirror_in(text: &str) -> Option<String> {
    text.lines()
        .filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"))
        .flat_map(str::split_whitespace)
        .find(|word| word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian"))
        .map(str::to_owned)
}

/// The package version of the compiler's version in `apt-cache madison`'s table.
fn matching(table: &str, version: &str) -> Option<String> {
    table
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .find(|found| found.strip_prefix(version).is_some_and(|rest| rest.starts_with(['+', '-', '~'])))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_of_exactly_this_version() {
        let table = " rust-src | 1.96.0+dfsg1-1 | http://deb.debian.org/debian sid/main amd64 Packages\n rust-src | 1.95.0+dfsg1-1~bpo13+1 | http://deb.debian.org/debian trixie-backports/main amd64 Packages\n";
        assert_eq!(matching(table, "1.95.0").as_deref(), Some("1.95.0+dfsg1-1~bpo13+1"));
        assert_eq!(matching(table, "1.95"), None);
        assert_eq!(matching(table, "1.94.0"), None);
    }

    #[test]
    fn the_mirror_of_both_source_forms() {
        assert_eq!(
            mirror_in("deb http://mirror.example/debian bookworm main").as_deref(),
            Some("http://mirror.example/debian")
        );
        assert_eq!(
            mirror_in("Types: deb\nURIs: https://mirror.example/debian/\n").as_deref(),
            Some("https://mirror.example/debian/")
        );
        assert_eq!(
            mirror_in("# deb http://mirror.example/debian x main\ndeb http://security.example/debian-security x main"),
            None
        );
    }

    #[test]
    fn a_target_without_std_is_not_installed() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!holds_std(folder.path()));
        fs::write(folder.path().join("libstd-0123.rlib"), "").unwrap();
        assert!(holds_std(folder.path()));
    }
}
