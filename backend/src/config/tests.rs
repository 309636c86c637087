//! Precedence, mistakes, and the documented table against clap's own definition.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, ArgAction, Args, CommandFactory as _, Parser, Subcommand};

use super::{Setting, Source};

/// The documentation, from where tests run.
const TABLE: &str = "../docs/CONFIGURATION.md";

#[derive(Parser)]
struct Line {
    #[arg(long, global = true)]
    config: Option<std::path::PathBuf>,
    #[arg(long, global = true, default_value = "auto", env = "DRYDOCK_CONFIG_TEST_HOST")]
    host: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(Serve),
    Config(Serve),
    Other,
}

#[derive(Args)]
struct Serve {
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1440))]
    session_minutes: u64,
    #[arg(long)]
    keep_sessions: bool,
    #[arg(long, value_delimiter = ',')]
    registries: Vec<String>,
    #[arg(long)]
    metrics_token: Option<String>,
    // Set wherever cargo runs a test.
    #[arg(long, env = "CARGO_PKG_NAME", default_value = "x")]
    name: String,
}

fn parse(text: &str, line: &[&str]) -> Result<(Line, Vec<Setting>), String> {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("drydock.toml");
    std::fs::write(&file, text).expect("written");
    let mut words: Vec<OsString> = vec!["drydock".into(), "--config".into(), file.clone().into()];
    words.extend(line.iter().map(Into::into));
    let shown = |error: super::Error| error.to_string().replace(&file.display().to_string(), "FILE");
    let (matches, settings) = super::parse(&Line::command(), &words).map_err(shown)?;
    let line = <Line as clap::FromArgMatches>::from_arg_matches(&matches).expect("matches");
    Ok((line, settings))
}

fn source(settings: &[Setting], key: &str) -> Source {
    let found = settings.iter().find(|setting| setting.key == key).expect("a setting").source.clone();
    match found {
        Source::File(_, line) => Source::File(Path::new("FILE").to_owned(), line),
        other => other,
    }
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_defaults() {
    let text = "# a comment\nsession-minutes = 90\nkeep-sessions = true\nregistries = [\"a\", \"b\"]\nhost = \"docker\"\nname = \"file\"\n";
    let (line, settings) = parse(text, &["serve"]).expect("right");
    assert_eq!(line.host, "docker");
    let Command::Serve(serve) = line.command else { panic!("another command") };
    assert_eq!((serve.session_minutes, serve.keep_sessions, serve.name.as_str()), (90, true, "drydock"));
    assert_eq!(serve.registries, ["a", "b"]);
    assert_eq!(source(&settings, "session-minutes"), Source::File("FILE".into(), 2));
    assert_eq!(source(&settings, "name"), Source::Environment("CARGO_PKG_NAME".to_owned()));
    assert_eq!(source(&settings, "metrics-token"), Source::Default);
    assert!(settings.iter().any(|setting| setting.key == "metrics-token" && setting.secret));

    let (line, settings) = parse(text, &["config", "--session-minutes", "5", "--host=x", "--name=y"]).expect("right");
    let Command::Config(serve) = line.command else { panic!("another command") };
    assert_eq!((line.host.as_str(), serve.session_minutes, serve.name.as_str()), ("x", 5, "y"));
    assert_eq!(source(&settings, "session-minutes"), Source::Flag);
    assert_eq!(source(&settings, "host"), Source::Flag);

    let (line, settings) = parse(text, &["other"]).expect("right");
    assert_eq!((line.host.as_str(), settings.len()), ("docker", 0));
    assert_eq!(parse("", &["serve"]).expect("an empty file is fine").0.host, "auto");
}

#[test]
fn every_mistake_is_told_with_its_line() {
    for (text, expected) in [
        ("\nsession_minutes = 5", "FILE, line 2: there is no setting session_minutes; did you mean session-minutes?"),
        ("sesion-minute = 5", "FILE, line 1: there is no setting sesion-minute; did you mean session-minutes?"),
        ("zzz = 5", "FILE, line 1: there is no setting zzz; `drydock config` lists all"),
        ("config = 'x'", "FILE, line 1: there is no setting config; `drydock config` lists all"),
        (
            "[sessions]\nminutes = 5",
            "FILE, line 1: [sessions]: there are no sections, only keys such as listen = \"127.0.0.1:8080\"",
        ),
        ("session-minutes = 0", "FILE, line 1: invalid value '0' for session-minutes: 0 is not in 1..=1440"),
        (
            "\n\nsession-minutes = 'x'",
            "FILE, line 3: invalid value 'x' for session-minutes: invalid digit found in string",
        ),
        ("session-minutes = [1]", "FILE, line 1: session-minutes has one value, not a list"),
        ("keep-sessions = 'yes'", "FILE, line 1: keep-sessions is true or false"),
        ("host = 1979-05-27", "FILE, line 1: host is a text in quotes, a number, true or false, or a list of these"),
    ] {
        assert_eq!(parse(text, &["serve"]).map(drop).expect_err(text), expected, "{text}");
    }
    let broken = parse("a = 1\nb =", &["serve"]).map(drop).expect_err("no TOML");
    assert!(broken.starts_with("FILE, line 2: "), "{broken}");
    let twice = parse("host = 'a'\nhost = 'b'", &["serve"]).map(drop).expect_err("twice");
    assert!(twice.starts_with("FILE, line 2: duplicate key"), "{twice}");
}

/// One table of every setting. `UPDATE_EXPECT=1` writes it anew.
#[test]
fn the_documented_table_is_claps_own() {
    let command = crate::commands::Options::command();
    let mut text = String::from(include_str!("head.md"));
    for arg in super::settings(&command) {
        row(&mut text, arg);
    }
    expect_test::expect_file![Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE)].assert_eq(&text);
}

#[test]
fn every_setting_has_a_variable_named_like_its_flag() {
    let command = crate::commands::Options::command();
    for arg in super::settings(&command) {
        let flag = arg.get_long().unwrap_or_default();
        let expected = format!("DRYDOCK_{}", flag.replace('-', "_").to_uppercase());
        let variable = arg.get_env().map(|name| name.to_string_lossy().into_owned());
        assert_eq!(variable, Some(expected), "--{flag} wants env = …");
    }
}

fn row(text: &mut String, arg: &Arg) {
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let help = super::sentence(arg);
    // What is worked out at the start is told by the sentence.
    let (help, told) = match help.split_once(" [default: ") {
        Some((help, told)) => (format!("{help}."), Some(told.trim_end_matches(']').to_owned())),
        None => (help, None),
    };
    let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
    let default = match (told, defaults.as_slice()) {
        (Some(told), _) => told,
        (None, []) if is_switch => "`false`".to_owned(),
        (None, []) => "none".to_owned(),
        (None, values) => format!("`{}`", values.join(",")),
    };
    let mut choices: Vec<_> = arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    choices.retain(|choice| !["`true`", "`false`"].contains(&choice.as_str()));
    let choices = if choices.is_empty() { String::new() } else { format!(" One of {}.", choices.join(", ")) };
    let flag = arg.get_long().unwrap_or_default();
    let variable = arg.get_env().map(|name| name.to_string_lossy()).unwrap_or_default();
    let help = help.replace('|', "\\|");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "| `{flag}` | `{variable}` | {default} | {help}{choices} |");
}
