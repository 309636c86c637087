//! One repository of one registry: manifests and blobs, as the OCI distribution specification has them.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use drydock_images::Reference;
use drydock_images::service::Credentials;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION, USER_AGENT, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::Error;
use crate::auth::Challenge;
use crate::connect::Connector;
use crate::policy::Policy;
use crate::url::{Url, encode};

/// How long a registry may think before it answers, and between two pieces of an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// A manifest larger than this is none; registries have the same bound.
const MANIFEST_LIMIT: usize = 4 << 20;
/// So is the answer of a token service.
const TOKEN_LIMIT: usize = 256 * 1024;
/// What is read of an error's text.
const ERROR_LIMIT: usize = 8 * 1024;
const REDIRECTS: usize = 5;

const MANIFESTS: &str = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*";

/// A registry, or a mirror of one.
pub(crate) struct Registry {
    connector: Connector,
    base: Url,
    /// Named by the operator: it may be anywhere, and is not told the learner's secrets.
    mirror: bool,
    policy: Arc<Policy>,
    name: Reference,
    credentials: Option<Credentials>,
    /// The `Authorization` that worked last.
    authorization: Mutex<Option<String>>,
}

/// A manifest or an index.
pub(crate) struct Document {
    pub(crate) bytes: Bytes,
    pub(crate) media_type: String,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Errors {
    errors: Vec<OneError>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OneError {
    code: String,
    message: String,
}

impl Registry {
    /// The places to ask for an image, in order: mirrors, then the registry itself.
    pub(crate) fn places(
        policy: &Arc<Policy>,
        name: &Reference,
        credentials: Option<&Credentials>,
    ) -> Result<Vec<Self>, Error> {
        let place = |base: Url, mirror: bool| Self {
            connector: Connector::new(policy.clone()),
            base,
            mirror,
            policy: policy.clone(),
            name: name.clone(),
            credentials: credentials.filter(|_| !mirror).cloned(),
            authorization: Mutex::new(None),
        };
        let own = Url::of_registry(&name.registry, |host, port| !policy.is_insecure(host, port))
            .ok_or_else(|| Error::Invalid(format!("{:?} is not the name of a registry", name.registry)))?;
        let mirrors = policy.mirrors.get(&name.registry).into_iter().flatten().filter_map(|url| Url::parse(url));
        Ok(mirrors.map(|url| place(url, true)).chain([place(own, false)]).collect())
    }

    /// Whether it stands in for another.
    pub(crate) fn is_mirror(&self) -> bool {
        self.mirror
    }

    fn url(&self, kind: &str, reference: &str) -> Url {
        let query = if self.mirror { format!("?ns={}", encode(&self.name.registry)) } else { String::new() };
        self.base.at(&format!("/v2/{}/{kind}/{reference}{query}", self.name.repository))
    }

    /// The digest that a tag leads to, if the registry tells it without sending the manifest.
    pub(crate) async fn digest(&self, reference: &str) -> Result<Option<String>, Error> {
        let response = self.get(Method::HEAD, self.url("manifests", reference), MANIFESTS).await?;
        let digest = response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        Ok(digest.map(str::to_owned))
    }

    /// A manifest or index by tag or digest.
    pub(crate) async fn manifest(&self, reference: &str) -> Result<Document, Error> {
        let url = self.url("manifests", reference);
        let response = self.get(Method::GET, url.clone(), MANIFESTS).await?;
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
        let bytes = whole("Get", &url, response.into_body(), MANIFEST_LIMIT).await?;
        Ok(Document { bytes, media_type })
    }

    /// A blob, from its beginning.
    pub(crate) async fn blob(&self, digest: &str) -> Result<Incoming, Error> {
        let response = self.get(Method::GET, self.url("blobs", digest), "*/*").await?;
        Ok(response.into_body())
    }

    /// Asks with what authorization there is, answers a challenge once, and follows redirects.
    async fn get(&self, method: Method, url: Url, accept: &str) -> Result<Response<Incoming>, Error> {
        let word = if method == Method::HEAD { "Head" } else { "Get" };
        let mut challenged = false;
        let mut target = url.clone();
        let mut redirects = 0;
        loop {
            // What is meant for the registry is told to nobody else.
            let home = target.same_origin(&url);
            let authorization = if home { self.authorization.lock().await.clone() } else { None };
            let response =
                self.send(word, &target, &method, accept, authorization.as_deref(), None, self.mirror && home).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
                let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
                let next = location.and_then(|location| target.join(location));
                let next = next.ok_or_else(|| Error::request(word, &target, "a redirect to nowhere"))?;
                redirects += 1;
                if redirects > REDIRECTS {
                    return Err(Error::request(word, &url, "stopped after 5 redirects"));
                }
                if target.secure && !next.secure {
                    return Err(Error::request(word, &target, "a redirect from https to http"));
                }
                target = next;
                continue;
            }
            if status == StatusCode::UNAUTHORIZED && home && !challenged {
                challenged = true;
                let headers = response.headers().get_all(WWW_AUTHENTICATE);
                let challenge = Challenge::of(headers.iter().filter_map(|value| value.to_str().ok()));
                if let Some(challenge) = challenge {
                    let authorization = self.authorize(challenge).await?;
                    *self.authorization.lock().await = Some(authorization);
                    continue;
                }
            }
            return Err(self.refused(&method, &target, response).await);
        }
    }

    async fn refused(&self, method: &Method, url: &Url, response: Response<Incoming>) -> Error {
        let status = response.status();
        let head = *method == Method::HEAD;
        let text = if head {
            Bytes::new()
        } else {
            whole("Get", url, response.into_body(), ERROR_LIMIT).await.unwrap_or_default()
        };
        let errors: Errors = serde_json::from_slice(&text).unwrap_or_default();
        let detail = errors.errors.first().map(|error| {
            let code = error.code.to_lowercase().replace('_', " ");
            if error.message.is_empty() { code } else { format!("{code}: {}", error.message) }
        });
        match status {
            StatusCode::NOT_FOUND => Error::NotFound { what: self.name.to_string() },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Error::Access { reason: "server message: insufficient_scope: authorization failed".to_owned() }
            }
            status => Error::Status {
                method: if head { "HEAD" } else { "GET" },
                url: url.to_string(),
                status,
                detail: detail.map(|detail| format!(": {detail}")).unwrap_or_default(),
            },
        }
    }

