//! Nodes of a session: one more, one less, off and on; and what shall go wrong.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use drydock_protocol::{Fault, Session};

use super::App;
use crate::error::Error;

/// POST /sessions/{id}/nodes
pub(super) async fn add(State(app): State<App>, Path(id): Path<String>) -> Result<(StatusCode, Json<Session>), Error> {
    Ok((StatusCode::CREATED, Json(app.sessions.add_node(&id).await?)))
}

/// DELETE /sessions/{id}/nodes/{node}
pub(super) async fn remove(
    State(app): State<App>,
    Path((id, node)): Path<(String, String)>,
) -> Result<Json<Session>, Error> {
    Ok(Json(app.sessions.remove_node(&id, &node).await?))
}

/// POST /sessions/{id}/nodes/{node}/stop
pub(super) async fn stop(
    State(app): State<App>,
    Path((id, node)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Session>), Error> {
    Ok((StatusCode::ACCEPTED, Json(app.sessions.switch_node(&id, &node, false).await?)))
}

/// POST /sessions/{id}/nodes/{node}/start
pub(super) async fn start(
    State(app): State<App>,
    Path((id, node)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Session>), Error> {
    Ok((StatusCode::ACCEPTED, Json(app.sessions.switch_node(&id, &node, true).await?)))
}

/// POST /sessions/{id}/faults
pub(super) async fn cause(
    State(app): State<App>,
    Path(id): Path<String>,
    body: Result<Json<Fault>, JsonRejection>,
) -> Result<Json<Session>, Error> {
    let Json(fault) = body?;
    Ok(Json(app.sessions.cause(&id, &fault).await?))
}

/// POST /sessions/{id}/faults/heal
pub(super) async fn heal(
    State(app): State<App>,
    Path(id): Path<String>,
    body: Result<Json<Fault>, JsonRejection>,
) -> Result<Json<Session>, Error> {
    let Json(fault) = body?;
    Ok(Json(app.sessions.heal(&id, &fault).await?))
}
