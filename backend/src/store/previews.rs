//! Tokens of kubeconfigs, and the server's own certificate.

use sqlx::Row;

use super::Store;
use super::sessions::signed;
use crate::preview::Certificate;

/// Tokens of one session; the oldest goes for the next.
const TOKENS: i64 = 16;

impl Store {
    /// Keeps a token's digest.
    pub(crate) async fn put_kube_token(&self, digest: &str, session: &str, person: &str, now: u64) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("INSERT INTO kube_tokens (digest, session_id, person, created_millis) VALUES (?, ?, ?, ?)")
            .bind(digest)
            .bind(session)
            .bind(person)
            .bind(signed(now))
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "DELETE FROM kube_tokens WHERE session_id = ?1 AND digest NOT IN (SELECT digest FROM kube_tokens
             WHERE session_id = ?1 ORDER BY created_millis DESC, rowid DESC LIMIT ?2)",
        )
        .bind(session)
        .bind(TOKENS)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }

    /// Whose token of a session it is.
    pub(crate) async fn kube_token(&self, digest: &str, session: &str) -> sqlx::Result<Option<String>> {
        let row = sqlx::query("SELECT person FROM kube_tokens WHERE digest = ? AND session_id = ?")
            .bind(digest)
            .bind(session)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| row.try_get("person")).transpose()
    }

    /// Takes all tokens of a session back.
    pub(crate) async fn drop_kube_tokens(&self, session: &str) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM kube_tokens WHERE session_id = ?").bind(session).execute(&self.pool).await.map(|_| ())
    }

    /// The server's own certificate, unless it was made before `since`.
    pub(crate) async fn certificate(&self, since: u64) -> sqlx::Result<Option<Certificate>> {
        let row = sqlx::query("SELECT ca, certificate, key FROM certificate WHERE made_millis >= ?")
            .bind(signed(since))
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| {
            Ok(Certificate {
                ca: row.try_get("ca")?,
                certificate: row.try_get("certificate")?,
                key: row.try_get("key")?,
            })
        })
        .transpose()
    }

    /// Keeps the server's own certificate.
    pub(crate) async fn put_certificate(&self, certificate: &Certificate, now: u64) -> sqlx::Result<()> {
        sqlx::query("INSERT OR REPLACE INTO certificate (id, ca, certificate, key, made_millis) VALUES (1, ?, ?, ?, ?)")
            .bind(&certificate.ca)
            .bind(&certificate.certificate)
            .bind(&certificate.key)
            .bind(signed(now))
            .execute(&self.pool)
            .await
            .map(|_| ())
    }
}
