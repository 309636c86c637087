//! Who asks: client certificates, the front proxy's headers, ServiceAccount tokens, or nobody; then impersonation.

pub(crate) mod jwt;
pub(crate) mod keys;
pub(crate) mod service_account;
mod x509;

use std::sync::Arc;

use drydock_api::Status;
use drydock_component::serve::Peer;
use http::HeaderMap;
use rustls_pki_types::CertificateDer;

use crate::authorize::{Attributes, UserInfo};
use crate::options::Options;
use crate::request::unescape;

pub(crate) use service_account::Tokens;

/// The user of requests without credentials.
pub(crate) const ANONYMOUS: &str = "system:anonymous";
/// Group of everybody who is not authenticated.
pub(crate) const UNAUTHENTICATED: &str = "system:unauthenticated";
/// Group of everybody who is.
pub(crate) const AUTHENTICATED: &str = "system:authenticated";

/// Finds out who asks.
pub(crate) struct Authenticator {
    tokens: Arc<Tokens>,
    clients: Option<x509::Verifier>,
    front_proxy: Option<FrontProxy>,
    anonymous: bool,
}

struct FrontProxy {
    verifier: x509::Verifier,
    names: Vec<String>,
    user: Vec<String>,
    group: Vec<String>,
    extra: Vec<String>,
}

impl Authenticator {
    /// From the flags; reads the CA files.
    pub(crate) fn new(options: &Options, tokens: Arc<Tokens>) -> Result<Self, drydock_component::tls::TlsError> {
        let clients = options.client_ca_file.as_deref().map(x509::Verifier::open).transpose()?;
        let front_proxy = match options.requestheader_client_ca_file.as_deref() {
            None => None,
            Some(path) => Some(FrontProxy {
                verifier: x509::Verifier::open(path)?,
                names: options.requestheader_allowed_names.clone(),
                user: options.requestheader_username_headers.clone(),
                group: options.requestheader_group_headers.clone(),
                extra: options.requestheader_extra_headers_prefix.clone(),
            }),
        };
        Ok(Self { tokens, clients, front_proxy, anonymous: options.anonymous_auth })
    }

    /// The user behind a request.
    ///
    /// # Errors
    /// 401 for credentials that are wrong, or for none when anonymous requests are switched off.
    pub(crate) fn authenticate(&self, headers: &HeaderMap, peer: &Peer) -> Result<UserInfo, Status> {
        let user = match self.credentials(headers, peer)? {
            Some(mut user) => {
                if !user.in_group(AUTHENTICATED) && user.name != ANONYMOUS {
                    user.groups.push(AUTHENTICATED.to_owned());
                }
                user
            }
            None if self.anonymous => UserInfo::new(ANONYMOUS, &[UNAUTHENTICATED]),
            None => return Err(Status::unauthorized("Unauthorized")),
        };
        Ok(user)
    }

    fn credentials(&self, headers: &HeaderMap, peer: &Peer) -> Result<Option<UserInfo>, Status> {
        if let Some(cert) = &peer.cert {
            if let Some(user) = self.front_proxy.as_ref().and_then(|proxy| proxy.user(headers, cert)) {
                return Ok(Some(user));
            }
            if let Some(user) = self.clients.as_ref().and_then(|verifier| verifier.user(cert)) {
                return Ok(Some(user));
            }
        }
        let Some(token) = bearer(headers) else { return Ok(None) };
        match self.tokens.authenticate(&token, &[]) {
            Ok(verified) => Ok(Some(verified.user)),
            Err(error) => {
                tracing::debug!(%error, "Unable to authenticate the request");
                Err(Status::unauthorized("Unauthorized"))
            }
        }
    }
}

impl FrontProxy {
    fn user(&self, headers: &HeaderMap, cert: &CertificateDer<'_>) -> Option<UserInfo> {
        let proxy = self.verifier.user(cert)?;
        if !self.names.is_empty() && !self.names.contains(&proxy.name) {
            return None;
        }
        let name = self.user.iter().find_map(|header| text(headers, header))?;
        let mut user = UserInfo { name, ..UserInfo::default() };
        for header in &self.group {
            user.groups.extend(
                headers.get_all(header.as_str()).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned),
            );
        }
        for prefix in &self.extra {
            extra(headers, &prefix.to_ascii_lowercase(), &mut user);
        }
        Some(user)
    }
}

