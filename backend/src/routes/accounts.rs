//! Signing in and out, accounts, and who did what.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use drydock_protocol::{
    Account, AccountLink, ChangePassword, CreateAccountLink, Deed, Me, Role, Setup, SignIn, SignInWays,
};
use serde::Deserialize;

use super::App;
use crate::accounts;
use crate::deeds::Noted;
use crate::error::Error;
use crate::front::Client;
use crate::identity::{Caller, Operator, digest, random_id, random_token};
use crate::limits::Kind;
use crate::sessions::now_millis;
use crate::store::Made;

/// Deeds in one answer.
const DEEDS: u32 = 1000;

type Body<T> = Result<Json<T>, JsonRejection>;

/// GET /me
pub(super) async fn me(State(app): State<App>, caller: Caller) -> Result<Json<Me>, Error> {
    describe(&app, caller).await.map(Json)
}

async fn describe(app: &App, caller: Caller) -> Result<Me, Error> {
    let signed_in = caller.is_signed_in();
    let has_password = signed_in && app.store.password(&caller.person).await?.is_some();
    let sign_in = SignInWays { ready: app.store.has_operator().await?, oidc: app.identity.oidc_label() };
    Ok(Me { person: caller.person, name: caller.name, role: caller.role, signed_in, has_password, sign_in })
}

/// POST /sign-in
pub(super) async fn sign_in(
    State(app): State<App>,
    client: Client,
    caller: Caller,
    request: Body<SignIn>,
) -> Result<Response, Error> {
    let Json(SignIn { name, password }) = request?;
    let limits = app.identity.limits();
    limits.take_address(Kind::SignIn, client.address)?;
    let login = accounts::name(&name).unwrap_or_default();
    let key = login.to_lowercase();
    limits.take(Kind::Account, &key)?;
    let account = app.store.account(&login).await?;
    let (person, hash) = account.map_or((None, None), |(person, hash)| (Some(person), hash));
    let right = accounts::is_right(&password, hash).await?;
    match person.filter(|_| right) {
        Some(person) => {
            limits.give_back(Kind::Account, &key);
            enter(&app, &client, &caller, &person).await
        }
        // The same for a name that nobody has.
        None => Err(Error::WrongPassword),
    }
}

/// Signs a browser in: always with a token of its own, never with one that it brought along.
pub(super) async fn enter(app: &App, client: &Client, before: &Caller, person: &str) -> Result<Response, Error> {
    let (token, now) = (random_token(), now_millis());
    if let Some(old) = &before.sign_in {
        app.store.sign_out(old).await?;
    }
    app.store.put_sign_in(&digest(&token), person, now, now + accounts::SIGNED_IN_MILLIS).await?;
    let found = app.store.signed_in(&digest(&token), now).await?.ok_or(Error::Unknown)?;
    let caller = Caller { person: found.id, name: found.name, role: found.role, sign_in: Some(digest(&token)) };
    let noted = Noted { person: Some(caller.person.clone()), object: caller.name.clone().unwrap_or_default() };
    let cookie = app.identity.sign_in_cookie(Some(&token), client.secure);
    let me = describe(app, caller).await?;
    Ok((Extension(noted), [(header::SET_COOKIE, cookie)], Json(me)).into_response())
}

/// POST /sign-out
pub(super) async fn sign_out(
    State(app): State<App>,
    client: Client,
    caller: Caller,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1]), Error> {
    if let Some(digest) = &caller.sign_in {
        app.store.sign_out(digest).await?;
        app.identity.revoke();
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, app.identity.sign_in_cookie(None, client.secure))]))
}

/// POST /setup
pub(super) async fn setup(
    State(app): State<App>,
    client: Client,
    caller: Caller,
    request: Body<Setup>,
) -> Result<Response, Error> {
    let Json(Setup { token, name, password }) = request?;
    app.identity.limits().take_address(Kind::SignIn, client.address)?;
    let name = accounts::name(&name)?;
    let hash = accounts::hash(&password).await?;
    let person = random_id();
    match app.store.make_account(&digest(&token), &person, &name, &hash, now_millis()).await? {
        Made::Account => enter(&app, &client, &caller, &person).await,
        Made::NoLink => Err(Error::Forbidden(
            "This link does not hold, or not any more. An operator makes another; the server prints the first one's at its start."
                .to_owned(),
        )),
        Made::Taken => Err(Error::Conflict("Another account has this name. Take another.".to_owned())),
    }
}

