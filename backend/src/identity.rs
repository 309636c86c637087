//! Who asks: every browser is a person, anonymous by a signed cookie or signed in to an account.

mod cookie;
pub(crate) mod oidc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use drydock_protocol::Role;
use ring::hmac;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::accounts::SIGNED_IN_MILLIS;
use crate::error::Error;
use crate::front::Front;
use crate::limits::Limits;
use crate::routes::App;
use crate::sessions::now_millis;
use crate::store::Store;
use oidc::Oidc;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Identifier of the person.
    pub(crate) person: String,
    /// The name they gave.
    pub(crate) name: Option<String>,
    /// What they may do.
    pub(crate) role: Role,
    /// The digest of what their browser shows, when they are signed in.
    pub(crate) sign_in: Option<String>,
}

impl Caller {
    /// Whether they are signed in to an account.
    pub(crate) fn is_signed_in(&self) -> bool {
        self.sign_in.is_some()
    }

    /// Refuses those whose role is less.
    ///
    /// # Errors
    /// When it is: to sign in, or that the role does not do.
    pub(crate) fn at_least(&self, role: Role) -> Result<(), Error> {
        match (self.role >= role, self.is_signed_in()) {
            (true, _) => Ok(()),
            (false, true) => Err(Error::Forbidden("Your role may not do this.".to_owned())),
            (false, false) => Err(Error::SignInNeeded),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Error> {
        parts.extensions.get().cloned().ok_or(Error::Unknown)
    }
}

#[allow(dead_code, reason = "for classes, which come next")]
/// A signed-in instructor or operator; others are told to sign in.
pub(crate) struct Instructor(pub(crate) Caller);

impl<S: Send + Sync> FromRequestParts<S> for Instructor {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Instructor, Error> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.at_least(Role::Instructor).map(|()| Instructor(caller))
    }
}

/// A signed-in operator; others are told to sign in.
pub(crate) struct Operator(pub(crate) Caller);

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Operator, Error> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.at_least(Role::Operator).map(|()| Operator(caller))
    }
}

/// What tells people apart.
pub(crate) struct Identity {
    key: hmac::Key,
    front: Front,
    oidc: Option<Oidc>,
    limits: Limits,
    /// Counts how often somebody lost what they had.
    revoked: watch::Sender<u64>,
}

impl Identity {
    /// With the key that the database keeps.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn open(store: &Store, front: Front, oidc: Option<Oidc>) -> sqlx::Result<Identity> {
        let key = store.secret("people").await?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        Ok(Identity { key, front, oidc, limits: Limits::default(), revoked: watch::Sender::new(0) })
    }

    /// What stands before the server.
    pub(crate) fn front(&self) -> &Front {
        &self.front
    }

    /// How often is too often.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Says that somebody lost what they had: who reads along with a stream is looked at again.
    pub(crate) fn revoke(&self) {
        self.revoked.send_modify(|count| *count += 1);
    }

    /// Hears of it.
    pub(crate) fn revoked(&self) -> watch::Receiver<u64> {
        self.revoked.subscribe()
    }

    /// What the button says that signs in with OpenID Connect, where that is set up.
    pub(crate) fn oidc_label(&self) -> Option<String> {
        self.oidc.as_ref().map(|oidc| oidc.label().to_owned())
    }

    /// The provider of OpenID Connect, where one is set up.
    pub(crate) fn oidc(&self) -> Option<&Oidc> {
        self.oidc.as_ref()
    }

    /// The cookie of a browser that is signed in, or with none the one that takes it away.
    pub(crate) fn sign_in_cookie(&self, token: Option<&str>, secure: bool) -> HeaderValue {
        cookie::set(cookie::SIGN_IN, token, SIGNED_IN_MILLIS / 1000, secure)
    }

    /// Who asks, and whether their cookie is to be set.
    async fn caller(&self, store: &Store, headers: &HeaderMap, secure: bool) -> Result<(Caller, bool), Error> {
        for token in cookie::values(headers, cookie::SIGN_IN, secure) {
            let digest = digest(token);
            if let Some(found) = store.signed_in(&digest, now_millis()).await? {
                let sign_in = Some(digest);
                return Ok((Caller { person: found.id, name: found.name, role: found.role, sign_in }, false));
            }
        }
        let now = now_millis() / 1000;
        let signed = cookie::values(headers, cookie::PERSON, secure).find_map(|it| cookie::verify(&self.key, it, now));
        let (person, set, name) = match signed {
            Some(signed) => {
                let name = store.person_name(&signed.person).await?;
                (signed.person, signed.old, name)
            }
            None => (random_id(), true, None),
        };
        Ok((Caller { person, name, role: Role::Learner, sign_in: None }, set))
    }

    fn person_cookie(&self, person: &str, secure: bool) -> HeaderValue {
        let value = cookie::sign(&self.key, person, now_millis() / 1000);
        cookie::set(cookie::PERSON, Some(&value), cookie::LIFE, secure)
    }
}

/// Gives every request of the API its `Client` and `Caller`.
///
/// A person's cookie is set where they do something or ask who they are, and by [`greet`]: requests that only read and run beside
/// each other would each make another person.
pub(crate) async fn know(State(app): State<App>, request: Request, next: Next) -> Response {
    use axum::response::IntoResponse;
    let (mut parts, body) = request.into_parts();
    let client = app.identity.front.look(&parts);
    let secure = client.secure;
    let (caller, set) = match app.identity.caller(&app.store, &parts.headers, secure).await {
        Ok(found) => found,
        Err(error) => return error.into_response(),
    };
    let acts = !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let path = parts.uri.path();
    let cookie = (set && (acts || path.ends_with("/me") || path.starts_with("/auth/")))
        .then(|| app.identity.person_cookie(&caller.person, secure));
    parts.extensions.insert(client);
    parts.extensions.insert(caller);
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Gives a browser that asks for a page its person, before the page's own requests run beside each other.
pub(crate) fn greet(identity: &Identity, parts: &Parts, response: &mut Response) {
    let secure = identity.front.look(parts).secure;
    let now = now_millis() / 1000;
    let known = cookie::values(&parts.headers, cookie::PERSON, secure);
    let known = known.filter_map(|value| cookie::verify(&identity.key, value, now)).find(|signed| !signed.old);
    if known.is_none() {
        let old = cookie::values(&parts.headers, cookie::PERSON, secure);
        let person =
            old.filter_map(|value| cookie::verify(&identity.key, value, now)).map(|signed| signed.person).next();
        let cookie = identity.person_cookie(&person.unwrap_or_else(random_id), secure);
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// What the database keeps of a token: who reads it there cannot show it.
pub(crate) fn digest(token: &str) -> String {
    cookie::hex(&Sha256::digest(token.as_bytes()))
}

/// 128 random bits.
pub(crate) fn random_id() -> String {
    cookie::hex(&rand::random::<[u8; 16]>())
}

/// 256 random bits.
pub(crate) fn random_token() -> String {
    cookie::hex(&rand::random::<[u8; 32]>())
}

/// A secret of the server's own, as the database keeps it.
pub(crate) fn random_secret() -> Vec<u8> {
    rand::random::<[u8; 32]>().to_vec()
}
