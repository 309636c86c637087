//! ServiceAccount tokens: making bound tokens and checking that what they are bound to still lives.

use std::sync::Arc;

use serde_json::{Value, json};

use super::jwt;
use super::keys::{KeyError, PublicKey, SigningKey, public_keys};
use crate::authorize::{Lookup, UserInfo};
use crate::options::Options;

/// Life of a token when the request names none.
pub(crate) const DEFAULT_SECONDS: i64 = 3600;
/// What the kubelet asks for its pods; such tokens may live longer (upstream's WarnOnlyBoundTokenExpirationSeconds).
const WARN_ONLY_SECONDS: i64 = 3600 + 7;
/// How long they then live.
const EXTENDED_SECONDS: i64 = 365 * 24 * 3600;

/// Makes and checks tokens.
pub(crate) struct Tokens {
    signing: Option<SigningKey>,
    keys: Vec<PublicKey>,
    issuers: Vec<String>,
    /// Audiences of the API server itself.
    pub(crate) audiences: Vec<String>,
    extend: bool,
    longest: i64,
    lookup: Arc<dyn Lookup>,
}

/// A token that was found good.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) user: UserInfo,
    /// Audiences that were asked for and that the token has.
    pub(crate) audiences: Vec<String>,
}

/// Why a token is not good.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("invalid bearer token")]
    Invalid,
    #[error("service account token has expired")]
    Expired,
    #[error("service account token is not valid yet")]
    NotYet,
    #[error("token audiences {token:?} is invalid for the target audiences {wanted:?}")]
    Audience { token: Vec<String>, wanted: Vec<String> },
    #[error("service account token has been invalidated")]
    Invalidated,
}

/// Who a new token is for.
pub(crate) struct NewToken<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) account: &'a Value,
    /// The bound object: `(claim name, object)`, claim name `pod`, `secret` or `node`.
    pub(crate) bound: Option<(&'static str, &'a Value)>,
    /// The node of a bound pod.
    pub(crate) node: Option<&'a Value>,
    pub(crate) audiences: Vec<String>,
    pub(crate) seconds: i64,
}

impl Tokens {
    /// From the flags; reads the key files.
    pub(crate) fn new(options: &Options, lookup: Arc<dyn Lookup>) -> Result<Self, KeyError> {
        let signing = options.service_account_signing_key_file.as_deref().map(SigningKey::open).transpose()?;
        let mut keys = Vec::new();
        for path in &options.service_account_key_file {
            keys.extend(public_keys(path)?);
        }
        if let Some(key) = &signing
            && !keys.contains(&key.public())
        {
            keys.push(key.public());
        }
        let audiences = if options.api_audiences.is_empty() {
            options.service_account_issuer.clone()
        } else {
            options.api_audiences.clone()
        };
        Ok(Self {
            signing,
            keys,
            issuers: options.service_account_issuer.clone(),
            audiences,
            extend: options.service_account_extend_token_expiration,
            longest: i64::try_from(options.service_account_max_token_expiration.as_secs()).unwrap_or(0),
            lookup,
        })
    }

    /// The issuer that signs.
    pub(crate) fn issuer(&self) -> &str {
        self.issuers.first().map_or("", String::as_str)
    }

    /// The keys as a JWKS.
    pub(crate) fn jwks(&self) -> Value {
        json!({"keys": self.keys.iter().map(PublicKey::jwk).collect::<Vec<_>>()})
    }

