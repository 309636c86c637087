//! Validation of webhook configurations and admission policies.

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use super::expressions::{self, Of};
use crate::registry::check::{self, Errors};
use crate::registry::value::Read as _;
use crate::row::Context;

const OPERATIONS: &[&str] = &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];

/// Rules of a webhook or policy.
fn rule(errors: &mut Errors, rule: &Value, path: &Path) {
    for key in ["apiGroups", "apiVersions", "resources"] {
        let list: Vec<&str> = rule.items(key).iter().filter_map(Value::as_str).collect();
        let path = path.child(key);
        if list.is_empty() {
            errors.push(FieldError::required(&path, ""));
        }
        if list.len() > 1 && list.contains(&"*") {
            errors.push(FieldError::invalid(
                &path,
                rule.at(key).clone(),
                if key == "resources" {
                    "if '*' is present, must not specify other resources"
                } else if key == "apiGroups" {
                    "if '*' is present, must not specify other API groups"
                } else {
                    "if '*' is present, must not specify other API versions"
                },
            ));
        }
        for (index, value) in list.iter().enumerate() {
            if value.is_empty() && key != "apiGroups" {
                errors.push(FieldError::required(&path.index(index), ""));
            }
        }
    }
    let operations: Vec<&str> = rule.items("operations").iter().filter_map(Value::as_str).collect();
    let own = path.child("operations");
    if operations.is_empty() {
        errors.push(FieldError::required(&own, ""));
    }
    if operations.len() > 1 && operations.contains(&"*") {
        errors.push(FieldError::invalid(
            &own,
            rule.at("operations").clone(),
            "if '*' is present, must not specify other operations",
        ));
    }
    for (index, operation) in operations.iter().enumerate() {
        if !OPERATIONS.contains(operation) {
            errors.push(FieldError::not_supported(&own.index(index), *operation, OPERATIONS));
        }
    }
    check::maybe_one_of(errors, rule, path, "scope", &["*", "Cluster", "Namespaced"]);
}

