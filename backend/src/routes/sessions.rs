//! Sessions: create, look at, extend, reset, end.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use drydock_protocol::{Answer, AnswerVerdict, CreateSession, EndReason, Session};

use super::App;
use super::lessons::{Wanted, language};
use crate::access::Seat;
use crate::deeds::Noted;
use crate::error::Error;
use crate::front::Client;
use crate::identity::Caller;
use crate::limits::Kind;
use crate::sessions::now_millis;

/// GET /sessions
pub(super) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Vec<Session>>, Error> {
    let mut sessions = Vec::new();
    for id in app.store.sessions_of(&caller.person).await? {
        sessions.extend(app.sessions.session(&id).await.ok().filter(|session| !session.state.is_over()));
    }
    Ok(Json(sessions))
}

/// POST /sessions
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    client: Client,
    body: Result<Json<CreateSession>, JsonRejection>,
) -> Result<(StatusCode, Extension<Noted>, Json<Session>), Error> {
    let Json(request) = body?;
    app.identity.limits().take(Kind::CreatePerson, &caller.person)?;
    app.identity.limits().take_address(Kind::Create, client.address)?;
    app.store.remember(&caller.person, None, now_millis()).await?;
    let session = app.sessions.ask(&request, &caller.person, caller.role).await?;
    let noted = Noted { person: None, object: session.id.clone() };
    Ok((StatusCode::CREATED, Extension(noted), Json(session)))
}

/// GET /sessions/{id}
pub(super) async fn show(State(app): State<App>, seat: Seat) -> Result<Json<Session>, Error> {
    let session = app.sessions.session(&seat.session).await?;
    Ok(Json(Session { own: seat.relation.owner, ..session }))
}

/// DELETE /sessions/{id}
pub(super) async fn end(State(app): State<App>, seat: Seat) -> Result<(StatusCode, Json<Session>), Error> {
    let (end, reason) = match (seat.relation.owner, seat.relation.instructor) {
        (true, _) => (EndReason::Owner, "You ended this session."),
        (false, true) => (EndReason::Staff, "Your instructor ended this session."),
        (false, false) => (EndReason::Staff, "An operator of this server ended this session."),
    };
    Ok((StatusCode::ACCEPTED, Json(app.sessions.end_because(&seat.session, end, reason).await?)))
}

/// POST /sessions/{id}/extend
pub(super) async fn extend(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Session>, Error> {
    Ok(Json(app.sessions.extend(&id).await?))
}

/// POST /sessions/{id}/wake
pub(super) async fn wake(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Session>, Error> {
    app.sessions.touch(&id).await?;
    Ok(Json(app.sessions.session(&id).await?))
}

/// GET /sessions/{id}/manifests.yaml
pub(super) async fn manifests(State(app): State<App>, Path(id): Path<String>) -> Result<impl IntoResponse, Error> {
    let text = app.sessions.manifests(&id).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/yaml"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"manifests.yaml\""),
    ];
    Ok((headers, text))
}

/// POST /sessions/{id}/reset
pub(super) async fn reset(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Session>), Error> {
    Ok((StatusCode::ACCEPTED, Json(app.sessions.reset(&id).await?)))
}

/// POST /sessions/{id}/answers
pub(super) async fn answer(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
    body: Result<Json<Answer>, JsonRejection>,
) -> Result<Json<AnswerVerdict>, Error> {
    let Json(answer) = body?;
    Ok(Json(app.sessions.answer(&id, &answer, language(&wanted, &headers)).await?))
}
