//! Validation of ConfigMaps and Secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use crate::registry::check::{self, Errors};
use crate::registry::value::{Read as _, annotation, same};
use crate::row::Context;

/// 1 MiB.
const MAX_SIZE: usize = 1024 * 1024;
const FROZEN: &str = "field is immutable when `immutable` is set";

fn key(errors: &mut Errors, path: &Path, key: &str) {
    check::each(errors, &path.key(key), key, names::is_config_map_key(key));
}

fn decoded_length(text: &str) -> usize {
    text.len() / 4 * 3 - text.bytes().rev().take_while(|byte| *byte == b'=').count().min(2)
}

/// ValidateConfigMap.
pub(super) fn config_map(map: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let mut size = 0;
    for (name, value) in map.strings("data") {
        key(&mut errors, &Path::new("data"), name);
        if map.at("binaryData").get(name).is_some() {
            errors.push(FieldError::invalid(
                &Path::new("data").key(name),
                name,
                "duplicate of key present in binaryData",
            ));
        }
        size += value.len();
    }
    for (name, value) in map.strings("binaryData") {
        key(&mut errors, &Path::new("binaryData"), name);
        size += if value.is_empty() { 0 } else { decoded_length(value) };
    }
    if size > MAX_SIZE {
        errors.push(FieldError { field: String::new(), ..FieldError::too_long(&Path::root(), MAX_SIZE) });
    }
    errors
}

fn frozen(errors: &mut Errors, new: &Value, old: &Value, keys: &[&str]) {
    if !old.flag("immutable") {
        return;
    }
    if !new.flag("immutable") {
        errors.push(FieldError::forbidden(&Path::new("immutable"), FROZEN));
    }
    for key in keys {
        if !same(new.at(key), old.at(key)) {
            errors.push(FieldError::forbidden(&Path::new(*key), FROZEN));
        }
    }
}

/// ValidateConfigMapUpdate.
pub(super) fn config_map_update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    frozen(&mut errors, new, old, &["data", "binaryData"]);
    errors.extend(config_map(new, context));
    errors
}

/// ValidateSecret.
pub(super) fn secret(secret: &Value, _: &Context<'_>) -> Errors {
    const ACCOUNT: &str = "kubernetes.io/service-account.name";
    let mut errors = Errors::new();
    let path = Path::new("data");
    let mut size = 0;
    for (name, value) in secret.strings("data") {
        key(&mut errors, &path, name);
        size += if value.is_empty() { 0 } else { decoded_length(value) };
    }
    if size > MAX_SIZE {
        errors.push(FieldError::too_long(&path, MAX_SIZE));
    }
    let value = |key: &str| secret.at("data").get(key).and_then(Value::as_str);
    let need = |errors: &mut Errors, key: &str| errors.push(FieldError::required(&path.key(key), ""));
    match secret.text("type") {
        "kubernetes.io/service-account-token" => {
            if annotation(secret, ACCOUNT).is_none_or(str::is_empty) {
                errors.push(FieldError::required(&Path::new("metadata.annotations").key(ACCOUNT), ""));
            }
        }
        "kubernetes.io/dockercfg" => json_key(&mut errors, &path, ".dockercfg", value(".dockercfg")),
        "kubernetes.io/dockerconfigjson" => {
            json_key(&mut errors, &path, ".dockerconfigjson", value(".dockerconfigjson"));
        }
        "kubernetes.io/basic-auth" => {
            if value("username").is_none() && value("password").is_none() {
                need(&mut errors, "username");
                need(&mut errors, "password");
            }
        }
        "kubernetes.io/ssh-auth" => {
            if value("ssh-privatekey").is_none_or(str::is_empty) {
                need(&mut errors, "ssh-privatekey");
            }
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"] {
                if value(key).is_none() {
                    need(&mut errors, key);
                }
            }
        }
        _ => {}
    }
    errors
}

fn json_key(errors: &mut Errors, path: &Path, key: &str, value: Option<&str>) {
    let path = path.key(key);
    let Some(value) = value else {
        errors.push(FieldError::required(&path, ""));
        return;
    };
    let text = STANDARD.decode(value).unwrap_or_default();
    if let Err(error) = serde_json::from_slice::<serde_json::Map<String, Value>>(&text) {
        let message = if text.is_empty() { "unexpected end of JSON input".to_owned() } else { error.to_string() };
        errors.push(FieldError::invalid(&path, "<secret contents redacted>", message));
    }
}

/// ValidateSecretUpdate.
pub(super) fn secret_update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    check::immutable(&mut errors, new.at("type"), old.at("type"), &Path::new("type"));
    frozen(&mut errors, new, old, &["data"]);
    errors.extend(secret(new, context));
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::check::texts;
    use crate::registry::config::{CONFIG_MAPS, SECRETS};

    fn context() -> Context<'static> {
        Context { resource: &SECRETS, namespace: "", user: "", groups: &[], subresource: None, now: "" }
    }

    #[test]
    fn config_maps() {
        assert_eq!(CONFIG_MAPS.kind, "ConfigMap");
        let map = json!({"data": {"a b": "1", "c": "2"}, "binaryData": {"c": "eA=="}});
        assert_eq!(
            texts(&config_map(&map, &context())),
            [
                r#"data[a b]: Invalid value: "a b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"#,
                r#"data[c]: Invalid value: "c": duplicate of key present in binaryData"#,
            ]
        );
        let old = json!({"immutable": true, "data": {"a": "1"}});
        assert_eq!(
            texts(&config_map_update(&json!({"data": {"a": "2"}}), &old, &context())),
            [
                "immutable: Forbidden: field is immutable when `immutable` is set",
                "data: Forbidden: field is immutable when `immutable` is set",
            ]
        );
        let big = json!({"data": {"a": "x".repeat(MAX_SIZE + 1)}});
        assert_eq!(texts(&config_map(&big, &context())), [": Too long: may not be more than 1048576 bytes"]);
    }

    #[test]
    fn secrets() {
        #[track_caller]
        fn check(object: Value, expected: &[&str]) {
            assert_eq!(texts(&secret(&object, &context())), expected);
        }
        check(json!({"type": "Opaque", "data": {"a": "eA=="}}), &[]);
        check(
            json!({"type": "kubernetes.io/tls", "data": {}}),
            &["data[tls.crt]: Required value", "data[tls.key]: Required value"],
        );
        check(
            json!({"type": "kubernetes.io/service-account-token"}),
            &["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
        );
        check(
            json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": ""}}),
            &[r#"data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": unexpected end of JSON input"#],
        );
        assert_eq!(
            texts(&secret_update(&json!({"type": "a"}), &json!({"type": "Opaque"}), &context())),
            [r#"type: Invalid value: "a": field is immutable"#]
        );
    }
}
