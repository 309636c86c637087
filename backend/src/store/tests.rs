//! Databases of every earlier version: made by the migrations that it had, with rows in every table (`fixtures/NNNN.sql`),
//! and opened by this version.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Row};

use super::{MIGRATIONS, Store};

/// Columns and rows of every table, as SQL literals.
type Content = BTreeMap<String, (Vec<String>, Vec<String>)>;

async fn open(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    SqliteConnection::connect_with(&options).await.expect("open")
}

async fn texts(database: &mut SqliteConnection, query: String) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(query.clone())).fetch_all(database).await;
    let rows = rows.unwrap_or_else(|error| panic!("{query}: {error}"));
    rows.iter().map(|row| row.get::<String, _>(0)).collect()
}

async fn rows(database: &mut SqliteConnection, table: &str, columns: &[String]) -> Vec<String> {
    let all: Vec<_> = columns.iter().map(|column| format!("quote(\"{column}\")")).collect();
    texts(database, format!("SELECT {} AS row FROM \"{table}\" ORDER BY row", all.join(" || ', ' || "))).await
}

async fn content(database: &mut SqliteConnection) -> Content {
    let query =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '_sqlx_%'";
    let mut content = Content::new();
    for table in texts(database, query.to_owned()).await {
        let columns = texts(database, format!("SELECT name FROM pragma_table_info('{table}')")).await;
        let rows = rows(database, &table, &columns).await;
        content.insert(table, (columns, rows));
    }
    content
}

#[tokio::test]
async fn a_database_of_every_earlier_version_is_migrated_with_all_its_rows() {
    let folder = tempfile::tempdir().expect("tempdir");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/fixtures");
    let all: Vec<_> = MIGRATIONS.iter().cloned().collect();
    for length in 1..=all.len() {
        let version = all[length - 1].version;
        let file = folder.path().join(format!("{version}.db"));
        let mut old = open(&file).await;
        for (index, migration) in all[..length].iter().enumerate() {
            let so_far = Migrator::with_migrations(all[..=index].to_vec());
            so_far.run_direct(None, &mut old, false).await.expect("earlier migrations");
            let fixture = fixtures.join(format!("{:04}.sql", migration.version));
            if let Ok(text) = std::fs::read_to_string(&fixture) {
                let outcome = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut old).await;
                outcome.unwrap_or_else(|error| panic!("{} at schema {version}: {error}", fixture.display()));
            }
        }
        let before = content(&mut old).await;
        old.close().await.expect("close");
        let empty: Vec<_> = before.iter().filter(|(_, (_, rows))| rows.is_empty()).map(|(table, _)| table).collect();
        assert!(
            empty.is_empty(),
            "schema {version}: no rows in {empty:?}: write {}/{version:04}.sql",
            fixtures.display()
        );

        drop(Store::open(&file).await.expect("migrate"));
        let mut new = open(&file).await;
        for (table, (columns, old)) in before {
            assert_eq!(rows(&mut new, &table, &columns).await, old, "{table}, from schema {version}");
        }
        new.close().await.expect("close");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().expect("tempdir");
    let file = folder.path().join("drydock.db");
    drop(Store::open(&file).await.expect("open"));
    let mut database = open(&file).await;
    let newer =
        "INSERT INTO _sqlx_migrations SELECT 999999, description, installed_on, success, checksum, execution_time
        FROM _sqlx_migrations LIMIT 1";
    sqlx::query(newer).execute(&mut database).await.expect("insert");
    database.close().await.expect("close");
    let error = Store::open(&file).await.map(drop).expect_err("newer").to_string();
    assert!(error.contains("was made by a newer Drydock (schema 999999, this program knows "), "{error}");
}
