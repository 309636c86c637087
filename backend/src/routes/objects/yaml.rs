//! A JSON value as the YAML that `kubectl get -o yaml` prints: keys in order, lists at the depth of their key, text quoted
//! only where it would be read as something else.

use std::fmt::Write as _;

use serde_json::Value;

/// The YAML.
pub(super) fn text(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block(&mut out, value, 0),
        Value::Array(list) if !list.is_empty() => block(&mut out, value, 0),
        scalar => {
            inline(&mut out, scalar, 0);
            out.push('\n');
        }
    }
    out
}

/// A map or list that begins on a line of its own.
fn block(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            for key in keys {
                indent(out, depth);
                entry(out, key, &map[key], depth);
            }
        }
        Value::Array(list) => {
            for item in list {
                indent(out, depth);
                out.push('-');
                dashed(out, item, depth);
            }
        }
        _ => {}
    }
}

/// `key: value`, the indentation being written already.
fn entry(out: &mut String, key: &str, value: &Value, depth: usize) {
    scalar_text(out, key);
    out.push(':');
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            block(out, value, depth + 1);
        }
        Value::Array(list) if !list.is_empty() => {
            out.push('\n');
            block(out, value, depth);
        }
        other => {
            out.push(' ');
            inline(out, other, depth + 1);
            out.push('\n');
        }
    }
}

/// What stands behind a dash.
fn dashed(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            for (index, key) in keys.into_iter().enumerate() {
                if index == 0 {
                    out.push(' ');
                } else {
                    indent(out, depth + 1);
                }
                entry(out, key, &map[key], depth + 1);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for (index, item) in list.iter().enumerate() {
                if index == 0 {
                    out.push(' ');
                } else {
                    indent(out, depth + 1);
                }
                out.push('-');
                dashed(out, item, depth + 1);
            }
        }
        other => {
            out.push(' ');
            inline(out, other, depth + 1);
            out.push('\n');
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

/// A value on the line that is being written; text of several lines goes below it.
fn inline(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => drop(write!(out, "{value}")),
        Value::Number(value) => drop(write!(out, "{value}")),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
        Value::String(text) if is_block(text) => {
            out.push_str(if text.ends_with('\n') { "|" } else { "|-" });
            for line in text.trim_end_matches('\n').split('\n') {
                out.push('\n');
                if !line.is_empty() {
                    indent(out, depth);
                    out.push_str(line);
                }
            }
        }
        Value::String(text) => scalar_text(out, text),
    }
}

/// Whether text of several lines can stand as it is.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\n'])
        && !text.ends_with("\n\n")
        && text.chars().all(|it| it == '\n' || it == '\t' || !it.is_control())
}

fn scalar_text(out: &mut String, text: &str) {
    if text.chars().any(|it| it.is_control() || it == '\u{feff}' || it == '\u{2028}' || it == '\u{2029}') {
        // JSON's escapes are YAML's.
        out.push_str(&Value::from(text).to_string());
    } else if is_plain(text) {
        out.push_str(text);
    } else if looks_like_another_type(text) || text.is_empty() {
        let _ = write!(out, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    } else {
        let _ = write!(out, "'{}'", text.replace('\'', "''"));
    }
}

fn is_plain(text: &str) -> bool {
    let first = text.chars().next();
    !(text.is_empty()
        || looks_like_another_type(text)
        || text.starts_with(' ')
        || text.ends_with([' ', ':'])
        || text.contains(": ")
        || text.contains(" #")
        || first.is_some_and(|it| "!&*{}[],#|>@`\"'%".contains(it))
        || (first.is_some_and(|it| "-?:".contains(it)) && text.chars().nth(1).is_none_or(|it| it == ' ')))
}

/// Whether a reader would take it for a number, a truth value, nothing or a time.
fn looks_like_another_type(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    matches!(lower.as_str(), "null" | "~" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "<<" | "=")
        || matches!(lower.trim_start_matches(['+', '-']), ".inf" | ".nan")
        || looks_like_number(text)
        || text.get(..10).is_some_and(|it| it.parse::<jiff::civil::Date>().is_ok() && it.len() == 10)
}

fn looks_like_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = digits.replace('_', "");
    let radix = |prefix: &str, radix: u32| {
        plain.strip_prefix(prefix).is_some_and(|it| !it.is_empty() && it.chars().all(|it| it.is_digit(radix)))
    };
    digits.starts_with(|it: char| it.is_ascii_digit() || it == '.')
        && (plain.parse::<f64>().is_ok() || radix("0x", 16) || radix("0o", 8) || radix("0b", 2))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_as_kubectl_prints_it() {
        let pod = json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {"name": "web", "labels": {}, "creationTimestamp": "2026-11-21T01:00:00Z", "generation": 1},
            "spec": {
                "containers": [{"name": "demo", "args": ["-c", "one\ntwo\n"], "env": [{"name": "PORT", "value": "80"}]}],
                "hostNetwork": false, "tolerations": [],
            },
        });
        let want = "\
apiVersion: v1
kind: Pod
metadata:
  creationTimestamp: \"2026-11-21T01:00:00Z\"
  generation: 1
  labels: {}
  name: web
spec:
  containers:
  - args:
    - -c
    - |
      one
      two
    env:
    - name: PORT
      value: \"80\"
    name: demo
  hostNetwork: false
  tolerations: []
";
        assert_eq!(text(&pod), want);
    }

    #[track_caller]
    fn check(value: &str, want: &str) {
        assert_eq!(text(&json!(value)).trim_end(), want, "{value:?}");
    }

    #[test]
    fn text_that_would_be_read_as_something_else_is_quoted() {
        check("web", "web");
        check("10.96.0.1", "10.96.0.1");
        check("100m", "100m");
        check("app=web", "app=web");
        check("http://a:80/b", "http://a:80/b");
        check("", "\"\"");
        check("true", "\"true\"");
        check("80", "\"80\"");
        check("1e3", "\"1e3\"");
        check("0x1F", "\"0x1F\"");
        check("null", "\"null\"");
        check("2026-11-21", "\"2026-11-21\"");
        check("a: b", "'a: b'");
        check("it's: so", "'it''s: so'");
        check("- a", "'- a'");
        check("*", "'*'");
        check("a\tb\u{1b}", "\"a\\tb\\u001b\"");
    }

    #[test]
    fn lists_in_lists() {
        assert_eq!(text(&json!([[1, 2], {"a": [{"b": 1, "c": 2}]}])), "- - 1\n  - 2\n- a:\n  - b: 1\n    c: 2\n");
    }
}
