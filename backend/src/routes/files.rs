//! Files of the workstation's home folder, and the editor's *Apply* and *Diff*.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use drydock_protocol::file::FILE_LIMIT;
use drydock_protocol::{HomeFile, HomeFiles, ManifestAction, ManifestOutcome, RunManifest};

use super::App;
use crate::access::Seat;
use crate::error::Error;

/// GET /sessions/{id}/files
pub(super) async fn list(State(app): State<App>, Path(id): Path<String>) -> Result<Json<HomeFiles>, Error> {
    Ok(Json(app.sessions.home_files(&id).await?))
}

/// GET /sessions/{id}/files/{path}: always as bytes to save, never as something that a browser would show or run.
pub(super) async fn read(
    State(app): State<App>,
    Path((id, path)): Path<(String, String)>,
) -> Result<([(HeaderName, &'static str); 3], Vec<u8>), Error> {
    let content = app.sessions.read_home_file(&id, &path).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, content))
}

/// PUT /sessions/{id}/files/{path}
pub(super) async fn write(
    State(app): State<App>,
    Path((id, path)): Path<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<HomeFile>, Error> {
    let content = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Error::TooLarge(format!("Files up to {} MiB can be uploaded.", FILE_LIMIT >> 20))
        }
        _ => Error::Invalid(rejection.body_text()),
    })?;
    Ok(Json(app.sessions.write_home_file(&id, &path, &content).await?))
}

/// POST /sessions/{id}/manifest
pub(super) async fn manifest(
    State(app): State<App>,
    seat: Seat,
    body: Result<Json<RunManifest>, JsonRejection>,
) -> Result<Json<ManifestOutcome>, Error> {
    let Json(request) = body?;
    if seat.is_held(&app, request.action == ManifestAction::Apply) {
        return Err(Error::Paused);
    }
    Ok(Json(app.sessions.run_manifest(&seat.session, &request).await?))
}
