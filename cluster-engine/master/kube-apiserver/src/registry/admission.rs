//! `admissionregistration.k8s.io`: webhooks and admission policies.

mod expressions;
mod typecheck;
mod validate;

use serde_json::Value;

use super::print::{count, selector_text, text};
use super::value::{Read as _, at_mut, child, default, default_text, items_mut, same};
use crate::row::{Column, Resource, Subresource};

const BASE: Resource = Resource {
    group: "admissionregistration.k8s.io",
    namespaced: false,
    generation: true,
    unconditional_update: false,
    ..Resource::BASE
};

const WEBHOOK_COLUMNS: &[Column] = &[
    Column::NAME,
    Column::integer("Webhooks", |object, _| count(object, "webhooks"))
        .describe("Webhooks indicates the number of webhooks registered in this configuration"),
    Column::AGE,
];

const BINDING_COLUMNS: &[Column] = &[
    Column::NAME,
    Column::string("PolicyName", |binding, _| text(binding, "spec.policyName"))
        .describe("PolicyName indicates the policy definition which the policy binding binded to"),
    Column::string("ParamRef", |binding, _| Value::String(param_ref(binding)))
        .describe("ParamRef indicates the param resource which sets the configration param"),
    Column::AGE,
];

pub(super) static MUTATING_WEBHOOKS: Resource = Resource {
    kind: "MutatingWebhookConfiguration",
    plural: "mutatingwebhookconfigurations",
    singular: "mutatingwebhookconfiguration",
    categories: &["api-extensions"],
    columns: WEBHOOK_COLUMNS,
    default: default_webhooks,
    validate: validate::webhooks,
    validate_update: |new, _, context| validate::webhooks(new, context),
    storage: "/registry/mutatingwebhookconfigurations",
    ..BASE
};

pub(super) static VALIDATING_WEBHOOKS: Resource = Resource {
    kind: "ValidatingWebhookConfiguration",
    plural: "validatingwebhookconfigurations",
    singular: "validatingwebhookconfiguration",
    categories: &["api-extensions"],
    columns: WEBHOOK_COLUMNS,
    default: default_webhooks,
    validate: validate::webhooks,
    validate_update: |new, _, context| validate::webhooks(new, context),
    storage: "/registry/validatingwebhookconfigurations",
    ..BASE
};

pub(super) static VALIDATING_POLICIES: Resource = Resource {
    kind: "ValidatingAdmissionPolicy",
    plural: "validatingadmissionpolicies",
    singular: "validatingadmissionpolicy",
    categories: &["api-extensions"],
    subresources: &[Subresource::Status],
    columns: &[
        Column::NAME,
        Column::integer("Validations", |policy, _| count(policy, "spec.validations"))
            .describe("Validations indicates the number of validation rules defined in this configuration"),
        Column::string("ParamKind", |policy, _| Value::String(param_kind(policy)))
            .describe("ParamKind specifies the kind of resources used to parameterize this policy"),
        Column::AGE,
    ],
    default: default_policy,
    prepare_create: |policy, _| observed(policy, 1),
    prepare_update: |new, old, _| {
        if !same(new.at("spec"), old.at("spec")) {
            observed(new, old.int("metadata.generation").unwrap_or(1) + 1);
        }
    },
    validate: validate::policy,
    validate_update: |new, _, context| validate::policy(new, context),
    storage: "/registry/validatingadmissionpolicies",
    ..BASE
};

pub(super) static VALIDATING_POLICY_BINDINGS: Resource = Resource {
    kind: "ValidatingAdmissionPolicyBinding",
    plural: "validatingadmissionpolicybindings",
    singular: "validatingadmissionpolicybinding",
    categories: &["api-extensions"],
    columns: BINDING_COLUMNS,
    default: default_binding,
    validate: validate::binding,
    validate_update: |new, _, context| validate::binding(new, context),
    storage: "/registry/validatingadmissionpolicybindings",
    ..BASE
};

