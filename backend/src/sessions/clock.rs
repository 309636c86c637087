//! The wall clock may be set while the server runs, or between two runs. Times of sessions are written down by it, so they move
//! along: whoever had ten minutes left still has ten minutes.

use std::fs;
use std::time::Duration;

use super::now_millis;
use crate::error::Error;
use crate::store::{ClockRow, SessionRow, Store};

/// Clocks that are slewed differ by less.
const SLACK: i64 = 10_000;

/// The two clocks at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Moment {
    boot: String,
    since_boot_millis: u64,
    wall_millis: u64,
}

impl Moment {
    fn now() -> Moment {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        // Counts while the machine is suspended, too: a session's time goes on then, as people's does.
        let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
        let since_boot = uptime.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or_default();
        Moment {
            boot: boot.trim().to_owned(),
            since_boot_millis: super::millis(Duration::try_from_secs_f64(since_boot).unwrap_or_default()),
            wall_millis: now_millis(),
        }
    }

    /// By how much the wall clock was set since an earlier moment: what it went beyond the time that passed. Of another start of
    /// the machine nothing can be said.
    fn jump_since(&self, before: &Moment) -> i64 {
        if self.boot != before.boot {
            return 0;
        }
        let passed = signed(self.since_boot_millis) - signed(before.since_boot_millis);
        let jump = signed(self.wall_millis) - signed(before.wall_millis) - passed;
        if jump.abs() > SLACK { jump } else { 0 }
    }

    fn row(&self) -> ClockRow {
        ClockRow { boot: self.boot.clone(), since_boot_millis: self.since_boot_millis, wall_millis: self.wall_millis }
    }
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

/// Follows the wall clock.
pub(super) struct Clock {
    last: Moment,
    /// By how much it was set while no server ran.
    jumped: i64,
}

impl Clock {
    /// Compares with what an earlier run wrote down.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn start(store: &Store) -> Result<Clock, Error> {
        let now = Moment::now();
        let jumped = store.clock().await?.map_or(0, |row| {
            let before =
                Moment { boot: row.boot, since_boot_millis: row.since_boot_millis, wall_millis: row.wall_millis };
            now.jump_since(&before)
        });
        if jumped != 0 {
            tracing::warn!(jump_millis = jumped, "the wall clock was set while the server was away");
        }
        store.put_clock(&now.row()).await?;
        Ok(Clock { last: now, jumped })
    }

    /// Moves the times of a session of an earlier run.
    pub(super) fn correct(&self, row: &mut SessionRow) {
        row.created_millis = row.created_millis.saturating_add_signed(self.jumped);
        row.expires_millis = row.expires_millis.saturating_add_signed(self.jumped);
    }

    /// By how much the wall clock was set since the last look; what to write down when it was.
    pub(super) fn look(&mut self) -> Option<(i64, ClockRow)> {
        let now = Moment::now();
        let jump = now.jump_since(&self.last);
        // A clock that drifts is not followed but once in a while, so that many small steps count as one.
        if jump == 0 {
            return None;
        }
        tracing::warn!(jump_millis = jump, "the wall clock was set; the times of sessions move along");
        self.last = now.clone();
        Some((jump, now.row()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::example;

    fn moment(boot: &str, since_boot_millis: u64, wall_millis: u64) -> Moment {
        Moment { boot: boot.to_owned(), since_boot_millis, wall_millis }
    }

    #[test]
    fn jumps() {
        let before = moment("a", 1_000_000, 50_000_000);
        for (what, now, jump) in [
            ("time passes", moment("a", 1_600_000, 50_600_000), 0),
            ("a clock is slewed", moment("a", 1_600_000, 50_605_000), 0),
            ("an hour ahead", moment("a", 1_001_000, 53_601_000), 3_600_000),
            ("an hour back", moment("a", 1_001_000, 46_401_000), -3_600_000),
            ("to the epoch", moment("a", 1_001_000, 0), -50_001_000),
            ("another start of the machine", moment("b", 5_000, 90_000_000), 0),
        ] {
            assert_eq!(now.jump_since(&before), jump, "{what}");
        }
    }

    #[tokio::test]
    async fn a_later_start_notices() {
        let (_folder, store) = example::store().await;
        assert_eq!(Clock::start(&store).await.expect("start").jumped, 0);
        // As if the wall clock had been an hour behind then.
        let mut row = store.clock().await.expect("get").expect("a row");
        row.wall_millis -= 3_600_000;
        store.put_clock(&row).await.expect("put");
        let mut clock = Clock::start(&store).await.expect("start");
        assert!((clock.jumped - 3_600_000).abs() < 5_000, "{}", clock.jumped);
        assert!(clock.look().is_none());
        clock.last.wall_millis += 7_200_000;
        let (jump, row) = clock.look().expect("a jump");
        assert!((jump + 7_200_000).abs() < 5_000, "{jump}");
        assert_eq!(row.wall_millis, clock.last.wall_millis);
        assert!(clock.look().is_none(), "told once");
    }
}
