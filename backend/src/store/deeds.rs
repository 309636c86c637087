//! Who did what.

use drydock_protocol::Deed;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Store;
use super::sessions::{signed, unsigned};
use crate::deeds::NewDeed;

/// Deeds kept.
const KEPT: i64 = 200_000;
/// The old end is looked at once for so many.
const OFTEN: i64 = 500;

impl Store {
    /// Writes a deed down.
    pub(crate) async fn note(&self, deed: &NewDeed) -> sqlx::Result<()> {
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO deeds (at_millis, person, role, address, action, object, outcome) VALUES (?, ?, ?, ?, ?, ?, ?)
             RETURNING id",
        )
        .bind(signed(deed.at_millis))
        .bind(&deed.person)
        .bind(deed.role)
        .bind(&deed.address)
        .bind(&deed.action)
        .bind(&deed.object)
        .bind(deed.outcome)
        .fetch_one(&self.pool)
        .await?;
        if id % OFTEN == 0 {
            sqlx::query("DELETE FROM deeds WHERE id <= ?").bind(id - KEPT).execute(&self.pool).await?;
        }
        Ok(())
    }

    /// The newest deeds before a number.
    pub(crate) async fn deeds(&self, before: u64, most: u32) -> sqlx::Result<Vec<Deed>> {
        let rows = sqlx::query(
            "SELECT deeds.*, people.name FROM deeds LEFT JOIN people ON people.id = deeds.person
             WHERE deeds.id < ? ORDER BY deeds.id DESC LIMIT ?",
        )
        .bind(signed(before))
        .bind(most)
        .fetch_all(&self.pool)
        .await?;
        let read = |row: &SqliteRow| {
            Ok(Deed {
                id: unsigned(row.try_get("id")?),
                at_millis: unsigned(row.try_get("at_millis")?),
                person: row.try_get("person")?,
                name: row.try_get("name")?,
                role: row.try_get("role")?,
                address: row.try_get("address")?,
                action: row.try_get("action")?,
                object: row.try_get("object")?,
                outcome: row.try_get("outcome")?,
            })
        };
        rows.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::example;

    #[tokio::test]
    async fn the_newest_come_first() {
        let (_folder, store) = example::store().await;
        store.remember("anna", Some("Anna"), 1).await.expect("person");
        for number in 1..=3 {
            let deed = NewDeed {
                at_millis: number,
                person: if number == 2 { "anna" } else { "nobody" }.to_owned(),
                role: "learner",
                address: "127.0.0.1".to_owned(),
                action: "POST /sessions".to_owned(),
                object: number.to_string(),
                outcome: 201,
            };
            store.note(&deed).await.expect("noted");
        }
        let all = store.deeds(u64::MAX, 2).await.expect("list");
        let seen: Vec<_> = all.iter().map(|deed| (deed.id, deed.name.as_deref())).collect();
        assert_eq!(seen, [(3, None), (2, Some("Anna"))]);
        assert_eq!(store.deeds(2, 10).await.expect("list").len(), 1);
    }
}