pub(super) static MUTATING_POLICIES: Resource = Resource {
    kind: "MutatingAdmissionPolicy",
    plural: "mutatingadmissionpolicies",
    singular: "mutatingadmissionpolicy",
    categories: &["api-extensions"],
    columns: &[
        Column::NAME,
        Column::integer("Mutations", |policy, _| count(policy, "spec.mutations"))
            .describe("Mutation indicates the number of mutations rules defined in this configuration"),
        Column::string("ParamKind", |policy, _| Value::String(param_kind(policy)))
            .describe("ParamKind specifies the kind of resources used to parameterize this policy"),
        Column::AGE,
    ],
    default: default_policy,
    validate: validate::policy,
    validate_update: |new, _, context| validate::policy(new, context),
    storage: "/registry/mutatingadmissionpolicies",
    ..BASE
};

pub(super) static MUTATING_POLICY_BINDINGS: Resource = Resource {
    kind: "MutatingAdmissionPolicyBinding",
    plural: "mutatingadmissionpolicybindings",
    singular: "mutatingadmissionpolicybinding",
    categories: &["api-extensions"],
    columns: BINDING_COLUMNS,
    default: default_binding,
    validate: validate::binding,
    validate_update: |new, _, context| validate::binding(new, context),
    storage: "/registry/mutatingadmissionpolicybindings",
    ..BASE
};

/// SetDefaults of webhooks.
fn default_webhooks(object: &mut Value) {
    let mutating = object.text("kind") == "MutatingWebhookConfiguration";
    for webhook in items_mut(object, "webhooks") {
        default(webhook, "failurePolicy", "Fail");
        default(webhook, "matchPolicy", "Equivalent");
        child(webhook, "namespaceSelector");
        child(webhook, "objectSelector");
        default(webhook, "timeoutSeconds", 10);
        if mutating {
            default(webhook, "reinvocationPolicy", "Never");
        }
        if let Some(service) = at_mut(webhook, "clientConfig.service") {
            default(service, "port", 443);
        }
        for rule in items_mut(webhook, "rules") {
            default(rule, "scope", "*");
        }
    }
}

/// The status of a policy whose expressions have been looked at; they compile, or it would not be written.
fn observed(policy: &mut Value, generation: i64) {
    let found = typecheck::status(policy);
    if let Some(status) = child(policy, "status") {
        status["observedGeneration"] = generation.into();
        status["typeChecking"] = found;
    }
}

fn match_resources(resources: &mut Value) {
    default(resources, "matchPolicy", "Equivalent");
    child(resources, "namespaceSelector");
    child(resources, "objectSelector");
    for list in ["resourceRules", "excludeResourceRules"] {
        for rule in items_mut(resources, list) {
            default(rule, "scope", "*");
        }
    }
}

/// SetDefaults of admission policies.
fn default_policy(policy: &mut Value) {
    if let Some(spec) = child(policy, "spec") {
        default_text(spec, "failurePolicy", "Fail");
        if let Some(resources) = at_mut(spec, "matchConstraints") {
            match_resources(resources);
        }
    }
}

/// SetDefaults of bindings of admission policies.
fn default_binding(binding: &mut Value) {
    if let Some(resources) = at_mut(binding, "spec.matchResources") {
        match_resources(resources);
    }
}

fn param_kind(policy: &Value) -> String {
    if policy.has("spec.paramKind") {
        format!("{}/{}", policy.text("spec.paramKind.apiVersion"), policy.text("spec.paramKind.kind"))
    } else {
        "<unset>".to_owned()
    }
}

fn param_ref(binding: &Value) -> String {
    let reference = binding.at("spec.paramRef");
    match (reference.text("namespace"), reference.text("name")) {
        ("", "") if reference.has("selector") => selector_text(reference.at("selector")),
        (_, "") => "<unset>".to_owned(),
        ("", name) => format!("*/{name}"),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}
