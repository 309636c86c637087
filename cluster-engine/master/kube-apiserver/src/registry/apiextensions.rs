//! `customresourcedefinitions` and `apiservices`.

use serde_json::Value;

use super::print::condition;
use super::value::{Read as _, at_mut, child, default, default_text};
use crate::row::{Column, Hook, Resource, Subresource};

pub(super) static CUSTOM_RESOURCE_DEFINITIONS: Resource = Resource {
    group: "apiextensions.k8s.io",
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    singular: "customresourcedefinition",
    short_names: &["crd", "crds"],
    categories: &["api-extensions"],
    namespaced: false,
    subresources: &[Subresource::Status],
    columns: &[
        Column::NAME,
        Column {
            kind: "date",
            ..Column::string("Created At", |object, _| object.at("metadata.creationTimestamp").clone())
        },
    ],
    generation: true,
    unconditional_update: false,
    default: default_definition,
    hook: Hook::CustomResourceDefinition,
    storage: "/registry/apiextensions.k8s.io/customresourcedefinitions",
    ..Resource::BASE
};

pub(super) static API_SERVICES: Resource = Resource {
    group: "apiregistration.k8s.io",
    kind: "APIService",
    plural: "apiservices",
    singular: "apiservice",
    categories: &["api-extensions"],
    namespaced: false,
    subresources: &[Subresource::Status],
    columns: &[
        Column::NAME,
        Column::string("Service", |object, _| Value::String(service(object)))
            .describe("The reference to the service that hosts this API endpoint."),
        Column::string("Available", |object, _| Value::String(available(object)))
            .describe("Whether this service is available."),
        Column::AGE,
    ],
    unconditional_update: false,
    default: |object| {
        if let Some(service) = at_mut(object, "spec.service") {
            default(service, "port", 443);
        }
        child(object, "status");
    },
    hook: Hook::ApiService,
    storage: "/registry/apiregistration.k8s.io/apiservices",
    ..Resource::BASE
};

/// SetDefaults_CustomResourceDefinition.
fn default_definition(definition: &mut Value) {
    if let Some(spec) = child(definition, "spec") {
        let kind = spec.text("names.kind").to_owned();
        if let Some(names) = child(spec, "names") {
            default_text(names, "singular", &kind.to_lowercase());
            if !kind.is_empty() {
                default_text(names, "listKind", &format!("{kind}List"));
            }
        }
        if let Some(conversion) = child(spec, "conversion") {
            default_text(conversion, "strategy", "None");
            if let Some(service) = at_mut(conversion, "webhook.clientConfig.service") {
                default(service, "port", 443);
            }
        }
    }
}

fn service(object: &Value) -> String {
    if object.has("spec.service") {
        format!("{}/{}", object.text("spec.service.namespace"), object.text("spec.service.name"))
    } else {
        "Local".to_owned()
    }
}

fn available(object: &Value) -> String {
    let found = object.items("status.conditions").iter().find(|condition| condition.text("type") == "Available");
    match (condition(object, "Available"), found) {
        ("", _) => "Unknown".to_owned(),
        ("False", Some(found)) if !found.text("reason").is_empty() => format!("False ({})", found.text("reason")),
        (status, _) => status.to_owned(),
    }
}
