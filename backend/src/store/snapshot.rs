//! Copies of a whole database, made while it is used, and what can be said of one without a server.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Row};

use super::MIGRATIONS;

/// How much is in a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Sessions, over or not.
    pub(crate) sessions: u64,
    /// Lessons.
    pub(crate) lessons: u64,
}

/// The newest schema that this program knows.
pub(crate) fn newest_schema() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

async fn open(file: &Path, read_only: bool) -> sqlx::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(file).read_only(read_only).busy_timeout(super::PATIENCE);
    SqliteConnection::connect_with(&options).await
}

/// Copies a database, as it is at one moment, to a file that is not there yet; returns its schema.
pub(crate) async fn copy(file: &Path, target: &Path) -> sqlx::Result<i64> {
    // Not read-only: the write-ahead log of a server that was killed is to be read, too.
    let mut database = open(file, false).await?;
    sqlx::query("VACUUM INTO ?").bind(target.to_string_lossy().into_owned()).execute(&mut database).await?;
    database.close().await?;
    let mut copy = open(target, true).await?;
    let row =
        sqlx::query("SELECT max(version) AS schema FROM _sqlx_migrations WHERE success").fetch_one(&mut copy).await?;
    let schema = row.try_get::<Option<i64>, _>("schema")?.unwrap_or(0);
    copy.close().await?;
    Ok(schema)
}

/// How much is in a database that nobody uses.
pub(crate) async fn counts(file: &Path) -> sqlx::Result<Counts> {
    let mut database = open(file, true).await?;
    let query = "SELECT (SELECT count(*) FROM sessions) AS sessions, (SELECT count(*) FROM lessons) AS lessons";
    let row = sqlx::query(query).fetch_one(&mut database).await?;
    let count = |name: &str| row.try_get::<i64, _>(name).map(|count| u64::try_from(count).unwrap_or(0));
    let counts = Counts { sessions: count("sessions")?, lessons: count("lessons")? };
    database.close().await?;
    Ok(counts)
}

/// Whether SQLite finds nothing wrong with a database.
pub(crate) async fn is_sound(file: &Path) -> sqlx::Result<bool> {
    let mut database = open(file, true).await?;
    let row = sqlx::query("PRAGMA integrity_check(1)").fetch_one(&mut database).await?;
    let sound = row.try_get::<&str, _>(0)? == "ok";
    database.close().await?;
    Ok(sound)
}
