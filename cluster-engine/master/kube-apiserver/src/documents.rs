//! Discovery and OpenAPI: made from the rows when first asked for, kept compressed.

mod discovery;
mod openapi;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use drydock_api::Status;
use drydock_component::serve::Body;
use http::header::{CONTENT_ENCODING, ETAG, HeaderValue, VARY};
use http::{Response, StatusCode};

use crate::encode;
use crate::exchange::Exchange;
use crate::server::Server;

pub(crate) use openapi::verbs_of;

/// The finished documents, by name.
#[derive(Default)]
pub(crate) struct Documents(Mutex<HashMap<String, Document>>);

/// A document: gzip of its JSON, and the hash of the JSON.
#[derive(Clone)]
struct Document {
    gzip: Bytes,
    hash: String,
}

impl Document {
    fn new(json: &[u8]) -> Result<Self, Status> {
        use sha2::Digest as _;
        use std::io::Write as _;
        let hash: String = sha2::Sha512::digest(json).iter().map(|byte| format!("{byte:02X}")).collect();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(json).map_err(Status::internal)?;
        Ok(Self { gzip: Bytes::from(encoder.finish().map_err(Status::internal)?), hash })
    }
}

impl Documents {
    /// The served rows changed: everything is made anew.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The document of that name, made if it was never asked for.
    fn get(&self, name: &str, make: impl FnOnce() -> Result<Vec<u8>, Status>) -> Result<Document, Status> {
        if let Some(document) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(document.clone());
        }
        let document = Document::new(&make()?)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), document.clone());
        Ok(document)
    }

    /// `/api` and `/apis…`.
    pub(crate) fn discovery(&self, server: &Server, exchange: &Exchange, path: &str) -> Result<Response<Body>, Status> {
        let aggregated = discovery::aggregated_version(exchange.header("accept"));
        let (name, media) = match aggregated {
            Some(version) if matches!(path, "/api" | "/apis") => {
                (format!("{path};{version}"), discovery::media_type(version))
            }
            _ => (path.to_owned(), "application/json"),
        };
        let document = self.get(&name, || {
            let value = match aggregated {
                Some(version) if matches!(path, "/api" | "/apis") => {
                    Some(discovery::aggregated(&server.rows.all(), path == "/api", version))
                }
                _ => discovery::legacy(&server.rows.all(), path, server),
            };
            serde_json::to_vec(&value.ok_or_else(Status::unknown_path)?).map_err(Status::internal)
        })?;
        send(exchange, &document, media)
    }

    /// `/openapi/v2`, `/openapi/v3` and `/openapi/v3/…`.
    pub(crate) fn openapi(&self, server: &Server, exchange: &Exchange, path: &str) -> Result<Response<Body>, Status> {
        match path {
            "/openapi/v2" => {
                // Older clients take nothing but protobuf here; they must hear that, not choke on JSON.
                let accept = exchange.header("accept");
                if !accept.is_empty() && !accept.contains("json") && !accept.contains("*/*") {
                    return Err(Status::not_acceptable(&["application/json"]));
                }
                let document =
                    self.get(path, || serde_json::to_vec(&openapi::v2(&server.rows.all())).map_err(Status::internal))?;
                send(exchange, &document, "application/json")
            }
            "/openapi/v3" => {
                let document = self
                    .get(path, || serde_json::to_vec(&openapi::index(&server.rows.all())).map_err(Status::internal))?;
                send(exchange, &document, "application/json")
            }
            _ => {
                let name = path.strip_prefix("/openapi/v3/").ok_or_else(Status::unknown_path)?;
                if !openapi::names(&server.rows.all()).contains(&name.to_owned()) {
                    return Err(Status::unknown_path());
                }
                let (asked, hash) = (exchange.query.text("hash"), openapi::hash(&server.rows.all(), name));
                if !asked.is_empty() && asked != hash {
                    let mut response =
                        encode::with_type(StatusCode::MOVED_PERMANENTLY, "text/html; charset=utf-8", Bytes::new());
                    let target = format!("/openapi/v3/{name}?hash={hash}");
                    response
                        .headers_mut()
                        .insert(http::header::LOCATION, HeaderValue::from_str(&target).map_err(Status::internal)?);
                    return Ok(response);
                }
                let make = || serde_json::to_vec(&openapi::v3(&server.rows.all(), name)).map_err(Status::internal);
                let document = self.get(path, make)?;
                let mut response = send(exchange, &document, "application/json")?;
                if !asked.is_empty() {
                    response
                        .headers_mut()
                        .insert(http::header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
                }
                Ok(response)
            }
        }
    }

    /// The paths that `/` lists.
    pub(crate) fn paths(&self, server: &Server) -> Vec<String> {
        let mut paths: Vec<String> = [
            "/api",
            "/api/v1",
            "/apis",
            "/healthz",
            "/livez",
            "/metrics",
            "/openapi/v2",
            "/openapi/v3",
            "/openid/v1/jwks",
            "/readyz",
            "/version",
            "/.well-known/openid-configuration",
        ]
        .map(str::to_owned)
        .to_vec();
        for row in server.rows.all().iter().filter(|row| !row.group.is_empty()) {
            paths.push(format!("/apis/{}", row.group));
            paths.push(format!("/apis/{}/{}", row.group, row.version));
        }
        paths.sort();
        paths.dedup();
        paths
    }
}

/// Sends a document, compressed when the client can take it, or 304 when it has it.
fn send(exchange: &Exchange, document: &Document, media: &'static str) -> Result<Response<Body>, Status> {
    let etag = format!("\"{}\"", document.hash);
    let known = exchange.header("if-none-match");
    let mut response = if known.split(',').any(|tag| tag.trim() == etag) {
        encode::with_type(StatusCode::NOT_MODIFIED, media, Bytes::new())
    } else if exchange.header("accept-encoding").contains("gzip") {
        let mut response = encode::with_type(StatusCode::OK, media, document.gzip.clone());
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    } else {
        let mut json = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&document.gzip[..]), &mut json)
            .map_err(Status::internal)?;
        encode::with_type(StatusCode::OK, media, Bytes::from(json))
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, HeaderValue::from_str(&etag).map_err(Status::internal)?);
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}
