//! AdmissionReview: what a webhook is asked and how its answer is read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drydock_api::{Status, go_quote};
use serde_json::{Map, Value, json};

use super::Attempt;
use crate::registry::Read as _;
use crate::row::Resource;

/// The first version of AdmissionReview that both sides speak.
pub(super) fn version(webhook: &Value) -> Result<&'static str, String> {
    let spoken = webhook.items("admissionReviewVersions");
    for version in spoken {
        match version.as_str() {
            Some("v1") => return Ok("v1"),
            Some("v1beta1") => return Ok("v1beta1"),
            _ => {}
        }
    }
    Err("webhook does not accept known AdmissionReview versions (v1, v1beta1)".to_owned())
}

/// The review that is sent.
pub(super) fn request(
    attempt: &Attempt<'_>,
    row: &Resource,
    version: &str,
    uid: &str,
    object: Option<&Value>,
    old: Option<&Value>,
) -> Value {
    let user = &attempt.exchange.user;
    let of_row = attempt.kind == crate::verbs::gvk(attempt.row);
    let resource = |row: &Resource| json!({"group": row.group, "version": row.version, "resource": row.plural});
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let own = kind(&attempt.kind.group, &attempt.kind.version, &attempt.kind.kind);
    let seen = if of_row { kind(row.group, row.version, row.kind) } else { own.clone() };
    let mut info = json!({});
    if !user.name.is_empty() {
        info["username"] = user.name.clone().into();
    }
    if !user.uid.is_empty() {
        info["uid"] = user.uid.clone().into();
    }
    if !user.groups.is_empty() {
        info["groups"] = json!(user.groups);
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    let mut request = json!({
        "uid": uid,
        "kind": seen,
        "resource": resource(row),
        "requestKind": own,
        "requestResource": resource(attempt.row),
        "operation": attempt.operation.name(),
        "userInfo": info,
        "object": shown(object, &attempt.kind, row, of_row),
        "oldObject": shown(old, &attempt.kind, row, of_row),
        "dryRun": attempt.dry_run,
        "options": attempt.options,
    });
    for (key, text) in [
        ("name", attempt.name),
        ("namespace", attempt.namespace),
        ("subResource", attempt.subresource_name()),
        ("requestSubResource", attempt.subresource_name()),
    ] {
        if !text.is_empty() {
            request[key] = text.into();
        }
    }
    json!({"kind": "AdmissionReview", "apiVersion": format!("admission.k8s.io/{version}"), "request": request})
}

fn shown(object: Option<&Value>, kind: &drydock_api::meta::Gvk, row: &Resource, of_row: bool) -> Value {
    let Some(Value::Object(fields)) = object else { return Value::Null };
    let mut fields: Map<String, Value> = fields.clone();
    let (version, kind) = if of_row { (row.api_version(), row.kind) } else { (kind.api_version(), kind.kind.as_str()) };
    fields.insert("apiVersion".to_owned(), version.into());
    fields.insert("kind".to_owned(), kind.into());
    Value::Object(fields)
}

/// What a webhook answered.
#[derive(Debug, PartialEq)]
pub(super) struct Response {
    pub(super) allowed: bool,
    pub(super) patch: Option<Vec<u8>>,
    pub(super) warnings: Vec<String>,
    pub(super) annotations: Vec<(String, String)>,
}

/// Reads an answer.
///
/// # Errors
/// Upstream's words for what is wrong with it.
pub(super) fn response(answer: &Value, version: &str, uid: &str, mutating: bool) -> Result<Response, String> {
    let wanted = format!("admission.k8s.io/{version}, Kind=AdmissionReview");
    let got = format!("{}, Kind={}", answer.text("apiVersion"), answer.text("kind"));
    if version == "v1" && got != wanted {
        return Err(format!("expected webhook response of {wanted}, got {got}"));
    }
    let response = answer.at("response");
    if !response.is_object() {
        return Err("webhook response was absent".to_owned());
    }
    if version == "v1" && response.text("uid") != uid {
        return Err(format!("expected response.uid={}, got {}", go_quote(uid), go_quote(response.text("uid"))));
    }
    let text = response.text("patch");
    let patch = if text.is_empty() {
        None
    } else {
        Some(STANDARD.decode(text).map_err(|error| format!("illegal base64 data in response.patch: {error}"))?)
    };
    if mutating && version == "v1" {
        match (patch.is_some(), response.at("patchType").as_str()) {
            (true, None) => return Err("webhook returned response.patch but not response.patchType".to_owned()),
            (true, Some("JSONPatch")) | (false, None) => {}
            (true, Some(other)) => {
                return Err(format!("webhook returned invalid response.patchType of {}", go_quote(other)));
            }
            (false, Some(_)) => return Err("webhook returned response.patchType but not response.patch".to_owned()),
        }
    } else if !mutating && version == "v1" && patch.is_some() {
        return Err("validating webhook may not return response.patch".to_owned());
    }
    Ok(Response {
        allowed: response.flag("allowed"),
        patch: patch.filter(|_| mutating),
        warnings: response.items("warnings").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        annotations: response
            .strings("auditAnnotations")
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
    })
}

/// A denial as the client sees it.
pub(super) fn denial(webhook: &str, result: &Value) -> Status {
    let denied = format!("admission webhook {} denied the request", go_quote(webhook));
    let mut status: Status = serde_json::from_value(result.clone()).unwrap_or_default();
    status.kind = "Status".to_owned();
    status.api_version = "v1".to_owned();
    if status.code < 400 {
        status.code = 400;
    }
    if status.status.is_empty() || status.status == "Success" {
        status.status = "Failure".to_owned();
    }
    status.message = match (status.message.as_str(), status.reason.as_str()) {
        ("", "") => format!("{denied} without explanation"),
        ("", why) | (why, _) => format!("{denied}: {why}"),
    };
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_say_who_and_why() {
        let status = denial("a.b.c", &json!({"message": "no"}));
        assert_eq!((status.code, status.message.as_str()), (400, "admission webhook \"a.b.c\" denied the request: no"));
        let status = denial("a.b.c", &json!({"code": 403, "reason": "Forbidden"}));
        assert_eq!(
            (status.code, status.message.as_str()),
            (403, "admission webhook \"a.b.c\" denied the request: Forbidden")
        );
        assert_eq!(
            denial("a.b.c", &Value::Null).message,
            "admission webhook \"a.b.c\" denied the request without explanation"
        );
    }

    #[test]
    fn answers_are_checked() {
        let answer = |response: Value| json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
        assert!(response(&answer(json!({"uid": "u", "allowed": true})), "v1", "u", true).is_ok_and(|r| r.allowed));
        assert!(response(&answer(json!({"uid": "v", "allowed": true})), "v1", "u", true).is_err());
        let patched = response(
            &answer(json!({"uid": "u", "allowed": true, "patchType": "JSONPatch", "patch": "W10="})),
            "v1",
            "u",
            true,
        );
        assert_eq!(patched.map(|r| r.patch), Ok(Some(b"[]".to_vec())));
        assert!(response(&answer(json!({"uid": "u", "allowed": true, "patch": "W10="})), "v1", "u", true).is_err());
        assert!(response(&json!({"kind": "x"}), "v1", "u", true).is_err());
    }
}
