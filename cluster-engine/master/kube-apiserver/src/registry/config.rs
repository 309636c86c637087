//! `configmaps` and `secrets`.

use serde_json::Value;

use super::print::{count, length, text};
use super::value::Read as _;
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
    storage: "/registry/secrets",
    ..Resource::BASE
};
