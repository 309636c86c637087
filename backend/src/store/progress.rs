//! How far a session is in its lesson: steps, answers, and what the engine did for it.

use drydock_protocol::Answered;
use sqlx::Row;

use super::Store;
use super::sessions::signed;

impl Store {
    /// Notes that a step was fulfilled. A second time changes nothing.
    pub(crate) async fn put_step_done(&self, id: &str, step: &str, now_millis: u64) -> sqlx::Result<()> {
        sqlx::query("INSERT OR IGNORE INTO steps_done (session_id, step, done_millis) VALUES (?, ?, ?)")
            .bind(id)
            .bind(step)
            .bind(signed(now_millis))
            .execute(&self.pool)
            .await
            .map(|_| ())
    }

    /// The fulfilled steps of a session, oldest first.
    pub(crate) async fn steps_done(&self, id: &str) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar("SELECT step FROM steps_done WHERE session_id = ? ORDER BY done_millis, step")
            .bind(id)
            .fetch_all(&self.pool)
            .await
    }

    /// Notes that a question was answered rightly. A second time changes nothing.
    pub(crate) async fn put_answered(&self, id: &str, answered: &Answered, now_millis: u64) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT OR IGNORE INTO quizzes_answered (session_id, step, quiz, answered_millis) VALUES (?, ?, ?, ?)",
        )
        .bind(id)
        .bind(&answered.step)
        .bind(&answered.quiz)
        .bind(signed(now_millis))
        .execute(&self.pool)
        .await
        .map(|_| ())
    }

    /// The questions of a session that were answered rightly, oldest first.
    pub(crate) async fn answered(&self, id: &str) -> sqlx::Result<Vec<Answered>> {
        let rows = sqlx::query(
            "SELECT step, quiz FROM quizzes_answered WHERE session_id = ? ORDER BY answered_millis, step, quiz",
        )
        .bind(id)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(Answered { step: row.try_get(0)?, quiz: row.try_get(1)? })).collect()
    }

    /// Notes what the engine did for a session. A second time changes nothing.
    pub(crate) async fn put_setup_done(&self, id: &str, item: &str) -> sqlx::Result<()> {
        sqlx::query("INSERT OR IGNORE INTO setup_done (session_id, item) VALUES (?, ?)")
            .bind(id)
            .bind(item)
            .execute(&self.pool)
            .await
            .map(|_| ())
    }

    /// What the engine did for a session.
    pub(crate) async fn setup_done(&self, id: &str) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar("SELECT item FROM setup_done WHERE session_id = ?").bind(id).fetch_all(&self.pool).await
    }

    /// Forgets all of that: the session starts over.
    pub(crate) async fn clear_progress(&self, id: &str) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin().await?;
        for statement in [
            "DELETE FROM steps_done WHERE session_id = ?",
            "DELETE FROM quizzes_answered WHERE session_id = ?",
            "DELETE FROM setup_done WHERE session_id = ?",
        ] {
            sqlx::query(statement).bind(id).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::example;

    #[tokio::test]
    async fn progress_is_kept_until_the_session_starts_over() {
        let (_folder, store) = example::store().await;
        let row = example::session("abc", "");
        store.put_session(&row).await.expect("put");
        let answered = Answered { step: "a".to_owned(), quiz: "why".to_owned() };
        for _ in 0..2 {
            store.put_answered("abc", &answered, 3).await.expect("answered");
            store.put_setup_done("abc", "lesson 0").await.expect("setup");
            store.put_step_done("abc", "a", 4).await.expect("step");
        }
        assert_eq!(store.answered("abc").await.expect("get"), [answered]);
        assert_eq!(store.setup_done("abc").await.expect("get"), ["lesson 0"]);
        assert_eq!(store.steps_done("abc").await.expect("get"), ["a"]);
        store.clear_progress("abc").await.expect("clear");
        assert!(store.answered("abc").await.expect("get").is_empty());
        assert!(store.setup_done("abc").await.expect("get").is_empty());
        assert!(store.steps_done("abc").await.expect("get").is_empty());
    }
}
