//! Accounts of instructors and operators: names, passwords, and the links that make accounts.

use std::sync::OnceLock;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use drydock_protocol::account::{NAME_MAX, PASSWORD_MAX, PASSWORD_MIN};
use drydock_protocol::{AccountLink, Role};
use tokio::sync::Semaphore;

use crate::error::Error;
use crate::identity::{digest, random_token};
use crate::sessions::now_millis;
use crate::store::Store;

/// How long a browser stays signed in.
pub(crate) const SIGNED_IN_MILLIS: u64 = 7 * 24 * 60 * 60 * 1000;
/// How long a link holds that makes an account.
const LINK_MILLIS: u64 = 3 * 24 * 60 * 60 * 1000;
/// Passwords that are looked at at once: each takes 19 MiB while it is.
static TURNS: Semaphore = Semaphore::const_new(2);

/// A name that people may have: shown as text everywhere, so that it may hold what looks like markup, but nothing that is not
/// seen.
///
/// # Errors
/// When it is empty, too long or holds what cannot be seen.
pub(crate) fn name(text: &str) -> Result<String, Error> {
    let text = text.trim();
    let unseen = |character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if text.is_empty() || text.chars().count() > NAME_MAX || text.chars().any(unseen) {
        return Err(Error::Invalid(format!("A name has 1 to {NAME_MAX} characters, all of them to be seen.")));
    }
    Ok(text.to_owned())
}

/// Whether a new password may be one.
///
/// # Errors
/// When it is too short or too long.
fn acceptable(password: &str) -> Result<(), Error> {
    if password.chars().count() < PASSWORD_MIN || password.len() > PASSWORD_MAX {
        return Err(Error::Invalid(format!(
            "A password has at least {PASSWORD_MIN} characters and at most {PASSWORD_MAX} bytes."
        )));
    }
    Ok(())
}

/// What the database keeps of a password.
///
/// # Errors
/// When it may not be one.
pub(crate) async fn hash(password: &str) -> Result<String, Error> {
    acceptable(password)?;
    let password = password.to_owned();
    apart(move || hashed(&password)).await?
}

fn hashed(password: &str) -> Result<String, Error> {
    let hash: PasswordHash = Argon2::default().hash_password(password.as_bytes()).map_err(|_| Error::Unknown)?;
    Ok(hash.to_string())
}

/// Whether a password is the one of which the database keeps `hash`. Where there is none, it takes as long.
///
/// # Errors
/// When nothing can be computed.
pub(crate) async fn is_right(password: &str, hash: Option<String>) -> Result<bool, Error> {
    static DECOY: OnceLock<String> = OnceLock::new();
    if password.len() > PASSWORD_MAX {
        return Ok(false);
    }
    let password = password.to_owned();
    apart(move || {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| DECOY.get_or_init(|| hashed("nobody's").unwrap_or_default()).clone());
        let Ok(hash) = PasswordHash::new(&hash) else { return false };
        Argon2::default().verify_password(password.as_bytes(), &hash).is_ok() && known
    })
    .await
}

async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let _turn = TURNS.acquire().await.map_err(|_| Error::Unknown)?;
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Unknown)
}

/// Makes a link that makes one account.
///
/// # Errors
/// When the database fails.
pub(crate) async fn link(store: &Store, role: Role, made_by: Option<&str>) -> Result<AccountLink, Error> {
    let token = random_token();
    let now = now_millis();
    let expires_millis = now + LINK_MILLIS;
    store.put_account_link(&digest(&token), role, made_by, now, expires_millis).await?;
    Ok(AccountLink { path: format!("/staff/setup?token={token}"), expires_millis })
}

/// The link to the first operator's account, while there is none. The one of an earlier start is void.
///
/// # Errors
/// When the database fails.
pub(crate) async fn first_link(store: &Store) -> Result<Option<AccountLink>, Error> {
    store.drop_first_links().await?;
    if store.has_operator().await? {
        return Ok(None);
    }
    link(store, Role::Operator, None).await.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(name(" Anna ").expect("trimmed"), "Anna");
        assert_eq!(name("<b>安娜</b>").expect("text"), "<b>安娜</b>");
        for wrong in ["", "  ", "a\nb", "a\u{202e}b", "a\u{200b}", &"x".repeat(65)] {
            name(wrong).expect_err(wrong);
        }
    }

    #[tokio::test]
    async fn passwords() {
        hash("too short").await.expect_err("short");
        hash(&"x".repeat(257)).await.expect_err("long");
        let kept = hash("correct horse battery").await.expect("hashed");
        assert!(kept.starts_with("$argon2id$"), "{kept}");
        assert!(is_right("correct horse battery", Some(kept.clone())).await.expect("verified"));
        assert!(!is_right("correct horse batterx", Some(kept.clone())).await.expect("verified"));
        assert!(!is_right("nobody's", None).await.expect("verified"), "the decoy's own password opens nothing");
        assert!(!is_right("", Some("garbled".to_owned())).await.expect("verified"));
        assert_ne!(hash("correct horse battery").await.expect("hashed"), kept, "salted");
    }
}
