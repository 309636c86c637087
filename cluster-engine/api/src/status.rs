//! `meta/v1` Status: every error the API answers, with the texts of `k8s.io/apimachinery/pkg/api/errors`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::field::{FieldError, aggregate};
use crate::go_quote;
use crate::meta::ListMeta;

/// The answer to a request that is not an object: an error, or the success of a delete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// Always `Status`.
    pub kind: String,
    /// Always `v1`.
    pub api_version: String,
    /// List metadata; empty but present, as upstream writes it.
    pub metadata: ListMeta,
    /// `Success` or `Failure`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// For programs, such as `NotFound`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What the reason is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<StatusDetails>,
    /// The HTTP status.
    #[serde(skip_serializing_if = "is_zero_u16")]
    pub code: u16,
}

/// What a [`Status`] is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusDetails {
    /// The object's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The object's API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The resource, or for `Invalid` the kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The object's uid.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// One entry per failed field or other cause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<StatusCause>,
    /// Seconds after which a retry may help.
    #[serde(skip_serializing_if = "is_zero_u32")]
    pub retry_after_seconds: u32,
}

/// One cause of a failure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusCause {
    /// The cause's type, such as `FieldValueInvalid`.
    #[serde(rename = "reason", skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The field's path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
}

fn is_zero_u16(n: &u16) -> bool {
    *n == 0
}

fn is_zero_u32(n: &u32) -> bool {
    *n == 0
}

impl Default for Status {
    fn default() -> Self {
        Self {
            kind: "Status".to_owned(),
            api_version: "v1".to_owned(),
            metadata: ListMeta::default(),
            status: String::new(),
            message: String::new(),
            reason: String::new(),
            details: None,
            code: 0,
        }
    }
}

/// `resource` or `resource.group`, as upstream prints a GroupResource (or GroupKind).
fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() || resource.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

fn details(group: &str, kind: &str, name: &str) -> Option<StatusDetails> {
    Some(StatusDetails {
        group: group.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        ..StatusDetails::default()
    })
}

impl Status {
    /// A failure with nothing but code, reason and message.
    pub fn failure(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self {
            status: "Failure".to_owned(),
            code,
            reason: reason.to_owned(),
            message: message.into(),
            ..Self::default()
        }
    }

    /// A success, as answered to a delete.
    pub fn success(details: Option<StatusDetails>) -> Self {
        Self { status: "Success".to_owned(), code: 0, details, ..Self::default() }
    }

    fn about(mut self, group: &str, kind: &str, name: &str) -> Self {
        self.details = details(group, kind, name);
        self
    }

    /// The same failure with causes.
    #[must_use]
    pub fn with_causes(mut self, causes: Vec<StatusCause>) -> Self {
        self.details.get_or_insert_default().causes = causes;
        self
    }

