//! Kinds that are never stored: reviews, bindings and component statuses.

use serde_json::Value;

use super::value::Read as _;
use crate::row::{Column, Hook, Resource, Verbs};

const REVIEW: Resource =
    Resource { namespaced: false, verbs: Verbs::CREATE, name: |_, _| Vec::new(), ..Resource::BASE };
const AUTHORIZATION: Resource = Resource { group: "authorization.k8s.io", ..REVIEW };
const AUTHENTICATION: Resource = Resource { group: "authentication.k8s.io", ..REVIEW };

pub(super) static BINDINGS: Resource = Resource {
    kind: "Binding",
    plural: "bindings",
    singular: "binding",
    namespaced: true,
    hook: Hook::Binding,
    ..REVIEW
};

pub(super) static COMPONENT_STATUSES: Resource = Resource {
    kind: "ComponentStatus",
    plural: "componentstatuses",
    singular: "componentstatus",
    short_names: &["cs"],
    namespaced: false,
    verbs: Verbs::GET.and(Verbs::LIST),
    columns: &[
        Column::NAME,
        Column::string("Status", |object, _| {
            Value::from(match healthy(object).text("status") {
                "True" => "Healthy",
                "" => "Unknown",
                _ => "Unhealthy",
            })
        })
        .describe("Status of the component conditions"),
        Column::string("Message", |object, _| Value::from(healthy(object).text("message")))
            .describe("Message of the component conditions"),
        Column::string("Error", |object, _| Value::from(healthy(object).text("error")))
            .describe("Error of the component conditions"),
    ],
    hook: Hook::ComponentStatus,
    ..Resource::BASE
};

pub(super) static TOKEN_REVIEWS: Resource = Resource {
    kind: "TokenReview",
    plural: "tokenreviews",
    singular: "tokenreview",
    hook: Hook::TokenReview,
    ..AUTHENTICATION
};

pub(super) static SELF_SUBJECT_REVIEWS: Resource = Resource {
    kind: "SelfSubjectReview",
    plural: "selfsubjectreviews",
    singular: "selfsubjectreview",
    hook: Hook::SelfSubjectReview,
    ..AUTHENTICATION
};

pub(super) static SUBJECT_ACCESS_REVIEWS: Resource = Resource {
    kind: "SubjectAccessReview",
    plural: "subjectaccessreviews",
    singular: "subjectaccessreview",
    hook: Hook::SubjectAccessReview,
    ..AUTHORIZATION
};

pub(super) static LOCAL_SUBJECT_ACCESS_REVIEWS: Resource = Resource {
    kind: "LocalSubjectAccessReview",
    plural: "localsubjectaccessreviews",
    singular: "localsubjectaccessreview",
    namespaced: true,
    hook: Hook::LocalSubjectAccessReview,
    ..AUTHORIZATION
};

pub(super) static SELF_SUBJECT_ACCESS_REVIEWS: Resource = Resource {
    kind: "SelfSubjectAccessReview",
    plural: "selfsubjectaccessreviews",
    singular: "selfsubjectaccessreview",
    hook: Hook::SelfSubjectAccessReview,
    ..AUTHORIZATION
};

pub(super) static SELF_SUBJECT_RULES_REVIEWS: Resource = Resource {
    kind: "SelfSubjectRulesReview",
    plural: "selfsubjectrulesreviews",
    singular: "selfsubjectrulesreview",
    hook: Hook::SelfSubjectRulesReview,
    ..AUTHORIZATION
};

fn healthy(object: &Value) -> &Value {
    static NONE: Value = Value::Null;
    object.items("conditions").iter().find(|condition| condition.text("type") == "Healthy").unwrap_or(&NONE)
}
