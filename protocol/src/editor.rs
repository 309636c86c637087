//! *Apply* and *Diff* of the page's editor: `POST /api/v1/sessions/{id}/manifest`.
//!
//! The genuine kubectl of the workstation does it; what it says comes back with the lines of the text it speaks of.

use serde::{Deserialize, Serialize};

/// What shall be done with a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ManifestAction {
    /// `kubectl apply`.
    Apply,
    /// `kubectl diff`.
    Diff,
}

/// Body of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunManifest {
    /// What to do.
    pub action: ManifestAction,
    /// The file's name, for kubectl's messages.
    pub name: String,
    /// YAML or JSON, one or several documents, at most [`crate::file::EDIT_LIMIT`] bytes.
    pub text: String,
}

/// What kubectl said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestOutcome {
    /// Whether it did what was asked: everything applied, or compared.
    pub ok: bool,
    /// Its output, bounded.
    pub output: String,
    /// What it complained of.
    #[serde(default)]
    pub problems: Vec<ManifestProblem>,
}

/// One complaint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestProblem {
    /// Line of the text that it is about, from 1.
    pub line: u32,
    /// kubectl's sentence.
    pub message: String,
}
