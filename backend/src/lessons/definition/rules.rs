//! What must be true of a lesson beyond its form: names are unique, what is named exists, expressions compile.

use std::collections::{BTreeMap, BTreeSet};

use drydock_engine::native::WORKSTATION;
use drydock_protocol::FaultKind;

use super::place::Place;
use super::{Act, CheckKind, Definition, Fault, HintDefinition, ObjectsCheck, Probe, StepDefinition};
use crate::lessons::program::Program;
use crate::lessons::resource::Lists;

type Wrong = (Place, String);

/// Checks a definition.
pub(super) fn check(definition: &Definition) -> Result<(), Wrong> {
    if definition.steps.is_empty() {
        return Err((Place::Whole, "a lesson has at least one [[step]]".to_owned()));
    }
    for (number, own) in definition.setup.iter().enumerate() {
        act(definition, own).map_err(|reason| (Place::Setup(number), reason))?;
    }
    let mut before: BTreeMap<&str, bool> = BTreeMap::new();
    for (number, own) in definition.steps.iter().enumerate() {
        let wrong = |reason: String| (Place::Step(number), reason);
        identifier(&own.id, "step").map_err(wrong)?;
        if before.contains_key(own.id.as_str()) {
            return Err(wrong(format!("two steps are named {:?}", own.id)));
        }
        for need in &own.needs {
            match before.get(need.as_str()) {
                Some(true) => {}
                Some(false) => {
                    let reason = format!(
                        "step {:?} needs {need:?}, which has neither checks nor a quiz and so is never done",
                        own.id
                    );
                    return Err(wrong(reason));
                }
                None => {
                    return Err(wrong(format!(
                        "step {:?} needs {need:?}, but no step before it has that name",
                        own.id
                    )));
                }
            }
        }
        step(definition, number, own)?;
        before.insert(&own.id, own.is_checked());
    }
    Ok(())
}

fn step(definition: &Definition, number: usize, own: &StepDefinition) -> Result<(), Wrong> {
    for (key, acts) in [("setup", &own.setup), ("solution", &own.solutions)] {
        for (index, own) in acts.iter().enumerate() {
            act(definition, own).map_err(|reason| (Place::Part(number, key, index), reason))?;
        }
    }
    let mut names = BTreeSet::new();
    for (index, check) in own.checks.iter().enumerate() {
        let wrong = |reason| (Place::Part(number, "check", index), reason);
        unique(&mut names, "check", &check.id, own).map_err(wrong)?;
        let of = |reason: String| wrong(format!("check {:?} of step {:?}: {reason}", check.id, own.id));
        match &check.kind {
            CheckKind::Objects(ObjectsCheck { lists, expression, detail }) => {
                list_names(lists).map_err(of)?;
                for text in std::iter::once(expression).chain(detail) {
                    Program::compile(text, &lists.names()).map_err(of)?;
                }
            }
            CheckKind::Probe(own) => probe(definition, own).map_err(of)?,
            CheckKind::Command(command) => node(definition, &command.on).map_err(of)?,
        }
    }
    names.clear();
    for (index, quiz) in own.quizzes.iter().enumerate() {
        let wrong = |reason| (Place::Part(number, "quiz", index), reason);
        unique(&mut names, "quiz", &quiz.id, own).map_err(wrong)?;
        if quiz.right.is_empty() {
            return Err(wrong(format!("quiz {:?} of step {:?} has no right answer", quiz.id, own.id)));
        }
    }
    names.clear();
    for (index, hint) in own.hints.iter().enumerate() {
        let wrong = |reason| (Place::Part(number, "hint", index), reason);
        unique(&mut names, "hint", &hint.id, own).map_err(wrong)?;
        compile_hint(hint).map_err(|reason| wrong(format!("hint {:?} of step {:?}: {reason}", hint.id, own.id)))?;
    }
    Ok(())
}

fn compile_hint(hint: &HintDefinition) -> Result<(), String> {
    list_names(&hint.lists)?;
    for text in std::iter::once(&hint.when).chain(hint.values.values()) {
        Program::compile(text, &hint.lists.names())?;
    }
    Ok(())
}

fn unique<'a>(names: &mut BTreeSet<&'a str>, what: &str, id: &'a str, step: &StepDefinition) -> Result<(), String> {
    identifier(id, what)?;
    if names.insert(id) { Ok(()) } else { Err(format!("two of step {:?} are named {what} {id:?}", step.id)) }
}

fn identifier(id: &str, what: &str) -> Result<(), String> {
    let fits = !id.is_empty()
        && id.len() <= 40
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits { Ok(()) } else { Err(format!("{what} {id:?} is to be named with small letters, digits and '-'")) }
}

fn list_names(lists: &Lists) -> Result<(), String> {
    for name in lists.with.keys() {
        let fits = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !fits || name == "objects" {
            return Err(format!("a further list cannot be named {name:?}: use small letters, digits and '_'"));
        }
    }
    Ok(())
}

fn node(definition: &Definition, name: &str) -> Result<(), String> {
    if definition.has_node(name) {
        Ok(())
    } else {
        Err(format!("there is no node named {name:?}: workstation, master, worker-1 … worker-{}", definition.workers))
    }
}

fn act(definition: &Definition, act: &Act) -> Result<(), String> {
    match act {
        Act::Run(script) if script.run.contains('\0') => Err("a script cannot hold a NUL".to_owned()),
        Act::Run(script) => node(definition, &script.on),
        Act::Fault(Fault { kind, node: name, component }) => {
            let of_component = matches!(kind, FaultKind::KillComponent | FaultKind::PauseComponent);
            if of_component != component.is_some() {
                return Err(
                    "a component is named for kill-component and pause-component, and only for those".to_owned()
                );
            }
            node(definition, name)
        }
        Act::Heal(name) => node(definition, name),
        Act::AddNode => Ok(()),
    }
}

fn probe(definition: &Definition, probe: &Probe) -> Result<(), String> {
    node(definition, &probe.from)?;
    let rest = probe.url.strip_prefix("http://").or_else(|| probe.url.strip_prefix("https://"));
    let rest =
        rest.ok_or_else(|| format!("the probe's url {:?} begins with neither http:// nor https://", probe.url))?;
    if rest.is_empty() || rest.starts_with('/') || rest.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err(format!("the probe's url {:?} names no host", probe.url));
    }
    if let Some(host) = &probe.host
        && !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
    {
        return Err(format!("{host:?} is no host name"));
    }
    if probe.from != WORKSTATION && probe.url.starts_with("https://") {
        return Err("nodes cannot ask over https: probe from the workstation".to_owned());
    }
    if probe.distinct == 0 || probe.distinct > 8 {
        return Err("distinct is a number from 1 to 8".to_owned());
    }
    Ok(())
}
