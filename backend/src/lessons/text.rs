//! A lesson's text in one language: Markdown with a TOML head.
//!
//! ```text
//! +++
//! title = "Your first Pod"
//! summary = "…"
//! topic = "Pods"
//! +++
//! ## Run a Pod {#run}
//! Prose, lists, tables, pictures; `sh` blocks get a Run button, `sh copy` blocks do not, `yaml file=x.yaml` lies in the home folder.
//! ### Checks
//! - `exists`: A Pod named `hello` exists
//! ### Quiz {#why}
//! A question?
//! - `a`: an answer
//! - `b`: another
//! > Why.
//! ### Hint
//! What helps a learner who is stuck; there may be several.
//! ### Hint {#typo}
//! Shows by itself; `{name}` is a value of the hint.
//! ### After
//! What just happened.
//! ```

mod against;
mod parts;

use drydock_protocol::{Block, Check, Hint, QuizOption};
use serde::{Deserialize, Serialize};

pub(super) use against::places;

use super::definition::Definition;
use super::markdown::Renderer;

/// A lesson in one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Text {
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) topic: String,
    pub(crate) steps: Vec<StepText>,
}

/// A step in one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepText {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) body: Vec<Block>,
    pub(crate) checks: Vec<Check>,
    pub(crate) quizzes: Vec<QuizText>,
    pub(crate) hints: Vec<Hint>,
    pub(crate) after: Vec<Block>,
    /// Line of its heading.
    #[serde(default)]
    pub(crate) line: usize,
}

/// A question in one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QuizText {
    pub(crate) id: String,
    pub(crate) question: String,
    pub(crate) options: Vec<QuizOption>,
    /// Shown after the right answer.
    pub(crate) explanation: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    title: String,
    summary: String,
    topic: String,
}

/// Reads a lesson's text and holds it against the lesson's definition.
///
/// # Errors
/// `line N: what is wrong`.
pub(super) fn parse(source: &str, definition: &Definition, renderer: &mut Renderer<'_>) -> Result<Text, String> {
    let rest =
        source.strip_prefix("+++\n").ok_or("line 1: the text starts with a TOML head between two lines of +++")?;
    let (head, body) = rest.split_once("\n+++\n").ok_or("line 1: the head between +++ lines does not end")?;
    let head: Head = toml::from_str(head).map_err(|error| {
        let line = error.span().map_or(2, |span| super::definition::line_at(head, span.start) + 1);
        format!("line {line}: {}", error.message().replace('\n', "; "))
    })?;
    for (name, value) in [("title", &head.title), ("summary", &head.summary), ("topic", &head.topic)] {
        if value.trim().is_empty() {
            return Err(format!("line 2: the head's {name} is empty"));
        }
    }
    let first_line = 2 + rest[..rest.len() - body.len()].lines().count();
    let found = sections(body, "## ", first_line);
    let before = body.find("## ").map_or(body, |start| &body[..start]);
    if found.is_empty() || !before.trim().is_empty() {
        return Err(format!("line {first_line}: the head is followed by a step: ## Title {{#id}}"));
    }
    let mut steps: Vec<StepText> = Vec::new();
    for (line, heading, section) in found {
        let (title, id) = named(heading)
            .ok_or_else(|| format!("line {line}: a step's heading ends with its identifier: ## Title {{#id}}"))?;
        if steps.iter().any(|step| step.id == id) {
            return Err(format!("line {line}: there are two steps {{#{id}}}"));
        }
        steps.push(step(id, title, section, line, renderer)?);
    }
    against::hold(&steps, definition)?;
    Ok(Text { title: head.title, summary: head.summary, topic: head.topic, steps })
}

/// `Title {#id}`
fn named(heading: &str) -> Option<(&str, &str)> {
    let (title, id) = heading.trim_end().strip_suffix('}')?.rsplit_once("{#")?;
    Some((title.trim(), id))
}

fn step(id: &str, title: &str, section: &str, line: usize, renderer: &mut Renderer<'_>) -> Result<StepText, String> {
    let found = sections(section, "### ", line + 1);
    // The body ends where the first part's heading begins.
    let body_end = found
        .first()
        .map_or(section.len(), |(first, ..)| section.split_inclusive('\n').take(first - line - 1).map(str::len).sum());
    let at = |line: usize| move |reason: String| format!("line {line}: {reason}");
    let mut text = StepText {
        id: id.to_owned(),
        title: title.to_owned(),
        body: renderer.blocks(&section[..body_end]).map_err(at(line))?,
        checks: Vec::new(),
        quizzes: Vec::new(),
        hints: Vec::new(),
        after: Vec::new(),
        line,
    };
    for (line, heading, part) in found {
        match (heading.trim(), named(heading)) {
            ("Checks", _) => text.checks.extend(parts::checks(part, line)?),
            ("Hint", _) => text.hints.push(Hint { id: None, html: renderer.html(part) }),
            ("After", _) => text.after.extend(renderer.blocks(part).map_err(at(line))?),
            (_, Some(("Hint", id))) => {
                text.hints.push(Hint { id: Some(id.to_owned()), html: renderer.html(part) });
            }
            (_, Some(("Quiz", id))) => text.quizzes.push(parts::quiz(id, part, line, renderer)?),
            (other, _) => {
                return Err(format!(
                    "line {line}: a step's parts are Checks, Quiz {{#id}}, Hint, Hint {{#id}} and After, not {other:?}"
                ));
            }
        }
    }
    Ok(text)
}

/// Splits at headings outside code fences: (line number, heading, what follows it).
fn sections<'a>(text: &'a str, marker: &str, first_line: usize) -> Vec<(usize, &'a str, &'a str)> {
    let mut found: Vec<(usize, &str, usize, usize)> = Vec::new();
    let (mut offset, mut fenced) = (0, false);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if !fenced && let Some(heading) = line.strip_prefix(marker) {
            if let Some(last) = found.last_mut() {
                last.3 = offset;
            }
            found.push((first_line + number, heading.trim_end(), offset + line.len(), text.len()));
        }
        offset += line.len();
    }
    found.into_iter().map(|(line, heading, start, end)| (line, heading, &text[start..end])).collect()
}

#[cfg(test)]
mod tests;
