//! Invitations to sessions, and who took them.

use drydock_protocol::May;
use sqlx::Row;

use super::Store;
use super::people::may;
use super::sessions::signed;

/// Guests of one session.
const MOST: i64 = 50;

/// How taking an invitation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// They are in.
    In,
    /// There is no such invitation, or it was revoked.
    NoInvite,
    /// The session has as many guests as it may have.
    Full,
}

impl Store {
    /// A session's invitation of a kind: its token, made when there is none.
    pub(crate) async fn invite(&self, session: &str, kind: May, token: &str) -> sqlx::Result<String> {
        sqlx::query("INSERT OR IGNORE INTO invites (session_id, may, token) VALUES (?, ?, ?)")
            .bind(session)
            .bind(kind.word())
            .bind(token)
            .execute(&self.pool)
            .await?;
        sqlx::query_scalar("SELECT token FROM invites WHERE session_id = ? AND may = ?")
            .bind(session)
            .bind(kind.word())
            .fetch_one(&self.pool)
            .await
    }

    /// A session's invitations: kind, token and how many took them.
    pub(crate) async fn invites(&self, session: &str) -> sqlx::Result<Vec<(May, String, u32)>> {
        let rows = sqlx::query(
            "SELECT may, token, (SELECT count(*) FROM guests
                 WHERE guests.session_id = invites.session_id AND guests.may = invites.may) AS guests
             FROM invites WHERE session_id = ? ORDER BY may",
        )
        .bind(session)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((may(row.try_get("may")?), row.try_get("token")?, row.try_get("guests")?))).collect()
    }

    /// Revokes an invitation, and all who took it are out.
    pub(crate) async fn revoke_invite(&self, session: &str, kind: May) -> sqlx::Result<()> {
        let mut change = self.pool.begin().await?;
        for statement in [
            "DELETE FROM invites WHERE session_id = ? AND may = ?",
            "DELETE FROM guests WHERE session_id = ? AND may = ?",
        ] {
            sqlx::query(statement).bind(session).bind(kind.word()).execute(&mut *change).await?;
        }
        change.commit().await
    }

    /// Lets a person in who shows an invitation's token. Who may work already is not made to watch.
    pub(crate) async fn take_invite(&self, session: &str, token: &str, person: &str, now: u64) -> sqlx::Result<Taken> {
        let kind: Option<String> = sqlx::query_scalar("SELECT may FROM invites WHERE session_id = ? AND token = ?")
            .bind(session)
            .bind(token)
            .fetch_optional(&self.pool)
            .await?;
        let Some(kind) = kind else { return Ok(Taken::NoInvite) };
        let added = sqlx::query(
            "INSERT INTO guests (session_id, person, may, joined_millis)
             SELECT ?1, ?2, ?3, ?4 WHERE (SELECT count(*) FROM guests WHERE session_id = ?1 AND person <> ?2) < ?5
             ON CONFLICT (session_id, person) DO UPDATE SET may = excluded.may
                 WHERE guests.may = 'watch' OR excluded.may = 'work'",
        )
        .bind(session)
        .bind(person)
        .bind(&kind)
        .bind(signed(now))
        .bind(MOST)
        .execute(&self.pool)
        .await?;
        let known = added.rows_affected() > 0 || kind == May::Watch.word() && self.is_guest(session, person).await?;
        Ok(if known { Taken::In } else { Taken::Full })
    }

    async fn is_guest(&self, session: &str, person: &str) -> sqlx::Result<bool> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM guests WHERE session_id = ? AND person = ?)")
            .bind(session)
            .bind(person)
            .fetch_one(&self.pool)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::example;

    #[tokio::test]
    async fn guests_come_and_go_with_their_invitation() {
        let (_folder, store) = example::store().await;
        let row = example::session("a", "anna");
        store.put_session(&row).await.expect("put");
        assert_eq!(store.invite("a", May::Watch, "see").await.expect("made"), "see");
        assert_eq!(store.invite("a", May::Watch, "other").await.expect("kept"), "see");
        assert_eq!(store.invite("a", May::Work, "do").await.expect("made"), "do");
        let guest = async |person: &str| {
            store.relation("a", person).await.expect("asked").and_then(|(relation, _)| relation.guest)
        };
        assert_eq!(store.take_invite("a", "nonsense", "ben", 1).await.expect("asked"), Taken::NoInvite);
        assert_eq!(store.take_invite("b", "see", "ben", 1).await.expect("asked"), Taken::NoInvite);
        assert_eq!(guest("ben").await, None);
        for (token, expected) in [("see", May::Watch), ("do", May::Work), ("see", May::Work)] {
            assert_eq!(store.take_invite("a", token, "ben", 1).await.expect("taken"), Taken::In);
            assert_eq!(guest("ben").await, Some(expected), "{token}");
        }
        assert_eq!(store.take_invite("a", "see", "cleo", 1).await.expect("taken"), Taken::In);
        assert_eq!(
            store.invites("a").await.expect("list"),
            [(May::Watch, "see".to_owned(), 1), (May::Work, "do".to_owned(), 1)]
        );
        store.revoke_invite("a", May::Watch).await.expect("revoked");
        assert_eq!((guest("ben").await, guest("cleo").await), (Some(May::Work), None));
        assert_eq!(store.take_invite("a", "see", "cleo", 1).await.expect("asked"), Taken::NoInvite);
        for number in 1..MOST {
            assert_eq!(store.take_invite("a", "do", &number.to_string(), 1).await.expect("taken"), Taken::In);
        }
        assert_eq!(store.take_invite("a", "do", "late", 1).await.expect("asked"), Taken::Full);
        assert_eq!(store.take_invite("a", "do", "ben", 1).await.expect("asked"), Taken::In, "is in already");
    }
}
