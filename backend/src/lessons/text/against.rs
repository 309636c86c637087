//! Text and definition must speak of the same things, or a learner would wait for ever.

use std::collections::BTreeSet;

use super::StepText;
use crate::lessons::definition::{Definition, StepDefinition};

/// Holds the steps of a text against the definition.
pub(super) fn hold(steps: &[StepText], definition: &Definition) -> Result<(), String> {
    let mut last = 0;
    for text in steps {
        let line = text.line;
        let number = definition.steps.iter().position(|step| step.id == text.id);
        let number = number.ok_or_else(|| format!("line {line}: step {:?} is not in lesson.toml", text.id))?;
        if number < last {
            return Err(format!("line {line}: step {:?} stands at another place in lesson.toml", text.id));
        }
        last = number;
        if let Some(own) = definition.steps.get(number) {
            step(own, text).map_err(|reason| format!("line {line}: {reason}"))?;
        }
    }
    Ok(())
}

fn step(own: &StepDefinition, text: &StepText) -> Result<(), String> {
    fn ids<'a>(ids: impl Iterator<Item = &'a String>) -> BTreeSet<&'a str> {
        ids.map(String::as_str).collect()
    }
    same(own, "check", &ids(own.checks.iter().map(|it| &it.id)), &ids(text.checks.iter().map(|it| &it.id)))?;
    same(own, "quiz", &ids(own.quizzes.iter().map(|it| &it.id)), &ids(text.quizzes.iter().map(|it| &it.id)))?;
    same(
        own,
        "hint",
        &ids(own.hints.iter().map(|it| &it.id)),
        &ids(text.hints.iter().filter_map(|it| it.id.as_ref())),
    )?;
    for quiz in &own.quizzes {
        let options = text.quizzes.iter().filter(|it| it.id == quiz.id).flat_map(|it| &it.options);
        let options: BTreeSet<_> = options.map(|option| option.id.as_str()).collect();
        if let Some(right) = quiz.right.iter().find(|right| !options.contains(right.as_str())) {
            return Err(format!(
                "quiz {:?} of step {:?} has no answer `{right}`, which lesson.toml calls right",
                quiz.id, own.id
            ));
        }
    }
    for hint in &text.hints {
        let values = own.hints.iter().find(|known| Some(&known.id) == hint.id.as_ref()).map(|known| &known.values);
        if let (Some(values), Some(id)) = (values, &hint.id)
            && let Some(place) = places(&hint.html).into_iter().find(|place| !values.contains_key(*place))
        {
            let step = &own.id;
            return Err(format!("hint {id:?} of step {step:?} has a place {{{place}}} without a value in lesson.toml"));
        }
    }
    Ok(())
}

fn same(own: &StepDefinition, what: &str, known: &BTreeSet<&str>, said: &BTreeSet<&str>) -> Result<(), String> {
    if let Some(id) = known.difference(said).next() {
        return Err(format!("step {:?} does not say what its {what} {id:?} is about", own.id));
    }
    if let Some(id) = said.difference(known).next() {
        return Err(format!("{what} {id:?} of step {:?} is not in lesson.toml", own.id));
    }
    Ok(())
}

/// The places for values: `{name}`.
pub(in crate::lessons) fn places(html: &str) -> Vec<&str> {
    html.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
        .filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        .collect()
}