/// ValidateMutatingWebhookConfiguration and ValidateValidatingWebhookConfiguration.
pub(super) fn webhooks(object: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let mut seen = Vec::new();
    for (index, webhook) in object.items("webhooks").iter().enumerate() {
        let path = Path::new("webhooks").index(index);
        let name = webhook.text("name");
        if name.is_empty() {
            errors.push(FieldError::required(&path.child("name"), ""));
        } else {
            let messages = names::is_dns1123_subdomain(name);
            if !messages.is_empty() {
                errors.push(FieldError::invalid(&path.child("name"), name, messages.join(",")));
            } else if name.split('.').count() < 3 {
                errors.push(FieldError::invalid(
                    &path.child("name"),
                    name,
                    "should be a domain with at least three segments separated by dots",
                ));
            }
        }
        for (index, item) in webhook.items("rules").iter().enumerate() {
            rule(&mut errors, item, &path.child("rules").index(index));
        }
        check::maybe_one_of(&mut errors, webhook, &path, "failurePolicy", &["Fail", "Ignore"]);
        check::maybe_one_of(&mut errors, webhook, &path, "matchPolicy", &["Equivalent", "Exact"]);
        check::maybe_one_of(&mut errors, webhook, &path, "reinvocationPolicy", &["IfNeeded", "Never"]);
        match webhook.at("sideEffects").as_str() {
            None => {
                errors.push(FieldError::required(&path.child("sideEffects"), "must specify one of None, NoneOnDryRun"))
            }
            Some("None" | "NoneOnDryRun") => {}
            Some(other) => {
                errors.push(FieldError::not_supported(&path.child("sideEffects"), other, &["None", "NoneOnDryRun"]));
            }
        }
        if let Some(seconds) = webhook.int("timeoutSeconds")
            && !(1..=30).contains(&seconds)
        {
            errors.push(FieldError::invalid(
                &path.child("timeoutSeconds"),
                seconds,
                "the timeout value must be between 1 and 30 seconds",
            ));
        }
        for key in ["namespaceSelector", "objectSelector"] {
            check::label_selector(&mut errors, webhook.at(key), &path.child(key));
        }
        expressions::conditions(&mut errors, webhook, &path, Of::Webhook);
        client(&mut errors, webhook.at("clientConfig"), &path.child("clientConfig"));
        review_versions(&mut errors, webhook, &path.child("admissionReviewVersions"));
        if seen.contains(&name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        seen.push(name);
    }
    errors
}

fn client(errors: &mut Errors, config: &Value, path: &Path) {
    let (url, service) = (config.at("url").as_str(), config.has("service"));
    if url.is_some() == service {
        errors.push(FieldError::required(path, "exactly one of url or service is required"));
        return;
    }
    if let Some(url) = url {
        let own = path.child("url");
        if !url.starts_with("https://") {
            let form = "; desired format: https://host[/path]";
            let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
            errors.push(FieldError::invalid(&own, scheme, format!("'https' is the only allowed URL scheme{form}")));
        }
    }
    if service {
        let (service, path) = (config.at("service"), path.child("service"));
        check::required(errors, service, &path, "name");
        check::required(errors, service, &path, "namespace");
        if let Some(port) = service.int("port") {
            errors.extend(names::is_port_number(port).into_iter().map(|message| {
                FieldError::invalid(&path.child("port"), port, format!("port is not valid: {message}"))
            }));
        }
    }
}

fn review_versions(errors: &mut Errors, webhook: &Value, path: &Path) {
    let versions: Vec<&str> = webhook.items("admissionReviewVersions").iter().filter_map(Value::as_str).collect();
    if versions.is_empty() {
        errors.push(FieldError::required(path, "must specify one of v1, v1beta1"));
        return;
    }
    for (index, version) in versions.iter().enumerate() {
        if versions[..index].contains(version) {
            errors.push(FieldError::invalid(&path.index(index), *version, "duplicate version"));
        }
        check::each(errors, &path.index(index), version, names::is_dns1035_label(version));
    }
    if !versions.iter().any(|version| matches!(*version, "v1" | "v1beta1")) {
        errors.push(FieldError::invalid(
            path,
            webhook.at("admissionReviewVersions").clone(),
            "must include at least one of v1, v1beta1",
        ));
    }
}

fn match_resources(errors: &mut Errors, resources: &Value, path: &Path) {
    for key in ["namespaceSelector", "objectSelector"] {
        check::label_selector(errors, resources.at(key), &path.child(key));
    }
    check::maybe_one_of(errors, resources, path, "matchPolicy", &["Equivalent", "Exact"]);
    for list in ["resourceRules", "excludeResourceRules"] {
        for (index, item) in resources.items(list).iter().enumerate() {
            rule(errors, item, &path.child(list).index(index));
        }
    }
}

/// ValidateValidatingAdmissionPolicy and ValidateMutatingAdmissionPolicy.
pub(super) fn policy(object: &Value, context: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = object.at("spec");
    let path = Path::new("spec");
    check::one_of(&mut errors, spec, &path, "failurePolicy", &["Fail", "Ignore"]);
    if spec.has("paramKind") {
        let (kind, path) = (spec.at("paramKind"), path.child("paramKind"));
        check::required(&mut errors, kind, &path, "apiVersion");
        check::required(&mut errors, kind, &path, "kind");
    }
    let own = path.child("matchConstraints");
    if spec.at("matchConstraints").is_null() {
        errors.push(FieldError::required(&own, ""));
    } else {
        match_resources(&mut errors, spec.at("matchConstraints"), &own);
        if spec.items("matchConstraints.resourceRules").is_empty() {
            errors.push(FieldError::required(&own.child("resourceRules"), ""));
        }
    }
    let mutating = context.resource.kind.starts_with("Mutating");
    if mutating {
        if spec.items("mutations").is_empty() {
            errors.push(FieldError::required(&path.child("mutations"), "mutations must contain at least one item"));
        }
        check::one_of(&mut errors, spec, &path, "reinvocationPolicy", &["IfNeeded", "Never"]);
    } else if spec.items("validations").is_empty() && spec.items("auditAnnotations").is_empty() {
        for key in ["validations", "auditAnnotations"] {
            errors.push(FieldError::required(&path.child(key), "validations or auditAnnotations must be non-empty"));
        }
    }
    expressions::policy(&mut errors, spec, &path);
    errors
}

/// ValidateValidatingAdmissionPolicyBinding and ValidateMutatingAdmissionPolicyBinding.
pub(super) fn binding(object: &Value, context: &Context<'_>) -> Errors {
    const ACTIONS: &[&str] = &["Audit", "Deny", "Warn"];
    let mut errors = Errors::new();
    let spec = object.at("spec");
    let path = Path::new("spec");
    if check::required(&mut errors, spec, &path, "policyName") {
        check::dns_subdomain(&mut errors, &path.child("policyName"), spec.text("policyName"));
    }
    if spec.has("paramRef") {
        let (reference, path) = (spec.at("paramRef"), path.child("paramRef"));
        match (reference.text("name").is_empty(), reference.has("selector")) {
            (true, false) => errors.push(FieldError::required(&path, "one of name or selector must be specified")),
            (false, true) => {
                errors.push(FieldError::forbidden(&path.child("name"), "name and selector are mutually exclusive"))
            }
            _ => {}
        }
        check::one_of(&mut errors, reference, &path, "parameterNotFoundAction", &["Allow", "Deny"]);
    }
    if spec.has("matchResources") {
        match_resources(&mut errors, spec.at("matchResources"), &path.child("matchResources"));
    }
    if context.resource.kind.starts_with("Validating") {
        let own = path.child("validationActions");
        let actions: Vec<&str> = spec.items("validationActions").iter().filter_map(Value::as_str).collect();
        if actions.is_empty() {
            errors.push(FieldError::required(&own, "at least one validation action is required"));
        }
        for (index, action) in actions.iter().enumerate() {
            if !ACTIONS.contains(action) {
                errors.push(FieldError::not_supported(&own, *action, ACTIONS));
            }
            if actions[..index].contains(action) {
                errors.push(FieldError::duplicate(&own, *action));
            }
        }
        if actions.contains(&"Deny") && actions.contains(&"Warn") {
            errors.push(FieldError::invalid(
                &own,
                spec.at("validationActions").clone(),
                "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)",
            ));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::admission::{VALIDATING_POLICY_BINDINGS, VALIDATING_WEBHOOKS};
    use crate::registry::check::texts;

    fn context(resource: &'static crate::row::Resource) -> Context<'static> {
        Context { resource, namespace: "", user: "", groups: &[], subresource: None, now: "" }
    }

    #[test]
    fn webhook_configurations() {
        let mut object = json!({"webhooks": [{"name": "short", "clientConfig": {}, "rules": [{"operations": ["READ"], "apiGroups": [""], "apiVersions": ["*", "v1"], "resources": ["pods"]}]}]});
        (VALIDATING_WEBHOOKS.default)(&mut object);
        assert_eq!(object["webhooks"][0]["timeoutSeconds"], 10);
        assert_eq!(
            texts(&webhooks(&object, &context(&VALIDATING_WEBHOOKS))),
            [
                r#"webhooks[0].name: Invalid value: "short": should be a domain with at least three segments separated by dots"#,
                r#"webhooks[0].rules[0].apiVersions: Invalid value: ["*","v1"]: if '*' is present, must not specify other API versions"#,
                r#"webhooks[0].rules[0].operations[0]: Unsupported value: "READ": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE""#,
                "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun",
                "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
                "webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1",
            ]
        );
    }

    #[test]
    fn bindings() {
        let object = json!({"spec": {"validationActions": ["Deny", "Warn"]}});
        let found = texts(&binding(&object, &context(&VALIDATING_POLICY_BINDINGS)));
        assert_eq!(found[0], "spec.policyName: Required value");
        assert!(found[1].starts_with(
            "spec.validationActions: Invalid value: [\"Deny\",\"Warn\"]: must not contain both Deny and Warn"
        ));
    }
}