    /// What to send to a registry that asks who we are.
    async fn authorize(&self, challenge: Challenge) -> Result<String, Error> {
        let credentials = self.credentials.clone().unwrap_or_default();
        let password = !credentials.username.is_empty() || !credentials.password.is_empty();
        let basic =
            || format!("Basic {}", STANDARD.encode(format!("{}:{}", credentials.username, credentials.password)));
        let (realm, service, scope) = match challenge {
            Challenge::Basic if password => return Ok(basic()),
            Challenge::Basic => {
                return Err(Error::Access { reason: "authorization failed: no basic auth credentials".to_owned() });
            }
            Challenge::Bearer { .. } if !credentials.registry_token.is_empty() => {
                return Ok(format!("Bearer {}", credentials.registry_token));
            }
            Challenge::Bearer { realm, service, scope } => (realm, service, scope),
        };
        let url = Url::parse(&realm)
            .ok_or_else(|| Error::Authorize(format!("the registry names no token service: {realm:?}")))?;
        // A password goes over a line that nobody listens to, or one that the operator says is safe.
        if !url.secure && !self.policy.is_insecure(&url.host, url.port) {
            return Err(Error::Authorize(format!("the token service {url} is not secure")));
        }
        let scope = if scope.is_empty() { format!("repository:{}:pull", self.name.repository) } else { scope };
        let join = if url.path.contains('?') { '&' } else { '?' };
        let mut query = format!("scope={}", encode(&scope));
        if !service.is_empty() {
            query.push_str(&format!("&service={}", encode(&service)));
        }
        let trusted = self.mirror && url.host == self.base.host;
        let fail = |error: Error| match error {
            Error::Status { .. } | Error::Access { .. } => Error::Authorize(format!(
                "failed to fetch {} token: {error}",
                if password { "oauth" } else { "anonymous" }
            )),
            error => Error::Authorize(error.to_string()),
        };
        let (word, response, url) = if credentials.identity_token.is_empty() {
            let url = Url { path: format!("{}{join}{query}", url.path), ..url };
            let authorization = password.then(basic);
            let response =
                self.send("Get", &url, &Method::GET, "application/json", authorization.as_deref(), None, trusted).await;
            ("GET", response.map_err(fail)?, url)
        } else {
            let token = encode(&credentials.identity_token);
            let form = format!("grant_type=refresh_token&client_id=drydock&refresh_token={token}&{query}");
            let response = self.send("Post", &url, &Method::POST, "application/json", None, Some(form), trusted).await;
            ("POST", response.map_err(fail)?, url)
        };
        let status = response.status();
        if !status.is_success() {
            return Err(fail(Error::Status { method: word, url: url.to_string(), status, detail: String::new() }));
        }
        let bytes = whole("Get", &url, response.into_body(), TOKEN_LIMIT).await?;
        let token: Token = serde_json::from_slice(&bytes)
            .map_err(|_| Error::Authorize("the token service's answer is no token".to_owned()))?;
        match [token.token, token.access_token].into_iter().find(|token| !token.is_empty()) {
            Some(token) => Ok(format!("Bearer {token}")),
            None => Err(Error::Authorize("the token service's answer holds no token".to_owned())),
        }
    }

    /// One request on a connection of its own.
    #[expect(clippy::too_many_arguments, reason = "the parts of a request")]
    async fn send(
        &self,
        word: &'static str,
        url: &Url,
        method: &Method,
        accept: &str,
        authorization: Option<&str>,
        form: Option<String>,
        trusted: bool,
    ) -> Result<Response<Incoming>, Error> {
        let fail = |reason: String| Error::request(word, url, reason);
        let stream = self.connector.connect(url, trusted).await.map_err(fail)?;
        let mut request = Request::builder()
            .method(method.clone())
            .uri(&url.path)
            .header(HOST, url.authority())
            .header(USER_AGENT, concat!("drydock/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, accept);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if form.is_some() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request =
            request.body(Full::new(Bytes::from(form.unwrap_or_default()))).map_err(|error| fail(error.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(64 * 1024)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| fail(error.to_string()))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a registry broke off");
            }
        });
        match timeout(PATIENCE, sender.send_request(request)).await {
            Ok(response) => response.map_err(|error| fail(error.to_string())),
            Err(_) => Err(fail("net/http: timeout awaiting response headers".to_owned())),
        }
    }
}

/// A body that must be small.
async fn whole(word: &'static str, url: &Url, body: Incoming, limit: usize) -> Result<Bytes, Error> {
    match timeout(PATIENCE, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) => Err(Error::request(word, url, error)),
        Err(_) => Err(Error::request(word, url, "timeout awaiting the response's end")),
    }
}
