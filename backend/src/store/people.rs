//! People, and what they have to do with sessions.

use drydock_protocol::{May, Role};
use sqlx::Row;

use super::Store;
use super::sessions::signed;
use crate::access::Relation;

/// A person as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PersonRow {
    /// Identifier.
    pub(crate) id: String,
    /// The name they gave.
    pub(crate) name: Option<String>,
    /// What they may do.
    pub(crate) role: Role,
}

impl Store {
    /// A secret of the server's own; made when it is asked for the first time.
    pub(crate) async fn secret(&self, name: &str) -> sqlx::Result<Vec<u8>> {
        sqlx::query("INSERT OR IGNORE INTO secrets (name, value) VALUES (?, ?)")
            .bind(name)
            .bind(crate::identity::random_secret())
            .execute(&self.pool)
            .await?;
        sqlx::query_scalar("SELECT value FROM secrets WHERE name = ?").bind(name).fetch_one(&self.pool).await
    }

    /// Remembers a person who does something worth it; a name replaces an earlier one.
    pub(crate) async fn remember(&self, person: &str, name: Option<&str>, now: u64) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO people (id, name, created_millis, seen_millis) VALUES (?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET name = coalesce(excluded.name, name), seen_millis = excluded.seen_millis",
        )
        .bind(person)
        .bind(name)
        .bind(signed(now))
        .bind(signed(now))
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// The name that a person gave.
    pub(crate) async fn person_name(&self, person: &str) -> sqlx::Result<Option<String>> {
        let name = sqlx::query_scalar("SELECT name FROM people WHERE id = ?").bind(person);
        Ok(name.fetch_optional(&self.pool).await?.flatten())
    }

    /// What a person may do.
    pub(crate) async fn person_role(&self, person: &str) -> sqlx::Result<Role> {
        let found = sqlx::query_scalar("SELECT role FROM people WHERE id = ?").bind(person);
        let found: Option<String> = found.fetch_optional(&self.pool).await?;
        // Who did nothing yet is not kept.
        Ok(found.map_or(Role::Learner, |it| role(&it)))
    }

    /// Whose sign-in this is, while it holds.
    pub(crate) async fn signed_in(&self, digest: &str, now: u64) -> sqlx::Result<Option<PersonRow>> {
        let row = sqlx::query(
            "SELECT people.id, people.name, people.role FROM sign_ins JOIN people ON people.id = sign_ins.person
             WHERE sign_ins.digest = ? AND sign_ins.expires_millis > ?",
        )
        .bind(digest)
        .bind(signed(now))
        .fetch_optional(&self.pool)
        .await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            Ok(PersonRow { id: row.try_get("id")?, name: row.try_get("name")?, role: role(row.try_get("role")?) })
        };
        row.as_ref().map(read).transpose()
    }

    /// What a person has to do with a session, and whether it has no owner; `None` when there is no such session.
    pub(crate) async fn relation(&self, session: &str, person: &str) -> sqlx::Result<Option<(Relation, bool)>> {
        let row = sqlx::query(
            "SELECT sessions.owner, guests.may FROM sessions
             LEFT JOIN guests ON guests.session_id = sessions.id AND guests.person = ?
             WHERE sessions.id = ?",
        )
        .bind(person)
        .bind(session)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let owner: String = row.try_get("owner")?;
        let guest: Option<String> = row.try_get("may")?;
        let relation = Relation {
            owner: !owner.is_empty() && owner == person,
            guest: guest.as_deref().map(may),
            instructor: self.class_instructors(session).await?.iter().any(|instructor| instructor == person),
            // What a learner agrees to is one terminal for a while, and `routes/classes/terminal.rs` looks after it.
            joint: false,
        };
        Ok(Some((relation, owner.is_empty())))
    }

    /// Gives a session that has no owner to a person.
    pub(crate) async fn put_owner(&self, session: &str, person: &str) -> sqlx::Result<()> {
        sqlx::query("UPDATE sessions SET owner = ? WHERE id = ? AND owner = ''")
            .bind(person)
            .bind(session)
            .execute(&self.pool)
            .await
            .map(drop)
    }

    /// A person's sessions that are not over, the newest first.
    pub(crate) async fn sessions_of(&self, person: &str) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar(
            "SELECT id FROM sessions WHERE owner = ? AND state NOT IN ('Ended', 'Failed')
             ORDER BY created_millis DESC LIMIT 50",
        )
        .bind(person)
        .fetch_all(&self.pool)
        .await
    }
}

pub(super) fn role(word: &str) -> Role {
    Role::ALL.into_iter().find(|role| role.word() == word).unwrap_or_default()
}

pub(super) fn may(word: &str) -> May {
    if word == May::Work.word() { May::Work } else { May::Watch }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{SessionRow, example};

    #[tokio::test]
    async fn sessions_have_owners() {
        let (_folder, store) = example::store().await;
        let row = example::session;
        store.put_session(&row("a", "anna")).await.expect("put");
        store.put_session(&row("old", "")).await.expect("put");
        let owner = Relation { owner: true, ..Relation::default() };
        assert_eq!(store.relation("a", "anna").await.expect("get"), Some((owner, false)));
        assert_eq!(store.relation("a", "ben").await.expect("get"), Some((Relation::default(), false)));
        assert_eq!(store.relation("a", "").await.expect("get"), Some((Relation::default(), false)));
        assert_eq!(store.relation("old", "").await.expect("get"), Some((Relation::default(), true)));
        assert_eq!(store.relation("b", "anna").await.expect("get"), None);
        store.put_owner("old", "ben").await.expect("take over");
        store.put_owner("a", "ben").await.expect("not taken over");
        assert_eq!(store.sessions_of("ben").await.expect("list"), ["old"]);
        assert_eq!(store.sessions_of("anna").await.expect("list"), ["a"]);
        // What changes later leaves the owner.
        store.put_session(&SessionRow { workers: 3, ..row("a", "ben") }).await.expect("put");
        assert_eq!(store.sessions_of("anna").await.expect("list"), ["a"]);
    }

    #[tokio::test]
    async fn a_secret_stays_the_same() {
        let (_folder, store) = example::store().await;
        let secret = store.secret("people").await.expect("made");
        assert_eq!(secret.len(), 32);
        assert_eq!(store.secret("people").await.expect("kept"), secret);
        assert_ne!(store.secret("other").await.expect("made"), secret);
    }
}
