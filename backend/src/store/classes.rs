//! Classes, their members and what was told in them.

use drydock_protocol::{ClassState, Post, PostKind};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Store;
use super::sessions::{signed, unsigned};

/// A class as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClassRow {
    /// Identifier.
    pub(crate) id: String,
    /// Join code; empty when the class is over.
    pub(crate) code: String,
    /// The person who holds it.
    pub(crate) instructor: String,
    /// What it is called.
    pub(crate) title: String,
    /// Where it is in its life.
    pub(crate) state: ClassState,
    /// Slugs of its lessons.
    pub(crate) lessons: Vec<String>,
    /// Which of them it is at.
    pub(crate) at: u16,
    /// Workers of each cluster in the playground.
    pub(crate) workers: Option<u8>,
    /// Learners that may join.
    pub(crate) size: u16,
    /// When it was planned.
    pub(crate) created_millis: u64,
    /// When it begins.
    pub(crate) starts_millis: u64,
    /// When it ends.
    pub(crate) ends_millis: u64,
    /// When its data is removed.
    pub(crate) removed_millis: u64,
}

/// A member of a class as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemberRow {
    /// Number in the class.
    pub(crate) number: u32,
    /// The person.
    pub(crate) person: String,
    /// Name in the class.
    pub(crate) name: String,
    /// Their session.
    pub(crate) session: Option<String>,
    /// The lesson of the class that it follows.
    pub(crate) at: u16,
    /// When they joined.
    pub(crate) joined_millis: u64,
    /// Since when they ask for help.
    pub(crate) hand_millis: Option<u64>,
    /// Whether they let the instructor type in their terminal.
    pub(crate) joint: bool,
}

/// A step that a member has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DoneRow {
    /// Number of the member.
    pub(crate) number: u32,
    /// Lesson.
    pub(crate) lesson: String,
    /// Step.
    pub(crate) step: String,
    /// When it was done for the first time.
    pub(crate) done_millis: u64,
}

