//! `flowcontrol.apiserver.k8s.io`: flow schemas and priority levels.

use drydock_api::field::{FieldError, Path};
use serde_json::Value;

use super::check::{self, Errors};
use super::print::{number, text, text_or};
use super::value::{Read as _, at_mut, child, default, default_int};
use crate::row::{Column, Context, Resource, Subresource};

const BASE: Resource = Resource {
    group: "flowcontrol.apiserver.k8s.io",
    namespaced: false,
    subresources: &[Subresource::Status],
    generation: true,
    unconditional_update: false,
    ..Resource::BASE
};

pub(super) static FLOW_SCHEMAS: Resource = Resource {
    kind: "FlowSchema",
    plural: "flowschemas",
    singular: "flowschema",
    columns: &[
        Column::NAME,
        Column::string("PriorityLevel", |schema, _| text(schema, "spec.priorityLevelConfiguration.name")),
        Column::string("MatchingPrecedence", |schema, _| number(schema, "spec.matchingPrecedence")),
        Column::string("DistinguisherMethod", |schema, _| text_or(schema, "spec.distinguisherMethod.type", "<none>")),
        Column::AGE,
        Column::string("MissingPL", |schema, _| Value::from(dangling(schema)))
            .describe("references a broken or non-existent PriorityLevelConfiguration"),
    ],
    default: |schema| {
        if let Some(spec) = child(schema, "spec") {
            default_int(spec, "matchingPrecedence", 1000);
        }
        child(schema, "status");
    },
    validate: validate_schema,
    validate_update: |new, _, context| validate_schema(new, context),
    storage: "/registry/flowschemas",
    ..BASE
};

pub(super) static PRIORITY_LEVELS: Resource = Resource {
    kind: "PriorityLevelConfiguration",
    plural: "prioritylevelconfigurations",
    singular: "prioritylevelconfiguration",
    columns: &[
        Column::NAME,
        Column::string("Type", |level, _| text(level, "spec.type")),
        Column::string("NominalConcurrencyShares", |level, _| limited(level, "nominalConcurrencyShares")),
        Column::string("Queues", |level, _| limited(level, "limitResponse.queuing.queues")),
        Column::string("HandSize", |level, _| limited(level, "limitResponse.queuing.handSize")),
        Column::string("QueueLengthLimit", |level, _| limited(level, "limitResponse.queuing.queueLengthLimit")),
        Column::AGE,
    ],
    default: default_level,
    validate: validate_level,
    validate_update: |new, _, context| validate_level(new, context),
    storage: "/registry/prioritylevelconfigurations",
    ..BASE
};

/// SetDefaults_PriorityLevelConfigurationSpec.
fn default_level(level: &mut Value) {
    if let Some(spec) = child(level, "spec") {
        if spec.text("type") == "Exempt"
            && let Some(exempt) = child(spec, "exempt")
        {
            default(exempt, "nominalConcurrencyShares", 0);
            default(exempt, "lendablePercent", 0);
        }
        if let Some(limited) = at_mut(spec, "limited") {
            default(limited, "nominalConcurrencyShares", 30);
            default(limited, "lendablePercent", 0);
            if let Some(queuing) = at_mut(limited, "limitResponse.queuing") {
                default_int(queuing, "queues", 64);
                default_int(queuing, "handSize", 8);
                default_int(queuing, "queueLengthLimit", 50);
            }
        }
    }
    child(level, "status");
}

fn dangling(schema: &Value) -> &str {
    match super::print::condition(schema, "Dangling") {
        "" => "?",
        status => status,
    }
}

fn limited(level: &Value, path: &str) -> Value {
    match level.at("spec.limited").at(path) {
        Value::Null => Value::from("<none>"),
        value => value.clone(),
    }
}

/// ValidateFlowSchema.
fn validate_schema(schema: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = schema.at("spec");
    let path = Path::new("spec");
    let precedence = spec.int("matchingPrecedence").unwrap_or(0);
    if precedence <= 0 {
        errors.push(FieldError::invalid(&path.child("matchingPrecedence"), precedence, "must be a positive value"));
    }
    if precedence > 10000 {
        errors.push(FieldError::invalid(
            &path.child("matchingPrecedence"),
            precedence,
            "must not be greater than 10000",
        ));
    }
    if precedence == 1 && schema.text("metadata.name") != "exempt" {
        errors.push(FieldError::invalid(
            &path.child("matchingPrecedence"),
            precedence,
            "only the schema named 'exempt' may have matchingPrecedence 1",
        ));
    }
    if spec.has("distinguisherMethod") {
        let kind = spec.text("distinguisherMethod.type");
        if !matches!(kind, "ByNamespace" | "ByUser") {
            let own = path.child("distinguisherMethod");
            errors.push(FieldError::not_supported(&own, kind, &["ByNamespace", "ByUser"]));
        }
    }
    let own = path.child("priorityLevelConfiguration.name");
    match spec.text("priorityLevelConfiguration.name") {
        "" => errors.push(FieldError::required(&own, "must reference a priority level")),
        name => check::dns_subdomain(&mut errors, &own, name),
    }
    errors
}

/// ValidatePriorityLevelConfiguration.
fn validate_level(level: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = level.at("spec");
    let path = Path::new("spec");
    match spec.text("type") {
        "Exempt" => {
            if spec.has("limited") {
                errors.push(FieldError::forbidden(&path.child("limited"), "must be nil if the type is not Limited"));
            }
        }
        "Limited" => {
            if spec.has("exempt") {
                errors.push(FieldError::forbidden(&path.child("exempt"), "must be nil if the type is Limited"));
            }
            let (limited, path) = (spec.at("limited"), path.child("limited"));
            if limited.is_null() {
                errors.push(FieldError::required(&path, "must not be empty when type is Limited"));
            } else {
                check::not_negative(&mut errors, limited, &path, "nominalConcurrencyShares");
                let kind = limited.text("limitResponse.type");
                if !matches!(kind, "Queue" | "Reject") {
                    let own = path.child("limitResponse.type");
                    errors.push(FieldError::not_supported(&own, kind, &["Queue", "Reject"]));
                }
            }
        }
        other => errors.push(FieldError::not_supported(&path.child("type"), other, &["Exempt", "Limited"])),
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_and_levels() {
        let context =
            Context { resource: &FLOW_SCHEMAS, namespace: "", user: "", groups: &[], subresource: None, now: "" };
        let mut schema = json!({});
        (FLOW_SCHEMAS.default)(&mut schema);
        assert_eq!(schema["spec"]["matchingPrecedence"], 1000);
        assert_eq!(
            check::texts(&validate_schema(&schema, &context)),
            ["spec.priorityLevelConfiguration.name: Required value: must reference a priority level"]
        );
        let mut level =
            json!({"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}});
        (PRIORITY_LEVELS.default)(&mut level);
        assert_eq!(
            level["spec"]["limited"]["limitResponse"]["queuing"],
            json!({"queues": 64, "handSize": 8, "queueLengthLimit": 50})
        );
        assert_eq!(check::texts(&validate_level(&level, &context)), [""; 0]);
    }
}
