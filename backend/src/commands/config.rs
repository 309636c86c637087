//! `drydock config`: what holds, and where each value comes from.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};

use super::serve;
use crate::config::{Setting, Source};

/// What to print. The server's flags are taken too, to see what they would do.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
    #[command(flatten)]
    _serve: serve::Options,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A line for each setting.
    Text,
    /// A whole configuration file, with what is not set in comments.
    Toml,
}

/// Prints all settings.
pub(crate) fn run(options: &Options, settings: &[Setting]) {
    let text = match options.output {
        Form::Text => lines(settings),
        Form::Toml => file(settings),
    };
    print!("{text}");
}

fn lines(settings: &[Setting]) -> String {
    let width = settings.iter().map(|setting| setting.key.len()).max().unwrap_or_default();
    let values: Vec<_> = settings.iter().map(value).collect();
    let value_width = values.iter().map(String::len).max().unwrap_or_default().min(40);
    let mut text = String::new();
    for (setting, value) in settings.iter().zip(values) {
        let source = match &setting.source {
            Source::Flag => format!("flag --{}", setting.key),
            Source::Environment(name) => format!("environment {name}"),
            Source::File(file, line) => format!("{}:{line}", file.display()),
            Source::Default => "default".to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:width$}  {value:value_width$}  {source}", setting.key);
    }
    text
}

fn value(setting: &Setting) -> String {
    match setting.values.as_slice() {
        [] => "-".to_owned(),
        _ if setting.secret => "(set, not shown)".to_owned(),
        values => values.join(","),
    }
}

fn file(settings: &[Setting]) -> String {
    let mut text =
        String::from("# Drydock's configuration; see docs/CONFIGURATION.md. What stands in comments is not set.\n");
    for setting in settings {
        let is_plain = |value: &String| value == "true" || value == "false" || value.parse::<i64>().is_ok();
        let quoted = |value: &String| {
            if is_plain(value) { value.clone() } else { toml::Value::from(value.as_str()).to_string() }
        };
        let values: Vec<_> = setting.values.iter().map(quoted).collect();
        let shown = match values.as_slice() {
            _ if setting.secret => "\"\"".to_owned(),
            _ if setting.list => format!("[{}]", values.join(", ")),
            [] => "\"\"".to_owned(),
            values => values.join(", "),
        };
        let mark = if values.is_empty() || setting.secret { "# " } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n# {}\n{mark}{} = {shown}", setting.help, setting.key);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(key: &str, values: &[&str], list: bool, secret: bool, source: Source) -> Setting {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Setting { key: key.to_owned(), help: "What.".to_owned(), values, list, secret, source }
    }

    #[test]
    fn both_forms() {
        let settings = [
            setting("listen", &["127.0.0.1:80"], false, false, Source::File("/etc/x.toml".into(), 3)),
            setting("minutes", &["60"], false, false, Source::Default),
            setting("registries", &["a", "b\"c"], true, false, Source::Environment("R".to_owned())),
            setting("none", &[], true, false, Source::Default),
            setting("token", &["hush"], false, true, Source::Flag),
        ];
        let text = lines(&settings);
        assert!(text.contains("listen      127.0.0.1:80      /etc/x.toml:3\n"), "{text}");
        assert!(text.contains("token       (set, not shown)  flag --token\n"), "{text}");
        let text = file(&settings);
        assert!(!text.contains("hush"), "{text}");
        let table: toml::Table = text.parse().expect("TOML");
        assert_eq!(table.len(), 3, "{text}");
        assert_eq!(table["minutes"].as_integer(), Some(60));
        assert_eq!(table["registries"].as_array().map(Vec::len), Some(2));
    }
}
