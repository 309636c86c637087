//! Compact JWS: three base64url parts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::keys::{PublicKey, SigningKey};

/// Signs claims.
pub(crate) fn sign(key: &SigningKey, claims: &Value) -> Option<String> {
    let public = key.public();
    let header = json!({"alg": public.algorithm(), "kid": public.id});
    let mut token = format!("{}.{}", part(&header), part(claims));
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature));
    Some(token)
}

/// The claims of a token that one of the keys signed; their content is not checked here.
pub(crate) fn verify(token: &str, keys: &[PublicKey]) -> Option<Value> {
    let (message, signature) = token.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let (algorithm, id) = (header.get("alg")?.as_str()?, header.get("kid").and_then(Value::as_str));
    let fits = |key: &&PublicKey| key.algorithm() == algorithm && id.is_none_or(|id| id == key.id);
    keys.iter().filter(fits).find(|key| key.verify(message.as_bytes(), &signature))?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

/// The claims of a token, unverified: only to see whose it claims to be.
pub(crate) fn peek(token: &str) -> Option<Value> {
    let claims = token.split('.').nth(1).filter(|_| token.split('.').count() == 3)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::keys::tests::p256_pair;

    #[test]
    fn only_the_untouched_token_verifies() {
        let key = p256_pair();
        let token = sign(&key, &json!({"sub": "a"})).expect("token");
        assert_eq!(verify(&token, &[key.public()]), Some(json!({"sub": "a"})));
        assert_eq!(peek(&token), Some(json!({"sub": "a"})));
        assert_eq!(verify(&token, &[p256_pair().public()]), None);
        let forged = token.replacen('.', ".e30", 1);
        assert_eq!(verify(&forged, &[key.public()]), None);
        assert_eq!(verify("abc", &[key.public()]), None);
    }
}
