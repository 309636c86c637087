//! One request on its way through the pipeline.

use std::sync::{Mutex, PoisonError};

use drydock_api::Status;
use drydock_api::status::StatusCause;
use http::HeaderMap;

use crate::audit::Notes;
use crate::authorize::UserInfo;
use crate::encode::Accept;
use crate::request::{Query, RequestInfo};
use crate::row::{Context, Resource, Subresource};

/// A request after authentication, and what is gathered for its answer.
pub(crate) struct Exchange {
    pub(crate) info: RequestInfo,
    pub(crate) query: Query,
    /// The query as sent, to be passed on by proxies.
    pub(crate) raw_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) user: UserInfo,
    pub(crate) accept: Accept,
    /// Whether JSON is indented (curl, browsers, `?pretty=true`).
    pub(crate) pretty: bool,
    /// Now, RFC 3339 with seconds: one time for everything this request writes.
    pub(crate) now: String,
    pub(crate) notes: Notes,
    warnings: Mutex<Vec<String>>,
}

/// How strictly unknown fields are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// Options that every write has.
#[derive(Clone, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) field_manager: String,
    pub(crate) field_validation: FieldValidation,
}

impl Exchange {
    /// A request that has been authenticated.
    pub(crate) fn new(
        info: RequestInfo,
        query: Query,
        raw_query: String,
        headers: HeaderMap,
        user: UserInfo,
        accept: Accept,
    ) -> Self {
        let agent = headers.get("user-agent").and_then(|value| value.to_str().ok()).unwrap_or("");
        let pretty = match query.get("pretty") {
            Some(_) => query.flag("pretty"),
            None => ["curl", "Wget", "Mozilla/5.0"].iter().any(|browser| agent.starts_with(browser)),
        };
        let now = drydock_api::time::now_rfc3339();
        Self {
            info,
            query,
            raw_query,
            headers,
            user,
            accept,
            pretty,
            now,
            notes: Notes::default(),
            warnings: Mutex::default(),
        }
    }

    /// A header as text, empty when absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// Adds a `Warning: 299` for the client, once.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// The warnings so far.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What row functions may know.
    pub(crate) fn context<'a>(&'a self, row: &'a Resource, subresource: Option<Subresource>) -> Context<'a> {
        Context {
            resource: row,
            namespace: self.info_namespace(row),
            user: &self.user.name,
            groups: &self.user.groups,
            subresource,
            now: &self.now,
        }
    }

    /// The namespace of the request's objects: empty for cluster scope (where the path of a Namespace names itself).
    pub(crate) fn info_namespace(&self, row: &Resource) -> &str {
        if row.namespaced { &self.info.namespace } else { "" }
    }

    /// The manager written to managedFields: as asked, else the first part of the user agent.
    fn manager(&self) -> String {
        match self.query.text("fieldManager") {
            "" => {
                let agent = self.header("user-agent").split('/').next().unwrap_or("");
                agent.chars().take(128).filter(|c| !c.is_control()).collect()
            }
            given => given.to_owned(),
        }
    }

    /// The options of a write, from the query.
    ///
    /// # Errors
    /// 422 in upstream's words for values that are not supported.
    pub(crate) fn write_options(&self, kind: &str) -> Result<WriteOptions, Status> {
        let mut causes = Vec::new();
        let mut dry_run = false;
        for value in self.query.all("dryRun") {
            if value == "All" {
                dry_run = true;
            } else {
                let quoted = drydock_api::go_quote(value);
                causes.push(cause(
                    "FieldValueNotSupported",
                    "dryRun",
                    format!("Unsupported value: {quoted}: supported values: \"All\""),
                ));
            }
        }
        let field_validation = match self.query.text("fieldValidation") {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                let text = format!(
                    "Unsupported value: {}: supported values: \"Ignore\", \"Strict\", \"Warn\"",
                    drydock_api::go_quote(other)
                );
                causes.push(cause("FieldValueNotSupported", "fieldValidation", text));
                FieldValidation::Warn
            }
        };
        let given = self.query.text("fieldManager");
        if given.chars().count() > 128 {
            causes.push(cause(
                "FieldValueTooLong",
                "fieldManager",
                "Too long: may not be more than 128 bytes".to_owned(),
            ));
        } else if given.chars().any(|c| c.is_control()) {
            causes.push(cause(
                "FieldValueInvalid",
                "fieldManager",
                format!("Invalid value: {}: should only contain printable characters", drydock_api::go_quote(given)),
            ));
        }
        if causes.is_empty() {
            return Ok(WriteOptions { dry_run, field_manager: self.manager(), field_validation });
        }
        let texts: Vec<_> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let body = if texts.len() == 1 { texts[0].clone() } else { format!("[{}]", texts.join(", ")) };
        let mut status = Status::failure(422, "Invalid", format!("{kind}.meta.k8s.io \"\" is invalid: {body}"));
        if let Some(details) = &mut status.details {
            details.group = "meta.k8s.io".to_owned();
            details.kind = kind.to_owned();
        }
        Err(status.with_causes(causes))
    }
}

fn cause(reason: &str, field: &str, message: String) -> StatusCause {
    StatusCause { reason: reason.to_owned(), message, field: field.to_owned() }
}
