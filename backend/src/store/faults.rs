//! Faults that hold in sessions' clusters.

use drydock_protocol::Fault;
use sqlx::Row;

use super::Store;

impl Store {
    /// The faults that hold in a session.
    pub(crate) async fn faults(&self, session: &str) -> sqlx::Result<Vec<Fault>> {
        let rows = sqlx::query("SELECT fault FROM session_faults WHERE session_id = ?")
            .bind(session)
            .fetch_all(&self.pool)
            .await?;
        // A kind that a later version knew is not one that this version can heal.
        Ok(rows.iter().filter_map(|row| serde_json::from_str(row.get::<&str, _>("fault")).ok()).collect())
    }

    /// Sets the faults that hold in a session.
    pub(crate) async fn put_faults(&self, session: &str, faults: &[Fault]) -> sqlx::Result<()> {
        let mut change = self.pool.begin().await?;
        sqlx::query("DELETE FROM session_faults WHERE session_id = ?").bind(session).execute(&mut *change).await?;
        for fault in faults {
            sqlx::query("INSERT OR IGNORE INTO session_faults (session_id, fault) VALUES (?, ?)")
                .bind(session)
                .bind(serde_json::to_string(fault).unwrap_or_default())
                .execute(&mut *change)
                .await?;
        }
        change.commit().await
    }
}
