//! A readable difference of two objects, in the manner of the one that upstream puts behind "… may not change fields …".
//!
//! Upstream's comes from go-cmp, which makes its text unstable on purpose; nobody can depend on more than its shape: lines with `-`
//! are of the old object, lines with `+` of the new one, the rest is context.

use serde_json::Value;

use super::value::{empty, same};

/// The difference, with the Go name of the type (`core.PodSpec`) as its head; empty when both are the same.
pub(super) fn diff(type_name: &str, old: &Value, new: &Value) -> String {
    let mut lines = Vec::new();
    changed(&mut lines, 0, &format!("{type_name}{{"), old, new, "");
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn line(sign: char, depth: usize, text: &str) -> String {
    format!("{sign} {}{text}", "\t".repeat(depth))
}

/// Writes one value that changed: `head` opens it (`Name: T{`), `tail` closes it after the bracket.
fn changed(lines: &mut Vec<String>, depth: usize, head: &str, old: &Value, new: &Value, tail: &str) {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            lines.push(line(' ', depth, head));
            let mut keys: Vec<&String> = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))).collect();
            keys.sort();
            let mut identical = 0;
            for key in keys {
                let (left, right) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                if same(left, right) {
                    identical += 1;
                    continue;
                }
                field(lines, depth + 1, &go_name(key), left, right);
            }
            if identical > 0 {
                let fields = if identical == 1 { "field" } else { "fields" };
                lines.push(line(' ', depth + 1, &format!("... // {identical} identical {fields}")));
            }
            lines.push(line(' ', depth, &format!("}}{tail}")));
        }
        _ => field(lines, depth, head.trim_end_matches('{'), old, new),
    }
}

fn field(lines: &mut Vec<String>, depth: usize, name: &str, old: &Value, new: &Value) {
    match (old, new) {
        (Value::Object(_), Value::Object(_)) => changed(lines, depth, &format!("{name}: {{"), old, new, ","),
        (Value::Array(a), Value::Array(b)) if a.iter().chain(b).all(Value::is_object) && a.len() == b.len() => {
            lines.push(line(' ', depth, &format!("{name}: {{")));
            let mut identical = 0;
            for (left, right) in a.iter().zip(b) {
                if same(left, right) {
                    identical += 1;
                } else {
                    changed(lines, depth + 1, "{", left, right, ",");
                }
            }
            if identical > 0 {
                let elements = if identical == 1 { "element" } else { "elements" };
                lines.push(line(' ', depth + 1, &format!("... // {identical} identical {elements}")));
            }
            lines.push(line(' ', depth, "},"));
        }
        _ => {
            lines.push(line('-', depth, &format!("{name}: {},", go_value(old))));
            lines.push(line('+', depth, &format!("{name}: {},", go_value(new))));
        }
    }
}

/// `nodeName` is `NodeName` in Go.
fn go_name(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::String(text) => drydock_api::go_quote(text),
        Value::Array(list) if list.is_empty() => "nil".to_owned(),
        Value::Array(list) => format!("{{{}}}", list.iter().map(go_value).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let fields: Vec<String> = map
                .iter()
                .filter(|(_, value)| !empty(value))
                .map(|(key, value)| format!("{}: {}", go_name(key), go_value(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_stand_out() {
        let old = json!({"containers": [{"name": "a", "image": "x"}, {"name": "b"}], "nodeName": "n", "hostNetwork": true, "tolerations": []});
        let new = json!({"containers": [{"name": "a", "image": "x", "args": ["1"]}, {"name": "b"}], "nodeName": "m", "hostNetwork": true});
        let expected = concat!(
            "  core.PodSpec{\n",
            "  \tContainers: {\n",
            "  \t\t{\n",
            "- \t\t\tArgs: nil,\n",
            "+ \t\t\tArgs: {\"1\"},\n",
            "  \t\t\t... // 2 identical fields\n",
            "  \t\t},\n",
            "  \t\t... // 1 identical element\n",
            "  \t},\n",
            "- \tNodeName: \"n\",\n",
            "+ \tNodeName: \"m\",\n",
            "  \t... // 2 identical fields\n",
            "  }\n",
        );
        assert_eq!(diff("core.PodSpec", &old, &new), expected);
    }
}
