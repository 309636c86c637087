//! Verdicts on a lesson's checks.

use serde::{Deserialize, Serialize};

/// What a check found last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckState {
    /// Does not hold yet.
    #[default]
    Unmet,
    /// Holds (a step that was once fulfilled stays so).
    Met,
    /// Could not be evaluated; `detail` says why.
    Error,
}

/// The verdict on one check of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStatus {
    /// Step identifier.
    pub step: String,
    /// Check identifier.
    pub check: String,
    /// Verdict.
    pub state: CheckState,
    /// One short sentence on what was seen, such as "2 of 3 Pods are ready"; plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
