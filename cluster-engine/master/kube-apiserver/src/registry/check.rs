//! Checks that many kinds share, with the texts of `k8s.io/apimachinery` and `pkg/apis/core/validation`.

mod selectors;

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

pub(super) use selectors::{label_keys, label_name, label_selector, labels, node_selector, node_selector_term};

use super::value::{Read as _, same};

/// Errors in the order in which upstream finds them.
pub(super) type Errors = Vec<FieldError>;

pub(super) const IMMUTABLE: &str = "field is immutable";
pub(super) const NEGATIVE: &str = "must be greater than or equal to 0";
pub(super) const NOT_POSITIVE: &str = "must be greater than zero";
pub(super) const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

/// One `Invalid` for each message about a value.
pub(super) fn each(errors: &mut Errors, path: &Path, value: &str, messages: Vec<String>) {
    errors.extend(messages.into_iter().map(|message| FieldError::invalid(path, value, message)));
}

/// A DNS label.
pub(super) fn dns_label(errors: &mut Errors, path: &Path, value: &str) {
    each(errors, path, value, names::is_dns1123_label(value));
}

/// A DNS subdomain.
pub(super) fn dns_subdomain(errors: &mut Errors, path: &Path, value: &str) {
    each(errors, path, value, names::is_dns1123_subdomain(value));
}

/// A qualified name (`example.com/name`).
pub(super) fn qualified_name(errors: &mut Errors, path: &Path, value: &str) {
    each(errors, path, value, names::is_qualified_name(value));
}

/// An IP address.
pub(super) fn ip(errors: &mut Errors, path: &Path, value: &str) {
    each(errors, path, value, names::is_ip(value));
}

/// An address range.
pub(super) fn cidr(errors: &mut Errors, path: &Path, value: &str) {
    each(errors, path, value, names::is_cidr(value));
}

/// The string at `key` must not be empty.
pub(super) fn required(errors: &mut Errors, object: &Value, path: &Path, key: &str) -> bool {
    let there = !object.text(key).is_empty();
    if !there {
        errors.push(FieldError::required(&path.child(key), ""));
    }
    there
}

/// The number at `key`, 0 when missing, must not be negative.
pub(super) fn not_negative(errors: &mut Errors, object: &Value, path: &Path, key: &str) {
    let value = object.int(key).unwrap_or(0);
    if value < 0 {
        errors.push(FieldError::invalid(&path.child(key), value, NEGATIVE));
    }
}

/// The string at `key` must be one of a sorted list; empty counts as missing and is an error.
pub(super) fn one_of(errors: &mut Errors, object: &Value, path: &Path, key: &str, supported: &[&str]) {
    match object.text(key) {
        "" => errors.push(FieldError::required(&path.child(key), "")),
        value => supported_value(errors, &path.child(key), value, supported),
    }
}

/// The string at `key`, when there, must be one of a list.
pub(super) fn maybe_one_of(errors: &mut Errors, object: &Value, path: &Path, key: &str, supported: &[&str]) {
    if let Some(value) = object.at(key).as_str() {
        supported_value(errors, &path.child(key), value, supported);
    }
}

fn supported_value(errors: &mut Errors, path: &Path, value: &str, supported: &[&str]) {
    if !supported.contains(&value) {
        errors.push(FieldError::not_supported(path, value, supported));
    }
}

/// A field that may not change.
pub(super) fn immutable(errors: &mut Errors, new: &Value, old: &Value, path: &Path) {
    if !same(new, old) {
        errors.push(FieldError::invalid(path, new.clone(), IMMUTABLE));
    }
}

/// A number of a port.
pub(super) fn port_number(errors: &mut Errors, path: &Path, port: i64) {
    errors.extend(names::is_port_number(port).into_iter().map(|message| FieldError::invalid(path, port, message)));
}

/// A port by number or name.
pub(super) fn port(errors: &mut Errors, path: &Path, port: &Value) {
    match port {
        Value::String(name) => each(errors, path, name, names::is_port_name(name)),
        other => port_number(errors, path, other.as_i64().unwrap_or(0)),
    }
}

/// Annotations: keys are qualified names in lower case, all together at most 256 KiB.
pub(super) fn annotations(errors: &mut Errors, map: &Value, path: &Path) {
    const TOTAL: usize = 256 * 1024;
    let mut size = 0;
    for (key, value) in map.strings("") {
        each(errors, path, key, names::is_qualified_name(&key.to_lowercase()));
        size += key.len() + value.len();
    }
    if size > TOTAL {
        errors.push(FieldError::too_long(path, TOTAL));
    }
}

