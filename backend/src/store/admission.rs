//! The queue, the warm pool, why sessions ended and what is kept of them, and the machine's clocks.

use drydock_protocol::EndReason;
use sqlx::Row;

use super::Store;
use super::sessions::{signed, unsigned};

/// Sessions from which is learned how long learners stay and wait.
const TAUGHT_BY: i64 = 30;

/// How a session ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct End {
    /// Why.
    pub(crate) reason: Option<EndReason>,
    /// What the learner made was kept.
    pub(crate) manifests: bool,
}

/// A cluster that belongs to nobody yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WarmRow {
    pub(crate) name: String,
    pub(crate) workers: u16,
    pub(crate) ready: bool,
}

/// Both clocks of the machine at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClockRow {
    /// Which start of the machine.
    pub(crate) boot: String,
    pub(crate) since_boot_millis: u64,
    pub(crate) wall_millis: u64,
}

impl Store {
    /// Gives a session its place behind all that wait; one that had a place keeps it.
    pub(crate) async fn put_in_queue(&self, id: &str) -> sqlx::Result<i64> {
        sqlx::query_scalar(
            "UPDATE sessions SET queue_number = COALESCE(queue_number,
                 (SELECT COALESCE(MAX(queue_number), 0) + 1 FROM sessions)) WHERE id = ? RETURNING queue_number",
        )
        .bind(id)
        .fetch_one(&self.pool)
        .await
    }

    /// Notes how long a session waited for its turn, and behind how many.
    pub(crate) async fn put_waited(&self, id: &str, millis: u64, places: u32) -> sqlx::Result<()> {
        sqlx::query("UPDATE sessions SET waited_millis = ?, waited_places = ? WHERE id = ?")
            .bind(signed(millis))
            .bind(places)
            .bind(id)
            .execute(&self.pool)
            .await
            .map(|_| ())
    }

    /// Mean times of the latest sessions, in milliseconds: their stay, their wait for each place in the queue, their start.
    pub(crate) async fn taught(&self) -> sqlx::Result<[Option<u64>; 3]> {
        let mean = |what: &str, which: &str| {
            format!("SELECT AVG(it) FROM (SELECT {what} AS it FROM sessions WHERE {which} ORDER BY rowid DESC LIMIT ?)")
        };
        let queries = [
            mean("ended_millis - created_millis", "ended IN ('owner', 'time') AND ended_millis > created_millis"),
            mean("waited_millis / waited_places", "waited_places > 0"),
            mean("start_millis", "start_millis IS NOT NULL"),
        ];
        let mut means = [None; 3];
        for (mean, query) in means.iter_mut().zip(queries) {
            let found: Option<f64> =
                sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(TAUGHT_BY).fetch_one(&self.pool).await?;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times of sessions")]
            let whole = found.map(|it| it.max(0.0) as u64);
            *mean = whole;
        }
        Ok(means)
    }

    /// Notes why a session ended, once.
    pub(crate) async fn put_end(&self, id: &str, reason: EndReason, now_millis: u64) -> sqlx::Result<()> {
        sqlx::query("UPDATE sessions SET ended = ?, ended_millis = ? WHERE id = ? AND ended IS NULL")
            .bind(word(reason))
            .bind(signed(now_millis))
            .bind(id)
            .execute(&self.pool)
            .await
            .map(|_| ())
    }

    /// How a session ended.
    pub(crate) async fn end(&self, id: &str) -> sqlx::Result<End> {
        let row = sqlx::query(
            "SELECT ended, EXISTS (SELECT 1 FROM session_manifests WHERE session_id = id) FROM sessions WHERE id = ?",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(End::default()) };
        let known: Option<String> = row.try_get(0)?;
        let reason = known.and_then(|known| WORDS.iter().find(|(_, word)| *word == known).map(|(reason, _)| *reason));
        Ok(End { reason, manifests: row.try_get(1)? })
    }

    /// Whether the database knows a cluster of that name as one whose session is over.
    pub(crate) async fn is_over(&self, cluster: &str) -> sqlx::Result<bool> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sessions WHERE name = ? AND state IN ('Ended', 'Failed'))")
            .bind(cluster)
            .fetch_one(&self.pool)
            .await
    }

    /// Keeps what a learner made.
    pub(crate) async fn put_manifests(&self, id: &str, text: &str, now_millis: u64) -> sqlx::Result<()> {
        sqlx::query("INSERT OR REPLACE INTO session_manifests (session_id, saved_millis, text) VALUES (?, ?, ?)")
            .bind(id)
            .bind(signed(now_millis))
            .bind(text)
            .execute(&self.pool)
            .await
            .map(|_| ())
    }

    /// What a learner made.
    pub(crate) async fn manifests(&self, id: &str) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar("SELECT text FROM session_manifests WHERE session_id = ?")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
    }

    /// Forgets what was kept before an instant.
    pub(crate) async fn drop_manifests(&self, before_millis: u64) -> sqlx::Result<u64> {
        let done = sqlx::query("DELETE FROM session_manifests WHERE saved_millis < ?")
            .bind(signed(before_millis))
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected())
    }

    /// Announces a cluster that is made ahead, or says that it is ready.
    pub(crate) async fn put_warm(&self, row: &WarmRow) -> sqlx::Result<()> {
        sqlx::query("INSERT OR REPLACE INTO warm_clusters (name, workers, ready) VALUES (?, ?, ?)")
            .bind(&row.name)
            .bind(row.workers)
            .bind(row.ready)
            .execute(&self.pool)
            .await
            .map(|_| ())
    }

    /// The clusters that belong to nobody.
    pub(crate) async fn warm(&self) -> sqlx::Result<Vec<WarmRow>> {
        let rows = sqlx::query("SELECT name, workers, ready FROM warm_clusters").fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| Ok(WarmRow { name: row.try_get(0)?, workers: row.try_get(1)?, ready: row.try_get(2)? }))
            .collect()
    }

    /// Forgets a cluster that is gone.
    pub(crate) async fn drop_warm(&self, name: &str) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM warm_clusters WHERE name = ?").bind(name).execute(&self.pool).await.map(|_| ())
    }

    /// Gives a cluster to a session: both or neither.
    pub(crate) async fn hand_over(&self, cluster: &str, id: &str) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM warm_clusters WHERE name = ?").bind(cluster).execute(&mut *transaction).await?;
        sqlx::query("UPDATE sessions SET name = ?, state = 'Starting' WHERE id = ?")
            .bind(cluster)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    /// The clocks as they were.
    pub(crate) async fn clock(&self) -> sqlx::Result<Option<ClockRow>> {
        let row = sqlx::query("SELECT boot, since_boot_millis, wall_millis FROM clocks").fetch_optional(&self.pool);
        row.await?
            .map(|row| {
                Ok(ClockRow {
                    boot: row.try_get(0)?,
                    since_boot_millis: unsigned(row.try_get(1)?),
                    wall_millis: unsigned(row.try_get(2)?),
                })
            })
            .transpose()
    }

    /// Remembers the clocks.
    pub(crate) async fn put_clock(&self, row: &ClockRow) -> sqlx::Result<()> {
        sqlx::query("INSERT OR REPLACE INTO clocks (only, boot, since_boot_millis, wall_millis) VALUES (1, ?, ?, ?)")
            .bind(&row.boot)
            .bind(signed(row.since_boot_millis))
            .bind(signed(row.wall_millis))
            .execute(&self.pool)
            .await
            .map(|_| ())
    }
}

const WORDS: [(EndReason, &str); 8] = [
    (EndReason::Owner, "owner"),
    (EndReason::Staff, "staff"),
    (EndReason::Time, "time"),
    (EndReason::Queue, "queue"),
    (EndReason::Pressure, "pressure"),
    (EndReason::Failure, "failure"),
    (EndReason::Server, "server"),
    (EndReason::Lost, "lost"),
];

fn word(reason: EndReason) -> &'static str {
    WORDS.iter().find(|(known, _)| *known == reason).map_or("failure", |(_, word)| *word)
}
