//! Signing in with OpenID Connect: the browser goes to the provider and comes back.

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{App, accounts};
use crate::deeds::NewDeed;
use crate::error::{Error, chain};
use crate::front::Client;
use crate::identity::Caller;
use crate::identity::oidc::{Oidc, OidcError, Subject};
use crate::limits::Kind;
use crate::sessions::now_millis;

/// The page of those who signed in.
const INSIDE: &str = "/staff";
/// The page where one signs in; it is told why that failed.
const OUTSIDE: &str = "/staff/sign-in?failed=";

fn go(place: &str) -> Response {
    let headers = [(header::LOCATION, place.to_owned()), (header::CACHE_CONTROL, "no-store".to_owned())];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn failed(error: &OidcError) -> Response {
    tracing::warn!(error = chain(error), "nobody was signed in with OpenID Connect");
    go(&format!("{OUTSIDE}{}", error.failure().word()))
}

fn provider(app: &App) -> Result<&Oidc, Error> {
    app.identity.oidc().ok_or_else(|| Error::NotFound("OpenID Connect is not set up here.".to_owned()))
}

/// Where somebody goes who tries too often: these are addresses of pages, so a page says it.
fn too_often(app: &App, client: &Client) -> Option<Response> {
    let counted = app.identity.limits().take_address(Kind::SignIn, client.address);
    counted.is_err().then(|| failed(&OidcError::Busy))
}

/// GET /auth/oidc/start
pub(super) async fn start(State(app): State<App>, client: Client, caller: Caller) -> Result<Response, Error> {
    let oidc = provider(&app)?;
    if let Some(elsewhere) = too_often(&app, &client) {
        return Ok(elsewhere);
    }
    let origin = app.identity.front().public_url().unwrap_or_else(|| client.origin());
    Ok(match oidc.begin(&caller.person, &origin).await {
        Ok(place) => go(&place),
        Err(error) => failed(&error),
    })
}

/// What the provider adds to the address.
#[derive(Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: String,
    error: Option<String>,
}

/// GET /auth/oidc/callback
pub(super) async fn callback(
    State(app): State<App>,
    client: Client,
    caller: Caller,
    Query(answer): Query<Answer>,
) -> Result<Response, Error> {
    let oidc = provider(&app)?;
    if let Some(elsewhere) = too_often(&app, &client) {
        return Ok(elsewhere);
    }
    if let Some(error) = answer.error {
        let error: String = error.chars().filter(char::is_ascii_graphic).take(40).collect();
        return Ok(failed(&OidcError::Refused(error)));
    }
    let Subject { id, name, role } = match oidc.finish(&caller.person, &answer.state, &answer.code).await {
        Ok(subject) => subject,
        Err(error) => return Ok(failed(&error)),
    };
    let Some(role) = role else {
        // Who had a role and lost their group loses their account, wherever they are signed in.
        app.store.drop_subject(&id).await?;
        app.identity.revoke();
        return Ok(failed(&OidcError::NoRole(name)));
    };
    let person = app.store.put_subject(&id, &name, role, now_millis()).await?;
    let deed = NewDeed {
        at_millis: now_millis(),
        person: person.clone(),
        role: role.word(),
        address: client.address.to_string(),
        action: "GET /auth/oidc/callback".to_owned(),
        object: name,
        outcome: StatusCode::SEE_OTHER.as_u16(),
    };
    app.store.note(&deed).await?;
    let entered = accounts::enter(&app, &client, &caller, &person).await?;
    let mut response = go(INSIDE);
    for cookie in entered.headers().get_all(header::SET_COOKIE) {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    Ok(response)
}
