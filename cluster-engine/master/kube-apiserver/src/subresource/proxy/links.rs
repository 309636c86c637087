//! Links of a page that is reached through the proxy: absolute paths get the proxy's path in front.

use std::collections::VecDeque;

use bytes::Bytes;
use drydock_component::serve::Body;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, BodyStream, StreamBody};
use hyper::body::Frame;

/// A tag that is longer than this is passed on as it is.
const TAG_LIMIT: usize = 64 << 10;
/// Elements whose content is no markup.
const RAW: [&str; 10] =
    ["script", "style", "textarea", "title", "iframe", "noembed", "noframes", "noscript", "xmp", "plaintext"];
/// Attributes that hold an address, by element.
const LINKS: [(&str, &[&str]); 29] = [
    ("a", &["href"]),
    ("applet", &["codebase"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("base", &["href"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("command", &["icon"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["longdesc", "src"]),
    ("head", &["profile"]),
    ("html", &["manifest"]),
    ("iframe", &["longdesc", "src"]),
    ("img", &["longdesc", "src", "usemap"]),
    ("input", &["src", "usemap", "formaction"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["classid", "codebase", "data", "usemap"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("source", &["src"]),
    ("track", &["src"]),
    ("video", &["poster", "src"]),
    ("image", &["href"]),
    ("use", &["href"]),
    ("portal", &["src"]),
];

/// Where addresses lead.
#[derive(Clone, Debug)]
pub(super) struct Rewrite {
    /// Path under which the page's `/` is reached, without a slash at its end.
    pub(super) prefix: String,
    /// Hosts that mean the page's own server.
    pub(super) hosts: Vec<String>,
}

impl Rewrite {
    /// The address as the client must write it.
    pub(super) fn address(&self, target: &str) -> String {
        let Some(local) = self.local(target) else { return target.to_owned() };
        if !local.starts_with('/') {
            return target.to_owned();
        }
        let end = local.find(['?', '#']).unwrap_or(local.len());
        let (path, rest) = local.split_at(end);
        if path.starts_with(&self.prefix) {
            return local.to_owned();
        }
        format!("{}{}{rest}", self.prefix, clean(path))
    }

    /// What follows the host, if the host is the page's own.
    fn local<'a>(&self, target: &'a str) -> Option<&'a str> {
        let after = match target.strip_prefix("//") {
            Some(after) => after,
            None => match target.split_once("://") {
                Some((scheme, after)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => after,
                _ => return Some(target),
            },
        };
        let end = after.find(['/', '?', '#']).unwrap_or(after.len());
        let (host, path) = after.split_at(end);
        self.hosts.iter().any(|own| own == host).then_some(path)
    }
}

/// A path without `.`, `..` and empty segments; a slash at its end stays.
fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len() + 1);
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if path.ends_with('/') {
        out.push('/');
    }
    out
}

/// A page whose links lead through the proxy, rewritten as it comes.
pub(super) fn rewritten(body: Body, rewrite: Rewrite) -> Body {
    let state = (BodyStream::new(body), Some(Page::new(rewrite)), VecDeque::new());
    let stream = stream::unfold(state, |(mut frames, mut page, mut ready)| async move {
        loop {
            if let Some(bytes) = ready.pop_front() {
                return Some((
                    Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Frame::data(bytes)),
                    (frames, page, ready),
                ));
            }
            let open = page.as_mut()?;
            match frames.next().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        ready.push_back(open.push(&data));
                    }
                }
                Some(Err(error)) => return Some((Err(error), (frames, None, ready))),
                None => {
                    ready.push_back(Bytes::from(std::mem::take(&mut open.held)));
                    page = None;
                }
            }
            ready.retain(|bytes: &Bytes| !bytes.is_empty());
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

/// A page that comes in pieces.
struct Page {
    rewrite: Rewrite,
    /// What cannot be judged yet: the beginning of a tag.
    held: Vec<u8>,
    /// The raw element that we are in.
    raw: Option<&'static str>,
    /// Within `<!--`.
    comment: bool,
}

impl Page {
    fn new(rewrite: Rewrite) -> Self {
        Self { rewrite, held: Vec::new(), raw: None, comment: false }
    }

    fn push(&mut self, piece: &[u8]) -> Bytes {
        self.held.extend_from_slice(piece);
        let text = std::mem::take(&mut self.held);
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text.as_slice();
        while let Some(start) = rest.iter().position(|byte| matches!(byte, b'<' | b'-')) {
            out.extend_from_slice(&rest[..start]);
            rest = &rest[start..];
            let Some(taken) = self.mark(rest, &mut out) else {
                if rest.len() > TAG_LIMIT {
                    out.extend_from_slice(rest);
                } else {
                    self.held = rest.to_vec();
                }
                return Bytes::from(out);
            };
            rest = &rest[taken..];
        }
        out.extend_from_slice(rest);
        Bytes::from(out)
    }

    /// Takes what begins with `<` or `-`; nothing when its end has not come yet.
    fn mark(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let keep = |out: &mut Vec<u8>, count: usize| {
            out.extend_from_slice(&rest[..count]);
            Some(count)
        };
        if rest[0] == b'-' {
            if !self.comment {
                return keep(out, 1);
            }
            return match rest {
                [b'-', b'-', b'>', ..] => {
                    self.comment = false;
                    keep(out, 3)
                }
                [b'-'] | [b'-', b'-'] => None,
                _ => keep(out, 1),
            };
        }
        if self.comment {
            return keep(out, 1);
        }
        if let Some(raw) = self.raw {
            let closing = format!("</{raw}");
            let length = closing.len().min(rest.len());
            if !rest[..length].eq_ignore_ascii_case(&closing.as_bytes()[..length]) {
                return keep(out, 1);
            }
            if rest.len() < closing.len() {
                return None;
            }
            self.raw = None;
            return keep(out, closing.len());
        }
        if rest.starts_with(b"<!--") {
            self.comment = true;
            return keep(out, 4);
        }
        match rest.get(1) {
            None => None,
            Some(b'!') if rest.len() < 4 => None,
            Some(byte) if byte.is_ascii_alphabetic() => {
                let end = tag_end(rest)?;
                self.tag(&rest[..end], out);
                Some(end)
            }
            Some(_) => keep(out, 1),
        }
    }

    /// Writes a start tag with its addresses rewritten.
    fn tag(&mut self, tag: &[u8], out: &mut Vec<u8>) {
        let Ok(text) = std::str::from_utf8(tag) else { return out.extend_from_slice(tag) };
        let name_end = text[1..].find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>')).map_or(1, |n| n + 1);
        let name = text[1..name_end].to_ascii_lowercase();
        self.raw = RAW.into_iter().find(|raw| *raw == name);
        let Some((_, links)) = LINKS.iter().find(|(element, _)| *element == name) else {
            return out.extend_from_slice(tag);
        };
        out.extend_from_slice(&tag[..name_end]);
        let mut at = name_end;
        for value in attribute_values(text, name_end) {
            let is_link = links.iter().any(|link| link.eq_ignore_ascii_case(&text[value.name.clone()]));
            if !is_link {
                continue;
            }
            out.extend_from_slice(&tag[at..value.value.start]);
            out.extend_from_slice(self.rewrite.address(&text[value.value.clone()]).as_bytes());
            at = value.value.end;
        }
        out.extend_from_slice(&tag[at..]);
    }
}

/// Where a tag that begins here ends: past its `>`, which does not count within quotes.
fn tag_end(text: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            // Quotes open a value only right after `=`.
            (None, b'"' | b'\'') if text[..at].trim_ascii_end().ends_with(b"=") => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
    }
    None
}

/// Where an attribute's name and value are.
struct Attribute {
    name: std::ops::Range<usize>,
    value: std::ops::Range<usize>,
}

fn attribute_values(tag: &str, from: usize) -> Vec<Attribute> {
    let bytes = tag.as_bytes();
    let skip = |mut at: usize, what: fn(&u8) -> bool| {
        while bytes.get(at).is_some_and(what) {
            at += 1;
        }
        at
    };
    let mut found = Vec::new();
    let mut at = from;
    loop {
        let start = skip(at, |byte| byte.is_ascii_whitespace() || *byte == b'/');
        let end = skip(start, |byte| !byte.is_ascii_whitespace() && !matches!(byte, b'=' | b'>' | b'/'));
        if start >= bytes.len() || bytes[start] == b'>' {
            return found;
        }
        let equals = skip(end, u8::is_ascii_whitespace);
        if bytes.get(equals) != Some(&b'=') {
            at = end.max(start + 1);
            continue;
        }
        let open = skip(equals + 1, u8::is_ascii_whitespace);
        let value = match bytes.get(open) {
            Some(quote @ (b'"' | b'\'')) => {
                let length = bytes[open + 1..].iter().position(|byte| byte == quote);
                let end = length.map_or(bytes.len(), |length| open + 1 + length);
                at = (end + 1).min(bytes.len());
                open + 1..end
            }
            _ => {
                at = skip(open, |byte| !byte.is_ascii_whitespace() && *byte != b'>');
                open..at
            }
        };
        found.push(Attribute { name: start..end, value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite() -> Rewrite {
        Rewrite { prefix: "/p/proxy".to_owned(), hosts: vec!["10.0.0.1:80".to_owned(), "api:443".to_owned()] }
    }

    #[test]
    fn addresses() {
        for (given, expected) in [
            ("/a", "/p/proxy/a"),
            ("/", "/p/proxy/"),
            ("/a/../b/./c/?q=/x#/y", "/p/proxy/b/c/?q=/x#/y"),
            ("a", "a"),
            ("", ""),
            ("#top", "#top"),
            ("/p/proxy/a", "/p/proxy/a"),
            ("http://10.0.0.1:80/a?b", "/p/proxy/a?b"),
            ("//api:443/a", "/p/proxy/a"),
            ("https://example.com/a", "https://example.com/a"),
            ("//example.com/a", "//example.com/a"),
            ("mailto:a@b", "mailto:a@b"),
        ] {
            assert_eq!(rewrite().address(given), expected, "{given}");
        }
    }

    #[test]
    fn pages_are_rewritten_however_they_are_cut() {
        let page = concat!(
            "<!DOCTYPE html><!-- <a href=\"/no\"> --><HTML><a class=x HREF = '/a' title=\"1 > 0\">l</a><img src=/i/>",
            "<script src=\"/s.js\">var a = '<a href=\"/no\">'; a--</script><p>1 < 2 – ü</p><a href=\"http://x.org/\">x</a>",
            "<title><a href=\"/no\"></title><a href=\"/b\""
        );
        let expected = concat!(
            "<!DOCTYPE html><!-- <a href=\"/no\"> --><HTML><a class=x HREF = '/p/proxy/a' title=\"1 > 0\">l</a><img src=/p/proxy/i/>",
            "<script src=\"/p/proxy/s.js\">var a = '<a href=\"/no\">'; a--</script><p>1 < 2 – ü</p><a href=\"http://x.org/\">x</a>",
            "<title><a href=\"/no\"></title><a href=\"/b\""
        );
        for size in 1..=page.len() {
            let mut state = Page::new(rewrite());
            let mut out = Vec::new();
            for piece in page.as_bytes().chunks(size) {
                out.extend_from_slice(&state.push(piece));
            }
            out.extend_from_slice(&state.held);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "pieces of {size}");
        }
    }

    #[test]
    fn an_endless_tag_is_passed_on() {
        let mut state = Page::new(rewrite());
        let long = [b"<a ".to_vec(), vec![b'x'; TAG_LIMIT]].concat();
        assert_eq!(state.push(&long).len(), long.len());
    }
}
