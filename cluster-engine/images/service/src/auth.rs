//! What a registry wants to know of us: its challenge, and the answer to it.

use std::collections::BTreeMap;

/// A `WWW-Authenticate` header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer { realm: String, service: String, scope: String },
}

impl Challenge {
    /// The first challenge that we can answer; bearer tokens before passwords.
    pub(crate) fn of<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut basic = None;
        for header in headers {
            let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
            if scheme.eq_ignore_ascii_case("bearer") {
                let mut fields = parameters(rest);
                let mut take = |name: &str| fields.remove(name).unwrap_or_default();
                return Some(Self::Bearer { realm: take("realm"), service: take("service"), scope: take("scope") });
            }
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            }
        }
        basic
    }
}

/// `name="value",other=value`; quoted values may hold commas.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut rest = text.trim_start();
    while let Some((name, tail)) = rest.split_once('=') {
        let (value, tail) = match tail.strip_prefix('"') {
            Some(quoted) => match quoted.split_once('"') {
                Some(split) => split,
                None => break,
            },
            None => tail.split_at(tail.find(',').unwrap_or(tail.len())),
        };
        fields.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        rest = tail.trim_start().trim_start_matches(',').trim_start();
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: &str, scope: &str| {
            Some(Challenge::Bearer { realm: realm.into(), service: service.into(), scope: scope.into() })
        };
        let of = |headers: &[&str]| Challenge::of(headers.iter().copied());
        assert_eq!(
            of(&[
                "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:a/b:pull,push\""
            ]),
            bearer("https://auth.docker.io/token", "registry.docker.io", "repository:a/b:pull,push")
        );
        assert_eq!(of(&["bearer realm=https://x/t , Service=s"]), bearer("https://x/t", "s", ""));
        assert_eq!(of(&["Basic realm=\"x\""]), Some(Challenge::Basic));
        assert_eq!(of(&["Basic realm=\"x\"", "Bearer realm=\"y\""]), bearer("y", "", ""));
        assert_eq!(of(&["Negotiate"]), None);
        assert_eq!(of(&["Bearer realm=\"unended"]), bearer("", "", ""));
    }
}
