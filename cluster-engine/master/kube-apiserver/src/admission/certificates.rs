//! CertificateApproval, CertificateSigning and CertificateSubjectRestriction: who may approve and sign for which signer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drydock_api::{Status, go_quote, meta};
use serde_json::Value;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

use super::{Attempt, Operation};
use crate::authorize::{Attributes, Authorize as _, Decision};
use crate::row::Subresource;

const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";
const MASTERS: &str = "system:masters";

/// Checks a write of a CertificateSigningRequest.
///
/// # Errors
/// 403 in upstream's words.
pub(super) fn check(attempt: &Attempt<'_>, object: Option<&Value>) -> Result<(), Status> {
    let Some(request) = object else { return Ok(()) };
    let name = meta::name(request);
    let signer = |object: &Value| object.pointer("/spec/signerName").and_then(Value::as_str).unwrap_or("").to_owned();
    let refused = |word: &str, signer: &str| {
        Err(attempt
            .forbidden(name, format!("user not permitted to {word} requests with signerName {}", go_quote(signer))))
    };
    match (attempt.operation, attempt.subresource) {
        (Operation::Update, Some(Subresource::Approval)) if attempt.on("CertificateApproval") => {
            let signer = signer(attempt.old.unwrap_or(request));
            if !may(attempt, "approve", &signer) {
                return refused("approve", &signer);
            }
        }
        (Operation::Update, Some(Subresource::Status)) if attempt.on("CertificateSigning") => {
            let signer = signer(attempt.old.unwrap_or(request));
            let changed = |path: &str| attempt.old.is_none_or(|old| old.pointer(path) != request.pointer(path));
            if (changed("/status/certificate") || changed("/status/conditions")) && !may(attempt, "sign", &signer) {
                return refused("sign", &signer);
            }
        }
        (Operation::Create, None)
            if attempt.on("CertificateSubjectRestriction")
                && signer(request) == CLIENT_SIGNER
                && organizations(request).iter().any(|group| group == MASTERS) =>
        {
            let text = format!("use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed");
            return Err(attempt.forbidden(name, text));
        }
        _ => {}
    }
    Ok(())
}

/// Whether the user has the verb on the signer, or on all of its domain.
fn may(attempt: &Attempt<'_>, verb: &str, signer: &str) -> bool {
    let domain = signer.split('/').next().unwrap_or("");
    [signer.to_owned(), format!("{domain}/*")].iter().any(|name| {
        let question = Attributes {
            user: &attempt.exchange.user,
            verb,
            group: "certificates.k8s.io",
            resource: "signers",
            subresource: "",
            name,
            namespace: "",
            path: "",
        };
        matches!(attempt.server.chain.authorize(&question), Decision::Allow(_))
    })
}

/// The organizations (groups) that the request asks for.
fn organizations(request: &Value) -> Vec<String> {
    let text = request.pointer("/spec/request").and_then(Value::as_str).unwrap_or("");
    let Ok(pem) = STANDARD.decode(text) else { return Vec::new() };
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(&pem) else { return Vec::new() };
    let Ok((_, parsed)) = X509CertificationRequest::from_der(&pem.contents) else { return Vec::new() };
    let subject = &parsed.certification_request_info.subject;
    subject.iter_organization().filter_map(|group| group.as_str().ok()).map(str::to_owned).collect()
}
