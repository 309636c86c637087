//! Request bodies: reading them within the limit and decoding JSON, YAML and protobuf to an object of the wanted type.

use bytes::Bytes;
use drydock_api::meta::Gvk;
use drydock_api::{Status, check, codec, schema};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::Value;

use crate::encode::MEDIA_TYPES;
use crate::exchange::{Exchange, FieldValidation};

/// Largest body accepted (upstream: 3 MiB).
const LIMIT: usize = 3 << 20;

/// Reads the whole body.
///
/// # Errors
/// 413 past the limit, 400 when the client breaks off.
pub(crate) async fn read(body: Incoming) -> Result<Bytes, Status> {
    match Limited::new(body, LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Status::request_entity_too_large(format!("limit is {LIMIT}")))
        }
        Err(error) => Err(Status::bad_request(format!("cannot read the body: {error}"))),
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct TypeMeta {
    api_version: String,
    kind: String,
}

/// Decodes a body as an object of `expected`, pruned to its schema; strict errors become warnings or a failure as the request asks.
///
/// # Errors
/// 400 and 415 in upstream's words.
pub(crate) fn decode(
    exchange: &Exchange,
    body: &[u8],
    expected: &Gvk,
    validation: FieldValidation,
) -> Result<Value, Status> {
    let media = exchange.header("content-type").split(';').next().unwrap_or("").trim();
    decode_as(exchange, media, body, expected, validation)
}

fn decode_as(
    exchange: &Exchange,
    media: &str,
    body: &[u8],
    expected: &Gvk,
    validation: FieldValidation,
) -> Result<Value, Status> {
    match media {
        "" | "application/json" | "text/json" => {
            let head: TypeMeta = serde_json::from_slice(body)
                .map_err(|error| unrecognized(expected, &json_error(body, &error), body))?;
            let gvk = resolve(&head, expected)?;
            let checked = match schema::table().by_gvk(&gvk) {
                Some(ty) => check::check_json(body, ty),
                None => check::check_object_json(body),
            };
            let checked = checked.map_err(|error| unhandled(&gvk, expected, &error.0))?;
            strict(exchange, &checked.strict, &gvk, expected, validation)?;
            typed(checked.value, &gvk, expected)
        }
        "application/yaml" | "text/yaml" | "application/x-yaml" => {
            let text =
                std::str::from_utf8(body).map_err(|_| Status::bad_request("yaml: invalid leading UTF-8 octet"))?;
            let value: Value = serde_saphyr::from_str(text).map_err(|error| {
                unrecognized(expected, &format!("error converting YAML to JSON: yaml: {error}"), body)
            })?;
            checked_value(exchange, value, expected, validation)
        }
        "application/vnd.kubernetes.protobuf" => {
            let (gvk, value) = codec::decode_protobuf(body, Some(expected))
                .map_err(|error| unrecognized(expected, &error.to_string(), body))?;
            let head = TypeMeta { api_version: gvk.api_version(), kind: gvk.kind };
            let gvk = resolve(&head, expected)?;
            typed(value, &gvk, expected)
        }
        _ => Err(Status::unsupported_media_type(&MEDIA_TYPES)),
    }
}

/// Checks a parsed object as an object of `expected`.
///
/// # Errors
/// 400 in upstream's words.
pub(crate) fn checked_value(
    exchange: &Exchange,
    value: Value,
    expected: &Gvk,
    validation: FieldValidation,
) -> Result<Value, Status> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let gvk = resolve(&TypeMeta { api_version: text("apiVersion"), kind: text("kind") }, expected)?;
    let checked = match schema::table().by_gvk(&gvk) {
        Some(ty) => check::check_value(value, ty),
        None => check::check_object(value),
    };
    let checked = checked.map_err(|error| unhandled(&gvk, expected, &error.0))?;
    strict(exchange, &checked.strict, &gvk, expected, validation)?;
    typed(checked.value, &gvk, expected)
}

/// The kind a body says it is; what it leaves out is what is expected.
fn resolve(head: &TypeMeta, expected: &Gvk) -> Result<Gvk, Status> {
    let kind = if head.kind.is_empty() { &expected.kind } else { &head.kind };
    let gvk = if head.api_version.is_empty() {
        Gvk::new(expected.group.clone(), expected.version.clone(), kind.clone())
    } else {
        Gvk::from_api_version(&head.api_version, kind)
    };
    if gvk.kind != expected.kind {
        let known = schema::table().by_gvk(&gvk).is_some();
        let why = if known {
            format!("converting ({}) to ({}): unknown conversion", qualified(&gvk), qualified(expected))
        } else {
            format!(
                "no kind {:?} is registered for version {:?} in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
                gvk.kind,
                gvk.api_version()
            )
        };
        return Err(unhandled(&gvk, expected, &why));
    }
    // Clients send these in the group of what they delete, whatever group that is.
    let in_any_group = gvk.kind == "DeleteOptions";
    if gvk != *expected && !in_any_group {
        return Err(Status::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({})",
            gvk.api_version(),
            expected.api_version()
        )));
    }
    Ok(gvk)
}

fn qualified(gvk: &Gvk) -> String {
    format!("{}.{}", gvk.version, gvk.kind)
}

fn typed(mut value: Value, gvk: &Gvk, expected: &Gvk) -> Result<Value, Status> {
    let Some(object) = value.as_object_mut() else {
        return Err(unhandled(gvk, expected, "json: cannot unmarshal into Go value"));
    };
    object.insert("apiVersion".to_owned(), gvk.api_version().into());
    object.insert("kind".to_owned(), gvk.kind.clone().into());
    Ok(value)
}

/// Unknown and duplicate fields, as the request wants them taken.
pub(crate) fn strict(
    exchange: &Exchange,
    errors: &[String],
    gvk: &Gvk,
    expected: &Gvk,
    validation: FieldValidation,
) -> Result<(), Status> {
    match validation {
        FieldValidation::Strict if !errors.is_empty() => {
            Err(unhandled(gvk, expected, &format!("strict decoding error: {}", errors.join(", "))))
        }
        FieldValidation::Warn => {
            errors.iter().for_each(|error| exchange.warn(error.clone()));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn unhandled(gvk: &Gvk, expected: &Gvk, why: &str) -> Status {
    Status::bad_request(format!(
        "{} in version {:?} cannot be handled as a {}: {why}",
        gvk.kind, gvk.version, expected.kind
    ))
}

fn unrecognized(expected: &Gvk, why: &str, body: &[u8]) -> Status {
    let shown = String::from_utf8_lossy(&body[..body.len().min(1024)]).into_owned();
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): {why} ({shown})",
        expected.kind
    ))
}

/// Go's words for broken JSON.
fn json_error(body: &[u8], error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    match error.classify() {
        Category::Eof => "couldn't get version/kind; json parse error: unexpected end of JSON input".to_owned(),
        Category::Data => format!("couldn't get version/kind; json parse error: {error}"),
        _ => {
            let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
            let at = line.get(error.column().saturating_sub(1)).map_or(' ', |byte| char::from(*byte));
            format!(
                "couldn't get version/kind; json parse error: invalid character '{at}' looking for beginning of value"
            )
        }
    }
}
