//! Passing requests on to the server that answers for a group.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drydock_api::Status;
use drydock_component::serve::{Body, full, text};
use drydock_component::tls;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;

use super::Remote;
use super::availability::{Finding, endpoint};
use super::swagger::Asked;
use crate::authorize::UserInfo;
use crate::exchange::Exchange;
use crate::kubelet;
use crate::server::Server;

/// How long a server may take for each document that tells what it serves.
const DISCOVERY_TIME: Duration = Duration::from_secs(5);
/// Largest discovery document that is read.
const DISCOVERY_LIMIT: usize = 4 << 20;

/// Host and port to connect to.
pub(super) fn address(server: &Server, remote: &Remote) -> Result<(String, u16), Finding> {
    let (namespace, name, port) = &remote.service;
    let service = server.object("/registry/services/specs", namespace, name);
    let slices = server.objects("/registry/endpointslices", namespace);
    endpoint(service.as_ref(), &slices, (namespace, name, *port), rand::random::<u32>() as usize)
}

/// The TLS of a remote: its own CA, our front-proxy certificate.
fn client(server: &Server, remote: &Remote) -> Result<ClientConfig, String> {
    let options = &server.options;
    let identity = options.proxy_client_cert_file.as_deref().zip(options.proxy_client_key_file.as_deref());
    if remote.insecure {
        return kubelet::unchecked(identity).map_err(|error| error.to_string());
    }
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_pki_types::CertificateDer::pem_slice_iter(remote.ca.as_deref().unwrap_or_default()) {
        let certificate = certificate.map_err(|error| format!("unable to load root certificates: {error:?}"))?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some((cert, key)) => {
            let cert = tls::certificates(cert).map_err(|error| error.to_string())?;
            let key = tls::private_key(key).map_err(|error| error.to_string())?;
            builder.with_client_auth_cert(cert, key).map_err(|error| error.to_string())
        }
    }
}

/// Sends one request to a remote.
async fn send(
    server: &Server,
    remote: &Remote,
    method: &Method,
    path: &str,
    headers: HeaderMap,
    body: Body,
) -> Result<Response<Incoming>, Status> {
    let (host, port) = address(server, remote).map_err(|_| Status::service_unavailable("service unavailable"))?;
    let config = client(server, remote).map_err(Status::service_unavailable)?;
    let (namespace, name, _) = &remote.service;
    let tls_name = format!("{name}.{namespace}.svc");
    kubelet::send_tls((&host, port), Arc::new(config), &tls_name, method, path, headers, body).await
}

/// Asks a remote what it serves: its APIResourceList, and the address of its OpenAPI document.
///
/// # Errors
/// Why it did not tell, for the condition.
pub(super) async fn discover(server: &Server, remote: &Remote) -> Result<(Value, Option<String>), String> {
    let path = format!("/apis/{}/{}", remote.group, remote.version);
    let (namespace, name, port) = &remote.service;
    let shown = format!("https://{name}.{namespace}.svc:{port}{path}");
    let list = match tokio::time::timeout(DISCOVERY_TIME, fetch(server, remote, &path)).await {
        Err(_) => Err("context deadline exceeded".to_owned()),
        Ok(answer) => answer,
    }
    .map_err(|why| format!("failing or missing response from {shown}: {why}"))?;
    let index = tokio::time::timeout(DISCOVERY_TIME, fetch(server, remote, "/openapi/v3")).await;
    let key = format!("apis/{}/{}", remote.group, remote.version);
    let openapi = index
        .ok()
        .and_then(Result::ok)
        .and_then(|index| Some(index["paths"][key.as_str()]["serverRelativeURL"].as_str()?.to_owned()))
        // Only what leads back to the same group may be announced under our name.
        .filter(|url| url.starts_with(&format!("/openapi/v3/{key}")));
    Ok((list, openapi))
}

/// Asks a remote for its v2 document, unless that is still the one of `etag`.
pub(super) async fn swagger(server: &Server, remote: &Remote, etag: &str) -> Asked {
    let asked = async {
        let answer = ask(server, remote, "/openapi/v2", etag).await?;
        match answer.status() {
            StatusCode::NOT_MODIFIED => Ok(Asked::NotModified),
            StatusCode::NOT_FOUND => Ok(Asked::Missing),
            status if status.is_success() => {
                let etag = answer.headers().get(header::ETAG).and_then(|value| value.to_str().ok()).unwrap_or("");
                Ok(Asked::Document { etag: etag.to_owned(), bytes: read(answer).await? })
            }
            status => Err(format!("bad status {}", status.as_u16())),
        }
    };
    match tokio::time::timeout(DISCOVERY_TIME, asked).await {
        Ok(asked) => asked.unwrap_or_else(Asked::Failed),
        Err(_) => Asked::Failed("context deadline exceeded".to_owned()),
    }
}

