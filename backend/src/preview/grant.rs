//! Who may pass a preview: a ticket that is good once leads from the app to the preview, where a signed cookie replaces it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use ring::hmac;

/// Name of the cookie on a preview's host.
pub(super) const COOKIE: &str = "drydock_preview";
/// How long a ticket is good: the browser needs it at once.
const TICKET_TIME: Duration = Duration::from_secs(60);
/// Tickets at once; more than that are nobody's clicks.
const TICKETS: usize = 4096;
/// How long a browser may pass before it opens the preview from the app again.
pub(super) const PASS_SECONDS: u64 = 12 * 60 * 60;

/// What somebody may open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// Who.
    pub(super) person: String,
    /// Name of the session.
    pub(super) session: String,
    /// The target's word.
    pub(super) word: String,
}

/// A grant and where to go with it.
struct Ticket {
    grant: Grant,
    path: String,
    until: Instant,
}

/// What a pass is good for: a cookie and a path must not be taken for each other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose<'a> {
    /// A cookie.
    Cookie,
    /// A part of the path, good in one browser.
    Path {
        /// From where it comes and how it names itself.
        agent: &'a str,
    },
}

/// All grants.
pub(super) struct Grants {
    key: hmac::Key,
    tickets: Mutex<HashMap<String, Ticket>>,
}

impl Grants {
    pub(super) fn new(key: hmac::Key) -> Grants {
        Grants { key, tickets: Mutex::default() }
    }

    /// A ticket for `grant`.
    pub(super) fn ticket(&self, grant: Grant, path: String) -> String {
        let ticket: [u8; 16] = rand::random();
        let ticket = hex(&ticket);
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        tickets.retain(|_, it| it.until > now);
        if tickets.len() >= TICKETS
            && let Some(oldest) = tickets.iter().min_by_key(|(_, it)| it.until).map(|(id, _)| id.clone())
        {
            tickets.remove(&oldest);
        }
        tickets.insert(ticket.clone(), Ticket { grant, path, until: now + TICKET_TIME });
        ticket
    }

    /// Takes a ticket, which is good once.
    pub(super) fn take(&self, ticket: &str) -> Option<(Grant, String)> {
        let taken = self.tickets.lock().unwrap_or_else(PoisonError::into_inner).remove(ticket)?;
        (taken.until > Instant::now()).then_some((taken.grant, taken.path))
    }

    /// A pass for `grant`, good until `until` (seconds since the Unix epoch).
    pub(super) fn pass(&self, grant: &Grant, purpose: Purpose<'_>, until: u64) -> String {
        let tag = hmac::sign(&self.key, &Self::text(grant, purpose, until));
        format!("{}.{until}.{}", grant.person, hex(tag.as_ref()))
    }

    /// Whose pass it is, when it was made here for this session, word and purpose and is still good.
    pub(super) fn holder(
        &self,
        pass: &str,
        session: &str,
        word: &str,
        purpose: Purpose<'_>,
        now: u64,
    ) -> Option<String> {
        let mut parts = pass.split('.');
        let (person, until) = (parts.next()?, parts.next()?.parse().ok()?);
        let grant = Grant { person: person.to_owned(), session: session.to_owned(), word: word.to_owned() };
        let tag = parts.next().and_then(bytes).filter(|_| parts.next().is_none())?;
        hmac::verify(&self.key, &Self::text(&grant, purpose, until), &tag).ok()?;
        (until > now).then_some(grant.person)
    }

    fn text(grant: &Grant, purpose: Purpose<'_>, until: u64) -> Vec<u8> {
        let (kind, agent) = match purpose {
            Purpose::Cookie => ("preview-cookie", ""),
            Purpose::Path { agent } => ("preview-path", agent),
        };
        // No part but the last can have a line break in it.
        format!("{kind}\n{}\n{}\n{}\n{until}\n{agent}", grant.person, grant.session, grant.word).into_bytes()
    }
}

/// The passes that a browser shows.
pub(super) fn shown(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    hex.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(key: u8) -> Grants {
        Grants::new(hmac::Key::new(hmac::HMAC_SHA256, &[key; 32]))
    }

    fn grant() -> Grant {
        Grant { person: "p1".into(), session: "s-1".into(), word: "30080".into() }
    }

    #[test]
    fn a_ticket_is_good_once() {
        let grants = grants(1);
        let ticket = grants.ticket(grant(), "/x".into());
        assert_eq!(grants.take("0123"), None);
        assert_eq!(grants.take(&ticket), Some((grant(), "/x".to_owned())));
        assert_eq!(grants.take(&ticket), None);
    }

    #[test]
    fn tickets_do_not_fill_the_memory() {
        let grants = grants(1);
        for _ in 0..TICKETS + 10 {
            grants.ticket(grant(), "/".into());
        }
        assert_eq!(grants.tickets.lock().expect("lock").len(), TICKETS);
    }

    #[test]
    fn a_pass_is_good_for_what_it_says() {
        let own = grants(1);
        let pass = own.pass(&grant(), Purpose::Cookie, 100);
        let holder = |pass: &str, session, word, now| own.holder(pass, session, word, Purpose::Cookie, now);
        assert_eq!(holder(&pass, "s-1", "30080", 99).as_deref(), Some("p1"));
        assert_eq!(holder(&pass, "s-1", "30080", 100), None, "over");
        assert_eq!(holder(&pass, "s-2", "30080", 99), None, "another session");
        assert_eq!(holder(&pass, "s-1", "30081", 99), None, "another port");
        assert_eq!(grants(2).holder(&pass, "s-1", "30080", Purpose::Cookie, 99), None, "another server's");
        assert_eq!(own.holder(&pass, "s-1", "30080", Purpose::Path { agent: "" }, 99), None, "another purpose");
        let path = own.pass(&grant(), Purpose::Path { agent: "Firefox" }, 100);
        assert!(own.holder(&path, "s-1", "30080", Purpose::Path { agent: "Firefox" }, 99).is_some());
        assert_eq!(own.holder(&path, "s-1", "30080", Purpose::Path { agent: "curl" }, 99), None, "another browser");
        for wrong in [
            "",
            ".",
            "p1.200.",
            "p2",
            &pass.replace("p1", "p2"),
            &pass.replace("100", "900"),
            &format!("{pass}0"),
            &format!("{pass}.x"),
        ] {
            assert_eq!(holder(wrong, "s-1", "30080", 99), None, "{wrong}");
        }
    }
}
