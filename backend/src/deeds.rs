//! Who did what: every change that somebody makes through the API is written down.

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::front::Client;
use crate::identity::Caller;
use crate::routes::App;
use crate::sessions::now_millis;

/// Characters kept of what was done, and of what it was done to.
const LONGEST: usize = 160;

/// What a handler knows better about its deed; put into the answer's extensions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted {
    /// Who it was, when the request did not say yet.
    pub(crate) person: Option<String>,
    /// What it was done to.
    pub(crate) object: String,
}

/// A deed before it is stored.
#[derive(Clone, Debug)]
pub(crate) struct NewDeed {
    /// When.
    pub(crate) at_millis: u64,
    /// Who.
    pub(crate) person: String,
    /// As what.
    pub(crate) role: &'static str,
    /// From where.
    pub(crate) address: String,
    /// Method and route.
    pub(crate) action: String,
    /// What it was done to.
    pub(crate) object: String,
    /// HTTP status.
    pub(crate) outcome: u16,
}

/// Writes down what changes something, after it was answered.
pub(crate) async fn record(
    State(app): State<App>,
    caller: Caller,
    client: Client,
    request: Request,
    next: Next,
) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    // What goes to a session's own API server is in that server's own audit log.
    let inside = request.uri().path().split('/').any(|part| part == "kube");
    if inside || (reads && !request.headers().contains_key(header::UPGRADE)) {
        return next.run(request).await;
    }
    let (action, object) = deed_of(request.method(), request.uri().path());
    let response = next.run(request).await;
    if is_worth_it(&action, response.status(), caller.is_signed_in()) {
        let noted = response.extensions().get::<Noted>().cloned().unwrap_or_default();
        let object = if noted.object.is_empty() { object } else { cut(&noted.object) };
        let deed = NewDeed {
            at_millis: now_millis(),
            person: noted.person.unwrap_or(caller.person),
            role: caller.role.word(),
            address: client.address.to_string(),
            action,
            object,
            outcome: response.status().as_u16(),
        };
        if let Err(error) = app.store.note(&deed).await {
            tracing::error!(%error, deed.action, deed.object, deed.person, "a deed cannot be written down");
        }
    }
    response
}

/// What an address was asked to do, and to what: `POST /sessions/{id}/extend`, and the session.
fn deed_of(method: &Method, path: &str) -> (String, String) {
    let path = path.strip_prefix(drydock_protocol::path::PREFIX).unwrap_or(path);
    let mut parts = path.trim_start_matches('/').splitn(3, '/');
    let (first, object, rest) =
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut action = format!("{method} /{first}");
    match (first, object.is_empty()) {
        ("sessions" | "classes", false) => {
            action.push_str("/{id}");
            if !rest.is_empty() {
                action.push('/');
                action.push_str(rest);
            }
            (cut(&action), cut(object))
        }
        (_, true) => (cut(&action), String::new()),
        (_, false) => (cut(&format!("{action}/{object}")), cut(rest)),
    }
}

fn cut(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(LONGEST).collect()
}

/// What was refused counts where somebody tries to get in, and of those who are signed in; who only guesses addresses shall not fill
/// the disk.
fn is_worth_it(action: &str, status: StatusCode, signed_in: bool) -> bool {
    if status == StatusCode::TOO_MANY_REQUESTS {
        return false;
    }
    let tries = ["POST /sign-in", "POST /setup", "POST /password"].contains(&action) || action.ends_with("/guests");
    status.as_u16() < 400 || signed_in || tries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_to_what() {
        for (method, path, action, object) in [
            (Method::POST, "/sign-in", "POST /sign-in", ""),
            (Method::POST, "/api/v1/sessions", "POST /sessions", ""),
            (Method::DELETE, "/sessions/abc", "DELETE /sessions/{id}", "abc"),
            (Method::POST, "/sessions/abc/nodes/worker-1/stop", "POST /sessions/{id}/nodes/worker-1/stop", "abc"),
            (Method::POST, "/classes/c/posts", "POST /classes/{id}/posts", "c"),
            (Method::DELETE, "/accounts/abc", "DELETE /accounts/abc", ""),
        ] {
            assert_eq!(deed_of(&method, path), (action.to_owned(), object.to_owned()), "{path}");
        }
        let (action, _) = deed_of(&Method::PUT, &format!("/sessions/abc/files/{}", "a".repeat(10_000)));
        assert_eq!(action.len(), LONGEST);
    }

    #[test]
    fn guesses_do_not_fill_the_disk() {
        assert!(is_worth_it("POST /sessions", StatusCode::CREATED, false));
        assert!(!is_worth_it("DELETE /sessions/{id}", StatusCode::NOT_FOUND, false));
        assert!(is_worth_it("DELETE /sessions/{id}", StatusCode::NOT_FOUND, true));
        assert!(is_worth_it("POST /sign-in", StatusCode::UNAUTHORIZED, false));
        assert!(!is_worth_it("POST /sign-in", StatusCode::TOO_MANY_REQUESTS, false));
    }
}
