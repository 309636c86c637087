//! The API's description.

use axum::http::header;
use axum::response::IntoResponse;

/// The document, kept beside the code; a test holds it against the router.
pub(super) const DOCUMENT: &str = include_str!("openapi.json");

/// GET /openapi.json
pub(super) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}
