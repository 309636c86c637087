//! `lesson.toml`: what a lesson needs and how its steps are checked; the same in every language.

mod place;
mod raw;
mod rules;

use std::collections::BTreeMap;

use drydock_engine::native::{MASTER, WORKSTATION, worker_name};
use drydock_protocol::{FaultKind, LessonKind, Level};
use serde::{Deserialize, Serialize};

use super::resource::Lists;
pub(super) use place::line_at;

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
    /// Whether it explains or asks to repair.
    #[serde(default)]
    pub(crate) kind: LessonKind,
    /// Worker nodes.
    #[serde(default = "two")]
    pub(crate) workers: u8,
    /// What the fault panel offers.
    #[serde(default)]
    pub(crate) faults: Vec<FaultKind>,
    /// What is done before the learner begins.
    #[serde(default)]
    pub(crate) setup: Vec<Act>,
    /// Steps, in order.
    #[serde(rename = "step")]
    pub(crate) steps: Vec<StepDefinition>,
}

fn two() -> u8 {
    2
}

impl Definition {
    /// Everything that is done in this lesson, by it and by who solves it.
    fn acts(&self) -> impl Iterator<Item = &Act> {
        self.setup.iter().chain(self.steps.iter().flat_map(|step| step.setup.iter().chain(&step.solutions)))
    }

    /// Whether there is a node of that name, at the latest when the learner has added those that the lesson asks for.
    pub(crate) fn has_node(&self, name: &str) -> bool {
        let added = self.acts().filter(|act| **act == Act::AddNode).count();
        let workers = u16::from(self.workers) + u16::try_from(added).unwrap_or(u16::MAX);
        name == WORKSTATION || name == MASTER || (1..=workers).any(|number| worker_name(number) == name)
    }
}

/// Something that is done to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "raw::Act", into = "raw::Act")]
pub(crate) enum Act {
    /// A script runs.
    Run(Script),
    /// Something goes wrong.
    Fault(Fault),
    /// A node is well again.
    Heal(String),
    /// One more worker joins.
    AddNode,
}

/// A script on a node, as root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    /// `workstation` or a node's name.
    pub(crate) on: String,
    /// Shell commands; the first that fails ends it.
    pub(crate) run: String,
}

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// What.
    pub(crate) kind: FaultKind,
    /// Where.
    #[serde(default = "master")]
    pub(crate) node: String,
    /// The component's process, where the fault is that of a component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) component: Option<String>,
}

impl Fault {
    /// As the page and the engine speak of it.
    pub(crate) fn told(&self) -> drydock_protocol::Fault {
        drydock_protocol::Fault { kind: self.kind, node: self.node.clone(), component: self.component.clone() }
    }
}

fn master() -> String {
    MASTER.to_owned()
}

fn workstation() -> String {
    WORKSTATION.to_owned()
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepDefinition {
    /// Identifier, as in the heading of its text.
    pub(crate) id: String,
    /// Steps that must be done before this one counts; they come before it.
    #[serde(default)]
    pub(crate) needs: Vec<String>,
    /// What is done when the step begins: as soon as its needs are done.
    #[serde(default)]
    pub(crate) setup: Vec<Act>,
    /// What must hold, all at once.
    #[serde(default, rename = "check")]
    pub(crate) checks: Vec<CheckDefinition>,
    /// Questions, all to be answered.
    #[serde(default, rename = "quiz")]
    pub(crate) quizzes: Vec<QuizDefinition>,
    /// Hints that show by themselves.
    #[serde(default, rename = "hint")]
    pub(crate) hints: Vec<HintDefinition>,
    /// What a learner would do; empty: the `sh` blocks of the text.
    #[serde(default, rename = "solution")]
    pub(crate) solutions: Vec<Act>,
}

impl StepDefinition {
    /// Whether the server can see that it is done.
    pub(crate) fn is_checked(&self) -> bool {
        !self.checks.is_empty() || !self.quizzes.is_empty()
    }
}

/// Something that must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "raw::Check", into = "raw::Check")]
pub(crate) struct CheckDefinition {
    /// Identifier, as in the step's text.
    pub(crate) id: String,
    /// How it is found out.
    pub(crate) kind: CheckKind,
}

/// How it is found out whether a check holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CheckKind {
    /// A CEL expression over objects.
    Objects(ObjectsCheck),
    /// An HTTP request inside the cluster.
    Probe(Probe),
    /// A command on a node.
    Command(CommandCheck),
}

/// A CEL expression over objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectsCheck {
    /// What it looks at.
    pub(crate) lists: Lists,
    /// True when the check is met.
    pub(crate) expression: String,
    /// What is seen, as a CEL string.
    pub(crate) detail: Option<String>,
}

/// An HTTP request inside the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    /// `http://` or `https://`.
    pub(crate) url: String,
    /// The node that asks.
    #[serde(default = "workstation")]
    pub(crate) from: String,
    /// The status that must come back.
    #[serde(default = "ok")]
    pub(crate) status: u16,
    /// Part of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) contains: Option<String>,
    /// So many different bodies must have been seen so far.
    #[serde(default = "one")]
    pub(crate) distinct: u8,
    /// Any certificate will do.
    #[serde(default)]
    pub(crate) insecure: bool,
    /// `Host` header and name for TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
}

fn ok() -> u16 {
    200
}

fn one() -> u8 {
    1
}

/// A command whose exit code must be 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommandCheck {
    /// Shell commands.
    pub(crate) run: String,
    /// The node that runs it.
    #[serde(default = "workstation")]
    pub(crate) on: String,
    /// Part of what it must print.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) contains: Option<String>,
}

/// A question's right answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuizDefinition {
    /// Identifier, as in the text.
    pub(crate) id: String,
    /// Exactly these are to be chosen.
    pub(crate) right: Vec<String>,
}

/// A hint that shows when the cluster looks as it expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "raw::Hint", into = "raw::Hint")]
pub(crate) struct HintDefinition {
    /// Identifier, as in the text.
    pub(crate) id: String,
    /// What it looks at.
    pub(crate) lists: Lists,
    /// CEL: whether it shows.
    pub(crate) when: String,
    /// CEL strings for the places of its text.
    pub(crate) values: BTreeMap<String, String>,
}

/// Reads and checks a `lesson.toml`.
///
/// # Errors
/// `line N: what is wrong`.
pub(super) fn parse(source: &str) -> Result<Definition, String> {
    let definition: Definition = toml::from_str(source).map_err(|error| place::of(source, &error))?;
    rules::check(&definition).map_err(|(place, reason)| place.say(source, &reason))?;
    Ok(definition)
}

#[cfg(test)]
mod tests;