    /// Algorithms of the keys, for OIDC discovery.
    pub(crate) fn algorithms(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.keys.iter().map(PublicKey::algorithm).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Signs a bound token: the token and the second it expires (as the client should believe).
    pub(crate) fn issue(&self, new: &NewToken<'_>) -> Option<(String, i64)> {
        let key = self.signing.as_ref()?;
        let now = drydock_api::time::unix_now();
        let mut seconds = if self.longest > 0 { new.seconds.min(self.longest) } else { new.seconds };
        let told = now + seconds;
        let mut kubernetes = json!({"namespace": new.namespace, "serviceaccount": reference(new.account)});
        if let Some((kind, object)) = new.bound {
            kubernetes[kind] = reference(object);
        }
        if let Some(node) = new.node {
            kubernetes["node"] = reference(node);
        }
        if self.extend
            && new.bound.is_some_and(|(kind, _)| kind == "pod")
            && seconds == WARN_ONLY_SECONDS
            && new.audiences == self.audiences
        {
            kubernetes["warnafter"] = told.into();
            seconds = EXTENDED_SECONDS;
        }
        let claims = json!({
            "aud": new.audiences,
            "exp": now + seconds,
            "iat": now,
            "nbf": now,
            "iss": self.issuer(),
            "jti": crate::meta::new_uid(),
            "sub": format!("system:serviceaccount:{}:{}", new.namespace, drydock_api::meta::name(new.account)),
            "kubernetes.io": kubernetes,
        });
        Some((jwt::sign(key, &claims)?, told))
    }

    /// Checks a token for any of `audiences` (none: the API server's own).
    pub(crate) fn authenticate(&self, token: &str, audiences: &[String]) -> Result<Verified, TokenError> {
        let issuer_fits = |claims: &Value| {
            claims.get("iss").and_then(Value::as_str).is_some_and(|issuer| self.issuers.iter().any(|own| own == issuer))
        };
        if !jwt::peek(token).as_ref().is_some_and(issuer_fits) {
            return Err(TokenError::Invalid);
        }
        let claims = jwt::verify(token, &self.keys).ok_or(TokenError::Invalid)?;
        let now = drydock_api::time::unix_now();
        let number = |key: &str| claims.get(key).and_then(Value::as_i64);
        if number("exp").is_none_or(|expires| expires <= now) {
            return Err(TokenError::Expired);
        }
        // Clocks of one cluster are one clock; a second of leeway is for rounding.
        if number("nbf").is_some_and(|begins| begins > now + 1) {
            return Err(TokenError::NotYet);
        }
        let own: Vec<String> = match claims.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let wanted = if audiences.is_empty() { &self.audiences[..] } else { audiences };
        let common: Vec<String> = wanted.iter().filter(|audience| own.contains(audience)).cloned().collect();
        if common.is_empty() {
            return Err(TokenError::Audience { token: own, wanted: wanted.to_vec() });
        }
        Ok(Verified { user: self.living_user(&claims)?, audiences: common })
    }

    /// The user of the claims, if the account and what the token is bound to still exist with the same uid.
    fn living_user(&self, claims: &Value) -> Result<UserInfo, TokenError> {
        let text = |path: &str| claims.pointer(path).and_then(Value::as_str).unwrap_or("");
        let namespace = text("/kubernetes.io/namespace");
        let (account, uid) = (text("/kubernetes.io/serviceaccount/name"), text("/kubernetes.io/serviceaccount/uid"));
        let name = format!("system:serviceaccount:{namespace}:{account}");
        if namespace.is_empty() || account.is_empty() || text("/sub") != name {
            return Err(TokenError::Invalid);
        }
        let mut extra = std::collections::BTreeMap::new();
        let id = text("/jti");
        if !id.is_empty() {
            extra.insert("authentication.kubernetes.io/credential-id".to_owned(), vec![format!("JTI={id}")]);
        }
        self.lives("/registry/serviceaccounts", namespace, account, uid)?;
        for (claim, storage, namespace) in [
            ("pod", "/registry/pods", namespace),
            ("secret", "/registry/secrets", namespace),
            ("node", "/registry/minions", ""),
        ] {
            let (bound, uid) =
                (text(&format!("/kubernetes.io/{claim}/name")), text(&format!("/kubernetes.io/{claim}/uid")));
            if bound.is_empty() {
                continue;
            }
            // A pod's token also names its node, for information only; one bound to the node itself dies with it.
            if claim != "node" || text("/kubernetes.io/pod/name").is_empty() {
                self.lives(storage, namespace, bound, uid)?;
            }
            if claim != "secret" {
                extra.insert(format!("authentication.kubernetes.io/{claim}-name"), vec![bound.to_owned()]);
                extra.insert(format!("authentication.kubernetes.io/{claim}-uid"), vec![uid.to_owned()]);
            }
        }
        let groups = vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
        Ok(UserInfo { name, uid: uid.to_owned(), groups, extra })
    }

    fn lives(&self, storage: &str, namespace: &str, name: &str, uid: &str) -> Result<(), TokenError> {
        let bytes = self.lookup.object(storage, namespace, name).ok_or(TokenError::Invalidated)?;
        let object: Value = serde_json::from_slice(&bytes).map_err(|_| TokenError::Invalidated)?;
        if drydock_api::meta::uid(&object) != uid {
            return Err(TokenError::Invalidated);
        }
        // Upstream lets a token live a minute longer than its object's deletion began, for clean-up.
        let deleted = drydock_api::meta::deletion_timestamp(&object).and_then(drydock_api::time::parse_seconds);
        match deleted {
            Some(at) if at + 60 < drydock_api::time::unix_now() => Err(TokenError::Invalidated),
            _ => Ok(()),
        }
    }
}

fn reference(object: &Value) -> Value {
    json!({"name": drydock_api::meta::name(object), "uid": drydock_api::meta::uid(object)})
}

#[cfg(test)]
mod tests;
