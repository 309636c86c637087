//! What clients may write into CertificateSigningRequests, and validation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

use crate::registry::check::{self, Errors};
use crate::registry::value::{Read as _, items_mut, restore, same};
use crate::row::{Context, Subresource};

const USAGES: &[&str] = &[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// The spec is fixed from the start; `/approval` writes conditions only, `/status` the certificate and other conditions.
pub(super) fn prepare_update(new: &mut Value, old: &Value, _: &Context<'_>) {
    restore(new, old, "spec");
    restore(new, old, "status");
}

/// PrepareForUpdate of `/status` and `/approval`.
pub(super) fn prepare_subresource(new: &mut Value, old: &Value, context: &Context<'_>) {
    restore(new, old, "spec");
    let now = context.now;
    if context.subresource == Some(Subresource::Approval) {
        let conditions = new.at("status.conditions").clone();
        let mut status =
            if old.at("status").is_object() { old.at("status").clone() } else { Value::Object(serde_json::Map::new()) };
        if !conditions.is_null() {
            status["conditions"] = conditions;
        }
        new["status"] = status;
    }
    for condition in items_mut(new, "status.conditions") {
        let kind = condition.text("type").to_owned();
        let before = old.items("status.conditions").iter().find(|known| known.text("type") == kind);
        crate::registry::value::default_text(condition, "status", "True");
        if condition.text("lastTransitionTime").is_empty() {
            match before {
                Some(before) if same(before.at("status"), condition.at("status")) => {
                    restore(condition, before, "lastTransitionTime")
                }
                _ => condition["lastTransitionTime"] = Value::from(now),
            }
        }
        if condition.text("lastUpdateTime").is_empty() {
            condition["lastUpdateTime"] = Value::from(now);
        }
    }
}

/// ValidateCertificateSigningRequestCreate.
pub(super) fn create(request: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = request.at("spec");
    let path = Path::new("spec");
    if let Err(why) = readable(spec.text("request")) {
        errors.push(FieldError::invalid(&path.child("request"), spec.at("request").clone(), why));
    }
    let usages: Vec<&str> = spec.items("usages").iter().filter_map(Value::as_str).collect();
    if usages.is_empty() {
        errors.push(FieldError::required(&path.child("usages"), ""));
    }
    for (index, usage) in usages.iter().enumerate() {
        if !USAGES.contains(usage) {
            errors.push(FieldError::not_supported(&path.child("usages").index(index), *usage, USAGES));
        }
        if usages[..index].contains(usage) {
            errors.push(FieldError::duplicate(&path.child("usages").index(index), *usage));
        }
    }
    let signer = spec.text("signerName");
    if signer == "kubernetes.io/legacy-unknown" {
        errors.push(FieldError::invalid(
            &path.child("signerName"),
            signer,
            "the legacy signerName is not allowed via this API version",
        ));
    } else {
        signer_name(&mut errors, signer, &path.child("signerName"));
    }
    if let Some(seconds) = spec.int("expirationSeconds")
        && seconds < 600
    {
        errors.push(FieldError::invalid(
            &path.child("expirationSeconds"),
            seconds,
            "may not specify a duration less than 600 seconds (10 minutes)",
        ));
    }
    errors
}

/// ParseCSR: one PEM block with a certificate request.
fn readable(text: &str) -> Result<(), String> {
    const KIND: &str = "PEM block type must be CERTIFICATE REQUEST";
    let bytes = STANDARD.decode(text).map_err(|_| KIND)?;
    let (_, pem) = x509_parser::pem::parse_x509_pem(&bytes).map_err(|_| KIND)?;
    if pem.label != "CERTIFICATE REQUEST" {
        return Err(KIND.to_owned());
    }
    X509CertificationRequest::from_der(&pem.contents)
        .map(|_| ())
        .map_err(|error| format!("asn1: structure error: {error}"))
}

fn signer_name(errors: &mut Errors, name: &str, path: &Path) {
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let Some((domain, rest)) = name.split_once('/') else {
        errors.push(FieldError::invalid(
            path,
            name,
            "must be a fully qualified domain and path of the form 'example.com/signer-name'",
        ));
        return;
    };
    check::each(errors, path, domain, names::is_dns1123_subdomain(domain));
    if rest.is_empty() {
        errors.push(FieldError::invalid(path, name, "validation failed"));
    }
    if !domain.contains('.') {
        errors.push(FieldError::invalid(
            path,
            domain,
            "should be a domain with at least two segments separated by dots",
        ));
    }
}

/// Updates of the main resource change nothing that is checked.
pub(super) fn update(_: &Value, _: &Value, _: &Context<'_>) -> Errors {
    Errors::new()
}

/// ValidateCertificateSigningRequestStatusUpdate and …ApprovalUpdate.
pub(super) fn subresource(new: &Value, old: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let path = Path::new("status.conditions");
    let has = |object: &Value, kind: &str| {
        object.items("status.conditions").iter().any(|condition| condition.text("type") == kind)
    };
    let mut seen = Vec::new();
    for (index, condition) in new.items("status.conditions").iter().enumerate() {
        let path = path.index(index);
        let kind = condition.text("type");
        check::required(&mut errors, condition, &path, "type");
        match condition.text("status") {
            "" => errors.push(FieldError::required(&path.child("status"), "")),
            "True" => {}
            other => {
                if matches!(kind, "Approved" | "Denied" | "Failed") {
                    errors.push(FieldError::not_supported(&path.child("status"), other, &["True"]));
                } else if !matches!(other, "False" | "Unknown") {
                    errors.push(FieldError::not_supported(&path.child("status"), other, &["False", "True", "Unknown"]));
                }
            }
        }
        if seen.contains(&kind) {
            errors.push(FieldError::duplicate(&path.child("type"), kind));
        }
        seen.push(kind);
    }
    if has(new, "Approved") && has(new, "Denied") && !(has(old, "Approved") && has(old, "Denied")) {
        errors.push(FieldError::invalid(&path, "Denied", "Approved and Denied conditions are mutually exclusive"));
    }
    for kind in ["Approved", "Denied", "Failed"] {
        if has(old, kind) && !has(new, kind) {
            errors.push(FieldError::forbidden(
                &path,
                format!("updates may not remove a condition of type {}", drydock_api::go_quote(kind)),
            ));
        }
    }
    let certificate = old.text("status.certificate");
    if !certificate.is_empty() && certificate != new.text("status.certificate") {
        errors.push(FieldError::forbidden(
            &Path::new("status.certificate"),
            "updates may not change or remove existing certificate content",
        ));
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::certificates::REQUESTS;
    use crate::registry::check::texts;

    fn context(subresource: Option<Subresource>) -> Context<'static> {
        Context { resource: &REQUESTS, namespace: "", user: "", groups: &[], subresource, now: "2026-01-01T00:00:00Z" }
    }

    #[test]
    fn requests() {
        let object =
            json!({"spec": {"request": "eA==", "usages": ["fly"], "signerName": "example", "expirationSeconds": 5}});
        let found = texts(&create(&object, &context(None)));
        assert_eq!(found[0], r#"spec.request: Invalid value: "eA==": PEM block type must be CERTIFICATE REQUEST"#);
        assert!(found[1].starts_with(r#"spec.usages[0]: Unsupported value: "fly": supported values: "any""#));
        assert_eq!(
            found[3],
            "spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 600 seconds (10 minutes)"
        );
    }

    #[test]
    fn approval_writes_conditions_only() {
        let old = json!({"spec": {"signerName": "a.b/c"}, "status": {"certificate": "eA=="}});
        let mut new = json!({"spec": {"signerName": "x"}, "status": {"certificate": "eQ==", "conditions": [{"type": "Approved"}]}});
        prepare_subresource(&mut new, &old, &context(Some(Subresource::Approval)));
        assert_eq!(new["spec"], old["spec"]);
        assert_eq!(new["status"]["certificate"], "eA==");
        assert_eq!(
            new["status"]["conditions"][0],
            json!({"type": "Approved", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "lastUpdateTime": "2026-01-01T00:00:00Z"})
        );
        assert_eq!(texts(&subresource(&new, &old, &context(Some(Subresource::Approval)))), [""; 0]);
    }
}
