//! Files of the workstation's home folder, which the page lists, opens in its editor, takes in and gives out.
//!
//! Content travels as plain bytes: `GET` and `PUT /api/v1/sessions/{id}/files/{path}`, with `path` relative to the home
//! folder.

use serde::{Deserialize, Serialize};

/// The largest file that is taken in or given out, in bytes.
pub const FILE_LIMIT: u64 = 8 * 1024 * 1024;
/// The largest text that the editor opens and [`crate::RunManifest`] takes, in bytes.
pub const EDIT_LIMIT: u64 = 90 * 1024;
/// The most files that a list holds.
pub const LIST_LIMIT: usize = 500;

/// A file of the home folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeFile {
    /// Its path relative to the home folder, such as `web.yaml` or `lab/web.yaml`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}

/// What the home folder holds (`GET /api/v1/sessions/{id}/files`): files by path, hidden ones left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeFiles {
    /// The files.
    pub files: Vec<HomeFile>,
    /// Whether there are more than [`LIST_LIMIT`].
    #[serde(default)]
    pub more: bool,
}

/// Why a path cannot be one of the home folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathProblem {
    /// It is empty or too long.
    Length,
    /// It leaves the home folder or is not written plainly (`..`, `//`, a leading or trailing `/`).
    Outside,
    /// It has control characters.
    Characters,
}

/// Checks a path relative to the home folder.
///
/// # Errors
/// What is wrong with it.
pub fn check_path(path: &str) -> Result<(), PathProblem> {
    if path.is_empty() || path.len() > 255 {
        return Err(PathProblem::Length);
    }
    if path.chars().any(char::is_control) {
        return Err(PathProblem::Characters);
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(PathProblem::Outside);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Result<(), PathProblem>) {
        assert_eq!(check_path(path), expected, "{path:?}");
    }

    #[test]
    fn paths_stay_in_the_home_folder() {
        check("web.yaml", Ok(()));
        check("lab/服務 1.yaml", Ok(()));
        check("..web", Ok(()));
        check("", Err(PathProblem::Length));
        check(&"x".repeat(256), Err(PathProblem::Length));
        check("../etc/passwd", Err(PathProblem::Outside));
        check("/etc/passwd", Err(PathProblem::Outside));
        check("a//b", Err(PathProblem::Outside));
        check("a/./b", Err(PathProblem::Outside));
        check("a/", Err(PathProblem::Outside));
        check("a\nb", Err(PathProblem::Characters));
    }
}
