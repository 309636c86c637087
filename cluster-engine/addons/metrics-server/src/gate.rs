//! Who asks, and whether they may: the front proxy's word or a token, and the API server's authorisation.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use drydock_api::status::Status;
use drydock_client::types::ConfigMap;
use drydock_client::{Api, Client, User};
use drydock_component::serve::Peer;
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::time::Instant;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::answer::Question;

/// How long a decision holds (upstream: 10 s for both).
const REMEMBERED: Duration = Duration::from_secs(10);
/// Pause between attempts to read what the API server publishes about its front proxy.
const PAUSE: Duration = Duration::from_secs(2);

/// What the API server publishes about its front proxy.
pub(crate) struct FrontProxy {
    /// PEM text of the CA of its certificate.
    pub(crate) ca: String,
    names: Vec<String>,
}

impl FrontProxy {
    /// Waits until it is published.
    pub(crate) async fn published(client: &Client) -> FrontProxy {
        let api = Api::<ConfigMap>::namespaced(client.clone(), "kube-system");
        loop {
            match api.get("extension-apiserver-authentication").await {
                Ok(map) => {
                    if let Some(ca) = map.data.get("requestheader-client-ca-file").filter(|ca| !ca.is_empty()) {
                        let names = map.data.get("requestheader-allowed-names");
                        let names = names.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
                        return FrontProxy { ca: ca.clone(), names };
                    }
                    tracing::warn!("the API server says nothing about its front proxy");
                }
                Err(error) => tracing::warn!(%error, "cannot read about the front proxy"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether a certificate, verified against the CA, is the front proxy's.
    fn is(&self, certificate: &[u8]) -> bool {
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
        let name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        self.names.is_empty() || name.is_some_and(|name| self.names.iter().any(|allowed| allowed == name))
    }
}

pub(crate) struct Gate {
    client: Client,
    proxy: FrontProxy,
    decisions: Mutex<HashMap<String, (Instant, bool)>>,
}

impl Gate {
    pub(crate) fn new(client: Client, proxy: FrontProxy) -> Gate {
        Gate { client, proxy, decisions: Mutex::default() }
    }

    /// Whether the caller may ask this.
    ///
    /// # Errors
    /// The Status to answer.
    pub(crate) async fn check(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
        question: Option<&Question>,
        path: &str,
        is_list: bool,
    ) -> Result<(), Status> {
        let user = match &peer.cert {
            Some(certificate) if self.proxy.is(certificate) => remote_user(headers),
            _ => self.by_token(headers).await,
        };
        let Some(user) = user else { return Err(Status::unauthorized("Unauthorized")) };
        let verb = if is_list { "list" } else { "get" };
        let spec = match question {
            Some(Question::Nodes(name)) => json!({"resourceAttributes": {
                "group": "metrics.k8s.io", "version": "v1beta1", "resource": "nodes", "verb": verb, "name": name,
            }}),
            Some(Question::Pods { namespace, name }) => json!({"resourceAttributes": {
                "group": "metrics.k8s.io", "version": "v1beta1", "resource": "pods", "verb": verb,
                "namespace": namespace, "name": name,
            }}),
            None => json!({"nonResourceAttributes": {"path": path, "verb": "get"}}),
        };
        if self.is_allowed(&user, spec).await {
            return Ok(());
        }
        let (resource, name) = match question {
            Some(Question::Nodes(name)) => ("nodes", name.clone()),
            Some(Question::Pods { name, .. }) => ("pods", name.clone()),
            None => {
                return Err(Status::generic(403, format!("forbidden: User {:?} cannot get path {path:?}", user.name)));
            }
        };
        let why = format!("User {:?} cannot {verb} resource {resource:?} in API group \"metrics.k8s.io\"", user.name);
        Err(Status::forbidden("metrics.k8s.io", resource, name.as_deref().unwrap_or_default(), why))
    }

    async fn by_token(&self, headers: &HeaderMap) -> Option<User> {
        let token = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        self.client.user_of_token(token).await
    }

    async fn is_allowed(&self, user: &User, spec: Value) -> bool {
        if user.groups.iter().any(|group| group == "system:masters") {
            return true;
        }
        let key = format!("{}\n{:?}\n{spec}", user.name, user.groups);
        {
            let mut decisions = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
            decisions.retain(|_, (at, _)| at.elapsed() < REMEMBERED);
            if let Some((_, allowed)) = decisions.get(&key) {
                return *allowed;
            }
        }
        let Some(allowed) = self.client.is_allowed(user, spec).await else { return false };
        self.decisions.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (Instant::now(), allowed));
        allowed
    }
}

/// The user whom the front proxy speaks for.
fn remote_user(headers: &HeaderMap) -> Option<User> {
    let text = |value: &http::HeaderValue| value.to_str().ok().map(str::to_owned);
    let name = headers.get("x-remote-user").and_then(text).filter(|name| !name.is_empty())?;
    Some(User { name, groups: headers.get_all("x-remote-group").iter().filter_map(text).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_proxy_names_the_user() {
        let mut headers = HeaderMap::new();
        assert_eq!(remote_user(&headers), None);
        headers.insert("x-remote-user", "ann".parse().unwrap());
        headers.append("x-remote-group", "a".parse().unwrap());
        headers.append("x-remote-group", "b".parse().unwrap());
        let user = User { name: "ann".into(), groups: vec!["a".into(), "b".into()] };
        assert_eq!(remote_user(&headers), Some(user));
    }

    #[test]
    fn only_allowed_names_are_the_front_proxy() {
        let proxy =
            |names: &[&str]| FrontProxy { ca: String::new(), names: names.iter().map(|n| (*n).to_owned()).collect() };
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "front-proxy-client");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        assert!(proxy(&["front-proxy-client"]).is(certificate.der()));
        assert!(proxy(&[]).is(certificate.der()));
        assert!(!proxy(&["other"]).is(certificate.der()));
        assert!(!proxy(&[]).is(b"junk"));
    }
}
