//! Classes for learners: the way in by a code, and what they do in theirs.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use drydock_protocol::{ClassPlace, Invitation, JoinClass, LearnerAction};

use super::App;
use crate::access::Seat;
use crate::error::Error;
use crate::front::Client;
use crate::identity::Caller;

/// GET /join/{code}
pub(super) async fn look(
    State(app): State<App>,
    caller: Caller,
    Extension(client): Extension<Client>,
    Path(code): Path<String>,
) -> Result<Json<Invitation>, Error> {
    let room = app.classroom.find_code(&code, client.address, &caller.person)?;
    Ok(Json(app.classroom.invitation(&room, &caller.person)))
}

/// POST /join/{code}
pub(super) async fn join(
    State(app): State<App>,
    caller: Caller,
    Extension(client): Extension<Client>,
    Path(code): Path<String>,
    body: Result<Json<JoinClass>, JsonRejection>,
) -> Result<(StatusCode, Json<ClassPlace>), Error> {
    let Json(request) = body?;
    let room = app.classroom.find_code(&code, client.address, &caller.person)?;
    let place = app.classroom.join(&room, &caller.person, &request.name).await?;
    Ok((StatusCode::CREATED, Json(place)))
}

/// POST /sessions/{id}/class
pub(super) async fn act(
    State(app): State<App>,
    seat: Seat,
    body: Result<Json<LearnerAction>, JsonRejection>,
) -> Result<Response, Error> {
    let Json(action) = body?;
    if !seat.relation.owner {
        return Err(Error::Forbidden("Only whose session this is may do this.".to_owned()));
    }
    Ok(match app.classroom.do_for_learner(&seat.session, action).await? {
        Some(class) => Json(class).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}
