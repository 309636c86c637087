//! `certificatesigningrequests`.

mod strategy;

use serde_json::Value;

use super::print::{text, text_or};
use super::value::Read as _;
use crate::row::{Column, Hook, Resource, Subresource, human_duration};

pub(super) static REQUESTS: Resource = Resource {
    group: "certificates.k8s.io",
    kind: "CertificateSigningRequest",
    plural: "certificatesigningrequests",
    singular: "certificatesigningrequest",
    short_names: &["csr"],
    namespaced: false,
    subresources: &[Subresource::Approval, Subresource::Status],
    columns: &[
        Column::NAME,
        Column::AGE,
        Column::string("SignerName", |request, _| text_or(request, "spec.signerName", "<none>")),
        Column::string("Requestor", |request, _| text(request, "spec.username")),
        Column::string("RequestedDuration", |request, _| {
            Value::String(request.int("spec.expirationSeconds").map_or_else(|| "<none>".to_owned(), human_duration))
        }),
        Column::string("Condition", |request, _| Value::String(condition(request))),
    ],
    fields: &[("spec.signerName", |request| request.text("spec.signerName").to_owned())],
    prepare_create: |request, _| super::value::remove(request, "status"),
    prepare_update: strategy::prepare_update,
    prepare_subresource: strategy::prepare_subresource,
    validate: strategy::create,
    validate_update: strategy::update,
    validate_subresource: strategy::subresource,
    name: |_, _| Vec::new(),
    hook: Hook::CertificateRequest,
    storage: "/registry/certificatesigningrequests",
    ..Resource::BASE
};

fn condition(request: &Value) -> String {
    let has = |kind: &str| request.items("status.conditions").iter().any(|condition| condition.text("type") == kind);
    let mut text = if has("Denied") {
        "Denied"
    } else if has("Approved") {
        "Approved"
    } else {
        "Pending"
    }
    .to_owned();
    if has("Failed") {
        text.push_str(",Failed");
    }
    if !request.text("status.certificate").is_empty() {
        text.push_str(",Issued");
    }
    text
}
