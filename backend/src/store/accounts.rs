//! Accounts: who may sign in, where they are signed in, and the links that make accounts.

use drydock_protocol::{Account, Role};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Store;
use super::people::role;
use super::sessions::{signed, unsigned};

/// How making an account ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// It is there.
    Account,
    /// The link does not hold, or not any more.
    NoLink,
    /// Another account has the name; the link still holds.
    Taken,
}

impl Store {
    /// Whether anybody could sign in as an operator.
    pub(crate) async fn has_operator(&self) -> sqlx::Result<bool> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM people WHERE role = 'operator')").fetch_one(&self.pool).await
    }

    /// The account of a name: its person and what is kept of its password.
    pub(crate) async fn account(&self, login: &str) -> sqlx::Result<Option<(String, Option<String>)>> {
        let row = sqlx::query("SELECT id, password FROM people WHERE login = ?").bind(login);
        let row = row.fetch_optional(&self.pool).await?;
        row.map(|row| Ok((row.try_get("id")?, row.try_get("password")?))).transpose()
    }

    /// What is kept of a person's password.
    pub(crate) async fn password(&self, person: &str) -> sqlx::Result<Option<String>> {
        let password = sqlx::query_scalar("SELECT password FROM people WHERE id = ?").bind(person);
        Ok(password.fetch_optional(&self.pool).await?.flatten())
    }

    /// Sets a person's password and signs all their browsers out but one.
    pub(crate) async fn put_password(&self, person: &str, hash: &str, keep: &str) -> sqlx::Result<()> {
        let mut change = self.pool.begin().await?;
        sqlx::query("UPDATE people SET password = ? WHERE id = ?")
            .bind(hash)
            .bind(person)
            .execute(&mut *change)
            .await?;
        sqlx::query("DELETE FROM sign_ins WHERE person = ? AND digest <> ?")
            .bind(person)
            .bind(keep)
            .execute(&mut *change)
            .await?;
        change.commit().await
    }

    /// Keeps a link that makes an account.
    pub(crate) async fn put_account_link(
        &self,
        digest: &str,
        role: Role,
        made_by: Option<&str>,
        now: u64,
        expires: u64,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO account_links (digest, role, made_by, created_millis, expires_millis) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(digest)
        .bind(role.word())
        .bind(made_by)
        .bind(signed(now))
        .bind(signed(expires))
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// Forgets the server's own links, and all that are over.
    pub(crate) async fn drop_first_links(&self) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM account_links WHERE made_by IS NULL").execute(&self.pool).await.map(drop)
    }

    /// Makes the account that a link is for; the link is used up by it.
    pub(crate) async fn make_account(
        &self,
        digest: &str,
        person: &str,
        name: &str,
        password: &str,
        now: u64,
    ) -> sqlx::Result<Made> {
        let mut change = self.pool.begin().await?;
        let role: Option<String> =
            sqlx::query_scalar("DELETE FROM account_links WHERE digest = ? AND expires_millis > ? RETURNING role")
                .bind(digest)
                .bind(signed(now))
                .fetch_optional(&mut *change)
                .await?;
        let Some(role) = role else { return Ok(Made::NoLink) };
        let made = sqlx::query(
            "INSERT INTO people (id, name, role, login, password, created_millis, seen_millis)
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(person)
        .bind(name)
        .bind(role)
        .bind(name)
        .bind(password)
        .bind(signed(now))
        .bind(signed(now))
        .execute(&mut *change)
        .await?;
        if made.rows_affected() == 0 {
            return Ok(Made::Taken);
        }
        change.commit().await?;
        Ok(Made::Account)
    }

    /// Makes or brings up to date the account of a subject of OpenID Connect. Its person.
    pub(crate) async fn put_subject(&self, subject: &str, name: &str, role: Role, now: u64) -> sqlx::Result<String> {
        sqlx::query_scalar(
            "INSERT INTO people (id, name, role, subject, created_millis, seen_millis) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (subject) DO UPDATE SET name = excluded.name, role = excluded.role,
                 seen_millis = excluded.seen_millis
             RETURNING id",
        )
        .bind(crate::identity::random_id())
        .bind(name)
        .bind(role.word())
        .bind(subject)
        .bind(signed(now))
        .bind(signed(now))
        .fetch_one(&self.pool)
        .await
    }

    /// Removes the account of a subject of OpenID Connect, and signs it out everywhere.
    pub(crate) async fn drop_subject(&self, subject: &str) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM people WHERE subject = ?").bind(subject).execute(&self.pool).await.map(drop)
    }

    /// Signs a browser in; those whose time is over are forgotten.
    pub(crate) async fn put_sign_in(&self, digest: &str, person: &str, now: u64, expires: u64) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM sign_ins WHERE expires_millis <= ?").bind(signed(now)).execute(&self.pool).await?;
        sqlx::query("DELETE FROM account_links WHERE expires_millis <= ?")
            .bind(signed(now))
            .execute(&self.pool)
            .await?;
        sqlx::query("UPDATE people SET seen_millis = ? WHERE id = ?")
            .bind(signed(now))
            .bind(person)
            .execute(&self.pool)
            .await?;
        sqlx::query(
            "INSERT INTO sign_ins (digest, person, created_millis, expires_millis, seen_millis) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(digest)
        .bind(person)
        .bind(signed(now))
        .bind(signed(expires))
        .bind(signed(now))
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// Signs a browser out.
    pub(crate) async fn sign_out(&self, digest: &str) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM sign_ins WHERE digest = ?").bind(digest).execute(&self.pool).await.map(drop)
    }

    /// All accounts, by name.
    pub(crate) async fn accounts(&self) -> sqlx::Result<Vec<Account>> {
        let rows = sqlx::query("SELECT * FROM people WHERE role <> 'learner' ORDER BY name COLLATE NOCASE, id")
            .fetch_all(&self.pool)
            .await?;
        let read = |row: &SqliteRow| {
            Ok(Account {
                person: row.try_get("id")?,
                name: row.try_get::<Option<String>, _>("name")?.unwrap_or_default(),
                role: role(row.try_get("role")?),
                oidc: row.try_get::<Option<String>, _>("subject")?.is_some(),
                created_millis: unsigned(row.try_get("created_millis")?),
                seen_millis: unsigned(row.try_get("seen_millis")?),
            })
        };
        rows.iter().map(read).collect()
    }

    /// Removes an account and signs it out everywhere; not the last operator's. Whether it was removed.
    pub(crate) async fn remove_account(&self, person: &str) -> sqlx::Result<bool> {
        let removed = sqlx::query(
            "DELETE FROM people WHERE id = ? AND role <> 'learner' AND (role <> 'operator'
                 OR (SELECT count(*) FROM people WHERE role = 'operator') > 1)",
        )
        .bind(person)
        .execute(&self.pool)
        .await?;
        Ok(removed.rows_affected() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::example;

    async fn store() -> (tempfile::TempDir, Store) {
        let (folder, store) = example::store().await;
        (folder, store)
    }

    #[tokio::test]
    async fn a_link_makes_one_account() {
        let (_folder, store) = store().await;
        store.put_account_link("link", Role::Operator, None, 1, 10).await.expect("link");
        assert_eq!(store.make_account("other", "p", "Anna", "hash", 2).await.expect("made"), Made::NoLink);
        assert_eq!(store.make_account("link", "p", "Anna", "hash", 10).await.expect("made"), Made::NoLink, "expired");
        assert!(!store.has_operator().await.expect("asked"));
        assert_eq!(store.make_account("link", "p", "Anna", "hash", 2).await.expect("made"), Made::Account);
        assert_eq!(store.make_account("link", "q", "Ben", "hash", 2).await.expect("made"), Made::NoLink, "used");
        assert!(store.has_operator().await.expect("asked"));
        store.put_account_link("next", Role::Instructor, Some("p"), 1, 10).await.expect("link");
        assert_eq!(store.make_account("next", "q", "ANNA", "hash", 2).await.expect("made"), Made::Taken);
        assert_eq!(store.make_account("next", "q", "Ben", "hash", 2).await.expect("made"), Made::Account, "still held");
        assert_eq!(store.account("anna").await.expect("found"), Some(("p".to_owned(), Some("hash".to_owned()))));
        assert!(!store.remove_account("p").await.expect("refused"), "the last operator");
        assert!(store.remove_account("q").await.expect("removed"));
        assert_eq!(store.accounts().await.expect("list").len(), 1);
    }

    #[tokio::test]
    async fn signed_in_until_it_ends() {
        let (_folder, store) = store().await;
        let anna = store.put_subject("issuer anna", "Anna", Role::Instructor, 1).await.expect("made");
        store.put_sign_in("one", &anna, 1, 10).await.expect("in");
        store.put_sign_in("two", &anna, 1, 20).await.expect("in");
        let who = store.signed_in("one", 9).await.expect("asked").expect("signed in");
        assert_eq!((who.id.as_str(), who.role), (anna.as_str(), Role::Instructor));
        assert!(store.signed_in("one", 10).await.expect("asked").is_none(), "expired");
        assert!(store.signed_in("three", 1).await.expect("asked").is_none());
        // A role that the provider changed is another in all browsers.
        assert_eq!(store.put_subject("issuer anna", "Anna B", Role::Operator, 2).await.expect("same"), anna);
        assert_eq!(store.signed_in("two", 9).await.expect("asked").map(|who| who.role), Some(Role::Operator));
        store.put_password(&anna, "hash", "two").await.expect("changed");
        assert!(store.signed_in("one", 2).await.expect("asked").is_none(), "signed out by the change");
        store.sign_out("two").await.expect("out");
        assert!(store.signed_in("two", 2).await.expect("asked").is_none());
        store.put_sign_in("three", &anna, 1, 10).await.expect("in");
        store.drop_subject("issuer anna").await.expect("dropped");
        assert!(store.signed_in("three", 2).await.expect("asked").is_none(), "out with the account");
    }
}
