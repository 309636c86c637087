//! Discovery and OpenAPI: made from the rows when first asked for, kept compressed.
//!
//! OpenAPI documents are large and asked for rarely: they are written straight into the compressor, and forgotten again after a while.
//! Their hashes stay, so that a client that has a document need not make us write it again.

pub(crate) mod discovery;
mod openapi;

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use drydock_api::Status;
use drydock_api::openapi::Part;
use drydock_component::serve::Body;
use http::header::{CONTENT_ENCODING, ETAG, HeaderValue, VARY};
use http::{Response, StatusCode};
use sha2::Digest as _;

use crate::aggregator::discovery as remote;
use crate::encode;
use crate::exchange::Exchange;
use crate::packed;
use crate::row::Resource;
use crate::server::Server;

pub(crate) use openapi::verbs_of;

/// How long an OpenAPI document is kept after it was made.
const KEPT: Duration = Duration::from_secs(60);

/// The v2 document as protobuf: what clients ask for, and what upstream answers with.
const PROTOBUF: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
];

/// The finished documents, by name.
#[derive(Default)]
pub(crate) struct Documents(Mutex<HashMap<String, Document>>);

/// A document: its gzip unless that was forgotten, and the hash of what is in it.
#[derive(Clone)]
struct Document {
    gzip: Option<Bytes>,
    hash: Arc<str>,
}

/// Compresses and hashes what is written to it.
struct Press {
    encoder: flate2::write::GzEncoder<Vec<u8>>,
    hash: sha2::Sha512,
}

impl Write for Press {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.encoder.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.flush()
    }
}

impl Document {
    fn new(make: impl FnOnce(&mut dyn Write) -> Result<(), Status>) -> Result<Self, Status> {
        let encoder = packed::encoder();
        // Documents are written in small pieces.
        let mut out = io::BufWriter::with_capacity(16 << 10, Press { encoder, hash: sha2::Sha512::new() });
        make(&mut out)?;
        let press = out.into_inner().map_err(|error| Status::internal(error.error().to_string()))?;
        let gzip = packed::finish(press.encoder).map_err(Status::internal)?;
        let hash: String = press.hash.finalize().iter().map(|byte| format!("{byte:02X}")).collect();
        Ok(Self { gzip: Some(gzip), hash: hash.into() })
    }
}

impl Documents {
    /// The served rows changed: everything is made anew.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Drops a document's bytes.
    fn drop_bytes(&self, name: &str) {
        if let Some(document) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(name) {
            document.gzip = None;
        }
    }

