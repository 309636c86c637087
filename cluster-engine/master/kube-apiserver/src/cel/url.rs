//! `url("https://example.com/a?b=c")` and its parts: absolute addresses and absolute paths, as Go's `url.ParseRequestURI` takes them.

use std::collections::{BTreeMap, HashMap};

use ::cel::common::types::{CelBool, CelList, CelMap, CelMapKey, CelString};
use ::cel::common::value::Val;
use ::cel::{DeclarationError, Env, ExecutionError};

use super::failure;
use super::opaque::opaque;
use crate::request::unescape;

/// An address, cut into its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    scheme: String,
    host: String,
    path: String,
    query: String,
}

opaque!(
    /// An address.
    Url(Parts), URL = "kubernetes.URL"
);

pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_type(URL.to_owned())?;
    ::cel::add_overload!(env, fn parse: (CelString) -> Result<Url>, name = "url")?;
    ::cel::add_overload!(env, fn is_url: (CelString) -> CelBool, name = "isURL")?;
    ::cel::add_member_overload!(env, fn get_scheme: (Url) -> CelString)?;
    ::cel::add_member_overload!(env, fn get_host: (Url) -> CelString)?;
    ::cel::add_member_overload!(env, fn get_hostname: (Url) -> CelString)?;
    ::cel::add_member_overload!(env, fn get_port: (Url) -> CelString)?;
    ::cel::add_member_overload!(env, fn get_escaped_path: (Url) -> CelString)?;
    ::cel::add_member_overload!(env, fn get_query: (Url) -> CelMap)
}

fn read(text: &str) -> Option<Parts> {
    if text.chars().any(|c| c.is_control() || c == ' ') {
        return None;
    }
    let (rest, query) = text.split_once('?').unwrap_or((text, ""));
    let mut parts = Parts { query: query.to_owned(), ..Parts::default() };
    if rest.starts_with('/') {
        parts.path = rest.to_owned();
        return Some(parts);
    }
    let (scheme, rest) = rest.split_once(':')?;
    let good = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(good) {
        return None;
    }
    parts.scheme = scheme.to_ascii_lowercase();
    let Some(rest) = rest.strip_prefix("//") else {
        // `mailto:someone` has neither host nor path.
        return (!rest.is_empty()).then_some(parts);
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let authority = &rest[..end];
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or("", |(_, port)| port);
    if !port.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    parts.host = host.to_owned();
    parts.path = rest[end..].to_owned();
    Some(parts)
}

fn parse(text: &CelString<'_>) -> Result<Url, ExecutionError> {
    let why = || {
        failure(format!(
            "URL parse error during conversion from string: parse {:?}: invalid URI for request",
            text.inner()
        ))
    };
    read(text.inner()).map(Url).ok_or_else(why)
}

fn is_url(text: &CelString<'_>) -> CelBool {
    read(text.inner()).is_some().into()
}

fn get_scheme(own: &Url) -> CelString<'static> {
    CelString::from(own.0.scheme.clone())
}

fn get_host(own: &Url) -> CelString<'static> {
    CelString::from(own.0.host.clone())
}

/// Host and port; brackets of an IPv6 address are not part of the name.
fn split(host: &str) -> (&str, &str) {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, rest)) => (name, rest.strip_prefix(':').unwrap_or("")),
        None => host.split_once(':').unwrap_or((host, "")),
    }
}

fn get_hostname(own: &Url) -> CelString<'static> {
    CelString::from(split(&own.0.host).0.to_owned())
}

fn get_port(own: &Url) -> CelString<'static> {
    CelString::from(split(&own.0.host).1.to_owned())
}

fn get_escaped_path(own: &Url) -> CelString<'static> {
    CelString::from(own.0.path.clone())
}

fn get_query(own: &Url) -> CelMap<'static> {
    let mut query: BTreeMap<String, Vec<Box<dyn Val>>> = BTreeMap::new();
    for part in own.0.query.split('&').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        query.entry(unescape(key, true)).or_default().push(Box::new(CelString::from(unescape(value, true))));
    }
    let map: HashMap<CelMapKey<'static>, Box<dyn Val>> = query
        .into_iter()
        .map(|(key, values)| (CelMapKey::from(key), Box::new(CelList::from(values)) as Box<dyn Val>))
        .collect();
    CelMap::from(map)
}

/// Whether a text is an address.
pub(super) fn is_uri(text: &str) -> bool {
    read(text).is_some()
}
