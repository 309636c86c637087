//! One HTTP/2 connection to the API server, made again when it breaks, and requests over it.
//!
//! A [`Client`] is cheap to clone; all clones share the connection. A clone made by
//! [`Client::with_token`] speaks as someone else over the same connection, which is how one process
//! can act under many service accounts without many connections.

mod connect;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drydock_api::status::Status;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use self::connect::Connection;
pub use self::token::TokenSource;
use crate::config::{Auth, Config};
use crate::{Error, Result};

/// How long a request (not a watch) may take; the server itself gives up after 60 s.
const REQUEST_TIME: Duration = Duration::from_secs(62);
/// How often a request is repeated because the server said "later" (client-go's number).
const MAX_RETRIES: u32 = 10;
/// The longest pause while waiting for a server to start: a refused connection costs next to nothing.
const READY_PAUSE: Duration = Duration::from_millis(50);
/// First and last pause between attempts to reach a server that does not answer yet.
pub(crate) const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// A connection to an API server and an identity.
#[derive(Clone)]
pub struct Client {
    connection: Arc<Connection>,
    token: TokenSource,
    config: Arc<Config>,
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// The body as `T`.
    ///
    /// # Errors
    /// When the body is not a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| Error::Decode {
            what: std::any::type_name::<T>().rsplit("::").next().unwrap_or_default().to_owned(),
            reason: error.to_string(),
        })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Client {
    /// A client; connects at the first request.
    ///
    /// # Errors
    /// When the server's URL or the certificates cannot be used.
    pub fn new(config: Config) -> Result<Client> {
        let token = match &config.auth {
            Auth::Token(token) => TokenSource::fixed(token),
            Auth::TokenFile(path) => TokenSource::file(path.clone()),
            Auth::None | Auth::ClientCert { .. } => TokenSource::None,
        };
        let connection = Arc::new(Connection::new(&config)?);
        Ok(Client { connection, token, config: Arc::new(config) })
    }

    /// A client for a component's `--kubeconfig` flag; without it, for a pod in the cluster.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used, or this is no pod with a service account.
    pub fn from_flag(kubeconfig: Option<&std::path::Path>) -> Result<Client> {
        Client::new(match kubeconfig {
            Some(path) => Config::from_kubeconfig(path)?,
            None => Config::in_cluster()?,
        })
    }

    /// The configuration this client was made from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A client of the same server that presents no certificate, over a connection of its own.
    ///
    /// The API server believes a client certificate before a token, so a process that wants to
    /// speak under tokens needs a connection without one.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn anonymous(&self) -> Result<Client> {
        Client::new(Config { auth: Auth::None, ..(*self.config).clone() })
    }

    /// The same connection, speaking under another token.
    pub fn with_token(&self, token: TokenSource) -> Client {
        Client { token, ..self.clone() }
    }

    /// Waits until the server says that it is ready, trying again after 10 ms, 20 ms, 40 ms, 50 ms …
    pub async fn ready(&self) {
        let mut pause = BACKOFF.0;
        while Box::pin(self.once(&Method::GET, "/readyz", None, &[], Bytes::new())).await.is_err() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(READY_PAUSE);
        }
    }

    /// Sends a request and reads the whole answer; an answer ≥ 400 becomes [`Error::Status`].
    ///
    /// Answers 429 and 5xx with `Retry-After` are waited for, as client-go does.
    ///
    /// # Errors
    /// When the server is not reached or refuses.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> Result<Response> {
        self.request_with(method, path, Some(content_type), &[], body.into()).await
    }

    /// As [`Client::request`], with more headers.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn request_with(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        headers: &[(header::HeaderName, &str)],
        body: Bytes,
    ) -> Result<Response> {
        let mut retries = 0;
        loop {
            // Connecting is large and rare: whoever may send a request need not keep room for it all the time.
            match Box::pin(self.once(&method, path, content_type, headers, body.clone())).await {
                Err(Failure::Later(pause, _)) if retries < MAX_RETRIES => {
                    retries += 1;
                    tokio::time::sleep(pause).await;
                }
                Err(Failure::Later(_, error) | Failure::Final(error)) => return Err(error),
                Ok(response) => return Ok(response),
            }
        }
    }

    /// GETs `path` and reads the answer as `T`.
    ///
    /// # Errors
    /// When the server is not reached or refuses, or the answer is not a `T`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.request_with(Method::GET, path, None, &[], Bytes::new()).await?.json()
    }

    /// Sends a request and hands out the answer's body as it arrives (watches, logs).
    ///
    /// # Errors
    /// When the server is not reached or answers ≥ 400.
    pub async fn stream(&self, method: Method, path: &str, accept: &str) -> Result<http::Response<Incoming>> {
        let request = self.build(&method, path, None, &[(header::ACCEPT, accept)], Bytes::new()).await?;
        let sent = Box::pin(tokio::time::timeout(REQUEST_TIME, self.connection.send(request))).await;
        let response = sent.map_err(|_| Error::Timeout { method, path: path.to_owned() })??;
        if response.status().as_u16() < 400 {
            return Ok(response);
        }
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| Error::Transport(Arc::new(error)))?;
        Err(refusal(status, &body.to_bytes()))
    }

    async fn once(
        &self,
        method: &Method,
        path: &str,
        content_type: Option<&str>,
        headers: &[(header::HeaderName, &str)],
        body: Bytes,
    ) -> Result<Response, Failure> {
        let request = self.build(method, path, content_type, headers, body).await?;
        let exchange = async {
            let response = self.connection.send(request).await?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| Error::Transport(Arc::new(error)))?.to_bytes();
            Ok::<_, Error>(Response { status: parts.status, headers: parts.headers, body })
        };
        let timed_out = |_| Error::Timeout { method: method.clone(), path: path.to_owned() };
        let response = tokio::time::timeout(REQUEST_TIME, exchange).await.map_err(timed_out)??;
        let code = response.status.as_u16();
        if code < 400 {
            return Ok(response);
        }
        let error = refusal(response.status, &response.body);
        if (code == 429 || code >= 500)
            && let Some(pause) = retry_after(&response.headers)
        {
            return Err(Failure::Later(pause, error));
        }
        Err(Failure::Final(error))
    }

    async fn build(
        &self,
        method: &Method,
        path: &str,
        content_type: Option<&str>,
        headers: &[(header::HeaderName, &str)],
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>> {
        let unusable = |error: http::Error| Error::Config(format!("unusable request {method} {path}: {error}"));
        let mut request = Request::builder()
            .method(method)
            .uri(self.connection.uri(path).map_err(unusable)?)
            .header(header::USER_AGENT, &self.config.user_agent);
        if !headers.iter().any(|(name, _)| name == header::ACCEPT) {
            request = request.header(header::ACCEPT, "application/json");
        }
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        if let Some(content_type) = content_type.filter(|_| !body.is_empty()) {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        if let Some(token) = self.token.current().await {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| Error::Config("the bearer token has characters that no header may have".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        request.body(Full::new(body)).map_err(unusable)
    }
}

/// Why one attempt failed.
enum Failure {
    /// The server asks to try again after this time.
    Later(Duration, Error),
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Final(error)
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(30)))
}

/// An answer ≥ 400 as an error: the server's `Status`, or one made from the text.
fn refusal(code: StatusCode, body: &[u8]) -> Error {
    if let Ok(mut status) = serde_json::from_slice::<Status>(body)
        && (status.code != 0 || !status.message.is_empty())
    {
        if status.code == 0 {
            status.code = code.as_u16();
        }
        return Error::Status(Box::new(status));
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(2048)]).trim().to_owned();
    Error::Status(Box::new(Status::generic(code.as_u16(), text)))
}
