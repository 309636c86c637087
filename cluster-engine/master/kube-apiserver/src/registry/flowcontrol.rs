//! `flowcontrol.apiserver.k8s.io`: flow schemas and priority levels.

use serde_json::Value;

use super::print::{number, text, text_or};
use super::value::{Read as _, at_mut, child, default, default_int};
use crate::row::{Column, Resource, Subresource};

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
