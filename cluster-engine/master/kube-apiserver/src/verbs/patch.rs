//! `patch`: JSON patch, merge patch, strategic merge patch and server-side apply.

use drydock_api::field::{FieldError, Path};
use drydock_api::{Status, check, meta, patch};
use drydock_component::serve::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::update::{Change, change_object};
use super::{create, gvk, managed, metadata, yaml};
use crate::encode;
use crate::exchange::{Exchange, FieldValidation};
use crate::row::{Resource, Subresource};
use crate::server::Server;

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// A patch that was read.
pub(crate) enum Patch {
    Json(Vec<u8>),
    Merge(Value),
    Strategic(Value),
    Apply(Value),
}

impl Patch {
    /// Reads the body as its content type says.
    ///
    /// # Errors
    /// 415 for another type, 400 for a body that is none.
    pub(crate) fn read(exchange: &Exchange, body: &[u8]) -> Result<Self, Status> {
        let media = exchange.header("content-type").split(';').next().unwrap_or("").trim();
        let json = |body: &[u8]| -> Result<Value, Status> {
            serde_json::from_slice(body).map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))
        };
        match media {
            JSON_PATCH => Ok(Self::Json(body.to_vec())),
            MERGE_PATCH => Ok(Self::Merge(json(body)?)),
            STRATEGIC => Ok(Self::Strategic(json(body)?)),
            APPLY => Ok(Self::Apply(yaml::read(body)?)),
            _ => Err(Status::unsupported_media_type(&[JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY])),
        }
    }

    /// What `old` becomes (not for server-side apply).
    pub(crate) fn apply_to(&self, old: &Value, row: &Resource) -> Result<Value, Status> {
        match self {
            Self::Json(text) => patch::json_patch(old, text),
            Self::Merge(value) => patch::merge_patch(old, value),
            Self::Strategic(value) => {
                let ty = super::schema_of(row)
                    .ok_or_else(|| Status::unsupported_media_type(&[JSON_PATCH, MERGE_PATCH, APPLY]))?;
                patch::strategic_merge(old, value, ty)
            }
            Self::Apply(value) => Ok(value.clone()),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Json(text) => String::from_utf8_lossy(text).into_owned(),
            Self::Merge(value) | Self::Strategic(value) | Self::Apply(value) => value.to_string(),
        }
    }
}

/// Answers a PATCH.
pub(crate) async fn patch(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    subresource: Option<Subresource>,
    body: &[u8],
) -> Result<Response<Body>, Status> {
    let mut options = exchange.write_options("PatchOptions")?;
    let wanted = Patch::read(exchange, body)?;
    let force = exchange.query.get("force");
    if let Patch::Apply(value) = &wanted {
        if exchange.query.text("fieldManager").is_empty() {
            let error = FieldError::required(&Path::new("fieldManager"), "is required for apply patch");
            return Err(Status::invalid("meta.k8s.io", "PatchOptions", "", vec![error]));
        }
        options.field_manager = exchange.query.text("fieldManager").to_owned();
        let duplicate = match options.field_validation {
            FieldValidation::Ignore => None,
            _ => yaml::duplicate(body),
        };
        return apply(server, exchange, row, subresource, Applied { value, duplicate }, &options).await;
    }
    if force.is_some() {
        let error = FieldError::forbidden(&Path::new("force"), "may not be specified for non-apply patch");
        return Err(Status::invalid("meta.k8s.io", "PatchOptions", "", vec![error]));
    }
    let change = Change { row, name: &exchange.info.name, subresource, options: &options, managed: false };
    let bytes =
        change_object(server, exchange, &change, |old| patched(exchange, row, &wanted, old, options.field_validation))
            .await?;
    encode::object(exchange, row, StatusCode::OK, bytes)
}

