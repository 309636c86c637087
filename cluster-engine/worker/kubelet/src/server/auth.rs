//! Who may use the kubelet's API: client certificates or tokens, authorised by the API server.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use drydock_client::User;
use drydock_component::serve::{self, Body, Peer};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use tokio::time::Instant;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::kubelet::Kubelet;

/// Remembers recent decisions.
#[derive(Default)]
pub(super) struct Gate {
    decisions: Mutex<HashMap<String, (Instant, bool)>>,
}

/// How long a decision holds (upstream: 5 min for yes, 30 s for no).
const YES: Duration = Duration::from_secs(300);
const NO: Duration = Duration::from_secs(30);

impl Gate {
    /// Lets a request pass or answers it.
    pub(super) async fn check(
        &self,
        kubelet: &Kubelet,
        request: &Request<Incoming>,
        peer: &Peer,
    ) -> Result<(), Response<Body>> {
        let config = &kubelet.config;
        if config.authorization.mode == "AlwaysAllow" && config.authentication.anonymous.enabled {
            return Ok(());
        }
        let Some(user) = self.authenticate(kubelet, request, peer).await else {
            return Err(serve::text(StatusCode::UNAUTHORIZED, "Unauthorized"));
        };
        if config.authorization.mode == "AlwaysAllow" || user.groups.iter().any(|group| group == "system:masters") {
            return Ok(());
        }
        let verb = match *request.method() {
            Method::GET | Method::HEAD => "get",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            _ => "delete",
        };
        let subresources = subresources(request.uri().path());
        for subresource in subresources {
            if self.authorize(kubelet, &user, verb, subresource).await {
                return Ok(());
            }
        }
        let listed = subresources.join(" ");
        let text = format!("Forbidden (user={}, verb={verb}, resource=nodes, subresource(s)=[{listed}])\n", user.name);
        Err(serve::text(StatusCode::FORBIDDEN, text))
    }

    async fn authenticate(&self, kubelet: &Kubelet, request: &Request<Incoming>, peer: &Peer) -> Option<User> {
        if let Some(certificate) = &peer.cert {
            return subject(certificate);
        }
        let header = request.headers().get(http::header::AUTHORIZATION)?.to_str().ok()?;
        let token = header.strip_prefix("Bearer ")?;
        let api = kubelet.api.as_ref().filter(|_| kubelet.config.authentication.webhook.enabled)?;
        api.client.user_of_token(token).await
    }

    async fn authorize(&self, kubelet: &Kubelet, user: &User, verb: &str, subresource: &str) -> bool {
        let key = format!("{}\n{:?}\n{verb}\n{subresource}", user.name, user.groups);
        let now = Instant::now();
        {
            let mut decisions = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
            decisions.retain(|_, (at, yes)| now.duration_since(*at) < if *yes { YES } else { NO });
            if let Some((_, yes)) = decisions.get(&key) {
                return *yes;
            }
        }
        let Some(api) = &kubelet.api else { return false };
        let attributes = json!({
            "verb": verb, "version": "v1", "resource": "nodes", "subresource": subresource, "name": kubelet.node_name,
        });
        let asked = api.client.is_allowed(user, json!({"resourceAttributes": attributes})).await;
        let Some(yes) = asked else { return false };
        self.decisions.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (now, yes));
        yes
    }
}

/// What of a node a path belongs to, the finest first: any of them opens it.
fn subresources(path: &str) -> &'static [&'static str] {
    match path.split('/').nth(1) {
        Some("stats") => &["stats"],
        Some("metrics") => &["metrics"],
        Some("logs") => &["log"],
        Some("configz") => &["configz", "proxy"],
        Some("healthz") => &["healthz", "proxy"],
        Some("pods" | "runningpods") => &["pods", "proxy"],
        _ => &["proxy"],
    }
}

/// User and groups of a certificate: common name and organisations.
fn subject(certificate: &[u8]) -> Option<User> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject.iter_organization().filter_map(|group| group.as_str().ok().map(str::to_owned)).collect();
    Some(User { name, groups })
}
