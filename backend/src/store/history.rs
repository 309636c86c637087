//! How the server was.

use drydock_protocol::operator::{History, Sample};
use sqlx::Row;

use super::Store;
use super::sessions::signed;

/// A plot has no more points than this.
const POINTS: u64 = 360;

impl Store {
    /// Writes a sample down and forgets those before `oldest`.
    pub(crate) async fn put_sample(&self, sample: &Sample, oldest: u64) -> sqlx::Result<()> {
        let mut change = self.pool.begin().await?;
        sqlx::query("DELETE FROM samples WHERE at_millis < ?").bind(signed(oldest)).execute(&mut *change).await?;
        sqlx::query("INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(signed(sample.at_millis))
            .bind(sample.sessions)
            .bind(sample.queued)
            .bind(sample.terminals)
            .bind(sample.starts)
            .bind(sample.start_max_millis)
            .bind(sample.cpu_percent)
            .bind(signed(sample.memory_used_bytes))
            .bind(signed(sample.disk_free_bytes))
            .bind(sample.requests)
            .bind(sample.requests_failed)
            .execute(&mut *change)
            .await?;
        change.commit().await
    }

    /// Samples between two instants, several put together to one where there are too many for a plot.
    pub(crate) async fn history(&self, from: u64, to: u64, finest: u64) -> sqlx::Result<History> {
        let step_millis = (to.saturating_sub(from) / POINTS).next_multiple_of(finest.max(1)).max(finest);
        let rows = sqlx::query(
            "SELECT at_millis / ?1 * ?1 AS at, max(sessions) AS sessions, max(queued) AS queued, max(terminals) AS terminals,
                 sum(starts) AS starts, max(start_max_millis) AS start_max, avg(cpu_percent) AS cpu,
                 max(memory_used_bytes) AS memory, min(disk_free_bytes) AS disk, sum(requests) AS requests,
                 sum(requests_failed) AS failed
             FROM samples WHERE at_millis >= ?2 AND at_millis <= ?3 GROUP BY at ORDER BY at",
        )
        .bind(signed(step_millis))
        .bind(signed(from))
        .bind(signed(to))
        .fetch_all(&self.pool)
        .await?;
        let samples = rows.iter().map(|row| {
            let large = |name: &str| row.try_get::<i64, _>(name).map(|value| u64::try_from(value).unwrap_or(0));
            let small = |name: &str| large(name).map(|value| u32::try_from(value).unwrap_or(u32::MAX));
            Ok(Sample {
                at_millis: large("at")?,
                sessions: small("sessions")?,
                queued: small("queued")?,
                terminals: small("terminals")?,
                starts: small("starts")?,
                start_max_millis: small("start_max")?,
                cpu_percent: row.try_get::<f64, _>("cpu")? as f32,
                memory_used_bytes: large("memory")?,
                disk_free_bytes: large("disk")?,
                requests: small("requests")?,
                requests_failed: small("failed")?,
            })
        });
        Ok(History { step_millis, samples: samples.collect::<sqlx::Result<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::example;

    const STEP: u64 = 30_000;

    fn sample(at_millis: u64, sessions: u32) -> Sample {
        Sample {
            at_millis,
            sessions,
            starts: 1,
            cpu_percent: 10.0 * sessions as f32,
            memory_used_bytes: 1 << 40,
            disk_free_bytes: u64::from(sessions),
            ..Sample::default()
        }
    }

    #[tokio::test]
    async fn samples_are_kept_put_together_and_forgotten() {
        let (_folder, store) = example::store().await;
        for number in 1..=10 {
            store.put_sample(&sample(number * STEP + 7, number as u32), 3 * STEP).await.expect("put");
        }
        let fine = store.history(0, 20 * STEP, STEP).await.expect("history");
        assert_eq!(fine.step_millis, STEP);
        assert_eq!(fine.samples.len(), 8, "the first two are forgotten");
        assert_eq!(fine.samples[0], Sample { at_millis: 3 * STEP, ..sample(0, 3) });
        // Two a point.
        let coarse = store.history(0, 2 * STEP * POINTS, STEP).await.expect("history");
        assert_eq!((coarse.step_millis, coarse.samples.len()), (2 * STEP, 5));
        let second = coarse.samples[1];
        assert_eq!((second.at_millis, second.sessions, second.starts, second.disk_free_bytes), (4 * STEP, 5, 2, 4));
        assert!((second.cpu_percent - 45.0).abs() < 0.01, "{second:?}");
        assert!(store.history(20 * STEP, 30 * STEP, STEP).await.expect("history").samples.is_empty());
    }
}
