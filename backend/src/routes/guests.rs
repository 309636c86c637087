//! Invitations to a session.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use drydock_protocol::{CreateInvite, Invite, May, RedeemInvite, Session};

use super::App;
use crate::access::Seat;
use crate::deeds::Noted;
use crate::error::Error;
use crate::front::Client;
use crate::identity::{Caller, random_token};
use crate::limits::Kind;
use crate::sessions::now_millis;
use crate::store::Taken;

fn invite(session: &str, may: May, token: &str, guests: u32) -> Invite {
    Invite { may, path: format!("/sessions/{session}?invite={token}"), guests }
}

/// GET /sessions/{id}/invites
pub(super) async fn list(State(app): State<App>, seat: Seat) -> Result<Json<Vec<Invite>>, Error> {
    let invites = app.store.invites(&seat.session).await?;
    Ok(Json(invites.into_iter().map(|(may, token, guests)| invite(&seat.session, may, &token, guests)).collect()))
}

/// POST /sessions/{id}/invites
pub(super) async fn create(
    State(app): State<App>,
    seat: Seat,
    body: Result<Json<CreateInvite>, JsonRejection>,
) -> Result<(StatusCode, Json<Invite>), Error> {
    let Json(CreateInvite { may }) = body?;
    let token = app.store.invite(&seat.session, may, &random_token()).await?;
    let known = app.store.invites(&seat.session).await?;
    let guests = known.iter().find(|(kind, ..)| *kind == may).map_or(0, |(.., guests)| *guests);
    Ok((StatusCode::CREATED, Json(invite(&seat.session, may, &token, guests))))
}

/// DELETE /sessions/{id}/invites/{may}
pub(super) async fn revoke(
    State(app): State<App>,
    seat: Seat,
    Path((_, may)): Path<(String, May)>,
) -> Result<StatusCode, Error> {
    app.store.revoke_invite(&seat.session, may).await?;
    app.identity.revoke();
    Ok(StatusCode::NO_CONTENT)
}

/// POST /sessions/{id}/guests
pub(super) async fn redeem(
    State(app): State<App>,
    client: Client,
    caller: Caller,
    Path(id): Path<String>,
    body: Result<Json<RedeemInvite>, JsonRejection>,
) -> Result<(Extension<Noted>, Json<Session>), Error> {
    let Json(RedeemInvite { token }) = body?;
    app.identity.limits().take_address(Kind::Join, client.address)?;
    app.identity.limits().take(Kind::JoinPerson, &caller.person)?;
    let gone = || Error::NotFound("This invitation does not hold, or not any more. Ask for another link.".to_owned());
    let (relation, _) = app.store.relation(&id, &caller.person).await?.ok_or_else(gone)?;
    if !relation.owner {
        match app.store.take_invite(&id, &token, &caller.person, now_millis()).await? {
            Taken::In => app.store.remember(&caller.person, None, now_millis()).await?,
            Taken::NoInvite => return Err(gone()),
            Taken::Full => return Err(Error::Conflict("This session has as many guests as it may have.".to_owned())),
        }
    }
    Ok((Extension(Noted { person: None, object: id.clone() }), Json(app.sessions.session(&id).await?)))
}
