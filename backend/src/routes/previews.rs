//! What a session serves: the list, the way from the app to a preview, and its API server for programs outside.

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::{Extension, Json};
use drydock_protocol::Port;
use drydock_protocol::preview::ports;

use super::App;
use crate::access::Seat;
use crate::error::Error;
use crate::preview::{self, Asked, Wanted};

/// GET /sessions/{id}/ports
pub(super) async fn list(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Vec<Port>>, Error> {
    Ok(Json(app.sessions.peek(&id).await?.observe(ports)))
}

/// GET /sessions/{id}/preview
pub(super) async fn open(
    State(app): State<App>,
    Path(id): Path<String>,
    seat: Seat,
    Query(wanted): Query<Wanted>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let hub = app.sessions.hub(&id).await?;
    Ok(preview::hand_over(&app, &hub, &seat.caller.person, &wanted, &asked, &headers))
}

/// GET /sessions/{id}/kubeconfig
pub(super) async fn kubeconfig(
    State(app): State<App>,
    Path(id): Path<String>,
    seat: Seat,
    Extension(asked): Extension<Asked>,
) -> Result<Response, Error> {
    let hub = app.sessions.hub(&id).await?;
    preview::kubeconfig(&app, &hub, &seat.caller.person, &asked).await
}

/// DELETE /sessions/{id}/kubeconfig: all that were downloaded are void.
pub(super) async fn revoke(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, Error> {
    app.sessions.session(&id).await?;
    app.store.drop_kube_tokens(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Any method, /sessions/{id}/kube/{path}
pub(super) async fn kube(State(app): State<App>, request: Request) -> Response {
    // As it was written: the API server reads the path itself.
    let path = request.uri().path_and_query().map_or("", |it| it.as_str()).to_owned();
    let rest = path.split_once("/sessions/").map_or("", |(_, rest)| rest);
    let (id, rest) = rest.split_once("/kube").unwrap_or((rest, ""));
    let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    preview::to_api_server(&app, id, &rest, request).await
}
