//! Where in a `lesson.toml` something is wrong.

use toml::de::{DeTable, DeValue};

/// A part of a lesson by its position, for which a line is looked up when something is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The file as a whole.
    Whole,
    /// `[[setup]]`, by its number.
    Setup(usize),
    /// `[[step]]`, by its number.
    Step(usize),
    /// `[[step.KEY]]` of a step, by its number.
    Part(usize, &'static str, usize),
}

/// What the parser does not understand, with its line.
pub(super) fn of(source: &str, error: &toml::de::Error) -> String {
    let message = error.message().trim().replace('\n', "; ");
    error.span().map_or_else(|| message.clone(), |span| format!("line {}: {message}", line_at(source, span.start)))
}

/// The line, counted from 1, of a byte.
pub(in crate::lessons) fn line_at(source: &str, byte: usize) -> usize {
    source.as_bytes()[..byte.min(source.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

impl Place {
    /// `line N: reason`
    pub(super) fn say(self, source: &str, reason: &str) -> String {
        let line = self.byte(source).map_or(1, |byte| line_at(source, byte));
        format!("line {line}: {reason}")
    }

    fn byte(self, source: &str) -> Option<usize> {
        let document = DeTable::parse(source).ok()?;
        let top = document.get_ref();
        match self {
            Place::Whole => None,
            Place::Setup(number) => item(top, "setup", number).map(|(byte, _)| byte),
            Place::Step(number) => item(top, "step", number).map(|(byte, _)| byte),
            Place::Part(step, key, number) => item(item(top, "step", step)?.1, key, number).map(|(byte, _)| byte),
        }
    }
}

fn item<'a, 'i>(table: &'a DeTable<'i>, key: &str, number: usize) -> Option<(usize, &'a DeTable<'i>)> {
    let DeValue::Array(items) = table.get(key)?.get_ref() else { return None };
    let item = items.get(number)?;
    let DeValue::Table(table) = item.get_ref() else { return None };
    Some((item.span().start, table))
}
