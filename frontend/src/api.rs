//! The only place that talks to the backend.

use std::fmt;

use drydock_protocol::{
    Answer, AnswerVerdict, ClassPlace, CreateInvite, CreateSession, ErrorBody, Fault, HomeFile, HomeFiles, Invitation,
    Invite, JoinClass, Language, LearnerAction, Lesson, LessonSummary, ManifestOutcome, May, ObjectDetails,
    RedeemInvite, RunManifest, Session, TerminalControl, error::code, path,
};
use gloo::net::http::{Method, RequestBuilder};
use leptos::prelude::window;
use serde::de::DeserializeOwned;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{EventSource, WebSocket};

/// Why a request did not give what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// The server cannot be reached, or what answers is not Drydock.
    Offline,
    /// The server says no.
    Refused {
        /// HTTP status.
        status: u16,
        /// Its reason for programs.
        code: String,
        /// Its sentence for people.
        message: String,
    },
}

impl Error {
    /// Whether the thing asked for does not exist, or no longer.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Refused { status: 404 | 410, .. })
    }

    /// Whether there is no room for another session.
    pub(crate) fn is_capacity(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == code::CAPACITY)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offline => f.write_str("The server does not answer."),
            Self::Refused { message, .. } => f.write_str(message),
        }
    }
}

/// The catalogue.
pub(crate) async fn lessons(language: Language) -> Result<Vec<LessonSummary>, Error> {
    send(Method::GET, &path::lessons(language), None).await
}

/// A lesson.
pub(crate) async fn lesson(slug: &str, language: Language) -> Result<Lesson, Error> {
    send(Method::GET, &path::lesson(slug, language), None).await
}

/// This browser's sessions.
pub(crate) async fn sessions() -> Result<Vec<Session>, Error> {
    send(Method::GET, &path::sessions(), None).await
}

/// A session.
pub(crate) async fn session(id: &str) -> Result<Session, Error> {
    send(Method::GET, &path::session(id), None).await
}

/// Starts a session.
pub(crate) async fn create(request: &CreateSession) -> Result<Session, Error> {
    let body = serde_json::to_string(request).unwrap_or_default();
    send(Method::POST, &path::sessions(), Some(&body)).await
}

/// Ends a session.
pub(crate) async fn end(id: &str) -> Result<Session, Error> {
    send(Method::DELETE, &path::session(id), None).await
}

/// The links that let others in.
pub(crate) async fn invites(id: &str) -> Result<Vec<Invite>, Error> {
    send(Method::GET, &path::invites(id), None).await
}

/// Makes such a link.
pub(crate) async fn invite(id: &str, may: May) -> Result<Invite, Error> {
    let body = serde_json::to_string(&CreateInvite { may }).unwrap_or_default();
    send(Method::POST, &path::invites(id), Some(&body)).await
}

/// Makes it void.
pub(crate) async fn revoke_invite(id: &str, may: May) -> Result<(), Error> {
    tell(Method::DELETE, &path::invite(id, may), None).await
}

/// Makes all kubeconfigs of a session void.
pub(crate) async fn revoke_kubeconfigs(id: &str) -> Result<(), Error> {
    tell(Method::DELETE, &path::session_verb(id, "kubeconfig"), None).await
}

/// Comes in by a link.
pub(crate) async fn redeem(id: &str, token: &str) -> Result<Session, Error> {
    let body = serde_json::to_string(&RedeemInvite { token: token.to_owned() }).unwrap_or_default();
    send(Method::POST, &path::guests(id), Some(&body)).await
}

/// Gives a session more time.
pub(crate) async fn extend(id: &str) -> Result<Session, Error> {
    send(Method::POST, &path::session_verb(id, "extend"), None).await
}

/// Wakes a session that sleeps.
pub(crate) async fn wake(id: &str) -> Result<Session, Error> {
    send(Method::POST, &path::session_verb(id, "wake"), None).await
}

/// Gives a session a fresh cluster.
pub(crate) async fn reset(id: &str) -> Result<Session, Error> {
    send(Method::POST, &path::session_verb(id, "reset"), None).await
}

/// Stops (`stop`) or starts (`start`) a node.
pub(crate) async fn node(id: &str, node: &str, verb: &str) -> Result<Session, Error> {
    send(Method::POST, &path::node_verb(id, node, verb), None).await
}

/// Answers a question of the lesson.
pub(crate) async fn answer(id: &str, language: Language, answer: &Answer) -> Result<AnswerVerdict, Error> {
    let body = serde_json::to_string(answer).unwrap_or_default();
    send(Method::POST, &path::answers(id, language), Some(&body)).await
}

/// What a join code leads to.
pub(crate) async fn invitation(code: &str) -> Result<Invitation, Error> {
    send(Method::GET, &path::join(code), None).await
}

/// Joins a class.
pub(crate) async fn join(code: &str, name: &str) -> Result<ClassPlace, Error> {
    let body = serde_json::to_string(&JoinClass { name: name.to_owned() }).unwrap_or_default();
    send(Method::POST, &path::join(code), Some(&body)).await
}

/// Does something in the session's class.
pub(crate) async fn in_class(id: &str, action: LearnerAction) -> Result<(), Error> {
    let body = serde_json::to_string(&action).unwrap_or_default();
    let (status, text) =
        fetch(Method::POST, &path::session_class(id), Some(&body)).await.map_err(|_| Error::Offline)?;
    if (200..300).contains(&status) { Ok(()) } else { Err(refusal(status, &text)) }
}

/// The files of the workstation's home folder.
pub(crate) async fn files(id: &str) -> Result<HomeFiles, Error> {
    send(Method::GET, &path::files(id), None).await
}