impl Store {
    /// Stores a class, new or changed.
    pub(crate) async fn put_class(&self, class: &ClassRow) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO classes (id, code, instructor, title, state, lessons, at, workers, size, created_millis,
                 starts_millis, ends_millis, removed_millis)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET code = excluded.code, state = excluded.state, at = excluded.at,
                 starts_millis = excluded.starts_millis, ends_millis = excluded.ends_millis,
                 removed_millis = excluded.removed_millis",
        )
        .bind(&class.id)
        .bind(Some(&class.code).filter(|code| !code.is_empty()))
        .bind(&class.instructor)
        .bind(&class.title)
        .bind(state_word(class.state))
        .bind(serde_json::to_string(&class.lessons).unwrap_or_default())
        .bind(class.at)
        .bind(class.workers)
        .bind(class.size)
        .bind(signed(class.created_millis))
        .bind(signed(class.starts_millis))
        .bind(signed(class.ends_millis))
        .bind(signed(class.removed_millis))
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// All classes that are not removed, oldest first.
    pub(crate) async fn classes(&self) -> sqlx::Result<Vec<ClassRow>> {
        let rows = sqlx::query("SELECT * FROM classes ORDER BY created_millis, id").fetch_all(&self.pool).await?;
        rows.iter().map(read_class).collect()
    }

    /// Removes a class with its members and what was told; their sessions are forgotten when they are over.
    pub(crate) async fn remove_class(&self, class: &str) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "INSERT OR IGNORE INTO sessions_to_forget (session) SELECT session FROM class_sessions WHERE class = ?",
        )
        .bind(class)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("DELETE FROM classes WHERE id = ?").bind(class).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    /// Stores a member, new or changed.
    pub(crate) async fn put_member(&self, class: &str, member: &MemberRow) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO class_members (class, number, person, name, session, at, joined_millis, hand_millis, joint)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (class, number) DO UPDATE SET session = excluded.session, at = excluded.at,
                 hand_millis = excluded.hand_millis, joint = excluded.joint",
        )
        .bind(class)
        .bind(member.number)
        .bind(&member.person)
        .bind(&member.name)
        .bind(&member.session)
        .bind(member.at)
        .bind(signed(member.joined_millis))
        .bind(member.hand_millis.map(signed))
        .bind(member.joint)
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// The members of a class, by number.
    pub(crate) async fn members(&self, class: &str) -> sqlx::Result<Vec<MemberRow>> {
        let rows = sqlx::query("SELECT * FROM class_members WHERE class = ? ORDER BY number");
        let rows = rows.bind(class).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                Ok(MemberRow {
                    number: row.try_get("number")?,
                    person: row.try_get("person")?,
                    name: row.try_get("name")?,
                    session: row.try_get("session")?,
                    at: row.try_get("at")?,
                    joined_millis: unsigned(row.try_get("joined_millis")?),
                    hand_millis: row.try_get::<Option<i64>, _>("hand_millis")?.map(unsigned),
                    joint: row.try_get("joint")?,
                })
            })
            .collect()
    }

    /// Removes what is known of a member; with `forget`, their sessions, too, when they are over.
    pub(crate) async fn remove_member(&self, class: &str, number: u32, forget: bool) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin().await?;
        if forget {
            sqlx::query(
                "INSERT OR IGNORE INTO sessions_to_forget (session)
                 SELECT session FROM class_sessions WHERE class = ? AND number = ?",
            )
            .bind(class)
            .bind(number)
            .execute(&mut *transaction)
            .await?;
        }
        for query in [
            "DELETE FROM class_posts WHERE class = ? AND member = ?",
            "DELETE FROM class_members WHERE class = ? AND number = ?",
        ] {
            sqlx::query(query).bind(class).bind(number).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    /// Notes that a session is a member's.
    pub(crate) async fn put_class_session(
        &self,
        class: &str,
        number: u32,
        session: &str,
        lesson: Option<&str>,
    ) -> sqlx::Result<()> {
        sqlx::query("INSERT OR IGNORE INTO class_sessions (class, number, session, lesson) VALUES (?, ?, ?, ?)")
            .bind(class)
            .bind(number)
            .bind(session)
            .bind(lesson)
            .execute(&self.pool)
            .await
            .map(drop)
    }

    /// Stores what was told.
    pub(crate) async fn put_post(&self, class: &str, post: &Post) -> sqlx::Result<()> {
        sqlx::query("INSERT INTO class_posts (class, number, at_millis, member, kind, text) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(class)
            .bind(post.id)
            .bind(signed(post.at_millis))
            .bind(post.to)
            .bind(kind_word(post.kind))
            .bind(&post.text)
            .execute(&self.pool)
            .await
            .map(drop)
    }

    /// Takes back what was told.
    pub(crate) async fn remove_post(&self, class: &str, post: u32) -> sqlx::Result<()> {
        let query = sqlx::query("DELETE FROM class_posts WHERE class = ? AND number = ?");
        query.bind(class).bind(post).execute(&self.pool).await.map(drop)
    }

    /// What was told, oldest first.
    pub(crate) async fn posts(&self, class: &str) -> sqlx::Result<Vec<Post>> {
        let rows = sqlx::query("SELECT * FROM class_posts WHERE class = ? ORDER BY number").bind(class);
        let rows = rows.fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let word: String = row.try_get("kind")?;
                Ok(Post {
                    id: row.try_get("number")?,
                    at_millis: unsigned(row.try_get("at_millis")?),
                    to: row.try_get("member")?,
                    kind: KINDS.iter().find(|(_, known)| *known == word).map_or(PostKind::Message, |(kind, _)| *kind),
                    text: row.try_get("text")?,
                })
            })
            .collect()
    }

    /// The steps that the members of a class have done in lessons.
    pub(crate) async fn class_progress(&self, class: &str) -> sqlx::Result<Vec<DoneRow>> {
        let rows = sqlx::query(
            "SELECT class_sessions.number AS number, class_sessions.lesson AS lesson, steps_done.step AS step,
                 MIN(steps_done.done_millis) AS done_millis
             FROM class_sessions JOIN steps_done ON steps_done.session_id = class_sessions.session
             WHERE class_sessions.class = ? AND class_sessions.lesson IS NOT NULL
             GROUP BY class_sessions.number, class_sessions.lesson, steps_done.step",
        );
        let rows = rows.bind(class).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                Ok(DoneRow {
                    number: row.try_get("number")?,
                    lesson: row.try_get("lesson")?,
                    step: row.try_get("step")?,
                    done_millis: unsigned(row.try_get("done_millis")?),
                })
            })
            .collect()
    }

    /// When the last step of a session was done.
    pub(crate) async fn last_step_millis(&self, session: &str) -> sqlx::Result<Option<u64>> {
        let last: Option<i64> = sqlx::query_scalar("SELECT MAX(done_millis) FROM steps_done WHERE session_id = ?")
            .bind(session)
            .fetch_one(&self.pool)
            .await?;
        Ok(last.map(unsigned))
    }

    /// The people who hold a class with this session in it.
    pub(crate) async fn class_instructors(&self, session: &str) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar(
            "SELECT classes.instructor FROM class_members
             JOIN classes ON classes.id = class_members.class WHERE class_members.session = ?",
        )
        .bind(session)
        .fetch_all(&self.pool)
        .await
    }

    /// Nobody's consent outlives the server that showed it.
    pub(crate) async fn end_all_joint(&self) -> sqlx::Result<()> {
        sqlx::query("UPDATE class_members SET joint = 0").execute(&self.pool).await.map(drop)
    }

    /// Removes the rows of sessions that are to be forgotten and are over.
    pub(crate) async fn forget_sessions(&self) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin().await?;
        for query in [
            "DELETE FROM sessions WHERE state IN ('Ended', 'Failed') AND id IN (SELECT session FROM sessions_to_forget)",
            "DELETE FROM sessions_to_forget WHERE session NOT IN (SELECT id FROM sessions)",
        ] {
            sqlx::query(query).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }
}

