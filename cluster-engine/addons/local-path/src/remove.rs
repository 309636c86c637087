//! Removing a volume's directory, on its node.

use std::io::ErrorKind;
use std::path::Path;

use crate::Error;

/// Removes `name` below `base`; one that is gone already is fine.
///
/// # Errors
/// When `name` is not a single path component or the directory cannot be removed.
pub fn remove(base: &Path, name: &str) -> Result<(), Error> {
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return Err(Error::Name(name.to_owned()));
    }
    let path = base.join(name);
    match std::fs::remove_dir_all(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::Remove { path, source }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_below_the_base() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(base.path().join("a/deep")).unwrap();
        std::fs::write(base.path().join("a/deep/file"), "x").unwrap();
        for bad in ["", ".", "..", "../a", "a/deep", "/"] {
            assert!(remove(base.path(), bad).is_err(), "{bad:?}");
        }
        assert!(base.path().join("a/deep/file").exists());
        remove(base.path(), "a").unwrap();
        assert!(!base.path().join("a").exists());
        remove(base.path(), "a").unwrap();
    }
}