/// The token of an `Authorization: Bearer` header, or of a WebSocket's `base64url.bearer.authorization.k8s.io.` protocol.
fn bearer(headers: &HeaderMap) -> Option<String> {
    if let Some(value) = text(headers, "authorization") {
        let (scheme, token) = value.split_once(' ')?;
        return (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim().to_owned());
    }
    let protocols = text(headers, "sec-websocket-protocol")?;
    let encoded = protocols
        .split(',')
        .find_map(|protocol| protocol.trim().strip_prefix("base64url.bearer.authorization.k8s.io."))?;
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, encoded).ok()?;
    String::from_utf8(bytes).ok()
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

fn extra(headers: &HeaderMap, prefix: &str, user: &mut UserInfo) {
    for (name, value) in headers {
        if let (Some(key), Ok(value)) = (name.as_str().strip_prefix(prefix), value.to_str()) {
            user.extra.entry(unescape(key, false)).or_default().push(value.to_owned());
        }
    }
}

/// Whom the request wants to be, checked against `allowed` (the `impersonate` verb). `None`: themselves.
///
/// # Errors
/// 403 when impersonation is not allowed, 400 when groups or extras come without a user.
pub(crate) fn impersonate(
    headers: &HeaderMap,
    asker: &UserInfo,
    allowed: &dyn Fn(&Attributes<'_>) -> Result<(), Status>,
) -> Result<Option<UserInfo>, Status> {
    let name = text(headers, "impersonate-user");
    let groups: Vec<String> = headers
        .get_all("impersonate-group")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(str::to_owned)
        .collect();
    let uid = text(headers, "impersonate-uid").unwrap_or_default();
    let mut user = UserInfo { uid, ..UserInfo::default() };
    extra(headers, "impersonate-extra-", &mut user);
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        if groups.is_empty() && user.uid.is_empty() && user.extra.is_empty() {
            return Ok(None);
        }
        return Err(Status::internal(format!(
            "requested [{{Group  {}   }}] without impersonating a user",
            groups.join(",")
        )));
    };
    let question = |group, resource, subresource, namespace, name| Attributes {
        user: asker,
        verb: "impersonate",
        group,
        resource,
        subresource,
        name,
        namespace,
        path: "",
    };
    let account = name
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'))
        .filter(|(_, account)| !account.contains(':'));
    match account {
        Some((namespace, account)) => allowed(&question("", "serviceaccounts", "", namespace, account))?,
        None => allowed(&question("", "users", "", "", &name))?,
    }
    for group in &groups {
        allowed(&question("", "groups", "", "", group))?;
    }
    if !user.uid.is_empty() {
        allowed(&question("authentication.k8s.io", "uids", "", "", &user.uid))?;
    }
    for (key, values) in &user.extra {
        for value in values {
            allowed(&question("authentication.k8s.io", "userextras", key, "", value))?;
        }
    }
    user.groups = groups;
    if user.groups.is_empty()
        && let Some((namespace, _)) = account
    {
        user.groups = vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
    }
    let own = if name == ANONYMOUS { UNAUTHENTICATED } else { AUTHENTICATED };
    if !user.in_group(AUTHENTICATED) && !user.in_group(UNAUTHENTICATED) {
        user.groups.push(own.to_owned());
    }
    user.name = name;
    Ok(Some(user))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn impersonation_asks_for_each_part() {
        let mut headers = HeaderMap::new();
        headers.insert("impersonate-user", HeaderValue::from_static("jane"));
        headers.append("impersonate-group", HeaderValue::from_static("dev"));
        let asked = std::sync::Mutex::new(Vec::new());
        let allowed = |question: &Attributes<'_>| {
            asked.lock().expect("lock").push(format!("{}/{}", question.resource, question.name));
            Ok(())
        };
        let user = impersonate(&headers, &UserInfo::new("admin", &[]), &allowed).expect("allowed").expect("somebody");
        assert_eq!(user.groups, ["dev", AUTHENTICATED]);
        assert_eq!(*asked.lock().expect("lock"), ["users/jane", "groups/dev"]);
        headers.remove("impersonate-user");
        assert!(impersonate(&headers, &UserInfo::new("admin", &[]), &allowed).is_err());
    }

    #[test]
    fn a_bearer_token_comes_from_header_or_protocol() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("bearer abc"));
        assert_eq!(bearer(&headers).as_deref(), Some("abc"));
        headers.clear();
        headers.insert(
            "sec-websocket-protocol",
            HeaderValue::from_static("v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.YWJj"),
        );
        assert_eq!(bearer(&headers).as_deref(), Some("abc"));
    }
}
