//! Which form the client wants its answer in, and answers in that form.

pub(crate) mod table;

use bytes::Bytes;
use drydock_api::Status;
use drydock_component::serve::{Body, full};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde_json::Value;

use crate::exchange::Exchange;
use crate::row::Resource;
use crate::storage::bytes_form;

/// Media types of objects, as error texts list them.
pub(crate) const MEDIA_TYPES: [&str; 3] =
    ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/// How an answer is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Yaml,
    Protobuf,
}

/// What an object is turned into before it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The object itself.
    Whole,
    /// `PartialObjectMetadata(List)` of `meta.k8s.io` in this version.
    Partial(&'static str),
    /// `Table` of `meta.k8s.io` in this version.
    Table(&'static str),
}

/// What the client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accept {
    pub(crate) media: Media,
    pub(crate) form: Form,
}

impl Accept {
    /// Reads an Accept header for an object (`forms`: whether Table and PartialObjectMetadata can be given).
    ///
    /// JSON is given wherever the client takes it at all in the form it prefers most; protobuf only when it takes nothing else.
    ///
    /// # Errors
    /// 406 when nothing fits.
    pub(crate) fn negotiate(header: &str, forms: bool) -> Result<Self, Status> {
        let mut best: Option<Self> = None;
        for clause in header.split(',').map(str::trim).filter(|clause| !clause.is_empty()) {
            let Some(found) = Self::clause(clause, forms) else { continue };
            match best {
                None => best = Some(found),
                Some(first) if first.form == found.form && first.media == Media::Protobuf => best = Some(found),
                Some(_) => {}
            }
        }
        if header.trim().is_empty() {
            best = Some(Self { media: Media::Json, form: Form::Whole });
        }
        best.ok_or_else(|| Status::not_acceptable(&MEDIA_TYPES))
    }

    fn clause(clause: &str, forms: bool) -> Option<Self> {
        let mut parts = clause.split(';').map(str::trim);
        let media = match parts.next()? {
            "application/json" | "*/*" | "application/*" => Media::Json,
            "application/yaml" => Media::Yaml,
            "application/vnd.kubernetes.protobuf" => Media::Protobuf,
            _ => return None,
        };
        let (mut kind, mut group, mut version) = ("", "", "");
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key.trim() {
                "as" => kind = value.trim(),
                "g" => group = value.trim(),
                "v" => version = value.trim(),
                _ => {}
            }
        }
        if kind.is_empty() {
            return Some(Self { media, form: Form::Whole });
        }
        let version = match version {
            "v1" => "meta.k8s.io/v1",
            "v1beta1" => "meta.k8s.io/v1beta1",
            _ => return None,
        };
        let form = match kind {
            "Table" => Form::Table(version),
            "PartialObjectMetadata" | "PartialObjectMetadataList" => Form::Partial(version),
            _ => return None,
        };
        (forms && group == "meta.k8s.io" && media == Media::Json).then_some(Self { media, form })
    }
}

/// An answer with one object of a row, given in wire form.
pub(crate) fn object(
    exchange: &Exchange,
    row: &Resource,
    code: StatusCode,
    bytes: Bytes,
) -> Result<Response<Body>, Status> {
    match exchange.accept.form {
        Form::Whole => written(exchange, code, bytes),
        Form::Partial(version) => written(exchange, code, bytes_form::partial(&bytes, version)),
        Form::Table(version) => {
            let object: Value = serde_json::from_slice(&bytes).map_err(Status::internal)?;
            let metadata = table::ListMeta {
                resource_version: drydock_api::meta::resource_version(&object).to_owned(),
                ..table::ListMeta::default()
            };
            let table = table::Table::new(row, version, exchange.query.text("includeObject"));
            written(exchange, code, Bytes::from(table.list(&metadata, std::iter::once(&bytes))))
        }
    }
}

/// An answer with one object that is of no row (reviews, Scale …).
pub(crate) fn value(exchange: &Exchange, code: StatusCode, value: &Value) -> Result<Response<Body>, Status> {
    written(exchange, code, Bytes::from(serde_json::to_vec(value).map_err(Status::internal)?))
}

/// An answer with finished JSON, in the media type the client wants.
pub(crate) fn written(exchange: &Exchange, code: StatusCode, json: Bytes) -> Result<Response<Body>, Status> {
    let (body, media) = match exchange.accept.media {
        Media::Json if exchange.pretty => (pretty(&json), "application/json"),
        Media::Json => (json, "application/json"),
        Media::Yaml => {
            let value: Value = serde_json::from_slice(&json).map_err(Status::internal)?;
            (Bytes::from(serde_saphyr::to_string(&value).map_err(Status::internal)?), "application/yaml")
        }
        Media::Protobuf => {
            let value: Value = serde_json::from_slice(&json).map_err(Status::internal)?;
            let bytes =
                drydock_api::codec::encode_protobuf(&value).map_err(|_| Status::not_acceptable(&MEDIA_TYPES[..2]))?;
            (Bytes::from(bytes), "application/vnd.kubernetes.protobuf")
        }
    };
    Ok(with_type(code, media, body))
}

/// A JSON answer whatever the client says: Status, discovery, OpenAPI.
pub(crate) fn json(code: StatusCode, bytes: impl Into<Bytes>) -> Response<Body> {
    with_type(code, "application/json", bytes.into())
}

/// An answer with that content type.
pub(crate) fn with_type(code: StatusCode, media: &'static str, bytes: Bytes) -> Response<Body> {
    let length = bytes.len();
    let mut response = Response::new(full(bytes));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// A failure as an answer.
pub(crate) fn status(status: &Status) -> Response<Body> {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(code, status.to_json());
    let wait = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    if wait > 0 {
        response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from(wait));
    }
    response
}

fn pretty(json: &Bytes) -> Bytes {
    let value = serde_json::from_slice::<Value>(json).ok();
    let text = value.and_then(|value| serde_json::to_vec_pretty(&value).ok());
    text.map_or_else(
        || json.clone(),
        |mut text| {
            text.push(b'\n');
            Bytes::from(text)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, expected: Option<(Media, Form)>) {
        assert_eq!(
            Accept::negotiate(header, true).ok().map(|accept| (accept.media, accept.form)),
            expected,
            "{header}"
        );
    }

    #[test]
    fn the_best_form_wins() {
        check("", Some((Media::Json, Form::Whole)));
        check("*/*", Some((Media::Json, Form::Whole)));
        check("application/vnd.kubernetes.protobuf,application/json", Some((Media::Json, Form::Whole)));
        check("application/vnd.kubernetes.protobuf", Some((Media::Protobuf, Form::Whole)));
        check(
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            Some((Media::Json, Form::Table("meta.k8s.io/v1"))),
        );
        check(
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
            Some((Media::Json, Form::Partial("meta.k8s.io/v1"))),
        );
        check("application/yaml", Some((Media::Yaml, Form::Whole)));
        check("text/html", None);
        check("application/json;as=Table;v=v2;g=meta.k8s.io", None);
    }
}