fn read_class(row: &SqliteRow) -> sqlx::Result<ClassRow> {
    let word: String = row.try_get("state")?;
    let lessons: String = row.try_get("lessons")?;
    Ok(ClassRow {
        id: row.try_get("id")?,
        code: row.try_get::<Option<String>, _>("code")?.unwrap_or_default(),
        instructor: row.try_get("instructor")?,
        title: row.try_get("title")?,
        state: STATES.iter().find(|(_, known)| *known == word).map_or(ClassState::Over, |(state, _)| *state),
        lessons: serde_json::from_str(&lessons).unwrap_or_default(),
        at: row.try_get("at")?,
        workers: row.try_get("workers")?,
        size: row.try_get("size")?,
        created_millis: unsigned(row.try_get("created_millis")?),
        starts_millis: unsigned(row.try_get("starts_millis")?),
        ends_millis: unsigned(row.try_get("ends_millis")?),
        removed_millis: unsigned(row.try_get("removed_millis")?),
    })
}

const STATES: [(ClassState, &str); 4] = [
    (ClassState::Planned, "planned"),
    (ClassState::Open, "open"),
    (ClassState::Paused, "paused"),
    (ClassState::Over, "over"),
];

const KINDS: [(PostKind, &str); 3] =
    [(PostKind::Message, "message"), (PostKind::Command, "command"), (PostKind::Hint, "hint")];

fn state_word(state: ClassState) -> &'static str {
    STATES.iter().find(|(known, _)| *known == state).map_or("over", |(_, word)| *word)
}

fn kind_word(kind: PostKind) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or("message", |(_, word)| *word)
}

#[cfg(test)]
mod tests;