    /// The same failure with a retry hint.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.details.get_or_insert_default().retry_after_seconds = seconds;
        self
    }

    /// 404: the object does not exist.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        Self::failure(404, "NotFound", format!("{} {} not found", qualified(group, resource), go_quote(name)))
            .about(group, resource, name)
    }

    /// 409: the name is taken.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        Self::failure(409, "AlreadyExists", format!("{} {} already exists", qualified(group, resource), go_quote(name)))
            .about(group, resource, name)
    }

    /// 409: every generated name was taken.
    pub fn generate_name_conflict(group: &str, resource: &str, name: &str) -> Self {
        let message = format!(
            "{} {} already exists, the server was not able to generate a unique name for the object",
            qualified(group, resource),
            go_quote(name)
        );
        Self::failure(409, "AlreadyExists", message).about(group, resource, name).with_retry_after(1)
    }

    /// 409: the object changed, or a precondition failed; `message` is what stood in the way.
    pub fn conflict(group: &str, resource: &str, name: &str, message: impl fmt::Display) -> Self {
        let text =
            format!("Operation cannot be fulfilled on {} {}: {message}", qualified(group, resource), go_quote(name));
        Self::failure(409, "Conflict", text).about(group, resource, name)
    }

    /// 409 with upstream's usual text for a stale resourceVersion.
    pub fn modified(group: &str, resource: &str, name: &str) -> Self {
        Self::conflict(
            group,
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 409 of server-side apply, one cause per contested field.
    pub fn apply_conflict(message: impl Into<String>, causes: Vec<StatusCause>) -> Self {
        Self::failure(409, "Conflict", message).with_causes(causes)
    }

    /// 422: validation failed.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: Vec<FieldError>) -> Self {
        let mut message = format!("{} {} is invalid", qualified(group, kind), go_quote(name));
        if !errors.is_empty() {
            message.push_str(": ");
            message.push_str(&aggregate(&errors));
        }
        let causes = errors
            .into_iter()
            .map(|e| StatusCause { reason: e.kind.reason().to_owned(), message: e.body(), field: e.field })
            .collect();
        Self::failure(422, "Invalid", message).about(group, kind, name).with_causes(causes)
    }

    /// 400: the request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::failure(400, "BadRequest", message)
    }

    /// 401: who are you?
    pub fn unauthorized(message: impl Into<String>) -> Self {
        let message = message.into();
        Self::failure(401, "Unauthorized", if message.is_empty() { "Unauthorized".to_owned() } else { message })
    }

    /// 403: `resource "name" is forbidden: why`.
    pub fn forbidden(group: &str, resource: &str, name: &str, why: impl fmt::Display) -> Self {
        let message = match (resource.is_empty(), name.is_empty()) {
            (true, _) => format!("forbidden: {why}"),
            (false, true) => format!("{} is forbidden: {why}", qualified(group, resource)),
            (false, false) => format!("{} {} is forbidden: {why}", qualified(group, resource), go_quote(name)),
        };
        Self::failure(403, "Forbidden", message).about(group, resource, name)
    }

    /// 405: the resource has no such verb.
    pub fn method_not_supported(group: &str, resource: &str, action: &str) -> Self {
        let message =
            format!("{action} is not supported on resources of kind {}", go_quote(&qualified(group, resource)));
        Self::failure(405, "MethodNotAllowed", message).about(group, resource, "")
    }

    /// 410: the resourceVersion or continue token is too old.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::failure(410, "Expired", message)
    }

    /// 410: gone for good.
    pub fn gone(message: impl Into<String>) -> Self {
        Self::failure(410, "Gone", message)
    }

    /// 504: a resourceVersion from the future.
    pub fn too_large_resource_version(wanted: u64, current: u64, retry_after: u32) -> Self {
        let mut status =
            Self::timeout(format!("Too large resource version: {wanted}, current: {current}"), retry_after);
        status.details.get_or_insert_default().causes = vec![StatusCause {
            reason: "ResourceVersionTooLarge".to_owned(),
            message: "Too large resource version".to_owned(),
            field: String::new(),
        }];
        status
    }

    /// 500: our fault.
    pub fn internal(error: impl fmt::Display) -> Self {
        let cause = StatusCause { message: error.to_string(), ..StatusCause::default() };
        Self::failure(500, "InternalError", format!("Internal error occurred: {error}")).with_causes(vec![cause])
    }

    /// 504: it took too long.
    pub fn timeout(message: impl fmt::Display, retry_after: u32) -> Self {
        Self::failure(504, "Timeout", format!("Timeout: {message}")).with_retry_after(retry_after)
    }

    /// 500 `ServerTimeout`: try again.
    pub fn server_timeout(group: &str, resource: &str, operation: &str, retry_after: u32) -> Self {
        let message = format!(
            "The {operation} operation against {} could not be completed at this time, please try again.",
            qualified(group, resource)
        );
        Self::failure(500, "ServerTimeout", message).about(group, resource, "").with_retry_after(retry_after)
    }

    /// 503: not now.
    pub fn service_unavailable(message: impl Into<String>) -> Self {
        Self::failure(503, "ServiceUnavailable", message)
    }

    /// 429: slow down; also an eviction that a budget forbids.
    pub fn too_many_requests(message: impl Into<String>, retry_after: u32) -> Self {
        Self::failure(429, "TooManyRequests", message).with_retry_after(retry_after)
    }

    /// 413: the body is too large.
    pub fn request_entity_too_large(message: impl fmt::Display) -> Self {
        Self::failure(413, "RequestEntityTooLarge", format!("Request entity too large: {message}"))
    }

    /// 415: the body is in a format this endpoint does not read.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::failure(415, "UnsupportedMediaType", message)
    }

    /// 406: none of the wanted formats can be written.
    pub fn not_acceptable(accepted: &[&str]) -> Self {
        Self::failure(
            406,
            "NotAcceptable",
            format!("only the following media types are accepted: {}", accepted.join(", ")),
        )
    }

    /// 422 for patches that cannot be applied. Upstream sends a fixed text (`NewGenericServerResponse`) and keeps the reason to itself.
    pub fn unprocessable(_reason: impl fmt::Display) -> Self {
        Self::failure(422, "Invalid", "the server rejected our request due to an error in our request")
            .about("", "", "")
    }

    /// 404 of a path that is no resource at all.
    pub fn unknown_path() -> Self {
        let mut status = Self::failure(404, "NotFound", "the server could not find the requested resource");
        status.details = Some(StatusDetails::default());
        status
    }

    /// A failure of another code, with the reason upstream gives that code.
    pub fn generic(code: u16, message: impl Into<String>) -> Self {
        let reason = match code {
            400 => "BadRequest",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            405 => "MethodNotAllowed",
            406 => "NotAcceptable",
            409 => "Conflict",
            410 => "Gone",
            413 => "RequestEntityTooLarge",
            415 => "UnsupportedMediaType",
            422 => "Invalid",
            429 => "TooManyRequests",
            500 => "InternalError",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "",
        };
        Self::failure(code, reason, message)
    }

    /// The failure's reason is this one.
    pub fn is(&self, reason: &str) -> bool {
        self.reason == reason
    }

    /// The status as JSON bytes.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::field::Path;

    #[test]
    fn texts_are_upstreams() {
        for (status, code, reason, message) in [
            (Status::not_found("apps", "deployments", "x"), 404, "NotFound", r#"deployments.apps "x" not found"#),
            (Status::not_found("", "pods", "x"), 404, "NotFound", r#"pods "x" not found"#),
            (Status::already_exists("", "pods", "x"), 409, "AlreadyExists", r#"pods "x" already exists"#),
            (
                Status::modified("", "pods", "x"),
                409,
                "Conflict",
                r#"Operation cannot be fulfilled on pods "x": the object has been modified; please apply your changes to the latest version and try again"#,
            ),
            (Status::forbidden("", "pods", "", "no"), 403, "Forbidden", "pods is forbidden: no"),
            (
                Status::forbidden("apps", "deployments", "a", "no"),
                403,
                "Forbidden",
                r#"deployments.apps "a" is forbidden: no"#,
            ),
            (
                Status::method_not_supported("", "bindings", "get"),
                405,
                "MethodNotAllowed",
                r#"get is not supported on resources of kind "bindings""#,
            ),
            (
                Status::too_large_resource_version(9, 3, 1),
                504,
                "Timeout",
                "Timeout: Too large resource version: 9, current: 3",
            ),
            (Status::internal("boom"), 500, "InternalError", "Internal error occurred: boom"),
        ] {
            assert_eq!((status.code, status.reason.as_str(), status.message.as_str()), (code, reason, message));
        }
    }

    #[test]
    fn invalid_has_a_cause_per_field() {
        let status =
            Status::invalid("apps", "Deployment", "x", vec![FieldError::required(&Path::new("spec.selector"), "")]);
        assert_eq!(
            serde_json::to_value(&status).unwrap(),
            json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": "Deployment.apps \"x\" is invalid: spec.selector: Required value",
                "reason": "Invalid",
                "details": {"name": "x", "group": "apps", "kind": "Deployment",
                    "causes": [{"reason": "FieldValueRequired", "message": "Required value", "field": "spec.selector"}]},
                "code": 422
            })
        );
    }
}
