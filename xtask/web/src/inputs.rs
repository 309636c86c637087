//! A fingerprint of everything that the app is built from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use sha2::{Digest, Sha256};

/// Files and folders under the workspace that matter; `node_modules` follows from the lock file.
const INPUTS: [&str; 14] = [
    "Cargo.lock",
    "Cargo.toml",
    "frontend/Cargo.toml",
    "frontend/build.rs",
    "frontend/classes",
    "frontend/index.html",
    "frontend/js",
    "frontend/package-lock.json",
    "frontend/public",
    "frontend/src",
    "frontend/staff.html",
    "frontend/style.css",
    "frontend/styles",
    "protocol",
];

/// SHA-256 over names and contents, as hexadecimal digits. What does not exist counts as empty.
pub(crate) fn fingerprint(workspace: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(include_bytes!("apps.rs"));
    hash.update(include_bytes!("dist.rs"));
    hash.update(include_bytes!("vendor.rs"));
    hash.update(include_bytes!("wasm.rs"));
    for input in INPUTS {
        let mut files = Vec::new();
        collect(&workspace.join(input), &mut files)?;
        files.sort();
        for file in files {
            let content = fs::read(&file)?;
            hash.update(file.strip_prefix(workspace).unwrap_or(&file).to_string_lossy().as_bytes());
            hash.update((content.len() as u64).to_be_bytes());
            hash.update(content);
        }
    }
    Ok(hex(&hash.finalize()))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// All files at or under `path`.
pub(crate) fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else if path.is_file() {
        files.push(path.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_or_renamed_file_changes_the_fingerprint() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("frontend/src")).unwrap();
        let file = root.path().join("frontend/src/a.rs");
        fs::write(&file, "one").unwrap();
        let first = fingerprint(root.path()).unwrap();
        assert_eq!(fingerprint(root.path()).unwrap(), first);
        fs::write(&file, "two").unwrap();
        let second = fingerprint(root.path()).unwrap();
        assert_ne!(first, second);
        fs::rename(&file, root.path().join("frontend/src/b.rs")).unwrap();
        assert_ne!(fingerprint(root.path()).unwrap(), second);
    }
}
