//! A lesson's text in one language: Markdown with a TOML head.
//!
//! ```text
//! +++
//! title = "Your first Pod"
//! summary = "…"
//! topic = "Pods"
//! +++
//! ## Run a Pod {#run}
//! Prose, lists, tables; `sh` blocks get a Run button, `sh copy` blocks do not.
//! ### Checks
//! - `exists`: A Pod named `hello` exists
//! ### Hint
//! What helps a learner who is stuck; there may be several.
//! ```

use drydock_protocol::{Block, Check, Hint};
use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::markdown;

/// A lesson in one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Text {
    pub(super) title: String,
    pub(super) summary: String,
    pub(super) topic: String,
    pub(super) steps: Vec<StepText>,
}

/// A step in one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StepText {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) body: Vec<Block>,
    pub(super) checks: Vec<Check>,
    pub(super) hints: Vec<Hint>,
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
pub(super) fn parse(source: &str, definition: &Definition) -> Result<Text, String> {
    let rest =
        source.strip_prefix("+++\n").ok_or("line 1: the text starts with a TOML head between two lines of +++")?;
    let (head, body) = rest.split_once("\n+++\n").ok_or("line 1: the head between +++ lines does not end")?;
    let head: Head = toml::from_str(head).map_err(|error| format!("head: {error}"))?;
    let first_line = head_lines(rest, body);
    let mut steps: Vec<StepText> = Vec::new();
    for (line, heading, section) in sections(body, "## ", first_line) {
        let (title, id) = heading
            .strip_suffix('}')
            .and_then(|heading| heading.rsplit_once(" {#"))
            .ok_or_else(|| format!("line {line}: a step's heading ends with its identifier: ## Title {{#id}}"))?;
        steps.push(step(id, title, section, line)?);
    }
    hold_against(&steps, definition)?;
    Ok(Text { title: head.title, summary: head.summary, topic: head.topic, steps })
}

fn head_lines(rest: &str, body: &str) -> usize {
    2 + rest[..rest.len() - body.len()].lines().count()
}

fn step(id: &str, title: &str, section: &str, line: usize) -> Result<StepText, String> {
    let mut parts = sections(section, "### ", line + 1);
    let body_end = parts.first().map_or(section.len(), |(_, _, part)| {
        // The body ends where the first sub-heading begins: its line lies right before the part.
        let start = part.as_ptr() as usize - section.as_ptr() as usize;
        section[..start].trim_end_matches('\n').rfind('\n').map_or(0, |end| end + 1)
    });
    let mut text = StepText {
        id: id.to_owned(),
        title: title.trim().to_owned(),
        body: markdown::blocks(&section[..body_end]),
        checks: Vec::new(),
        hints: Vec::new(),
    };
    for (line, heading, part) in parts.drain(..) {
        match heading.trim() {
            "Checks" => text.checks = checks(part, line)?,
            "Hint" => text.hints.push(Hint { id: None, html: markdown::html(part) }),
            other => return Err(format!("line {line}: a step's parts are Checks and Hint, not {other:?}")),
        }
    }
    Ok(text)
}

fn checks(part: &str, line: usize) -> Result<Vec<Check>, String> {
    let mut checks = Vec::new();
    for (offset, row) in part.lines().enumerate().filter(|(_, row)| !row.trim().is_empty()) {
        let (id, title) = row
            .strip_prefix("- `")
            .and_then(|row| row.split_once("`: "))
            .ok_or_else(|| format!("line {}: a check is written - `id`: what must hold", line + 1 + offset))?;
        checks.push(Check { id: id.to_owned(), title: title.trim().to_owned() });
    }
    Ok(checks)
}

/// Text and definition must speak of the same steps and checks, or a learner would wait for ever.
fn hold_against(steps: &[StepText], definition: &Definition) -> Result<(), String> {
    for text in steps {
        let step = definition.steps.iter().find(|step| step.id == text.id);
        let step = step.ok_or_else(|| format!("step {:?} is not in lesson.toml", text.id))?;
        for check in &step.checks {
            if !text.checks.iter().any(|text| text.id == check.id) {
                return Err(format!("step {:?} does not say what its check {:?} is about", step.id, check.id));
            }
        }
        for check in &text.checks {
            if !step.checks.iter().any(|known| known.id == check.id) {
                return Err(format!("check {:?} of step {:?} is not in lesson.toml", check.id, step.id));
            }
        }
    }
    Ok(())
}

/// Splits at headings outside code fences: (line number, heading, what follows it).
fn sections<'a>(text: &'a str, marker: &str, first_line: usize) -> Vec<(usize, &'a str, &'a str)> {
    let mut found: Vec<(usize, &str, usize, usize)> = Vec::new();
    let (mut offset, mut fenced) = (0, false);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.starts_with("```") {
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
mod tests {
    use super::*;

    fn definition() -> Definition {
        super::super::definition::parse(
            "order = 1\nminutes = 5\n[[step]]\nid = \"run\"\n[[step.check]]\nid = \"there\"\nresource = \"v1/pods\"\nexpression = \"size(objects) > 0\"\n",
        )
        .expect("definition")
    }

    const HEAD: &str = "+++\ntitle = \"T\"\nsummary = \"S\"\ntopic = \"P\"\n+++\n";

    #[track_caller]
    fn refused(body: &str, part: &str) {
        let message = parse(&format!("{HEAD}{body}"), &definition()).expect_err("refused");
        assert!(message.contains(part), "{message}");
    }

    #[test]
    fn a_step_with_everything() {
        let body = "## Run it {#run}\nDo this.\n\n```sh\nkubectl run x\n## not a heading\n```\n\n### Checks\n- `there`: It is **there**\n\n### Hint\nLook *twice*.\n### Hint\nStill no?\n";
        let text = parse(&format!("{HEAD}{body}"), &definition()).expect("text");
        let step = &text.steps[0];
        assert_eq!((step.id.as_str(), step.title.as_str()), ("run", "Run it"));
        assert_eq!(step.body.len(), 2);
        assert!(
            matches!(&step.body[1], Block::Code { code, run_on: Some(node), .. } if code == "kubectl run x\n## not a heading" && node == "workstation")
        );
        assert_eq!(step.checks, [Check { id: "there".to_owned(), title: "It is **there**".to_owned() }]);
        assert_eq!(step.hints.len(), 2);
        assert!(step.hints[0].html.contains("<em>twice</em>"));
    }

    #[test]
    fn mistakes_name_their_line() {
        refused("## No identifier\n", "line 6: a step's heading");
        refused("## X {#other}\n", "step \"other\" is not in lesson.toml");
        refused("## X {#run}\n", "does not say what its check \"there\"");
        refused("## X {#run}\n### Checks\n- there\n", "line 8: a check is written");
        refused("## X {#run}\n### Notes\n", "line 7: a step's parts");
    }
}
