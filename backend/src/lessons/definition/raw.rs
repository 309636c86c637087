//! Acts, checks and hints as they are written: flat tables whose keys say what kind they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CheckDefinition, CheckKind, CommandCheck, Fault, HintDefinition, ObjectsCheck, Probe, Script};
use crate::lessons::resource::{Lists, ResourceName};

/// `[[step.check]]`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Check {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<ResourceName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    with: BTreeMap<String, ResourceName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expression: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probe: Option<Probe>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<CommandCheck>,
}

impl TryFrom<Check> for CheckDefinition {
    type Error = String;

    fn try_from(raw: Check) -> Result<CheckDefinition, String> {
        let id = raw.id;
        let of_objects = raw.namespace.is_some() || !raw.with.is_empty() || raw.detail.is_some();
        let kind = match (raw.resource, raw.expression, raw.probe, raw.command) {
            (Some(resource), Some(expression), None, None) => CheckKind::Objects(ObjectsCheck {
                lists: Lists { resource, namespace: raw.namespace, with: raw.with },
                expression,
                detail: raw.detail,
            }),
            (None, None, Some(probe), None) if !of_objects => CheckKind::Probe(probe),
            (None, None, None, Some(command)) if !of_objects => CheckKind::Command(command),
            _ => {
                return Err(format!(
                    "check {id:?} is to have exactly one of: resource with expression, probe, command"
                ));
            }
        };
        Ok(CheckDefinition { id, kind })
    }
}

impl From<CheckDefinition> for Check {
    fn from(check: CheckDefinition) -> Check {
        let mut raw = Check {
            id: check.id,
            resource: None,
            namespace: None,
            with: BTreeMap::new(),
            expression: None,
            detail: None,
            probe: None,
            command: None,
        };
        match check.kind {
            CheckKind::Objects(ObjectsCheck { lists, expression, detail }) => {
                raw.resource = Some(lists.resource);
                raw.namespace = lists.namespace;
                raw.with = lists.with;
                raw.expression = Some(expression);
                raw.detail = detail;
            }
            CheckKind::Probe(probe) => raw.probe = Some(probe),
            CheckKind::Command(command) => raw.command = Some(command),
        }
        raw
    }
}

/// `[[step.hint]]`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hint {
    id: String,
    resource: ResourceName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    with: BTreeMap<String, ResourceName>,
    when: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    values: BTreeMap<String, String>,
}

impl From<Hint> for HintDefinition {
    fn from(raw: Hint) -> HintDefinition {
        let lists = Lists { resource: raw.resource, namespace: raw.namespace, with: raw.with };
        HintDefinition { id: raw.id, lists, when: raw.when, values: raw.values }
    }
}

impl From<HintDefinition> for Hint {
    fn from(hint: HintDefinition) -> Hint {
        let Lists { resource, namespace, with } = hint.lists;
        Hint { id: hint.id, resource, namespace, with, when: hint.when, values: hint.values }
    }
}

/// `[[setup]]`, `[[step.setup]]`, `[[step.solution]]`
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Act {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heal: Option<String>,
    #[serde(default)]
    add_node: bool,
}

impl TryFrom<Act> for super::Act {
    type Error = String;

    fn try_from(raw: Act) -> Result<super::Act, String> {
        match raw {
            Act { on, run: Some(run), fault: None, heal: None, add_node: false } => {
                Ok(super::Act::Run(Script { on: on.unwrap_or_else(super::workstation), run }))
            }
            Act { on: None, run: None, fault: Some(fault), heal: None, add_node: false } => {
                Ok(super::Act::Fault(fault))
            }
            Act { on: None, run: None, fault: None, heal: Some(node), add_node: false } => Ok(super::Act::Heal(node)),
            Act { on: None, run: None, fault: None, heal: None, add_node: true } => Ok(super::Act::AddNode),
            _ => Err("an act is exactly one of: run (with on), fault, heal, add-node = true".to_owned()),
        }
    }
}

impl From<super::Act> for Act {
    fn from(act: super::Act) -> Act {
        match act {
            super::Act::Run(Script { on, run }) => Act { on: Some(on), run: Some(run), ..Act::default() },
            super::Act::Fault(fault) => Act { fault: Some(fault), ..Act::default() },
            super::Act::Heal(node) => Act { heal: Some(node), ..Act::default() },
            super::Act::AddNode => Act { add_node: true, ..Act::default() },
        }
    }
}
