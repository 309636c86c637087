//! The few URLs that registries use.

use std::fmt;

/// `http` or `https`, a host, a port, a path with its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) secure: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) path: String,
}

impl Url {
    /// Reads an absolute URL. User names in it are refused: nobody has a reason to tell us one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (secure, rest) = match text.split_once("://")? {
            ("https", rest) => (true, rest),
            ("http", rest) => (false, rest),
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let tail = tail.split('#').next().unwrap_or_default();
        let (host, port) = split_port(authority, if secure { 443 } else { 80 })?;
        let path = if tail.starts_with('/') { tail.to_owned() } else { format!("/{tail}") };
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_host = !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':'));
        (is_host && plain(&path)).then_some(Self { secure, host, port, path })
    }

    /// A registry's host as images name it.
    pub(crate) fn of_registry(registry: &str, secure: impl Fn(&str, u16) -> bool) -> Option<Self> {
        let registry = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
        let (host, port) = split_port(registry, 443)?;
        let secure = secure(&host, port);
        let port = if registry.contains(':') || secure { port } else { 80 };
        Some(Self { secure, host, port, path: "/".to_owned() })
    }

    /// Another path at the same place.
    pub(crate) fn at(&self, path: &str) -> Self {
        let base = self.path.trim_end_matches('/');
        Self { path: format!("{base}{path}"), ..self.clone() }
    }

    /// Where a redirect leads to.
    pub(crate) fn join(&self, location: &str) -> Option<Self> {
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.scheme()));
        }
        if location.starts_with('/') {
            return Self::parse(&format!("{}{location}", self.origin()));
        }
        Self::parse(location)
    }

    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        (self.secure, &self.host, self.port) == (other.secure, &other.host, other.port)
    }

    fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// `host`, or `host:port` when the port is none of the scheme's own.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.secure { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }

    fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority())
    }
}

fn split_port(authority: &str, default: u16) -> Option<(String, u16)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if port.is_empty() => default,
            None => return None,
        };
        return Some((host.to_owned(), port));
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host.to_ascii_lowercase(), port.parse().ok()?)),
        None => Some((authority.to_ascii_lowercase(), default)),
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}

/// A query's value.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_joined() {
        let url = Url::parse("https://Reg.example:5000/v2/x?a=b#c").unwrap();
        assert_eq!(url.to_string(), "https://reg.example:5000/v2/x?a=b");
        assert_eq!(Url::parse("http://h?q=1").unwrap().to_string(), "http://h/?q=1");
        assert_eq!(Url::parse("https://[::1]:8/").unwrap().host, "::1");
        for text in [
            "ftp://x/",
            "https://user:pass@host/",
            "https:///x",
            "https://h/a b",
            "https://h:99999/",
            "h/x",
            "https://[::1]x/",
        ] {
            assert_eq!(Url::parse(text), None, "{text}");
        }
        let join = |location: &str| url.join(location).map(|url| url.to_string());
        assert_eq!(join("/y").as_deref(), Some("https://reg.example:5000/y"));
        assert_eq!(join("//cdn/y").as_deref(), Some("https://cdn/y"));
        assert_eq!(join("http://cdn/y").as_deref(), Some("http://cdn/y"));
        assert_eq!(join("relative"), None);
        let hub = Url::of_registry("docker.io", |_, _| true).unwrap();
        assert_eq!(hub.at("/v2/").to_string(), "https://registry-1.docker.io/v2/");
        assert_eq!(Url::of_registry("127.0.0.1:5000", |_, _| false).unwrap().to_string(), "http://127.0.0.1:5000/");
        assert_eq!(Url::of_registry("localhost", |_, _| false).unwrap().to_string(), "http://localhost/");
    }

    #[test]
    fn query_values_are_escaped() {
        assert_eq!(encode("repository:a/b:pull x"), "repository%3Aa%2Fb%3Apull%20x");
    }
}
