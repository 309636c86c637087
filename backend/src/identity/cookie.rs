//! Cookies: what names a person is signed, and expires.

use axum::http::{HeaderMap, HeaderValue, header};
use ring::hmac;

/// Names the person that a browser is.
pub(super) const PERSON: &str = "drydock_person";
/// Shows that a browser is signed in.
pub(super) const SIGN_IN: &str = "drydock_sign_in";
/// Browsers bind cookies of such names to exactly this host and to TLS.
const BOUND: &str = "__Host-";

/// How long a person's cookie holds, in seconds: a year.
pub(super) const LIFE: u64 = 365 * 24 * 60 * 60;
/// From this age on it is written anew.
const FRESH: u64 = 30 * 24 * 60 * 60;

/// What a person's cookie says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    /// The person.
    pub(super) person: String,
    /// Whether it is to be written anew.
    pub(super) old: bool,
}

/// Signs a person's cookie.
pub(super) fn sign(key: &hmac::Key, person: &str, now: u64) -> String {
    let said = format!("{person}.{now}");
    format!("{said}.{}", hex(hmac::sign(key, said.as_bytes()).as_ref()))
}

/// Reads a person's cookie; `None` when it is forged, garbled or too old.
pub(super) fn verify(key: &hmac::Key, value: &str, now: u64) -> Option<Signed> {
    let (said, tag) = value.rsplit_once('.')?;
    hmac::verify(key, said.as_bytes(), &unhex(tag)?).ok()?;
    let (person, issued) = said.split_once('.')?;
    // A clock that was set back makes no cookie invalid.
    let age = now.saturating_sub(issued.parse().ok()?);
    (age < LIFE && is_id(person)).then(|| Signed { person: person.to_owned(), old: age >= FRESH })
}

/// A cookie to set; without a value, one to take away.
pub(super) fn set(name: &str, value: Option<&str>, life: u64, secure: bool) -> HeaderValue {
    let (bound, tail) = if secure { (BOUND, "; Secure") } else { ("", "") };
    let age = if value.is_some() { life } else { 0 };
    let value = value.unwrap_or_default();
    let text = format!("{bound}{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{tail}");
    // Names and values are letters, digits and dots.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// The values of a cookie; behind TLS only of one that is bound to it.
pub(super) fn values<'a>(headers: &'a HeaderMap, name: &'a str, secure: bool) -> impl Iterator<Item = &'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter_map(move |(key, value)| match key.strip_prefix(BOUND) {
        Some(key) => (secure && key == name).then_some(value),
        None => (!secure && key == name).then_some(value),
    })
}

/// Whether this is an identifier as the server makes them.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const NOW: u64 = 2_000_000_000;

    fn key(byte: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])
    }

    #[test]
    fn only_what_was_signed_here_counts() {
        let value = sign(&key(1), ONE, NOW);
        let signed = |old| Some(Signed { person: ONE.to_owned(), old });
        assert_eq!(verify(&key(1), &value, NOW + 5), signed(false));
        assert_eq!(verify(&key(1), &value, NOW - 5), signed(false), "the clock was set back");
        assert_eq!(verify(&key(1), &value, NOW + FRESH), signed(true));
        assert_eq!(verify(&key(1), &value, NOW + LIFE), None, "expired");
        assert_eq!(verify(&key(2), &value, NOW), None, "another server's");
        for at in 0..value.len() {
            let mut forged = value.clone().into_bytes();
            forged[at] = if forged[at] == b'1' { b'2' } else { b'1' };
            let forged = String::from_utf8(forged).expect("ASCII");
            assert_eq!(verify(&key(1), &forged, NOW), None, "{forged}");
            assert_eq!(verify(&key(1), &value[..at], NOW), None);
        }
        for garbled in ["", ".", "..", "a.b.c", "é.é.é", &format!("{ONE}.1."), &format!("{value}.")] {
            assert_eq!(verify(&key(1), garbled, NOW), None, "{garbled}");
        }
        let odd = sign(&key(1), "../../etc/passwd", NOW);
        assert_eq!(verify(&key(1), &odd, NOW), None);
    }

    #[test]
    fn behind_tls_only_bound_cookies_count() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=b; drydock_person=plain".parse().expect("value"));
        headers.append(header::COOKIE, "__Host-drydock_person=bound;x".parse().expect("value"));
        assert_eq!(values(&headers, PERSON, true).collect::<Vec<_>>(), ["bound"]);
        assert_eq!(values(&headers, PERSON, false).collect::<Vec<_>>(), ["plain"]);
        let cookie = set(PERSON, Some("v"), LIFE, true);
        assert_eq!(cookie, "__Host-drydock_person=v; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(set(SIGN_IN, None, 9, false), "drydock_sign_in=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }
}
