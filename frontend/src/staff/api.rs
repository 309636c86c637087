//! What instructors and operators ask of the backend.

use drydock_protocol::account::{
    Account, AccountLink, ChangePassword, CreateAccountLink, Deed, Me, Role, Setup, SignIn,
};
use drydock_protocol::class::{Class, ClassAction, CreateClass, CreatePost, Post};
use drydock_protocol::operator::{History, Overview};
use drydock_protocol::path;
use gloo::net::http::Method;
use serde::Serialize;
use wasm_bindgen::JsValue;
use web_sys::{EventSource, WebSocket};

use crate::api::{Error, send, socket, tell};

/// Who is here.
pub(crate) async fn me() -> Result<Me, Error> {
    send(Method::GET, &path::me(), None).await
}

/// Signs in.
pub(crate) async fn sign_in(name: String, password: String) -> Result<Me, Error> {
    send(Method::POST, &path::account_verb("sign-in"), Some(&json(&SignIn { name, password }))).await
}

/// Signs out.
pub(crate) async fn sign_out() -> Result<(), Error> {
    tell(Method::POST, &path::account_verb("sign-out"), None).await
}

/// Makes the account that a link is for.
pub(crate) async fn set_up(token: String, name: String, password: String) -> Result<Me, Error> {
    send(Method::POST, &path::account_verb("setup"), Some(&json(&Setup { token, name, password }))).await
}

/// Changes one's own password.
pub(crate) async fn change_password(old: String, new: String) -> Result<(), Error> {
    tell(Method::POST, &path::account_verb("password"), Some(&json(&ChangePassword { old, new }))).await
}

/// All accounts.
pub(crate) async fn accounts() -> Result<Vec<Account>, Error> {
    send(Method::GET, &path::accounts(), None).await
}

/// Makes a link that makes an account.
pub(crate) async fn account_link(role: Role) -> Result<AccountLink, Error> {
    send(Method::POST, &path::account_links(), Some(&json(&CreateAccountLink { role }))).await
}

/// Removes an account.
pub(crate) async fn remove_account(person: &str) -> Result<(), Error> {
    tell(Method::DELETE, &path::account(person), None).await
}

/// What people did, newest first; before a deed, or the latest.
pub(crate) async fn deeds(before: Option<u64>) -> Result<Vec<Deed>, Error> {
    send(Method::GET, &path::deeds(before), None).await
}

/// One's classes.
pub(crate) async fn classes() -> Result<Vec<Class>, Error> {
    send(Method::GET, &path::classes(), None).await
}

/// A class; its event stream cannot tell that there is none.
pub(crate) async fn class(id: &str) -> Result<Class, Error> {
    send(Method::GET, &path::class(id), None).await
}

/// Makes a class.
pub(crate) async fn create_class(request: &CreateClass) -> Result<Class, Error> {
    send(Method::POST, &path::classes(), Some(&json(request))).await
}

/// Removes a class with all its data.
pub(crate) async fn remove_class(id: &str) -> Result<(), Error> {
    tell(Method::DELETE, &path::class(id), None).await
}

/// Does something to the whole class.
pub(crate) async fn act(id: &str, action: ClassAction) -> Result<Class, Error> {
    send(Method::POST, &path::class_verb(id, "actions"), Some(&json(&action))).await
}

/// Tells the class, or one learner, something.
pub(crate) async fn post(id: &str, post: &CreatePost) -> Result<Post, Error> {
    send(Method::POST, &path::class_verb(id, "posts"), Some(&json(post))).await
}

/// Takes back what was told.
pub(crate) async fn take_back(id: &str, post: u32) -> Result<(), Error> {
    tell(Method::DELETE, &path::class_post(id, post), None).await
}

/// Removes a learner from a class.
pub(crate) async fn remove_learner(id: &str, learner: u32) -> Result<(), Error> {
    tell(Method::DELETE, &path::learner(id, learner), None).await
}

/// The learner was helped.
pub(crate) async fn lower_hand(id: &str, learner: u32) -> Result<(), Error> {
    tell(Method::DELETE, &path::learner_verb(id, learner, "hand"), None).await
}

/// Asks to type in a learner's terminal, or stops that.
pub(crate) async fn joint(id: &str, learner: u32, ask: bool) -> Result<(), Error> {
    let method = if ask { Method::POST } else { Method::DELETE };
    tell(method, &path::learner_verb(id, learner, "joint"), None).await
}

/// Follows a class.
pub(crate) fn class_events(id: &str) -> Result<EventSource, JsValue> {
    EventSource::new(&path::class_verb(id, "events"))
}

/// Looks at a learner's terminal.
pub(crate) fn watch(id: &str, learner: u32) -> Result<WebSocket, JsValue> {
    socket(&path::learner_verb(id, learner, "terminal"))
}

/// How the server is.
pub(crate) async fn overview() -> Result<Overview, Error> {
    send(Method::GET, &path::operator_overview(), None).await
}

/// How the server was.
pub(crate) async fn history(hours: u32) -> Result<History, Error> {
    send(Method::GET, &path::operator_history(hours), None).await
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
