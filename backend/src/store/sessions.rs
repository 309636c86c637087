//! Sessions.

use drydock_protocol::SessionState;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Store;

/// A session as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionRow {
    /// Unguessable identifier.
    pub(crate) id: String,
    /// Name of its cluster.
    pub(crate) name: String,
    /// The person who started it; '' from before there were people.
    pub(crate) owner: String,
    /// Its lesson.
    pub(crate) lesson: Option<String>,
    /// Worker nodes.
    pub(crate) workers: u16,
    /// Where it is in its life.
    pub(crate) state: SessionState,
    /// Why it ended or failed.
    pub(crate) reason: Option<String>,
    /// When it was asked for.
    pub(crate) created_millis: u64,
    /// When it will be ended.
    pub(crate) expires_millis: u64,
    /// How long it took to start.
    pub(crate) start_millis: Option<u64>,
}

impl Store {
    /// Stores a session, new or changed.
    pub(crate) async fn put_session(&self, session: &SessionRow) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO sessions (id, name, owner, lesson, workers, state, reason, created_millis, expires_millis, start_millis)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, workers = excluded.workers, state = excluded.state,
                 reason = excluded.reason, created_millis = excluded.created_millis,
                 expires_millis = excluded.expires_millis, start_millis = excluded.start_millis",
        )
        .bind(&session.id)
        .bind(&session.name)
        .bind(&session.owner)
        .bind(&session.lesson)
        .bind(session.workers)
        .bind(state_word(session.state))
        .bind(&session.reason)
        .bind(signed(session.created_millis))
        .bind(signed(session.expires_millis))
        .bind(session.start_millis.map(signed))
        .execute(&self.pool)
        .await
        .map(|_| ())
    }

    /// One session.
    pub(crate) async fn session(&self, id: &str) -> sqlx::Result<Option<SessionRow>> {
        let row = sqlx::query("SELECT * FROM sessions WHERE id = ?").bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(read).transpose()
    }

    /// Sessions that are not over.
    pub(crate) async fn open_sessions(&self) -> sqlx::Result<Vec<SessionRow>> {
        let rows =
            sqlx::query("SELECT * FROM sessions WHERE state NOT IN ('Ended', 'Failed') ORDER BY queue_number, rowid")
                .fetch_all(&self.pool)
                .await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &SqliteRow) -> sqlx::Result<SessionRow> {
    let word: String = row.try_get("state")?;
    let state = STATES.iter().find(|(_, known)| *known == word).map_or(SessionState::Failed, |(state, _)| *state);
    Ok(SessionRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        owner: row.try_get("owner")?,
        lesson: row.try_get("lesson")?,
        workers: row.try_get("workers")?,
        state,
        reason: row.try_get("reason")?,
        created_millis: unsigned(row.try_get("created_millis")?),
        expires_millis: unsigned(row.try_get("expires_millis")?),
        start_millis: row.try_get::<Option<i64>, _>("start_millis")?.map(unsigned),
    })
}

const STATES: [(SessionState, &str); 7] = [
    (SessionState::Pending, "Pending"),
    (SessionState::Starting, "Starting"),
    (SessionState::Ready, "Ready"),
    (SessionState::Suspended, "Suspended"),
    (SessionState::Ending, "Ending"),
    (SessionState::Ended, "Ended"),
    (SessionState::Failed, "Failed"),
];

fn state_word(state: SessionState) -> &'static str {
    STATES.iter().find(|(known, _)| *known == state).map_or("Failed", |(_, word)| *word)
}

/// SQLite's integers are signed; instants fit for another 292 million years.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::example;

    #[tokio::test]
    async fn sessions_and_steps_survive_reopening() {
        let folder = tempfile::tempdir().expect("tempdir");
        let file = folder.path().join("drydock.db");
        let row = SessionRow {
            lesson: Some("first-pod".to_owned()),
            start_millis: Some(900),
            ..example::session("abc", "anna")
        };
        {
            let store = Store::open(&file).await.expect("open");
            store.put_session(&row).await.expect("put");
            store.put_step_done("abc", "run", 5).await.expect("step");
            store.put_step_done("abc", "run", 9).await.expect("again");
        }
        let store = Store::open(&file).await.expect("reopen");
        assert_eq!(store.session("abc").await.expect("get"), Some(row.clone()));
        assert_eq!(store.open_sessions().await.expect("open"), std::slice::from_ref(&row));
        assert_eq!(store.steps_done("abc").await.expect("steps"), ["run"]);
        let ended = SessionRow { state: SessionState::Ended, reason: Some("time".to_owned()), ..row };
        store.put_session(&ended).await.expect("end");
        assert!(store.open_sessions().await.expect("open").is_empty());
    }
}