/// The patched object, checked against its schema.
fn patched(
    exchange: &Exchange,
    row: &Resource,
    wanted: &Patch,
    old: &Value,
    validation: FieldValidation,
) -> Result<Value, Status> {
    let new = wanted.apply_to(old, row)?;
    let Some(ty) = super::schema_of(row) else {
        let mut new = new;
        super::prune(exchange, row, &mut new, validation)?;
        return same_object(row, new, old);
    };
    let invalid = |text: &str| {
        let error = FieldError::invalid(&Path::new("patch"), wanted.shown(), text);
        Status::invalid("", "", "", vec![error])
    };
    let checked = check::check_value(new, ty).map_err(|error| invalid(&error.0))?;
    match validation {
        FieldValidation::Strict if !checked.strict.is_empty() => {
            return Err(invalid(&format!("strict decoding error: {}", checked.strict.join(", "))));
        }
        FieldValidation::Warn => checked.strict.iter().for_each(|text| exchange.warn(text.clone())),
        _ => {}
    }
    same_object(row, checked.value, old)
}

/// A patch may not make another object of it.
fn same_object(row: &Resource, mut new: Value, old: &Value) -> Result<Value, Status> {
    for key in ["apiVersion", "kind"] {
        if new.get(key) != old.get(key) {
            return Err(Status::bad_request(format!("{key} of the object does not match {}", old[key])));
        }
    }
    let (name, was) = (meta::name(&new).to_owned(), meta::name(old));
    if name != was {
        let error = FieldError::invalid(&Path::new("metadata.name"), name, "field is immutable");
        return Err(Status::invalid(row.group, row.kind, was, vec![error]));
    }
    metadata::tidy(&mut new);
    Ok(new)
}

/// A configuration to apply.
struct Applied<'a> {
    value: &'a Value,
    /// A key that is there twice.
    duplicate: Option<String>,
}

/// Server-side apply: merges into the object, or creates it.
async fn apply(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    subresource: Option<Subresource>,
    Applied { value, duplicate }: Applied<'_>,
    options: &crate::exchange::WriteOptions,
) -> Result<Response<Body>, Status> {
    if meta::metadata(value).is_some_and(|metadata| {
        metadata.get("managedFields").and_then(Value::as_array).is_some_and(|list| !list.is_empty())
    }) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    // The schema judges what was sent, before unknown fields would be dropped; only then may strictness about the text have its say.
    let judged = managed::check(row, value);
    let value = match crate::body::checked_value(exchange, value.clone(), &gvk(row), FieldValidation::Ignore) {
        Ok(value) => judged.map(|()| value)?,
        // Another kind than that of the path is told first.
        Err(error) if judged.is_ok() || meta::gvk(value) != gvk(row) => return Err(error),
        Err(error) => return Err(judged.err().unwrap_or(error)),
    };
    let strict = |object: Value| match &duplicate {
        Some(text) if options.field_validation == FieldValidation::Strict => {
            Err(Status::bad_request(format!("error strict decoding YAML: {text}")))
        }
        _ => Ok(object),
    };
    if let Some(text) = duplicate.as_ref().filter(|_| options.field_validation == FieldValidation::Warn) {
        exchange.warn(text.clone());
    }
    let force = exchange.query.flag("force");
    if !meta::name(&value).is_empty() {
        super::update::check_name(exchange, row, &value)?;
    }
    let change = Change { row, name: &exchange.info.name, subresource, options, managed: true };
    let make = |old: &Value| {
        managed::apply(row, subresource, &options.field_manager, &exchange.now, old, &value, force).and_then(strict)
    };
    match change_object(server, exchange, &change, make).await {
        Err(status) if status.is("NotFound") && subresource.is_none() => {
            server.authorize_also(exchange, "create", "")?;
            if !meta::uid(&value).is_empty() {
                return Err(Status::conflict(
                    row.group,
                    row.plural,
                    &exchange.info.name,
                    format!(
                        "uid mismatch: the provided object specified uid {}, and no existing object was found",
                        meta::uid(&value)
                    ),
                ));
            }
            let mut empty =
                json!({"apiVersion": row.api_version(), "kind": row.kind, "metadata": {"name": exchange.info.name}});
            if row.namespaced {
                empty["metadata"]["namespace"] = exchange.info.namespace.clone().into();
            }
            let mut object = managed::apply(row, None, &options.field_manager, &exchange.now, &empty, &value, force)
                .and_then(strict)?;
            super::default(row, &mut object);
            metadata::begin_create(exchange, row, &mut object)?;
            let bytes = create::finish(server, exchange, row, object, options).await?;
            encode::object(exchange, row, StatusCode::CREATED, bytes)
        }
        changed => encode::object(exchange, row, StatusCode::OK, changed?),
    }
}
