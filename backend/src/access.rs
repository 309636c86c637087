//! Who may do what to a session. One function decides; one guard before all routes of sessions asks it.

use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use drydock_protocol::path::PREFIX;
use drydock_protocol::{May, Role};

use crate::error::Error;
use crate::identity::Caller;
use crate::routes::App;
use crate::sessions::now_millis;

/// What somebody wants of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Its description: state, times, lesson.
    See,
    /// Everything that it shows: objects, logs, files, what is typed in its terminals.
    Watch,
    /// To change what is in it: terminals, files, nodes, answers.
    Act,
    /// What its workloads serve.
    Preview,
    /// Its time: extend it, end it.
    Manage,
    /// What is its owner's alone: start it over, invite others, take its credentials.
    Own,
}

/// What a person has to do with a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Relation {
    /// They started it.
    pub(crate) owner: bool,
    /// They were invited.
    pub(crate) guest: Option<May>,
    /// It is in a class of theirs.
    pub(crate) instructor: bool,
    /// Its owner lets the instructor work in it, too.
    pub(crate) joint: bool,
}

/// Whether somebody may.
pub(crate) fn may(caller: &Caller, relation: &Relation, wanted: Use) -> bool {
    let instructor = relation.instructor && caller.role >= Role::Instructor;
    let operator = caller.role >= Role::Operator;
    if relation.owner {
        return true;
    }
    match wanted {
        Use::See => relation.guest.is_some() || instructor || operator,
        Use::Watch | Use::Preview => relation.guest.is_some() || instructor,
        Use::Act => relation.guest == Some(May::Work) || (instructor && relation.joint),
        Use::Manage => instructor || operator,
        Use::Own => false,
    }
}

/// Who asks, at a session that they may at least see. Only the guard makes one.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    /// Who asks.
    pub(crate) caller: Caller,
    /// The session's identifier.
    pub(crate) session: String,
    /// What they have to do with it.
    pub(crate) relation: Relation,
}

impl Seat {
    /// Whether they may.
    pub(crate) fn may(&self, wanted: Use) -> bool {
        may(&self.caller, &self.relation, wanted)
    }

