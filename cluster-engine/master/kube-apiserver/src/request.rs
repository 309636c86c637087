//! What a request asks for, read from its method, path and query: upstream's RequestInfo.

use http::Method;

/// The query of a URL, decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c=d`.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|part| !part.is_empty());
        Self(
            pairs
                .map(|part| part.split_once('=').unwrap_or((part, "")))
                .map(|(key, value)| (unescape(key, true), unescape(value, true)))
                .collect(),
        )
    }

    /// The first value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str())
    }

    /// The first value, empty when absent.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.get(key).unwrap_or("")
    }

    /// Every value of a key.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| own == key).map(|(_, value)| value.as_str())
    }

    /// Whether the key is set to something true, as upstream reads query booleans.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "false" | "0"))
    }
}

/// Decodes `%41`, and `+` in queries.
pub(crate) fn unescape(text: &str, plus: bool) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let escape = bytes
            .get(at + 1..at + 3)
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, escape) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                at += 2;
            }
            (b'+', _) if plus => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestInfo {
    /// Whether it is for a resource (`/api/v1/…`, `/apis/g/v/…`) and not for a path.
    pub(crate) is_resource: bool,
    /// The path as sent.
    pub(crate) path: String,
    /// `get`, `list`, `watch`, `create` …; the lower-case method when not for a resource.
    pub(crate) verb: &'static str,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) name: String,
    /// What follows the subresource (`proxy/…`), without the leading slash.
    pub(crate) rest: String,
    /// Whether a slash ended the path behind a proxy subresource.
    pub(crate) rest_given: bool,
}

impl RequestInfo {
    /// Reads a request.
    pub(crate) fn new(method: &Method, path: &str, query: &Query) -> Self {
        let plain = Self { path: path.to_owned(), verb: method_verb(method), ..Self::default() };
        let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let mut info = plain.clone();
        match parts.first() {
            Some(&"api") if parts.len() >= 3 => {
                info.version = parts[1].to_owned();
                parts.drain(..2);
            }
            Some(&"apis") if parts.len() >= 4 => {
                info.group = parts[1].to_owned();
                info.version = parts[2].to_owned();
                parts.drain(..3);
            }
            _ => return plain,
        }
        info.is_resource = true;
        info.verb = match *method {
            Method::POST => "create",
            Method::GET | Method::HEAD => "get",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "",
        };
        if parts.first() == Some(&"watch") && parts.len() > 1 {
            info.verb = "watch";
            parts.remove(0);
        }
        let decoded: Vec<String> = parts.iter().map(|part| unescape(part, false)).collect();
        let mut parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
        if parts[0] == "namespaces"
            && let Some(namespace) = parts.get(1)
        {
            info.namespace = (*namespace).to_owned();
            let own = parts.len() <= 2 || (parts.len() == 3 && matches!(parts[2], "status" | "finalize"));
            if !own {
                parts.drain(..2);
            }
        }
        info.resource = parts[0].to_owned();
        info.name = parts.get(1).copied().unwrap_or("").to_owned();
        info.subresource = parts.get(2).copied().unwrap_or("").to_owned();
        if parts.len() > 3 {
            info.rest = parts[3..].join("/");
        }
        if info.subresource == "proxy" {
            info.rest_given = parts.len() > 3 || path.ends_with('/');
            if path.ends_with('/') && !info.rest.is_empty() {
                info.rest.push('/');
            }
        }
        if info.name.is_empty() && info.verb == "get" {
            info.verb = if query.flag("watch") { "watch" } else { "list" };
        } else if info.name.is_empty() && info.verb == "delete" {
            info.verb = "deletecollection";
        }
        if matches!(info.verb, "list" | "watch" | "deletecollection") && info.name.is_empty() {
            // One named object by field selector may be authorised by that name, as upstream does.
            if let Some(name) = selected_name(query.text("fieldSelector")) {
                info.name = name.to_owned();
            }
        }
        info
    }
}

fn selected_name(selector: &str) -> Option<&str> {
    selector.split(',').find_map(|term| {
        let value = term.strip_prefix("metadata.name=")?;
        Some(value.strip_prefix('=').unwrap_or(value)).filter(|name| !name.is_empty())
    })
}

fn method_verb(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: Method, url: &str, expected: &str) {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let info = RequestInfo::new(&method, path, &Query::parse(query));
        let text = format!(
            "{} {}/{} ns={} {}/{} name={} rest={}",
            info.verb, info.group, info.version, info.namespace, info.resource, info.subresource, info.name, info.rest
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn paths_are_read_as_upstream_does() {
        check(Method::GET, "/api/v1/namespaces", "list /v1 ns= namespaces/ name= rest=");
        check(Method::GET, "/api/v1/namespaces/a", "get /v1 ns=a namespaces/ name=a rest=");
        check(Method::PUT, "/api/v1/namespaces/a/finalize", "update /v1 ns=a namespaces/finalize name=a rest=");
        check(Method::GET, "/api/v1/namespaces/a/pods?watch=1", "watch /v1 ns=a pods/ name= rest=");
        check(Method::GET, "/api/v1/pods?watch=false", "list /v1 ns= pods/ name= rest=");
        check(
            Method::DELETE,
            "/apis/apps/v1/namespaces/a/deployments",
            "deletecollection apps/v1 ns=a deployments/ name= rest=",
        );
        check(Method::GET, "/api/v1/watch/namespaces/a/pods", "watch /v1 ns=a pods/ name= rest=");
        check(
            Method::GET,
            "/api/v1/namespaces/a/services/http:b:80/proxy/x/y",
            "get /v1 ns=a services/proxy name=http:b:80 rest=x/y",
        );
        check(Method::GET, "/api/v1/nodes?fieldSelector=metadata.name%3Dn1", "list /v1 ns= nodes/ name=n1 rest=");
        check(Method::POST, "/api/v1/namespaces/a/pods/p/exec?command=ls", "create /v1 ns=a pods/exec name=p rest=");
        check(Method::GET, "/healthz", "get / ns= / name= rest=");
        check(Method::GET, "/apis/apps/v1", "get / ns= / name= rest=");
    }

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("labelSelector=a%3Db+c&command=ls&command=-l&watch");
        assert_eq!(query.text("labelSelector"), "a=b c");
        assert_eq!(query.all("command").collect::<Vec<_>>(), ["ls", "-l"]);
        assert!(query.flag("watch"));
        assert_eq!(unescape("100%", true), "100%");
    }
}