/// Where a file of the home folder can be had.
pub(crate) fn file_address(id: &str, path: &str) -> String {
    path::file(id, path)
}

/// A file of the home folder; `None` when it is no text.
pub(crate) async fn read_text(id: &str, path: &str) -> Result<Option<String>, Error> {
    let response = RequestBuilder::new(&path::file(id, path)).send().await.map_err(|_| Error::Offline)?;
    if !response.ok() {
        let text = response.text().await.map_err(|_| Error::Offline)?;
        return Err(refusal(response.status(), &text));
    }
    let bytes = response.binary().await.map_err(|_| Error::Offline)?;
    Ok(String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')))
}

/// Writes a file of the home folder: a text or what the browser has as a file.
pub(crate) async fn write_file(id: &str, path: &str, content: &JsValue) -> Result<HomeFile, Error> {
    let request = RequestBuilder::new(&path::file(id, path)).method(Method::PUT);
    let request = request.header("content-type", "application/octet-stream");
    let request = request.body(content.clone()).map_err(|_| Error::Offline)?;
    let response = request.send().await.map_err(|_| Error::Offline)?;
    let text = response.text().await.map_err(|_| Error::Offline)?;
    read(response.status(), &text)
}

/// Applies or compares a manifest.
pub(crate) async fn manifest(id: &str, request: &RunManifest) -> Result<ManifestOutcome, Error> {
    let body = serde_json::to_string(request).unwrap_or_default();
    send(Method::POST, &path::manifest(id), Some(&body)).await
}

/// Adds a worker; the answer comes when it is Ready.
pub(crate) async fn add_node(id: &str) -> Result<Session, Error> {
    send(Method::POST, &path::nodes(id), None).await
}

/// Removes a worker.
pub(crate) async fn remove_node(id: &str, node: &str) -> Result<Session, Error> {
    send(Method::DELETE, &path::node(id, node), None).await
}

/// Causes a fault, or heals it.
pub(crate) async fn fault(id: &str, fault: &Fault, heal: bool) -> Result<Session, Error> {
    let body = serde_json::to_string(fault).unwrap_or_default();
    send(Method::POST, &path::faults(id, heal), Some(&body)).await
}

/// An object in detail.
pub(crate) async fn object(id: &str, kind: &str, namespace: &str, name: &str) -> Result<ObjectDetails, Error> {
    send(Method::GET, &path::object(id, kind, namespace, name), None).await
}

/// Follows a container's log.
pub(crate) fn logs(
    id: &str,
    namespace: &str,
    pod: &str,
    container: &str,
    previous: bool,
) -> Result<EventSource, JsValue> {
    EventSource::new(&path::logs(id, namespace, pod, container, previous))
}

/// Opens a session's event stream; the browser reconnects it by itself as long as the server answers.
pub(crate) fn events(id: &str) -> Result<EventSource, JsValue> {
    EventSource::new(&path::session_verb(id, "events"))
}

/// Opens a terminal.
pub(crate) fn terminal(id: &str, terminal: &str, node: &str, cols: u16, rows: u16) -> Result<WebSocket, JsValue> {
    socket(&path::terminal(id, terminal, node, cols, rows))
}

/// Opens a WebSocket that carries bytes.
pub(crate) fn socket(path: &str) -> Result<WebSocket, JsValue> {
    let location = window().location();
    let scheme = if location.protocol()? == "https:" { "wss" } else { "ws" };
    let socket = WebSocket::new(&format!("{scheme}://{}{path}", location.host()?))?;
    socket.set_binary_type(web_sys::BinaryType::Arraybuffer);
    Ok(socket)
}

/// Ends a terminal's shell, whether or not the page shows it.
pub(crate) fn close_terminal(id: &str, name: &str, node: &str) {
    if let Ok(socket) = terminal(id, name, node, 80, 24)
        && let Ok(text) = serde_json::to_string(&TerminalControl::Close)
    {
        let speaker = socket.clone();
        let say = Closure::once_into_js(move || drop(speaker.send_with_str(&text)));
        socket.set_onopen(Some(say.unchecked_ref()));
    }
}

/// Sends a request and reads the answer.
pub(crate) async fn send<T: DeserializeOwned>(method: Method, path: &str, body: Option<&str>) -> Result<T, Error> {
    let (status, text) = fetch(method, path, body).await.map_err(|_| Error::Offline)?;
    read(status, &text)
}

/// Sends a request whose answer says no more than that it worked.
pub(crate) async fn tell(method: Method, path: &str, body: Option<&str>) -> Result<(), Error> {
    let (status, text) = fetch(method, path, body).await.map_err(|_| Error::Offline)?;
    if (200..300).contains(&status) { Ok(()) } else { Err(refusal(status, &text)) }
}

fn read<T: DeserializeOwned>(status: u16, text: &str) -> Result<T, Error> {
    if (200..300).contains(&status) {
        return serde_json::from_str(text).map_err(|_| Error::Offline);
    }
    Err(refusal(status, text))
}

fn refusal(status: u16, text: &str) -> Error {
    match serde_json::from_str::<ErrorBody>(text) {
        Ok(ErrorBody { error }) => Error::Refused { status, code: error.code, message: error.message },
        Err(_) if status < 500 => Error::Refused { status, code: String::new(), message: format!("HTTP {status}") },
        // A proxy in between speaks for a server that is away.
        Err(_) => Error::Offline,
    }
}

async fn fetch(method: Method, path: &str, body: Option<&str>) -> Result<(u16, String), gloo::net::Error> {
    let request = RequestBuilder::new(path).method(method).header("accept", "application/json");
    let response = match body {
        Some(body) => request.header("content-type", "application/json").body(body)?.send().await?,
        None => request.send().await?,
    };
    Ok((response.status(), response.text().await?))
}
