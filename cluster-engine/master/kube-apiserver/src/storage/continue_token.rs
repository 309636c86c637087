//! The `continue` token of paged lists: base64url JSON `{"v":"meta.k8s.io/v1","rv":N,"start":"key"}`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Token {
    v: String,
    #[serde(default)]
    rv: i64,
    #[serde(default)]
    start: String,
}

/// Makes a token for the key that comes after `last` below the prefix. A revision of -1 means "whatever is newest".
pub(crate) fn encode(last: &str, revision: i64) -> String {
    let token = Token { v: "meta.k8s.io/v1".to_owned(), rv: revision, start: format!("{last}\0") };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).unwrap_or_default())
}

/// Reads a token: the first key (relative to the prefix) and the revision.
///
/// # Errors
/// Upstream's text for a token that is not one.
pub(crate) fn decode(text: &str) -> Result<(String, i64), String> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|error| format!("continue key is not valid: {error}"))?;
    let token: Token = serde_json::from_slice(&bytes).map_err(|error| format!("continue key is not valid: {error}"))?;
    if token.v != "meta.k8s.io/v1" {
        return Err(format!("continue key is not valid: server does not recognize this encoded version {:?}", token.v));
    }
    if token.rv == 0 {
        return Err(
            "continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)".to_owned()
        );
    }
    if token.start.is_empty() {
        return Err("continue key is not valid: encoded start key empty (version meta.k8s.io/v1)".to_owned());
    }
    if token.start.split('/').any(|part| part == "..") {
        return Err(format!("continue key is not valid: {}", token.start));
    }
    Ok((token.start, token.rv))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back() {
        let text = encode("default/web-1", 42);
        assert_eq!(decode(&text), Ok(("default/web-1\0".to_owned(), 42)));
        assert!(decode("garbage").is_err());
        assert!(decode(&URL_SAFE_NO_PAD.encode(r#"{"v":"v2","rv":1,"start":"a"}"#)).is_err());
    }
}
