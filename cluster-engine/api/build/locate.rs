//! Finds the sources of crates that the manifest pins but never compiles.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root folders of the named packages, in order.
///
/// Cargo unpacks only what it compiles, so the sources may not be there yet. A small manifest with the same pins and the same lock file makes cargo
/// fetch them (checksums included): first offline, then from the registry.
pub(crate) fn sources(out: &Path, names: &[&str]) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let root = workspace_root()?;
    let lock = std::fs::read_to_string(root.join("Cargo.lock"))?;
    let mut manifest = "[package]\nname = \"schema-sources\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n[workspace]\n[dependencies]\n".to_owned();
    let mut versions = Vec::new();
    for name in names {
        let version = locked_version(&lock, name).ok_or_else(|| format!("{name} is not in Cargo.lock"))?;
        manifest.push_str(&format!("{name} = {{ version = \"={version}\", default-features = false }}\n"));
        versions.push(version);
    }
    if let Some(found) = unpacked(names, &versions) {
        return Ok(found);
    }
    let folder = out.join("sources");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("Cargo.toml"), manifest)?;
    std::fs::write(folder.join("lib.rs"), "")?;
    std::fs::write(folder.join("Cargo.lock"), &lock)?;
    let mut last = String::new();
    for offline in [true, false] {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        // The working folder is the workspace, so that its cargo configuration (mirrors, vendoring) holds.
        command
            .args(["metadata", "--format-version=1", "--manifest-path"])
            .arg(folder.join("Cargo.toml"))
            .current_dir(&root);
        if offline {
            command.arg("--offline");
        }
        let output = command.output()?;
        if output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout);
            return names.iter().zip(&versions).map(|(name, version)| manifest_folder(&text, name, version)).collect();
        }
        last = String::from_utf8_lossy(&output.stderr).into_owned();
    }
    Err(format!("the sources of {} could not be fetched: {last}", names.join(", ")).into())
}

/// Already in cargo's registry folder.
fn unpacked(names: &[&str], versions: &[&str]) -> Option<Vec<PathBuf>> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cargo")))?;
    for registry in std::fs::read_dir(home.join("registry/src")).ok()?.flatten() {
        let found: Vec<PathBuf> =
            names.iter().zip(versions).map(|(n, v)| registry.path().join(format!("{n}-{v}"))).collect();
        // Cargo writes this mark last, when all files are there.
        if found.iter().all(|folder| folder.join(".cargo-ok").exists()) {
            return Some(found);
        }
    }
    None
}

fn workspace_root() -> Result<PathBuf, Box<dyn Error>> {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?);
    let root = manifest.ancestors().find(|folder| folder.join("Cargo.lock").exists());
    Ok(root.ok_or("no Cargo.lock above the manifest")?.to_owned())
}

fn locked_version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let start = lock.find(&format!("name = \"{name}\"\n"))?;
    lock[start..].lines().nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}

fn manifest_folder(metadata: &str, name: &str, version: &str) -> Result<PathBuf, Box<dyn Error>> {
    // Either a registry's folder (`k8s-pb-0.9.0`) or a vendored one (`k8s-pb`).
    for folder in [format!("{name}-{version}"), name.to_owned()] {
        let needle = format!("{folder}/Cargo.toml\"").replace('/', std::path::MAIN_SEPARATOR_STR);
        for (end, _) in metadata.match_indices(&needle) {
            let start = metadata[..end].rfind('"').map_or(0, |i| i + 1);
            let path = PathBuf::from(&metadata[start..end + folder.len()]);
            if path.join("src").is_dir() {
                return Ok(path);
            }
        }
    }
    Err(format!("cargo metadata names no folder for {name}").into())
}
