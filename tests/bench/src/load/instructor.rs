//! The instructor: an account, a class, and its live grid, open all the time as on a desk in front of the room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use serde_json::json;
use tokio::task::JoinHandle;

use super::browser::Browser;

/// The lesson of the class.
pub(super) const LESSON: &str = "first-pod";
/// The step of it that everybody fulfils.
pub(super) const STEP: &str = "run";

/// Somebody who holds a class.
pub(super) struct Instructor {
    browser: Browser,
    class: String,
    /// What learners type to join.
    pub(super) code: String,
    seen: Arc<AtomicUsize>,
    grid: JoinHandle<anyhow::Result<()>>,
}

impl Instructor {
    /// Makes the first account with the console's link, and a class for so many; the grid is open when this returns.
    pub(super) async fn begin(address: &str, token: &str, learners: usize) -> anyhow::Result<Instructor> {
        let mut browser = Browser::new(address);
        let account = json!({"token": token, "name": "Ines", "password": "a ship in a dry dock"});
        browser.ask("POST", "/api/v1/setup", &account.to_string()).await?;
        let plan = json!({"title": "Pods", "lessons": [LESSON], "minutes": 60, "size": learners});
        let class = browser.json("POST", "/api/v1/classes", &plan.to_string()).await?;
        let text = |name: &str| class[name].as_str().map(str::to_owned).with_context(|| format!("no {name}: {class}"));
        let (class, code) = (text("id")?, text("code")?);
        let mut events = browser.events(&format!("/classes/{class}")).await?;
        events.wait("the class", |event| event["type"] == "snapshot").await?;
        let seen = Arc::new(AtomicUsize::new(0));
        let counted = seen.clone();
        let grid = tokio::spawn(async move {
            while events.next().await?.is_some() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        Ok(Instructor { browser, class, code, seen, grid })
    }

    /// How many changes the grid was told.
    pub(super) fn changes(&self) -> usize {
        self.seen.load(Ordering::Relaxed)
    }

    /// How many learners have the step in the class's table of progress.
    pub(super) async fn fulfilled(&mut self) -> anyhow::Result<usize> {
        let path = format!("/api/v1/classes/{}/progress.csv", self.class);
        let table = String::from_utf8(self.browser.ask("GET", &path, "").await?)?;
        fulfilled(&table).with_context(|| format!("no such step: {table}"))
    }

    /// Closes the page.
    pub(super) fn leave(self) {
        self.grid.abort();
    }
}

/// How many rows of a table of progress have a time at the step; none when it has no such column.
fn fulfilled(table: &str) -> Option<usize> {
    let mut lines = table.trim_start_matches('\u{feff}').lines();
    let column = lines.next()?.split(',').position(|name| name == format!("{LESSON} / {STEP}"))?;
    // Names of this class hold no commas.
    Some(lines.filter(|line| line.split(',').nth(column).is_some_and(|time| !time.is_empty())).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_table() {
        let table = "\u{feff}Name,Joined,Steps done,Steps,first-pod / meet,first-pod / run\r\n\
            Learner 1,2026-11-21 10:00:00,1,5,,2026-11-21 10:01:00\r\nLearner 2,2026-11-21 10:00:00,0,5,,\r\n";
        assert_eq!(fulfilled(table), Some(1));
        assert_eq!(fulfilled("Name,Joined\r\n"), None);
    }
}
