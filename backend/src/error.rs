//! Every failure that a browser may see: one enum, one place that turns it into an answer.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
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
    /// The person has as many sessions as one may have at once.
    #[error("{}", too_many(*.0))]
    TooMany(usize),
    /// A class's pause holds what changes the cluster.
    #[error("The class is paused: nothing changes the cluster until your instructor goes on.")]
    Paused,
    /// More than is taken or given at once.
    #[error("{0}")]
    TooLarge(String),
    /// No room for another session.
    #[error("{0}")]
    Capacity(String),
    /// The session is over.
    #[error("{0}")]
    Gone(String),
    /// Only for who signed in.
    #[error("Sign in first.")]
    SignInNeeded,
    /// The same whether the name or the password is wrong.
    #[error("The name or the password is wrong.")]
    WrongPassword,
    /// Known, but not allowed.
    #[error("{0}")]
    Forbidden(String),
    /// Too often; this many seconds later it may be tried again.
    #[error("Too many tries. Try again in {0} seconds.")]
    TooOften(u64),
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

impl From<JsonRejection> for Error {
    fn from(rejection: JsonRejection) -> Self {
        Self::Invalid(rejection.body_text())
    }
}

impl Error {
    fn parts(&self) -> (StatusCode, &'static str) {
        match self {
            Error::NotFound(_) => (StatusCode::NOT_FOUND, code::NOT_FOUND),
            Error::Invalid(_) => (StatusCode::BAD_REQUEST, code::INVALID),
            Error::Conflict(_) => (StatusCode::CONFLICT, code::CONFLICT),
            Error::TooMany(_) => (StatusCode::CONFLICT, code::TOO_MANY),
            Error::Paused => (StatusCode::CONFLICT, code::PAUSED),
            Error::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, code::TOO_LARGE),
            Error::Capacity(_) => (StatusCode::SERVICE_UNAVAILABLE, code::CAPACITY),
            Error::Gone(_) => (StatusCode::GONE, code::GONE),
            Error::WrongPassword => (StatusCode::UNAUTHORIZED, code::WRONG_PASSWORD),
            Error::SignInNeeded => (StatusCode::UNAUTHORIZED, code::SIGN_IN),
            Error::TooOften(_) => (StatusCode::TOO_MANY_REQUESTS, code::TOO_OFTEN),
            Error::Forbidden(_) => (StatusCode::FORBIDDEN, code::FORBIDDEN),
            Error::ForeignOrigin => (StatusCode::FORBIDDEN, code::FOREIGN_ORIGIN),
            Error::Host(HostError::NoNode { .. } | HostError::NoSession { .. }) => {
                (StatusCode::NOT_FOUND, code::NOT_FOUND)
            }
            Error::Store(error) if trouble(error).is_some() => (StatusCode::SERVICE_UNAVAILABLE, code::INTERNAL),
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
        } else if let Error::Store(error) = &self {
            tracing::error!(error = chain(error), "request failed");
            trouble(error).unwrap_or_default().to_owned()
        } else if let Error::Host(error) = &self {
            error.to_string()
        } else {
            self.to_string()
        };
        let mut response = (status, Json(ErrorBody::new(code, message))).into_response();
        if let Error::TooOften(seconds) = self {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

fn too_many(each: usize) -> String {
    let have = if each == 1 { "a session".to_owned() } else { format!("{each} sessions") };
    format!("You have {have} already, as many as one person may have here at once. End one, then start this one.")
}

/// What keeps the database from its work now and may be over soon; by SQLite's result codes.
fn trouble(error: &sqlx::Error) -> Option<&'static str> {
    let number = error.as_database_error()?.code()?.parse::<u32>().ok()?;
    match number & 0xff {
        5 | 6 => Some("The server's database is busy. Try again in a moment; nothing was changed."),
        8 | 10 | 13 => Some("The server's disk is full or fails, so nothing was changed. Tell whoever runs it."),
        _ => None,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::Connection as _;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

    use super::*;

    #[tokio::test]
    async fn a_database_that_is_locked_or_full_is_no_riddle() {
        let folder = tempfile::tempdir().expect("tempdir");
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("db"))
            .create_if_missing(true)
            .busy_timeout(Duration::ZERO);
        let mut first = SqliteConnection::connect_with(&options).await.expect("open");
        sqlx::query("CREATE TABLE t (x TEXT)").execute(&mut first).await.expect("create");
        let mut second = SqliteConnection::connect_with(&options).await.expect("open");
        sqlx::query("BEGIN EXCLUSIVE").execute(&mut first).await.expect("lock");
        let locked = sqlx::query("INSERT INTO t VALUES ('a')").execute(&mut second).await.expect_err("locked");
        let answer = Error::from(locked);
        assert_eq!(answer.parts().0, StatusCode::SERVICE_UNAVAILABLE);
        sqlx::query("ROLLBACK").execute(&mut first).await.expect("unlock");
        // As on a disk without room: the file may not grow.
        sqlx::query("PRAGMA max_page_count = 2").execute(&mut second).await.expect("limit");
        let full = sqlx::query("INSERT INTO t VALUES (hex(zeroblob(100000)))").execute(&mut second).await;
        let full = full.expect_err("no room");
        assert!(trouble(&full).is_some_and(|sentence| sentence.contains("disk")), "{full}");
        let wrong = sqlx::query("SELECT nothing FROM t").execute(&mut second).await.expect_err("no such column");
        assert_eq!(Error::from(wrong).parts().0, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