/// POST /password
pub(super) async fn password(
    State(app): State<App>,
    client: Client,
    caller: Caller,
    request: Body<ChangePassword>,
) -> Result<StatusCode, Error> {
    let Json(ChangePassword { old, new }) = request?;
    let keep = caller.sign_in.ok_or(Error::SignInNeeded)?;
    app.identity.limits().take_address(Kind::SignIn, client.address)?;
    let hash = app.store.password(&caller.person).await?;
    if hash.is_none() {
        return Err(Error::Conflict("You have no password here: you sign in elsewhere.".to_owned()));
    }
    if !accounts::is_right(&old, hash).await? {
        return Err(Error::WrongPassword);
    }
    let hash = accounts::hash(&new).await?;
    app.store.put_password(&caller.person, &hash, &keep).await?;
    app.identity.revoke();
    Ok(StatusCode::NO_CONTENT)
}

/// GET /accounts
pub(super) async fn list(State(app): State<App>, _: Operator) -> Result<Json<Vec<Account>>, Error> {
    Ok(Json(app.store.accounts().await?))
}

/// POST /accounts/links
pub(super) async fn link(
    State(app): State<App>,
    Operator(caller): Operator,
    request: Body<CreateAccountLink>,
) -> Result<(StatusCode, Extension<Noted>, Json<AccountLink>), Error> {
    let Json(CreateAccountLink { role }) = request?;
    if role == Role::Learner {
        return Err(Error::Invalid("Learners need no account.".to_owned()));
    }
    let link = accounts::link(&app.store, role, Some(&caller.person)).await?;
    let noted = Noted { person: None, object: role.word().to_owned() };
    Ok((StatusCode::CREATED, Extension(noted), Json(link)))
}

/// DELETE /accounts/{person}
pub(super) async fn remove(
    State(app): State<App>,
    _: Operator,
    Path(person): Path<String>,
) -> Result<StatusCode, Error> {
    if app.store.remove_account(&person).await? {
        app.identity.revoke();
        return Ok(StatusCode::NO_CONTENT);
    }
    if app.store.accounts().await?.iter().any(|account| account.person == person) {
        return Err(Error::Conflict("This is the only operator. Make another one first.".to_owned()));
    }
    Err(Error::NotFound("There is no such account.".to_owned()))
}

/// `?before=`
#[derive(Deserialize)]
pub(super) struct Before {
    before: Option<u64>,
}

/// GET /deeds
pub(super) async fn deeds(
    State(app): State<App>,
    _: Operator,
    Query(Before { before }): Query<Before>,
) -> Result<Json<Vec<Deed>>, Error> {
    Ok(Json(app.store.deeds(before.unwrap_or(u64::MAX), DEEDS).await?))
}

/// GET /deeds.csv
pub(super) async fn deeds_csv(
    State(app): State<App>,
    _: Operator,
    Query(Before { before }): Query<Before>,
) -> Result<impl IntoResponse, Error> {
    let mut text = String::from("id,time,person,name,role,address,action,object,outcome\r\n");
    for deed in app.store.deeds(before.unwrap_or(u64::MAX), DEEDS * 50).await? {
        let time = i64::try_from(deed.at_millis).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
        let time = time.map(|time| time.to_string()).unwrap_or_default();
        let name = deed.name.unwrap_or_default();
        let (id, outcome) = (deed.id.to_string(), deed.outcome.to_string());
        let fields = [&id, &time, &deed.person, &name, &deed.role, &deed.address, &deed.action, &deed.object, &outcome];
        text.push_str(&fields.map(|field| csv_field(field)).join(","));
        text.push_str("\r\n");
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"deeds.csv\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, text))
}

/// A field of CSV; what a spreadsheet would take for a formula stays text.
fn csv_field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stay_text() {
        assert_eq!(csv_field("Anna"), "Anna");
        assert_eq!(csv_field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(csv_field("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(csv_field("@sum"), "'@sum");
    }
}