    /// Whether the pause of a class holds what they want, which changes the cluster or does not.
    pub(crate) fn is_held(&self, app: &App, changes: bool) -> bool {
        let paused = || app.sessions.open_hub_of(&self.session).is_some_and(|hub| hub.is_paused());
        changes && held(paused(), &self.relation, changes)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Seat {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Seat, Error> {
        parts.extensions.get().cloned().ok_or(Error::Unknown)
    }
}

/// Resolves when somebody may not (any more): streams that they opened end with it.
pub(crate) async fn lost(app: App, seat: Seat, wanted: Use) {
    // Before the first look, so that nothing is missed between the two.
    let mut revoked = app.identity.revoked();
    loop {
        let role = match &seat.caller.sign_in {
            Some(digest) => app.store.signed_in(digest, now_millis()).await.map(|who| who.map(|who| who.role)),
            None => Ok(Some(Role::Learner)),
        };
        match (role, app.store.relation(&seat.session, &seat.caller.person).await) {
            (Ok(Some(role)), Ok(Some((relation, _)))) => {
                if !may(&Caller { role, ..seat.caller.clone() }, &relation, wanted) {
                    return;
                }
            }
            (Ok(_), Ok(_)) => return,
            // Who was let in stays while the database does not answer.
            (Err(error), _) | (_, Err(error)) => tracing::error!(%error, "cannot look at who may"),
        }
        if revoked.changed().await.is_err() {
            return;
        }
    }
}

/// How a route of sessions is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    /// Not a session's.
    Free,
    /// By [`may`].
    Needs(Use),
    /// For those of a role.
    From(Role),
    /// By a token of its own, which its handler looks at.
    Token,
}

/// How a route is guarded. What is not named here and changes something needs [`Use::Act`], everything else [`Use::Watch`]: a new
/// route is not open by being forgotten.
fn guard_of(method: &Method, path: &str) -> Guard {
    let path = path.strip_prefix(PREFIX).unwrap_or(path);
    let Some((_, rest)) = path.strip_prefix("/sessions/").map(|rest| rest.split_once('/').unwrap_or((rest, ""))) else {
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        return match first {
            "operator" | "accounts" | "deeds" | "deeds.csv" => Guard::From(Role::Operator),
            "classes" => Guard::From(Role::Instructor),
            _ => Guard::Free,
        };
    };
    let reads = reads(method);
    match rest.split('/').next().unwrap_or_default() {
        "" if reads => Guard::Needs(Use::See),
        "" | "extend" => Guard::Needs(Use::Manage),
        "reset" | "invites" | "kubeconfig" | "manifests.yaml" | "class" => Guard::Needs(Use::Own),
        "guests" | "kube" => Guard::Token,
        "ports" | "preview" => Guard::Needs(Use::Preview),
        _ if reads => Guard::Needs(Use::Watch),
        _ => Guard::Needs(Use::Act),
    }
}

/// Whether a route of sessions changes a learner's cluster: while their class is paused it does not. Terminals say so themselves,
/// and the editor's *Apply*, whose *Diff* only looks.
fn changes_cluster(method: &Method, path: &str) -> bool {
    let path = path.strip_prefix(PREFIX).unwrap_or(path);
    let rest = path.strip_prefix("/sessions/").and_then(|rest| rest.split_once('/')).map_or("", |(_, rest)| rest);
    let what = rest.split('/').next().unwrap_or_default();
    !reads(method) && matches!(what, "reset" | "nodes" | "faults")
}

/// The same of a path of the session's API server.
pub(crate) fn changes_through_kube(method: &Method, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    // A shell in a Pod is asked for by GET where it is a WebSocket.
    let is_shell = path.contains("/pods/") && (path.ends_with("/exec") || path.ends_with("/attach"));
    // What asks who may do what is written to be read.
    let is_question =
        path.starts_with("/apis/authorization.k8s.io/") || path.starts_with("/apis/authentication.k8s.io/");
    is_shell || !(reads(method) || is_question)
}

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether a pause holds what somebody wants of a session: its instructor asked for it, and goes on.
pub(crate) fn held(paused: bool, relation: &Relation, changes: bool) -> bool {
    paused && changes && !relation.instructor
}

/// Stands before all routes of the API and lets to a session only who may.
pub(crate) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let guard = guard_of(request.method(), request.uri().path());
    let (mut parts, body) = request.into_parts();
    let allowed = match guard {
        Guard::Free | Guard::Token => Ok(()),
        Guard::From(role) => Caller::from_request_parts(&mut parts, &()).await.and_then(|caller| caller.at_least(role)),
        Guard::Needs(wanted) => match seat(&app, &mut parts, wanted).await {
            Ok(seat) if seat.is_held(&app, changes_cluster(&parts.method, parts.uri.path())) => Err(Error::Paused),
            Ok(seat) => {
                parts.extensions.insert(seat);
                Ok(())
            }
            Err(error) => Err(error),
        },
    };
    match allowed {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(error) => error.into_response(),
    }
}

async fn seat(app: &App, parts: &mut Parts, wanted: Use) -> Result<Seat, Error> {
    let params = RawPathParams::from_request_parts(parts, &()).await.map_err(|_| absent())?;
    let session = params.iter().find(|(name, _)| *name == "id").map(|(_, id)| id.to_owned()).ok_or_else(absent)?;
    let caller = Caller::from_request_parts(parts, &()).await?;
    sit(app, caller, session, &parts.headers, wanted).await
}

/// A person's seat at a session.
///
/// # Errors
/// When there is no such session for them, or they may not.
pub(crate) async fn sit(
    app: &App,
    caller: Caller,
    session: String,
    headers: &HeaderMap,
    wanted: Use,
) -> Result<Seat, Error> {
    let (mut relation, unowned) = app.store.relation(&session, &caller.person).await?.ok_or_else(absent)?;
    if unowned && started_before_there_were_people(headers, &session) {
        app.store.put_owner(&session, &caller.person).await?;
        relation.owner = true;
    }
    let seat = Seat { caller, session, relation };
    if seat.may(wanted) {
        Ok(seat)
    } else if seat.may(Use::See) {
        Err(Error::Forbidden("You may see this session, but not do this.".to_owned()))
    } else {
        Err(absent())
    }
}

/// The same for a session of others as for one that never was: who guesses learns nothing.
fn absent() -> Error {
    Error::NotFound("There is no such session; it may have been ended long ago.".to_owned())
}

/// Earlier versions kept the identifiers of a browser's sessions in a cookie, and who knew one had the session.
fn started_before_there_were_people(headers: &HeaderMap, session: &str) -> bool {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == "drydock_sessions").any(|(_, ids)| ids.split('.').any(|id| id == session))
}

#[cfg(test)]
mod tests;
