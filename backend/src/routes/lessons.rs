//! The catalogue and its lessons.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use drydock_protocol::{Language, Lesson, LessonSummary};
use serde::Deserialize;

use super::App;
use crate::error::Error;
use crate::lessons;

/// `?lang=zh-TW`; without it, what the browser prefers.
#[derive(Deserialize)]
pub(super) struct Wanted {
    lang: Option<String>,
}

fn language(wanted: &Wanted, headers: &HeaderMap) -> Language {
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
    Ok(Json(lessons::catalogue(&app.store, language(&wanted, &headers)).await?))
}

/// GET /lessons/{slug}
pub(super) async fn show(
    State(app): State<App>,
    Path(slug): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Json<Lesson>, Error> {
    Ok(Json(lessons::lesson(&app.store, &slug, language(&wanted, &headers)).await?))
}