    /// The document of that name, made if it is not there. One whose hash is `known` need not be there.
    fn get(
        &self,
        name: &str,
        known: &str,
        make: impl FnOnce(&mut dyn Write) -> Result<(), Status>,
    ) -> Result<(Document, bool), Status> {
        if let Some(document) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name)
            && (document.gzip.is_some() || is_known(known, &document.hash))
        {
            return Ok((document.clone(), false));
        }
        let document = Document::new(make)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), document.clone());
        Ok((document, true))
    }

    /// Sends an OpenAPI document, which is forgotten after a while.
    fn lend(
        server: &Arc<Server>,
        exchange: &Exchange,
        name: &str,
        media: &'static str,
        make: impl FnOnce(&mut dyn Write, &[&'static Resource]) -> io::Result<()>,
    ) -> Result<Response<Body>, Status> {
        let known = exchange.header("if-none-match");
        let (document, made) =
            server.documents.get(name, known, |out| make(out, &server.rows.all()).map_err(Status::internal))?;
        if made {
            let (server, name) = (Arc::clone(server), name.to_owned());
            tokio::spawn(async move {
                tokio::select! {
                    () = tokio::time::sleep(KEPT) => server.documents.drop_bytes(&name),
                    () = server.shutdown.wait() => {}
                }
            });
        }
        send(exchange, &document, media)
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
        let (document, _) = self.get(&name, "", |out| {
            let value = match aggregated {
                Some(version) if matches!(path, "/api" | "/apis") => {
                    let mut document = discovery::aggregated(&server.rows.all(), path == "/api", version);
                    if path == "/apis" {
                        remote::add_to_aggregated(&mut document, &server.aggregator.all());
                    }
                    Some(document)
                }
                _ => legacy(server, path),
            };
            serde_json::to_writer(out, &value.ok_or_else(Status::unknown_path)?).map_err(Status::internal)
        })?;
        send(exchange, &document, media)
    }

    /// `/openapi/v2`, `/openapi/v3` and `/openapi/v3/…`.
    pub(crate) fn openapi(server: &Arc<Server>, exchange: &Exchange, path: &str) -> Result<Response<Body>, Status> {
        match path {
            "/openapi/v2" => {
                let protobuf = prefers_protobuf(exchange.header("accept"))?;
                let (name, media) = if protobuf { ("/openapi/v2.pb", PROTOBUF[0]) } else { (path, "application/json") };
                Self::lend(server, exchange, name, media, |out, rows| openapi::v2(out, rows, parts(server), protobuf))
            }
            "/openapi/v3" => {
                let (document, _) = server.documents.get(path, "", |out| {
                    let mut index = openapi::index(&server.rows.all());
                    for remote in server.aggregator.all() {
                        if let Some(url) = &remote.openapi {
                            let name = format!("apis/{}/{}", remote.group, remote.version);
                            index["paths"][name] = serde_json::json!({"serverRelativeURL": url});
                        }
                    }
                    serde_json::to_writer(out, &index).map_err(Status::internal)
                })?;
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
                let mut response =
                    Self::lend(server, exchange, path, "application/json", |out, rows| openapi::v3(out, rows, name))?;
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

/// What the groups of others add to the v2 document.
fn parts(server: &Server) -> Vec<Part> {
    let swaggers = server.aggregator.all().into_iter().filter_map(|remote| remote.swagger.clone());
    swaggers.filter_map(|swagger| swagger.part().ok()).collect()
}

/// A document of the older form, the groups of others included.
fn legacy(server: &Server, path: &str) -> Option<serde_json::Value> {
    let mut found = discovery::legacy(&server.rows.all(), path, server);
    match (path.strip_prefix("/apis"), &mut found) {
        (Some(""), Some(list)) => remote::add_to_list(list, &server.aggregator.all()),
        (Some(group), _) if group.matches('/').count() == 1 => {
            found = remote::group(found, group.trim_start_matches('/'), &server.aggregator.all());
        }
        _ => {}
    }
    found
}

/// Whether the v2 document is wanted as protobuf.
fn prefers_protobuf(accept: &str) -> Result<bool, Status> {
    for clause in accept.split(',') {
        match clause.split(';').next().unwrap_or("").trim() {
            media if PROTOBUF.contains(&media) => return Ok(true),
            "application/json" | "application/*" | "*/*" => return Ok(false),
            _ => {}
        }
    }
    if accept.trim().is_empty() { Ok(false) } else { Err(Status::not_acceptable(&["application/json", PROTOBUF[0]])) }
}

fn is_known(known: &str, hash: &str) -> bool {
    known.split(',').any(|tag| tag.trim().trim_matches('"') == hash)
}

/// Sends a document, compressed when the client can take it, or 304 when it has it.
fn send(exchange: &Exchange, document: &Document, media: &'static str) -> Result<Response<Body>, Status> {
    let mut response = match &document.gzip {
        gzip if gzip.is_none() || is_known(exchange.header("if-none-match"), &document.hash) => {
            encode::with_type(StatusCode::NOT_MODIFIED, media, Bytes::new())
        }
        Some(gzip) if exchange.header("accept-encoding").contains("gzip") => {
            let mut response = encode::with_type(StatusCode::OK, media, gzip.clone());
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        }
        gzip => {
            let plain = packed::plain(gzip.as_deref().unwrap_or_default()).map_err(Status::internal)?;
            encode::with_type(StatusCode::OK, media, Bytes::from(plain))
        }
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, HeaderValue::from_str(&format!("\"{}\"", document.hash)).map_err(Status::internal)?);
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_clients_get_protobuf() {
        assert_eq!(prefers_protobuf("application/com.github.proto-openapi.spec.v2@v1.0+protobuf").ok(), Some(true));
        assert_eq!(
            prefers_protobuf("application/com.github.proto-openapi.spec.v2.v1.0+protobuf, */*").ok(),
            Some(true)
        );
        assert_eq!(prefers_protobuf("application/json").ok(), Some(false));
        assert_eq!(prefers_protobuf("").ok(), Some(false));
        assert_eq!(prefers_protobuf("text/html").map_err(|status| status.code), Err(406));
    }

    #[test]
    fn forgotten_documents_are_made_again_unless_known() {
        let documents = Documents::default();
        let make = |out: &mut dyn Write| out.write_all(b"text").map_err(Status::internal);
        let (first, made) = documents.get("a", "", make).expect("document");
        assert!(made && first.gzip.is_some());
        documents.drop_bytes("a");
        let known = format!("\"{}\"", first.hash);
        assert!(documents.get("a", &known, make).expect("document").0.gzip.is_none());
        let (again, made) = documents.get("a", "", make).expect("document");
        assert!(made && again.hash == first.hash);
    }
}
