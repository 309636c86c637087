//! All SQL of Drydock. One SQLite file, migrated at start.

mod accounts;
mod admission;
mod classes;
mod deeds;
#[cfg(test)]
pub(crate) mod example;
mod faults;
mod guests;
mod history;
mod lessons;
mod people;
mod previews;
mod progress;
mod sessions;
pub(crate) mod snapshot;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

pub(crate) use accounts::Made;
pub(crate) use admission::{ClockRow, WarmRow};
pub(crate) use classes::{ClassRow, MemberRow};
pub(crate) use guests::Taken;
pub(crate) use lessons::{LessonFile, LessonRow};
pub(crate) use sessions::SessionRow;

/// Every change of the schema, in order.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");
/// How long one who finds the database locked waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// The database. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens the file, creating and migrating it where needed.
    ///
    /// # Errors
    /// When the file cannot be opened or a migration fails.
    pub(crate) async fn open(file: &Path) -> anyhow::Result<Store> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(PATIENCE);
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        MIGRATIONS.run(&pool).await.map_err(|error| match error {
            sqlx::migrate::MigrateError::VersionMissing(schema) => anyhow::anyhow!(
                "{} was made by a newer Drydock (schema {schema}, this program knows {}): run that version again",
                file.display(),
                snapshot::newest_schema()
            ),
            other => other.into(),
        })?;
        Ok(Store { pool })
    }

    /// Whether the database answers.
    pub(crate) async fn is_alive(&self) -> bool {
        sqlx::query("SELECT 1").execute(&self.pool).await.is_ok()
    }
}

#[cfg(test)]
mod tests;
