//! `lesson.toml`: what a lesson needs and how its steps are checked; the same in every language.

use std::collections::BTreeSet;

use drydock_protocol::{FaultKind, Level};
use serde::{Deserialize, Serialize};

use super::check::Program;

/// A lesson's settings and checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Definition {
    /// Place in the catalogue, ascending.
    pub(crate) order: u32,
    /// Expected minutes.
    pub(crate) minutes: u16,
    /// How much it expects of its reader.
    #[serde(default)]
    pub(crate) level: Level,
    /// Worker nodes.
    #[serde(default = "two")]
    pub(crate) workers: u8,
    /// What the fault panel offers.
    #[serde(default)]
    pub(crate) faults: Vec<FaultKind>,
    /// Steps, in order.
    #[serde(rename = "step")]
    pub(crate) steps: Vec<StepDefinition>,
}

fn two() -> u8 {
    2
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepDefinition {
    /// Identifier, as in the heading of its text.
    pub(crate) id: String,
    /// What must hold, all at once.
    #[serde(default, rename = "check")]
    pub(crate) checks: Vec<CheckDefinition>,
}

/// One check: a CEL expression over the objects of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckDefinition {
    /// Identifier, as in the step's text.
    pub(crate) id: String,
    /// `v1/pods`, `apps/v1/deployments`.
    pub(crate) resource: ResourceName,
    /// Only objects of this namespace.
    #[serde(default)]
    pub(crate) namespace: Option<String>,
    /// True when the check is met; `objects` holds the resource's objects.
    pub(crate) expression: String,
    /// A sentence on what is seen, as a CEL string; optional.
    #[serde(default)]
    pub(crate) detail: Option<String>,
}

/// Group, version and plural, written as in a URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ResourceName {
    /// API group, empty for core.
    pub(crate) group: String,
    /// API version.
    pub(crate) version: String,
    /// Plural.
    pub(crate) plural: String,
}

impl TryFrom<String> for ResourceName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts: Vec<_> = text.split('/').map(str::to_owned).collect();
        let (group, version, plural) = match parts.as_slice() {
            [version, plural] => (String::new(), version.clone(), plural.clone()),
            [group, version, plural] => (group.clone(), version.clone(), plural.clone()),
            _ => return Err(format!("{text:?} names no resource: write v1/pods or apps/v1/deployments")),
        };
        let is_word = |word: &str| {
            word.starts_with(|first: char| first.is_ascii_alphabetic())
                && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        };
        if !is_word(&version) || !is_word(&plural) || (!group.is_empty() && !is_word(&group)) {
            return Err(format!("{text:?} names no resource: write v1/pods or apps/v1/deployments"));
        }
        Ok(ResourceName { group, version, plural })
    }
}

impl From<ResourceName> for String {
    fn from(name: ResourceName) -> String {
        match name.group.as_str() {
            "" => format!("{}/{}", name.version, name.plural),
            group => format!("{group}/{}/{}", name.version, name.plural),
        }
    }
}

/// Reads and checks a `lesson.toml`.
///
/// # Errors
/// One sentence, with the line where TOML is wrong.
pub(super) fn parse(text: &str) -> Result<Definition, String> {
    let definition: Definition = toml::from_str(text).map_err(|error| error.to_string())?;
    if definition.steps.is_empty() {
        return Err("a lesson has at least one [[step]]".to_owned());
    }
    let mut steps = BTreeSet::new();
    for step in &definition.steps {
        if !steps.insert(&step.id) {
            return Err(format!("two steps are named {:?}", step.id));
        }
        let mut checks = BTreeSet::new();
        for check in &step.checks {
            if !checks.insert(&check.id) {
                return Err(format!("two checks of step {:?} are named {:?}", step.id, check.id));
            }
            Program::compile(check)
                .map_err(|reason| format!("check {:?} of step {:?}: {reason}", check.id, step.id))?;
        }
    }
    Ok(definition)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: &str = "order = 1\nminutes = 10\n[[step]]\nid = \"a\"\n";

    #[track_caller]
    fn check(text: &str, expected: Result<usize, &str>) {
        match (parse(text), expected) {
            (Ok(definition), Ok(steps)) => assert_eq!(definition.steps.len(), steps),
            (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
            (outcome, _) => panic!("{text}: {outcome:?}"),
        }
    }

    #[test]
    fn lessons() {
        check(STEP, Ok(1));
        check("order = 1\nminutes = 10\n", Err("step"));
        check("order = 1\nminutes = 10\nsteps = []\n", Err("unknown field"));
        check(&format!("{STEP}[[step]]\nid = \"a\"\n"), Err("two steps are named \"a\""));
        let check_of = |resource: &str, expression: &str| {
            format!("{STEP}[[step.check]]\nid = \"x\"\nresource = \"{resource}\"\nexpression = \"{expression}\"\n")
        };
        check(&check_of("v1/pods", "size(objects) > 0"), Ok(1));
        check(&check_of("pods", "true"), Err("names no resource"));
        check(&check_of("v1/../secrets", "true"), Err("names no resource"));
        check(&check_of("v1/pods", "size(objects"), Err("check \"x\" of step \"a\""));
    }
}
