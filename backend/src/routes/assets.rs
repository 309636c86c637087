//! The web app: content-hashed, pre-compressed files read into memory once.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::App;
use crate::error::Error;
use crate::identity;

/// `manifest.json` of the web build.
#[derive(Deserialize)]
struct Manifest {
    content_security_policy: String,
    files: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    content_type: String,
    immutable: bool,
    etag: String,
    #[serde(default)]
    brotli_bytes: Option<u64>,
    #[serde(default)]
    gzip_bytes: Option<u64>,
}

/// The web app's files.
pub(crate) struct Assets {
    policy: HeaderValue,
    files: HashMap<String, Asset>,
}

struct Asset {
    content_type: HeaderValue,
    cache_control: HeaderValue,
    etag: HeaderValue,
    /// Content encoding and bytes, best first.
    forms: Vec<(Option<&'static str>, Bytes)>,
}

impl Assets {
    /// Reads the folder that the web build wrote.
    ///
    /// # Errors
    /// When a file is missing or the manifest cannot be read.
    pub(crate) fn load(folder: &Path) -> anyhow::Result<Assets> {
        let file = folder.join("manifest.json");
        let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let manifest: Manifest =
            serde_json::from_slice(&text).with_context(|| format!("cannot read {}", file.display()))?;
        let mut files = HashMap::new();
        for entry in manifest.files {
            let read = |suffix: &str| {
                let file = folder.join(format!("{}{suffix}", entry.path.trim_start_matches('/')));
                fs::read(&file).map(Bytes::from).with_context(|| format!("cannot read {}", file.display()))
            };
            let mut forms = Vec::new();
            if entry.brotli_bytes.is_some() {
                forms.push((Some("br"), read(".br")?));
            }
            if entry.gzip_bytes.is_some() {
                forms.push((Some("gzip"), read(".gz")?));
            }
            forms.push((None, read("")?));
            let cache = if entry.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
            let asset = Asset {
                content_type: entry.content_type.parse()?,
                cache_control: HeaderValue::from_static(cache),
                etag: format!("\"{}\"", entry.etag).parse()?,
                forms,
            };
            files.insert(entry.path, asset);
        }
        anyhow::ensure!(files.contains_key("/index.html"), "the web app in {} has no /index.html", folder.display());
        Ok(Assets { policy: manifest.content_security_policy.parse()?, files })
    }

    /// The page of the app to which an address belongs: of the nearest folder above it that has one.
    fn page(&self, path: &str) -> Option<&Asset> {
        let mut folder = path.trim_end_matches('/');
        loop {
            let found = self.files.get(&format!("{folder}/index.html"));
            if found.is_some() || folder.is_empty() {
                return found;
            }
            folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
        }
    }

    fn answer(&self, path: &str, headers: &HeaderMap) -> Response {
        let asset = if is_page(path) { self.page(path) } else { self.files.get(path) };
        let Some(asset) = asset else {
            return Error::NotFound("There is no such file.".to_owned()).into_response();
        };
        let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let accepts =
            |encoding: &str| accepted.split(',').any(|it| it.split(';').next().unwrap_or_default().trim() == encoding);
        let form = asset.forms.iter().find(|(encoding, _)| encoding.is_none_or(accepts));
        let mut response = match form {
            _ if headers.get(header::IF_NONE_MATCH) == Some(&asset.etag) => StatusCode::NOT_MODIFIED.into_response(),
            Some((_, bytes)) => bytes.clone().into_response(),
            None => StatusCode::NOT_ACCEPTABLE.into_response(),
        };
        let out = response.headers_mut();
        if let Some((Some(encoding), _)) = form {
            out.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        out.insert(header::CONTENT_TYPE, asset.content_type.clone());
        out.insert(header::CACHE_CONTROL, asset.cache_control.clone());
        out.insert(header::ETAG, asset.etag.clone());
        out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        out.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        out.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        response
    }
}

/// Whether this is an address of the app's own, not a file's.
fn is_page(path: &str) -> bool {
    !path.rsplit('/').next().unwrap_or_default().contains('.')
}

/// Any address that is no other route: a file, or the app for its own addresses.
pub(super) async fn serve(State(app): State<App>, request: Request) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let (parts, _) = request.into_parts();
    let path = parts.uri.path();
    let mut response = app.assets.answer(path, &parts.headers);
    if is_page(path) {
        identity::greet(&app.identity, &parts, &mut response);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(etag: &'static str) -> Asset {
        let etag = HeaderValue::from_static(etag);
        Asset {
            content_type: HeaderValue::from_static("text/html"),
            cache_control: HeaderValue::from_static("no-cache"),
            etag,
            forms: Vec::new(),
        }
    }

    #[test]
    fn every_address_has_the_page_of_its_app() {
        let pages = [("/index.html", "learners"), ("/staff/index.html", "staff")];
        let files = pages.into_iter().map(|(path, etag)| (path.to_owned(), asset(etag))).collect();
        let assets = Assets { policy: HeaderValue::from_static(""), files };
        for (path, want) in [
            ("/", "learners"),
            ("/sessions/1", "learners"),
            ("/staffing", "learners"),
            ("/staff", "staff"),
            ("/staff/", "staff"),
            ("/staff/classes/1", "staff"),
        ] {
            assert_eq!(assets.page(path).map(|it| it.etag.as_bytes()), Some(want.as_bytes()), "{path}");
        }
    }
}
