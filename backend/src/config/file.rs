//! The file: `key = value`, flat; every mistake is told with its line.

use clap::{Arg, ArgAction};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How alike an unknown key and a known one must be for the one to be suggested for the other.
const ALIKE: f64 = 0.7;

/// A key of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) values: Vec<String>,
    pub(super) line: usize,
}

/// Reads the text against the settings there are.
///
/// # Errors
/// The line and what is wrong with it.
pub(super) fn read(text: &str, settings: &[&Arg]) -> Result<Vec<Entry>, (usize, String)> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        (line_of(text, at), error.message().to_owned())
    })?;
    let mut entries = Vec::new();
    for (key, value) in table.get_ref() {
        let line = line_of(text, key.span().start);
        let key = key.get_ref().as_ref();
        let Some(arg) = settings.iter().find(|arg| arg.get_long() == Some(key)) else {
            return Err((line, unknown(key, value.get_ref(), settings)));
        };
        let values = values(arg, value.get_ref()).map_err(|reason| (line, format!("{key} {reason}")))?;
        entries.push(Entry { key: key.to_owned(), values, line });
    }
    Ok(entries)
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

fn unknown(key: &str, value: &DeValue<'_>, settings: &[&Arg]) -> String {
    if matches!(value, DeValue::Table(_)) {
        return format!("[{key}]: there are no sections, only keys such as listen = \"127.0.0.1:8080\"");
    }
    let dashed = key.replace('_', "-").to_lowercase();
    let names = settings.iter().filter_map(|arg| arg.get_long());
    let nearest = names.map(|name| (strsim::jaro_winkler(&dashed, name), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((alike, name)) if alike >= ALIKE => format!("there is no setting {key}; did you mean {name}?"),
        _ => format!("there is no setting {key}; `drydock config` lists all"),
    }
}

/// The values of a setting, in the form that the command line has.
fn values(arg: &Arg, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let is_switch = matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse);
    match value {
        DeValue::Boolean(value) => Ok(vec![value.to_string()]),
        _ if is_switch => Err("is true or false".to_owned()),
        DeValue::Array(items) if super::is_list(arg) => items.iter().map(Spanned::get_ref).map(word).collect(),
        DeValue::Array(_) => Err("has one value, not a list".to_owned()),
        other => word(other).map(|word| vec![word]),
    }
}

fn word(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) => {
            let plain = i128::from_str_radix(number.as_str(), number.radix());
            plain.map(|number| number.to_string()).map_err(|_| "is no number that can be used".to_owned())
        }
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Boolean(value) => Ok(value.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            Err("is a text in quotes, a number, true or false, or a list of these".to_owned())
        }
    }
}
