//! Which credentials of a pod's pull secrets are for an image: the rules of upstream's `credentialprovider`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use drydock_images::service::Credentials;
use serde::Deserialize;

use crate::objects::Secret;

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    auths: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    username: Option<String>,
    password: Option<String>,
    auth: Option<String>,
    #[serde(alias = "identityToken")]
    identitytoken: Option<String>,
    #[serde(alias = "registryToken")]
    registrytoken: Option<String>,
}

/// Credentials by the registries and paths that they are for.
#[derive(Debug, Default)]
pub(crate) struct Keyring {
    entries: Vec<(String, Credentials)>,
}

impl Keyring {
    /// Takes over a secret's entries, of either kind; what is not readable is left out, with a reason.
    pub(crate) fn add(&mut self, secret: &Secret) -> Result<(), String> {
        let entries = if let Some(bytes) = secret.value(".dockerconfigjson") {
            serde_json::from_slice::<File>(&bytes).map_err(|error| error.to_string())?.auths
        } else if let Some(bytes) = secret.value(".dockercfg") {
            serde_json::from_slice(&bytes).map_err(|error| error.to_string())?
        } else {
            return Err("it is of neither type kubernetes.io/dockerconfigjson nor kubernetes.io/dockercfg".to_owned());
        };
        for (place, entry) in entries {
            if let Some(credentials) = entry.credentials() {
                self.entries.push((normal(&place), credentials));
            }
        }
        Ok(())
    }

    /// The credentials for an image, the most exact place first, each once.
    pub(crate) fn for_image(&self, image: &str) -> Vec<Credentials> {
        let Ok(name) = image.parse::<drydock_images::Reference>() else { return Vec::new() };
        let target = name.familiar();
        let mut fitting: Vec<&(String, Credentials)> =
            self.entries.iter().filter(|(place, _)| fits(place, &target)).collect();
        fitting.sort_by(|(a, _), (b, _)| b.cmp(a));
        let mut found: Vec<Credentials> = Vec::new();
        for (_, credentials) in fitting {
            if !found.contains(credentials) {
                found.push(credentials.clone());
            }
        }
        found
    }
}

impl Entry {
    fn credentials(self) -> Option<Credentials> {
        let mut found = Credentials {
            username: self.username.unwrap_or_default(),
            password: self.password.unwrap_or_default(),
            identity_token: self.identitytoken.unwrap_or_default(),
            registry_token: self.registrytoken.unwrap_or_default(),
        };
        if let Some(auth) = self.auth.filter(|auth| !auth.is_empty()) {
            let bytes = STANDARD.decode(&auth).or_else(|_| STANDARD_NO_PAD.decode(&auth)).ok()?;
            let text = String::from_utf8(bytes).ok()?;
            let (username, password) = text.split_once(':')?;
            found.username = username.to_owned();
            found.password = password.trim_end_matches('\0').to_owned();
        }
        (found != Credentials::default()).then_some(found)
    }
}

/// `https://index.docker.io/v1/` is `docker.io`; others lose scheme and API version.
fn normal(place: &str) -> String {
    let bare = place.strip_prefix("https://").or_else(|| place.strip_prefix("http://")).unwrap_or(place);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let path = path.strip_prefix("v1/").or_else(|| path.strip_prefix("v2/")).unwrap_or(path);
    let path = if matches!(path, "v1" | "v2") { "" } else { path.trim_end_matches('/') };
    let host = match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    };
    if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") }
}

/// Whether a place covers an image: hosts part by part with `*`, ports alike, and a prefix of the path.
fn fits(place: &str, target: &str) -> bool {
    let split = |text: &str| {
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let (name, port) = host.split_once(':').unwrap_or((host, ""));
        (name.to_owned(), port.to_owned(), path.to_owned())
    };
    let (place_name, place_port, place_path) = split(place);
    let (name, port, path) = split(target);
    let place_parts: Vec<&str> = place_name.split('.').collect();
    let parts: Vec<&str> = name.split('.').collect();
    place_port == port
        && place_parts.len() == parts.len()
        && place_parts.iter().zip(&parts).all(|(pattern, part)| glob(pattern, part))
        && path.starts_with(&place_path)
}

/// `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match text.find(piece) {
            Some(at) => text = &text[at + piece.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(kind: &str, json: &serde_json::Value) -> Secret {
        let data = [(kind.to_owned(), STANDARD.encode(json.to_string()))].into();
        Secret { data, ..Secret::default() }
    }

    #[track_caller]
    fn check(places: &[&str], image: &str, expected: &[&str]) {
        let auths: serde_json::Map<String, serde_json::Value> = places
            .iter()
            .map(|place| ((*place).to_owned(), serde_json::json!({"username": place, "password": "p"})))
            .collect();
        let mut keyring = Keyring::default();
        keyring.add(&secret(".dockerconfigjson", &serde_json::json!({"auths": auths}))).unwrap();
        let found: Vec<String> = keyring.for_image(image).into_iter().map(|it| it.username).collect();
        assert_eq!(found, expected, "{image}");
    }

    #[test]
    fn places_cover_images() {
        let hub = "https://index.docker.io/v1/";
        check(&[hub, "quay.io"], "nginx", &[hub]);
        check(&[hub, "quay.io"], "docker.io/me/app:1", &[hub]);
        check(&[hub, "quay.io"], "quay.io/me/app", &["quay.io"]);
        check(&["quay.io", "quay.io/me"], "quay.io/me/app", &["quay.io/me", "quay.io"]);
        check(&["quay.io/you"], "quay.io/me/app", &[]);
        check(&["*.example.com"], "reg.example.com/a", &["*.example.com"]);
        check(&["*.example.com"], "a.reg.example.com/a", &[]);
        check(&["127.0.0.1:5000"], "127.0.0.1:5000/a:v1", &["127.0.0.1:5000"]);
        check(&["127.0.0.1:5000"], "127.0.0.1:5001/a:v1", &[]);
        check(&["http://reg.local:5000/v2/"], "reg.local:5000/a", &["http://reg.local:5000/v2/"]);
    }

    #[test]
    fn both_forms_of_secrets_are_read() {
        let mut keyring = Keyring::default();
        let auth = STANDARD.encode("user:pass:word");
        keyring.add(&secret(".dockercfg", &serde_json::json!({"a.io": {"auth": auth, "email": "x"}}))).unwrap();
        let token = serde_json::json!({"auths": {"b.io": {"identitytoken": "t"}, "c.io": {}, "d.io": {"auth": "!"}}});
        keyring.add(&secret(".dockerconfigjson", &token)).unwrap();
        let found = keyring.for_image("a.io/x");
        assert_eq!((found[0].username.as_str(), found[0].password.as_str()), ("user", "pass:word"));
        assert_eq!(keyring.for_image("b.io/x")[0].identity_token, "t");
        assert!(keyring.for_image("c.io/x").is_empty() && keyring.for_image("d.io/x").is_empty());
        assert!(keyring.add(&secret("other", &serde_json::json!({}))).is_err());
        assert!(keyring.add(&secret(".dockerconfigjson", &serde_json::json!("no"))).is_err());
    }

    #[test]
    fn stars_match() {
        for (pattern, text, expected) in [
            ("*", "x", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b", "abc", false),
            ("ab*b", "ab", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
