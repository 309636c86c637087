//! What the cells of several tables share, with upstream's formats.

use jiff::Timestamp;
use serde_json::Value;

use super::value::{Read as _, quantity_text};
use crate::row::{age, human_duration};

/// The string at a path.
pub(super) fn text(object: &Value, path: &str) -> Value {
    Value::from(object.text(path))
}

/// The string at a path, or another when it is empty.
pub(super) fn text_or(object: &Value, path: &str, otherwise: &str) -> Value {
    let text = object.text(path);
    Value::from(if text.is_empty() { otherwise } else { text })
}

/// The integer at a path, 0 when missing.
pub(super) fn number(object: &Value, path: &str) -> Value {
    Value::from(object.int(path).unwrap_or(0))
}

/// Length of the list or map at a path.
pub(super) fn count(object: &Value, path: &str) -> Value {
    Value::from(length(object, path))
}

/// Length of the list or map at a path.
pub(super) fn length(object: &Value, path: &str) -> usize {
    match object.at(path) {
        Value::Array(list) => list.len(),
        Value::Object(map) => map.len(),
        _ => 0,
    }
}

/// A text as a cell, `<none>` when it is empty.
pub(super) fn or_none(text: String) -> Value {
    Value::String(if text.is_empty() { "<none>".to_owned() } else { text })
}

/// Names of the containers at a path, with commas between.
pub(super) fn container_names(object: &Value, path: &str) -> Value {
    Value::String(joined(object, path, "name"))
}

/// Images of the containers at a path, with commas between.
pub(super) fn container_images(object: &Value, path: &str) -> Value {
    Value::String(joined(object, path, "image"))
}

fn joined(object: &Value, path: &str, key: &str) -> String {
    object.items(path).iter().map(|item| item.text(key)).collect::<Vec<_>>().join(",")
}

/// The strings of the list at a path, with commas between.
pub(super) fn list(object: &Value, path: &str) -> String {
    object.items(path).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}

/// A map of labels as `a=b,c=d`, `<none>` when empty.
pub(super) fn labels(object: &Value, path: &str) -> Value {
    or_none(object.strings(path).into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(","))
}

/// A LabelSelector as text, empty when it selects everything, `<invalid>` when it is wrong.
pub(super) fn selector_text(selector: &Value) -> String {
    let mut parts: Vec<(&str, String)> =
        selector.strings("matchLabels").into_iter().map(|(key, value)| (key, format!("{key}={value}"))).collect();
    for expression in selector.items("matchExpressions") {
        let key = expression.text("key");
        let mut values: Vec<&str> = expression.items("values").iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        let text = match expression.text("operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return "<invalid>".to_owned(),
        };
        parts.push((key, text));
    }
    parts.sort_by_key(|(key, _)| *key);
    parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

/// The LabelSelector at a path as a cell, `<none>` when empty.
pub(super) fn selector(object: &Value, path: &str) -> Value {
    or_none(selector_text(object.at(path)))
}

/// Time since the timestamp at a path, or another text when there is none.
pub(super) fn since(object: &Value, path: &str, now: Timestamp, otherwise: &str) -> Value {
    match object.text(path) {
        "" => Value::from(otherwise),
        timestamp => Value::String(age(timestamp, now)),
    }
}

/// Seconds between two timestamps, as kubectl prints them.
pub(super) fn between(from: &str, to: Timestamp) -> String {
    match from.parse::<Timestamp>() {
        Ok(from) => human_duration(to.as_second() - from.as_second()),
        Err(_) => String::new(),
    }
}

/// `<list> + n more...` of at most `max` shown items.
pub(super) fn with_more(shown: &[String], total: usize, empty: &str) -> String {
    let text = shown.join(",");
    if total > shown.len() {
        return format!("{text} + {} more...", total - shown.len());
    }
    if text.is_empty() { empty.to_owned() } else { text }
}

/// Addresses of a load balancer's status, sorted.
pub(super) fn load_balancer(object: &Value) -> String {
    let mut addresses: Vec<&str> = object
        .items("status.loadBalancer.ingress")
        .iter()
        .map(|ingress| if ingress.text("ip").is_empty() { ingress.text("hostname") } else { ingress.text("ip") })
        .filter(|address| !address.is_empty())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.join(",")
}

/// Access modes in short: `RWO,ROX,RWX,RWOP`.
pub(super) fn access_modes(object: &Value, path: &str) -> String {
    let modes = object.items(path);
    [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")]
        .iter()
        .filter(|(mode, _)| modes.iter().any(|own| own.as_str() == Some(mode)))
        .map(|(_, short)| *short)
        .collect::<Vec<_>>()
        .join(",")
}

/// The quantity at a path, `0` when missing.
pub(super) fn amount(object: &Value, path: &str) -> String {
    match object.at(path) {
        Value::Null => "0".to_owned(),
        value => quantity_text(value),
    }
}

/// `True`, `False` or `<unset>`.
pub(super) fn bool_pointer(object: &Value, path: &str) -> Value {
    Value::from(match object.at(path).as_bool() {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    })
}

/// The status of the condition of that type, `""` when missing.
pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    object
        .items("status.conditions")
        .iter()
        .find(|condition| condition.text("type") == kind)
        .map_or("", |condition| condition.text("status"))
}