/// A number of things or a percentage (`25%`).
pub(super) fn int_or_percent(errors: &mut Errors, value: &Value, path: &Path) {
    match value {
        Value::String(text) => each(errors, path, text, names::is_percent(text)),
        Value::Number(number) => {
            let number = number.as_i64().unwrap_or(0);
            if number < 0 {
                errors.push(FieldError::invalid(path, number, NEGATIVE));
            }
        }
        Value::Null => {}
        other => errors.push(FieldError::invalid(path, other.clone(), "must be an integer or percentage (e.g '5%%')")),
    }
}

/// A percentage may not be more than 100%.
pub(super) fn at_most_all(errors: &mut Errors, value: &Value, path: &Path) {
    if percent(value).is_some_and(|percent| percent > 100) {
        errors.push(FieldError::invalid(path, value.clone(), "must not be greater than 100%"));
    }
}

/// The percentage in `25%`.
pub(super) fn percent(value: &Value) -> Option<i64> {
    value.as_str()?.strip_suffix('%')?.parse().ok()
}

/// The number in a number or a percentage, as upstream's getIntOrPercentValue.
pub(super) fn int_or_percent_value(value: &Value) -> i64 {
    percent(value).or_else(|| value.as_i64()).unwrap_or(0)
}

/// A path without `..` in it.
pub(super) fn no_backsteps(errors: &mut Errors, path: &Path, target: &str) {
    if target.split('/').any(|part| part == "..") {
        errors.push(FieldError::invalid(path, target, "must not contain '..'"));
    }
}

/// A relative path without `..` in it.
pub(super) fn descending_path(errors: &mut Errors, path: &Path, target: &str) {
    if target.starts_with('/') {
        errors.push(FieldError::invalid(path, target, "must be a relative path"));
    }
    no_backsteps(errors, path, target);
}

/// A relative path without `..` in it that does not begin with `..` either.
pub(super) fn local_path(errors: &mut Errors, path: &Path, target: &str) {
    descending_path(errors, path, target);
    if target.starts_with("..") && !target.starts_with("../") {
        errors.push(FieldError::invalid(path, target, "must not start with '..'"));
    }
}

/// Finalizers without a domain must be upstream's own.
pub(super) fn finalizer(errors: &mut Errors, path: &Path, name: &str) {
    each(errors, path, name, names::is_qualified_name(name));
    if !name.contains('/') && !matches!(name, "kubernetes" | "orphan" | "foregroundDeletion") {
        errors.push(FieldError::invalid(
            path,
            name,
            "name is neither a standard finalizer name nor is it fully qualified",
        ));
    }
}

/// An address that Endpoints may hold: no loopback, link-local or unspecified one.
pub(super) fn non_special_ip(errors: &mut Errors, path: &Path, value: &str) {
    let Ok(address) = value.parse::<std::net::IpAddr>() else {
        errors.push(FieldError::invalid(path, value, "must be a valid IP address"));
        return;
    };
    let (link_local, local_multicast) = match address {
        std::net::IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        std::net::IpAddr::V6(v6) => (v6.segments()[0] & 0xffc0 == 0xfe80, v6.segments()[0] & 0xff0f == 0xff02),
    };
    if address.is_unspecified() {
        errors.push(FieldError::invalid(path, value, format!("may not be unspecified ({value})")));
    }
    if address.is_loopback() {
        errors.push(FieldError::invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)"));
    }
    if link_local {
        errors.push(FieldError::invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"));
    }
    if local_multicast {
        errors.push(FieldError::invalid(
            path,
            value,
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ));
    }
}

/// Prints errors one a line, for tests.
#[cfg(test)]
pub(super) fn texts(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shared_texts() {
        let mut errors = Errors::new();
        let path = Path::new("spec");
        int_or_percent(&mut errors, &json!("5x"), &path.child("a"));
        int_or_percent(&mut errors, &json!(-1), &path.child("b"));
        at_most_all(&mut errors, &json!("101%"), &path.child("c"));
        local_path(&mut errors, &path.child("d"), "..x");
        descending_path(&mut errors, &path.child("e"), "/a/../b");
        non_special_ip(&mut errors, &path.child("f"), "127.0.0.1");
        finalizer(&mut errors, &path.child("g"), "mine");
        assert_eq!(
            texts(&errors),
            [
                r#"spec.a: Invalid value: "5x": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"#,
                "spec.b: Invalid value: -1: must be greater than or equal to 0",
                r#"spec.c: Invalid value: "101%": must not be greater than 100%"#,
                r#"spec.d: Invalid value: "..x": must not start with '..'"#,
                r#"spec.e: Invalid value: "/a/../b": must be a relative path"#,
                r#"spec.e: Invalid value: "/a/../b": must not contain '..'"#,
                r#"spec.f: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)"#,
                r#"spec.g: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified"#,
            ]
        );
    }
}
