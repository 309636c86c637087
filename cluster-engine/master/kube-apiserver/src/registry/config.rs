//! `configmaps` and `secrets`.

mod validate;

use base64::Engine as _;
use serde_json::Value;

use super::print::{count, length, text};
use super::value::{Read as _, child, default_text, remove};
use crate::row::{Column, Resource};

pub(super) static CONFIG_MAPS: Resource = Resource {
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    columns: &[
        Column::NAME,
        Column::string("Data", |object, _| Value::from(length(object, "data") + length(object, "binaryData"))),
        Column::AGE,
    ],
    validate: validate::config_map,
    validate_update: validate::config_map_update,
    storage: "/registry/configmaps",
    ..Resource::BASE
};

pub(super) static SECRETS: Resource = Resource {
    kind: "Secret",
    plural: "secrets",
    singular: "secret",
    columns: &[
        Column::NAME,
        Column::string("Type", |object, _| text(object, "type")),
        Column::string("Data", |object, _| count(object, "data")),
        Column::AGE,
    ],
    fields: &[("type", |secret| secret.text("type").to_owned())],
    default: default_secret,
    validate: validate::secret,
    validate_update: validate::secret_update,
    storage: "/registry/secrets",
    ..Resource::BASE
};

/// SetDefaults_Secret; `stringData` goes into `data`, as conversion does upstream.
fn default_secret(secret: &mut Value) {
    default_text(secret, "type", "Opaque");
    let texts: Vec<(String, String)> =
        secret.strings("stringData").into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    remove(secret, "stringData");
    if texts.is_empty() {
        return;
    }
    if let Some(data) = child(secret, "data") {
        for (key, value) in texts {
            data[key] = Value::String(base64::engine::general_purpose::STANDARD.encode(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn string_data_becomes_data() {
        let mut secret = json!({"data": {"a": "eA=="}, "stringData": {"a": "y", "b": "z"}});
        default_secret(&mut secret);
        assert_eq!(secret, json!({"data": {"a": "eQ==", "b": "eg=="}, "type": "Opaque"}));
    }
}