async fn fetch(server: &Server, remote: &Remote, path: &str) -> Result<Value, String> {
    let answer = ask(server, remote, path, "").await?;
    if !answer.status().is_success() {
        return Err(format!("bad status from {path}: {}", answer.status().as_u16()));
    }
    serde_json::from_slice(&read(answer).await?).map_err(|error| error.to_string())
}

/// Asks for a document in our own name.
async fn ask(server: &Server, remote: &Remote, path: &str, etag: &str) -> Result<Response<Incoming>, String> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let (false, Ok(etag)) = (etag.is_empty(), HeaderValue::from_str(etag)) {
        headers.insert(header::IF_NONE_MATCH, etag);
    }
    identify(&mut headers, &UserInfo::new("system:kube-aggregator", &["system:masters"]));
    let answer = send(server, remote, &Method::GET, path, headers, full(Bytes::new())).await;
    answer.map_err(|status| status.message)
}

async fn read(answer: Response<Incoming>) -> Result<Bytes, String> {
    let body = Limited::new(answer.into_body(), DISCOVERY_LIMIT).collect().await.map_err(|error| error.to_string())?;
    Ok(body.to_bytes())
}

/// Puts the user into headers that only our certificate makes believable.
fn identify(headers: &mut HeaderMap, user: &UserInfo) {
    let known: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("x-remote-")).cloned().collect();
    for name in known {
        headers.remove(name);
    }
    let mut add = |name: &str, value: &str| {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.to_ascii_lowercase()), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    };
    add("X-Remote-User", &user.name);
    if !user.uid.is_empty() {
        add("X-Remote-Uid", &user.uid);
    }
    for group in &user.groups {
        add("X-Remote-Group", group);
    }
    for (key, values) in &user.extra {
        for value in values {
            add(&format!("X-Remote-Extra-{}", crate::subresource::escape(key)), value);
        }
    }
}

/// Passes a client's request on.
pub(crate) async fn serve(
    server: &Server,
    exchange: &Exchange,
    remote: &Remote,
    method: &Method,
    incoming: Incoming,
    upgrade: Option<OnUpgrade>,
) -> Result<Response<Body>, Status> {
    if !remote.available {
        return Ok(text(StatusCode::SERVICE_UNAVAILABLE, "service unavailable\n"));
    }
    let query = if exchange.raw_query.is_empty() { String::new() } else { format!("?{}", exchange.raw_query) };
    let path = format!("{}{query}", exchange.info.path);
    let mut headers = kubelet::forwarded(&exchange.headers);
    headers.remove(header::HOST);
    identify(&mut headers, &exchange.user);
    if let Some(upgrade) = upgrade {
        let answer = send(server, remote, method, &path, headers, full(Bytes::new())).await?;
        return kubelet::upgraded(answer, upgrade).await;
    }
    let body = incoming.map_err(Into::into).boxed_unsync();
    let answer = send(server, remote, method, &path, headers, body)
        .await
        .map_err(|status| Status::service_unavailable(status.message))?;
    let (mut parts, body) = answer.into_parts();
    for name in [header::CONNECTION, header::TRANSFER_ENCODING] {
        parts.headers.remove(name);
    }
    Ok(Response::from_parts(parts, body.map_err(Into::into).boxed_unsync()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_cannot_say_who_they_are() {
        let mut headers = HeaderMap::new();
        headers.insert("x-remote-user", HeaderValue::from_static("root"));
        headers.insert("x-remote-extra-scopes", HeaderValue::from_static("all"));
        let mut user = UserInfo::new("jane", &["dev", "system:authenticated"]);
        user.extra.insert("example.com/a".to_owned(), vec!["b".to_owned()]);
        identify(&mut headers, &user);
        assert_eq!(headers.get_all("x-remote-user").iter().collect::<Vec<_>>(), ["jane"]);
        assert_eq!(headers.get_all("x-remote-group").iter().count(), 2);
        assert!(!headers.contains_key("x-remote-extra-scopes"));
        assert_eq!(headers.get("x-remote-extra-example.com%2fa").map(HeaderValue::as_bytes), Some(&b"b"[..]));
    }
}
