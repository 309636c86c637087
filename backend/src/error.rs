//! Every failure that a browser may see: one enum, one place that turns it into an answer.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use drydock_engine::EngineError;
use drydock_engine::host::HostError;
use drydock_protocol::ErrorBody;
use drydock_protocol::error::code;
use thiserror::Error;

/// Why a request failed.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// No such lesson, session, node or route; the sentence says which.
    #[error("{0}")]
    NotFound(String),
    /// The request cannot be understood.
    #[error("{0}")]
    Invalid(String),
    /// Not possible in the session's present state.
    #[error("{0}")]
    Conflict(String),
    /// More than is taken or given at once.
    #[error("{0}")]
    TooLarge(String),
    /// No room for another session.
    #[error("{0}")]
    Capacity(String),
    /// The session is over.
    #[error("{0}")]
    Gone(String),
    #[allow(dead_code, reason = "for the routes of instructors and operators, which come next")]
    /// Only for who signed in.
    #[error("Sign in first.")]
    SignInNeeded,
    /// Known, but not allowed.
    #[error("{0}")]
    Forbidden(String),
    /// Nobody said who asks: a route without the layers that do.
    #[error("it is not known who asks")]
    Unknown,
    /// A page of another origin asked.
    #[error("Requests from other sites are refused.")]
    ForeignOrigin,
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] sqlx::Error),
    /// The engine failed.
    #[error("the engine failed")]
    Engine(#[from] EngineError),
    /// The host failed.
    #[error("the host failed")]
    Host(#[from] HostError),
    /// What the database holds cannot be read.
    #[error("stored data cannot be read")]
    Stored(#[from] serde_json::Error),
}

impl Error {
    fn parts(&self) -> (StatusCode, &'static str) {
        match self {
            Error::NotFound(_) => (StatusCode::NOT_FOUND, code::NOT_FOUND),
            Error::Invalid(_) => (StatusCode::BAD_REQUEST, code::INVALID),
            Error::Conflict(_) => (StatusCode::CONFLICT, code::CONFLICT),
            Error::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, code::TOO_LARGE),
            Error::Capacity(_) => (StatusCode::SERVICE_UNAVAILABLE, code::CAPACITY),
            Error::Gone(_) => (StatusCode::GONE, code::GONE),
            Error::SignInNeeded => (StatusCode::UNAUTHORIZED, code::SIGN_IN),
            Error::Forbidden(_) => (StatusCode::FORBIDDEN, code::FORBIDDEN),
            Error::ForeignOrigin => (StatusCode::FORBIDDEN, code::FOREIGN_ORIGIN),
            Error::Host(HostError::NoNode { .. } | HostError::NoSession { .. }) => {
                (StatusCode::NOT_FOUND, code::NOT_FOUND)
            }
            Error::Unknown | Error::Store(_) | Error::Engine(_) | Error::Host(_) | Error::Stored(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL)
            }
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code) = self.parts();
        let message = if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = chain(&self), "request failed");
            "Something went wrong on the server; its log says what. Try again, or tell whoever runs it.".to_owned()
        } else if let Error::Host(error) = &self {
            error.to_string()
        } else {
            self.to_string()
        };
        (status, Json(ErrorBody::new(code, message))).into_response()
    }
}

/// An error with all its causes, for logs and terminals.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
