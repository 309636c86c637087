//! Image names, normalised the way Docker and the kubelet do it.

use crate::Error;
use std::fmt;
use std::str::FromStr;

/// A normalised image name: registry, path and tag or digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// `docker.io`, `registry.example:5000`.
    pub registry: String,
    /// `library/busybox`.
    pub repository: String,
    /// `latest` unless given; `None` when only a digest was given.
    pub tag: Option<String>,
    /// `sha256:…`.
    pub digest: Option<String>,
}

impl Reference {
    /// The name without tag and digest.
    #[must_use]
    pub fn familiar(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = Error;

    /// Parses `busybox`, `drydock/demo:v1`, `registry.example:5000/a/b@sha256:…`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || Error::InvalidReference { reference: text.to_owned() };
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(invalid());
        }
        // A colon after the last slash starts the tag; one before it is the registry's port.
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(invalid());
        }
        let (registry, repository) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest.to_owned()),
            Some(_) => ("docker.io", name.to_owned()),
            None => ("docker.io", format!("library/{name}")),
        };
        let registry = if registry == "index.docker.io" { "docker.io" } else { registry };
        let repository = match repository.split_once('/') {
            None if registry == "docker.io" => format!("library/{repository}"),
            _ => repository,
        };
        if !is_registry(registry) || repository.len() > 255 || !repository.split('/').all(is_component) {
            return Err(invalid());
        }
        let tag = match (tag, digest) {
            (None, None) => Some("latest".to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Ok(Self { registry: registry.to_owned(), repository, tag, digest: digest.map(str::to_owned) })
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(label)
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Lower-case letters and digits, joined by `.`, `_`, `__` or dashes.
fn is_component(text: &str) -> bool {
    let bytes = text.as_bytes();
    let alnum = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    alnum(*first)
        && alnum(*last)
        && bytes.iter().all(|byte| alnum(*byte) || matches!(byte, b'.' | b'_' | b'-'))
        && !text.contains("..")
        && !text.contains("___")
        && !["._", "_.", ".-", "-.", "_-", "-_"].iter().any(|pair| text.contains(pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(text.parse::<Reference>().ok().map(|name| name.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn names_are_normalised_as_docker_does() {
        let digest = format!("sha256:{}", "a".repeat(64));
        check("busybox", Some("docker.io/library/busybox:latest"));
        check("drydock/demo:v1", Some("docker.io/drydock/demo:v1"));
        check("docker.io/nginx", Some("docker.io/library/nginx:latest"));
        check("index.docker.io/nginx:1", Some("docker.io/library/nginx:1"));
        check("localhost/x", Some("localhost/x:latest"));
        check("registry.k8s.io/e2e-test-images/agnhost:2.53", Some("registry.k8s.io/e2e-test-images/agnhost:2.53"));
        check("reg.example:5000/a/b", Some("reg.example:5000/a/b:latest"));
        check(&format!("busybox@{digest}"), Some(&format!("docker.io/library/busybox@{digest}")));
        check(&format!("busybox:1@{digest}"), Some(&format!("docker.io/library/busybox:1@{digest}")));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "Busybox",
            "a//b",
            "busybox:",
            "busybox:a b",
            "a/../b",
            "-a",
            "busybox@sha256:12",
            "a/b:c/d",
            "!",
            "reg.example:x/a",
        ] {
            check(text, None);
        }
    }
}
