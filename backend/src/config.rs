//! One configuration: flags before the environment before a TOML file before what is built in.
//!
//! There is one list of settings, the options that `drydock serve` knows (`commands/serve.rs` and what is flattened into it,
//! with those that every command knows). A key of the file is a flag's name without its dashes; what the file says takes the
//! place of the option's default, so that clap itself does the rest: flags and variables win, values are checked alike.

mod file;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use thiserror::Error;

/// Read when no other file is named.
pub(crate) const DEFAULT_FILE: &str = "/etc/drydock/drydock.toml";
/// The flag that names another one; no setting itself.
const CONFIG: &str = "config";
/// The command whose options are the settings.
const SERVE: &str = "serve";
/// Commands for which the file counts; those settings that every command knows count for all of them.
const FOLLOW: [&str; 2] = [SERVE, CONFIG];

/// Why the file cannot be followed.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// It cannot be read.
    #[error("cannot read the configuration {file}; name another file with --config")]
    Read {
        /// The file.
        file: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{file}, line {line}: {reason}")]
    Wrong {
        /// The file.
        file: String,
        /// Where.
        line: usize,
        /// What, and what would be right.
        reason: String,
    },
    /// The command line is wrong, or asks for help.
    #[error(transparent)]
    Line(#[from] clap::Error),
}

/// A setting as it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Its name: the flag's, without dashes.
    pub(crate) key: String,
    /// What it is for, one sentence.
    pub(crate) help: String,
    /// Its values; none: it is not set.
    pub(crate) values: Vec<String>,
    /// Whether it is a list in the file.
    pub(crate) list: bool,
    /// Whether nobody shall read it.
    pub(crate) secret: bool,
    /// Where the value comes from.
    pub(crate) source: Source,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The command line.
    Flag,
    /// This variable.
    Environment(String),
    /// This line of this file.
    File(PathBuf, usize),
    /// Nobody said anything.
    Default,
}

/// Reads the command line with environment and file.
///
/// # Errors
/// When any of them is wrong; help and version are clap's errors, too.
pub(crate) fn parse(command: &Command, line: &[OsString]) -> Result<(ArgMatches, Vec<Setting>), Error> {
    let plain = command.clone().try_get_matches_from(line)?;
    let (path, text) = match plain.get_one::<PathBuf>(CONFIG) {
        Some(file) => (file.clone(), read(file)?),
        None => {
            let file = PathBuf::from(DEFAULT_FILE);
            let text = if file.exists() { read(&file)? } else { String::new() };
            (file, text)
        }
    };
    let settings: Vec<&Arg> = settings(command).collect();
    let entries = file::read(&text, &settings).map_err(|(line, reason)| wrong(&path, line, reason))?;
    let said = |arg: Arg| match entries.iter().find(|entry| Some(entry.key.as_str()) == arg.get_long()) {
        // Read once, at the start, and needed until the end.
        Some(entry) => arg.default_values(entry.values.iter().map(|value| &*value.clone().leak())),
        None => arg,
    };
    let mut following = command.clone().mut_args(said);
    for name in FOLLOW {
        following = following.mut_subcommand(name, |command| command.mut_args(said));
    }
    let matches = following.clone().try_get_matches_from(line).map_err(|error| {
        // The line alone was right: a value of the file is not.
        let flag = error.get(clap::error::ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
        let key = flag.trim_start_matches("--").split([' ', '=']).next().unwrap_or_default().to_owned();
        let line = entries.iter().find(|entry| entry.key == key).map_or(1, |entry| entry.line);
        let text = error.to_string();
        let reason = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        wrong(&path, line, reason.replace(&format!("'{flag}'"), &key))
    })?;
    let held = match matches.subcommand() {
        Some((name, matches)) if FOLLOW.contains(&name) => {
            settings.into_iter().map(|arg| holds(arg, matches, &entries, &path)).collect()
        }
        _ => Vec::new(),
    };
    Ok((matches, held))
}

fn read(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|cause| Error::Read { file: file.display().to_string(), cause })
}

fn wrong(file: &Path, line: usize, reason: String) -> Error {
    Error::Wrong { file: file.display().to_string(), line, reason }
}

/// All settings: options of every command, then those of the server.
pub(crate) fn settings(command: &Command) -> impl Iterator<Item = &Arg> {
    let serve = command.find_subcommand(SERVE).into_iter().flat_map(Command::get_arguments);
    let is_setting = |arg: &&Arg| {
        arg.get_long().is_some_and(|name| name != CONFIG)
            && !matches!(
                arg.get_action(),
                ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
            )
    };
    command.get_arguments().chain(serve).filter(is_setting)
}

/// Whether an option may have several values.
fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

fn holds(arg: &Arg, matches: &ArgMatches, entries: &[file::Entry], file: &Path) -> Setting {
    let id = arg.get_id().as_str();
    let key = arg.get_long().unwrap_or_default();
    let raw = matches.get_raw(id).into_iter().flatten();
    let variable = || arg.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let source = match matches.value_source(id) {
        Some(ValueSource::CommandLine) => Source::Flag,
        Some(ValueSource::EnvVariable) => Source::Environment(variable()),
        _ => match entries.iter().find(|entry| entry.key == key) {
            Some(entry) => Source::File(file.to_owned(), entry.line),
            None => Source::Default,
        },
    };
    Setting {
        key: key.to_owned(),
        help: sentence(arg),
        values: raw.map(|value| value.to_string_lossy().into_owned()).collect(),
        list: is_list(arg),
        secret: is_secret(arg),
        source,
    }
}

/// What an option is for, as its help says, on one line.
pub(crate) fn sentence(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    if !help.ends_with(['.', ']']) {
        help.push('.');
    }
    help
}

/// Whether an option's value is for nobody's eyes: it says so, or its name does.
fn is_secret(arg: &Arg) -> bool {
    let name = arg.get_long().unwrap_or_default();
    arg.is_hide_env_values_set() || ["secret", "token", "password", "key"].iter().any(|word| name.ends_with(word))
}
