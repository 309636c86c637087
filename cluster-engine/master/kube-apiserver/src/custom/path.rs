//! The JSONPath of printer columns: `.spec.a`, `.spec.list[0]`, `.status.conditions[?(@.type=="Ready")].status`, `[*]`.

use serde_json::Value;

/// A path that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(i64),
    All,
    /// `[?(@.key=="value")]`.
    Where(Vec<String>, String),
}

impl Path {
    /// Reads a path; none when it is no path of the forms above.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim().trim_start_matches('{').trim_end_matches('}');
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('[') {
                let end = if after.starts_with("?(") { after.find(")]")? + 1 } else { after.find(']')? };
                steps.push(bracket(&after[..end])?);
                rest = &after[end + 1..];
            } else {
                let after = rest.strip_prefix('.').unwrap_or(rest);
                let (key, end) = key(after);
                if !key.is_empty() {
                    steps.push(if key == "*" { Step::All } else { Step::Key(key) });
                }
                rest = &after[end..];
                if end == 0 && !rest.starts_with('[') {
                    return None;
                }
            }
        }
        Some(Self(steps))
    }

    /// Everything the path leads to.
    pub(crate) fn find<'a>(&self, object: &'a Value) -> Vec<&'a Value> {
        let mut here = vec![object];
        for step in &self.0 {
            here = here.into_iter().flat_map(|value| step.take(value)).collect();
        }
        here
    }
}

impl Step {
    fn take<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Self::Key(key), value) => value.get(key).into_iter().collect(),
            (Self::Index(index), Value::Array(items)) => {
                let at = if *index < 0 { items.len() as i64 + index } else { *index };
                usize::try_from(at).ok().and_then(|at| items.get(at)).into_iter().collect()
            }
            (Self::All, Value::Array(items)) => items.iter().collect(),
            (Self::All, Value::Object(fields)) => fields.values().collect(),
            (Self::Where(path, wanted), Value::Array(items)) => {
                let fits = |item: &&Value| {
                    let found = path.iter().try_fold(*item, |value, key| value.get(key));
                    found
                        .is_some_and(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned) == *wanted)
                };
                items.iter().filter(fits).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// A key up to the next `.` or `[`; a backslash takes the next character as it is.
fn key(text: &str) -> (String, usize) {
    let mut key = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => key.extend(characters.next().map(|(_, c)| c)),
            '.' | '[' => return (key, at),
            c => key.push(c),
        }
    }
    (key, text.len())
}

fn bracket(text: &str) -> Option<Step> {
    if text == "*" {
        return Some(Step::All);
    }
    if let Some(quoted) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return Some(Step::Key(quoted.to_owned()));
    }
    if let Some(condition) = text.strip_prefix("?(").and_then(|rest| rest.strip_suffix(')')) {
        let (left, right) = condition.split_once("==")?;
        let path = left.trim().strip_prefix("@.")?.split('.').map(str::to_owned).collect();
        return Some(Step::Where(path, right.trim().trim_matches(['"', '\'']).to_owned()));
    }
    text.parse().ok().map(Step::Index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(path: &str, expected: Value) {
        let object = json!({"spec": {"a": 1, "l": [{"n": "x"}, {"n": "y"}], "a.b": 2}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        let path = Path::parse(path).expect("path");
        assert_eq!(json!(path.find(&object)), expected);
    }

    #[test]
    fn paths_lead_where_they_say() {
        check(".spec.a", json!([1]));
        check(".spec.l[1].n", json!(["y"]));
        check(".spec.l[*].n", json!(["x", "y"]));
        check(".status.conditions[?(@.type==\"Ready\")].status", json!(["True"]));
        check(".spec.a\\.b", json!([2]));
        check(".spec['a.b']", json!([2]));
        check(".spec.missing", json!([]));
    }
}
