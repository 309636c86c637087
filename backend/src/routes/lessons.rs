//! The catalogue and its lessons.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use drydock_protocol::{Language, Lesson, LessonSummary};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::App;
use crate::error::Error;

/// `?lang=zh-TW`; without it, what the browser prefers.
#[derive(Deserialize)]
pub(super) struct Wanted {
    lang: Option<String>,
}

pub(super) fn language(wanted: &Wanted, headers: &HeaderMap) -> Language {
    if let Some(tag) = &wanted.lang {
        return Language::from_tag(tag).unwrap_or_default();
    }
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Language::negotiate(accepted.split(',').map(|entry| entry.split(';').next().unwrap_or_default()))
}

/// GET /lessons
pub(super) async fn list(
    State(app): State<App>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Json<Vec<LessonSummary>>, Error> {
    Ok(Json(app.library.catalogue(language(&wanted, &headers)).await?))
}

/// GET /lessons/{slug}
pub(super) async fn show(
    State(app): State<App>,
    Path(slug): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Json<Lesson>, Error> {
    Ok(Json(app.library.lesson(&slug, language(&wanted, &headers)).await?))
}

/// Pictures run nothing and load nothing, even when opened by themselves.
const PICTURE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// GET /lessons/{slug}/files/{name}
pub(super) async fn file(
    State(app): State<App>,
    Path((slug, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let bytes = app.library.file(&slug, &name).await?;
    let tag = format!("\"{}\"", hex(&Sha256::digest(&bytes)[..12]));
    let kind = if name.ends_with(".png") { "image/png" } else { "image/svg+xml" };
    let head = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, PICTURE_POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::ETAG, tag.as_str()),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    Ok((head, bytes).into_response())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
