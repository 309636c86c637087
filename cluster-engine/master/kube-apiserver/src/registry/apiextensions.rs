//! `customresourcedefinitions` and `apiservices`.

mod definition;
mod schema;

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use super::check::{self, Errors};
use super::print::condition;
use super::value::{Read as _, at_mut, child, default, default_text};
use crate::row::{Column, Context, Hook, Resource, Subresource};

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
    prepare_create: definition::prepare_create,
    prepare_update: definition::prepare_update,
    validate: definition::create,
    validate_update: definition::update,
    validate_subresource: definition::status,
    begin_delete: Some(crate::custom::begin_delete),
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
    validate: validate_service,
    validate_update: |new, _, context| validate_service(new, context),
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

/// ValidateAPIService.
fn validate_service(object: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = object.at("spec");
    let path = Path::new("spec");
    let wanted = format!("{}.{}", spec.text("version"), spec.text("group"));
    let name = object.text("metadata.name");
    if name != wanted {
        errors.push(FieldError::invalid(&Path::new("metadata.name"), name, "must be `spec.version+\".\"+spec.group`"));
    }
    if !spec.text("group").is_empty() {
        check::dns_subdomain(&mut errors, &path.child("group"), spec.text("group"));
    }
    check::each(
        &mut errors,
        &path.child("version"),
        spec.text("version"),
        names::is_dns1035_label(spec.text("version")),
    );
    for (key, most) in [("groupPriorityMinimum", 20000), ("versionPriority", 1000)] {
        let value = spec.int(key).unwrap_or(0);
        if value <= 0 || value > most {
            let message = format!("must be positive and less than {most}");
            errors.push(FieldError::invalid(&path.child(key), value, message));
        }
    }
    if spec.has("service") {
        let (service, path) = (spec.at("service"), path.child("service"));
        check::required(&mut errors, service, &path, "namespace");
        check::required(&mut errors, service, &path, "name");
        if spec.flag("insecureSkipTLSVerify") && !spec.text("caBundle").is_empty() {
            errors.push(FieldError::invalid(
                &Path::new("spec.insecureSkipTLSVerify"),
                true,
                "may not be true if caBundle is present",
            ));
        }
    } else {
        if !spec.text("caBundle").is_empty() {
            errors.push(FieldError::invalid(&path.child("caBundle"), "", "local APIServices may not have a caBundle"));
        }
        if spec.flag("insecureSkipTLSVerify") {
            errors.push(FieldError::invalid(
                &path.child("insecureSkipTLSVerify"),
                true,
                "local APIServices may not have insecureSkipTLSVerify",
            ));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn api_services() {
        let context =
            Context { resource: &API_SERVICES, namespace: "", user: "", groups: &[], subresource: None, now: "" };
        let object =
            json!({"metadata": {"name": "x"}, "spec": {"group": "g.io", "version": "v1", "versionPriority": 15}});
        assert_eq!(
            check::texts(&validate_service(&object, &context)),
            [
                r#"metadata.name: Invalid value: "x": must be `spec.version+"."+spec.group`"#,
                "spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000",
            ]
        );
        assert_eq!(
            available(&json!({"status": {"conditions": [{"type": "Available", "status": "False", "reason": "X"}]}})),
            "False (X)"
        );
        assert_eq!(super::service(&json!({})), "Local");
    }
}
