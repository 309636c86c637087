//! The parts of a step that have a form of their own: checks and questions.

use drydock_protocol::{Check, QuizOption};

use super::QuizText;
use crate::lessons::markdown::Renderer;

/// ``- `id`: text``
fn item(row: &str) -> Option<(&str, &str)> {
    row.strip_prefix("- `")?.split_once("`:").map(|(id, text)| (id, text.trim()))
}

/// The lines of `### Checks`.
pub(super) fn checks(part: &str, line: usize) -> Result<Vec<Check>, String> {
    let mut checks: Vec<Check> = Vec::new();
    for (offset, row) in part.lines().enumerate().filter(|(_, row)| !row.trim().is_empty()) {
        let line = line + 1 + offset;
        let (id, title) = item(row).ok_or_else(|| format!("line {line}: a check is written - `id`: what must hold"))?;
        if checks.iter().any(|check| check.id == id) {
            return Err(format!("line {line}: check {id:?} is there twice"));
        }
        checks.push(Check { id: id.to_owned(), title: title.to_owned() });
    }
    Ok(checks)
}

/// A question: prose, then answers, then `>` why.
pub(super) fn quiz(id: &str, part: &str, line: usize, renderer: &mut Renderer<'_>) -> Result<QuizText, String> {
    let (mut question, mut why) = (String::new(), String::new());
    let mut options: Vec<(String, String)> = Vec::new();
    for (offset, row) in part.lines().enumerate() {
        let line = line + 1 + offset;
        if let Some((option, text)) = item(row) {
            if options.iter().any(|(known, _)| known == option) {
                return Err(format!("line {line}: answer {option:?} is there twice"));
            }
            options.push((option.to_owned(), text.to_owned()));
        } else if let Some(text) = row.strip_prefix('>').filter(|_| !options.is_empty()) {
            why.push_str(text.strip_prefix(' ').unwrap_or(text));
            why.push('\n');
        } else if let Some((_, text)) = options.last_mut() {
            match row.trim() {
                "" => {}
                more if row.starts_with("  ") && why.is_empty() => {
                    text.push(' ');
                    text.push_str(more);
                }
                _ => {
                    return Err(format!("line {line}: an answer is written - `id`: text, and why it is right > text"));
                }
            }
        } else {
            question.push_str(row);
            question.push('\n');
        }
    }
    if question.trim().is_empty() || options.len() < 2 {
        return Err(format!("line {line}: a quiz is a question and at least two answers - `id`: text"));
    }
    let options = options.into_iter().map(|(id, text)| QuizOption { id, html: renderer.line(&text) });
    let options = options.collect();
    let explanation = (!why.trim().is_empty()).then(|| renderer.html(&why));
    Ok(QuizText { id: id.to_owned(), question: renderer.html(&question), options, explanation })
}
