//! The body of every failed request.

use serde::{Deserialize, Serialize};

/// `{"error":{"code":"…","message":"…"}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// A reason for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// One of [`code`]'s words.
    pub code: String,
    /// One clear sentence and, where there is one, what to do about it.
    pub message: String,
}

impl ErrorBody {
    /// Builds the body.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { error: ErrorDetail { code: code.into(), message: message.into() } }
    }
}

/// The words that `code` may hold.
pub mod code {
    /// 404: no such lesson, session, node or route.
    pub const NOT_FOUND: &str = "not_found";
    /// 400: the request cannot be understood.
    pub const INVALID: &str = "invalid";
    /// 401: only for who signed in.
    pub const SIGN_IN: &str = "sign_in";
    /// 401: the name or the password is wrong.
    pub const WRONG_PASSWORD: &str = "wrong_password";
    /// 403: known, but not allowed.
    pub const FORBIDDEN: &str = "forbidden";
    /// 403: a page of another origin asked.
    pub const FOREIGN_ORIGIN: &str = "foreign_origin";
    /// 429: too often; `Retry-After` says when again.
    pub const TOO_OFTEN: &str = "too_often";
    /// 409: not possible in the session's present state.
    pub const CONFLICT: &str = "conflict";
    /// 409: the person has as many sessions as one may have at once.
    pub const TOO_MANY: &str = "too_many";
    /// 409: a class's pause holds what changes the cluster.
    pub const PAUSED: &str = "paused";
    /// 413: more than is taken or given at once.
    pub const TOO_LARGE: &str = "too_large";
    /// 503: no room for another session now.
    pub const CAPACITY: &str = "capacity";
    /// 410: the session is over.
    pub const GONE: &str = "gone";
    /// 500: our fault; details are in the server's log only.
    pub const INTERNAL: &str = "internal";
}
