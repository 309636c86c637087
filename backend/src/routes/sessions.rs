//! Sessions: create, look at, extend, reset, end.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use drydock_protocol::{Answer, AnswerVerdict, CreateSession, Session};

use super::App;
use super::lessons::{Wanted, language};
use crate::error::Error;

/// The cookie in which a browser keeps the identifiers of its own sessions.
const COOKIE: &str = "drydock_sessions";
/// A browser keeps this many.
const KEPT: usize = 20;

/// The sessions that the browser started itself: nobody is told of those of others.
fn own(headers: &HeaderMap) -> Vec<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let ids = pairs.filter(|(name, _)| *name == COOKIE).flat_map(|(_, ids)| ids.split('.'));
    ids.filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .take(KEPT)
        .map(str::to_owned)
        .collect()
}

/// GET /sessions
pub(super) async fn list(State(app): State<App>, headers: HeaderMap) -> Json<Vec<Session>> {
    let mut sessions = Vec::new();
    for id in own(&headers) {
        sessions.extend(app.sessions.session(&id).await.ok().filter(|session| !session.state.is_over()));
    }
    Json(sessions)
}

/// POST /sessions
pub(super) async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json<CreateSession>, JsonRejection>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Session>), Error> {
    let Json(request) = body.map_err(|rejection| Error::Invalid(rejection.body_text()))?;
    let session = app.sessions.create(&request).await?;
    let mut ids = vec![session.id.clone()];
    ids.extend(own(&headers).into_iter().take(KEPT - 1));
    let cookie = format!("{COOKIE}={}; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict", ids.join("."));
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], Json(session)))
}

/// GET /sessions/{id}
pub(super) async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Session>, Error> {
    Ok(Json(app.sessions.session(&id).await?))
}

/// DELETE /sessions/{id}
pub(super) async fn end(State(app): State<App>, Path(id): Path<String>) -> Result<(StatusCode, Json<Session>), Error> {
    Ok((StatusCode::ACCEPTED, Json(app.sessions.end(&id, "You ended this session.").await?)))
}

/// POST /sessions/{id}/extend
pub(super) async fn extend(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Session>, Error> {
    Ok(Json(app.sessions.extend(&id).await?))
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
    let Json(answer) = body.map_err(|rejection| Error::Invalid(rejection.body_text()))?;
    Ok(Json(app.sessions.answer(&id, &answer, language(&wanted, &headers)).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cookie: &str, expected: &[&str]) {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, cookie.parse().expect("cookie"));
        assert_eq!(own(&headers), expected, "{cookie}");
    }

    #[test]
    fn cookies() {
        let (one, two) = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210");
        check(&format!("a=b; drydock_sessions={one}.{two}"), &[one, two]);
        check("drydock_sessions=../../etc", &[]);
        check("other=1", &[]);
    }
}
