//! `cargo xtask bench --class 50`: learners who come within half a minute, start, type, fulfil a step and leave, all on one server.
//!
//! Each is a browser with its own cookies, event stream and terminal. Meanwhile the machine is looked at twice a second; what
//! comes out is a table and one picture of curves.

mod browser;
mod figures;
mod learner;
mod machine;
mod picture;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use drydock_tests_harness::{Product, Server};
use figures::{Kind, Records};

use crate::processes::Processes;

/// Learners come within this time, evenly.
const ARRIVALS: Duration = Duration::from_secs(25);
/// How long the server is watched before the first comes, and after the last has left.
const CALM: Duration = Duration::from_secs(4);

/// After the last line nobody types for so long; then all leave. In the middle of it memory is counted.
pub(crate) const PAUSE: Duration = Duration::from_secs(20);

/// What was seen, by all learners.
pub(crate) type Seen = Arc<Mutex<Records>>;

/// Notes something that took a while.
pub(crate) fn note(seen: &Seen, begun: Instant, kind: Kind, took: Duration) {
    seen.lock().unwrap_or_else(PoisonError::into_inner).note(begun, kind, took);
}

/// Plays a class and writes the table to standard output and the picture to a file.
///
/// # Errors
/// When a learner's way ends early.
pub(crate) async fn run(product: &Product, learners: usize, picture: &Path) -> anyhow::Result<()> {
    let most = learners.to_string();
    let server = Server::start(product, &["--max-sessions", &most, "--keep-sessions"]);
    let begun = Instant::now();
    let seen: Seen = Arc::new(Mutex::new(Records::new(begun)));
    let watch = machine::Watch::start(server.pid().as_raw(), begun);
    tokio::time::sleep(CALM).await;
    let mut tasks = tokio::task::JoinSet::new();
    // Everybody types until the last has arrived and had time to begin.
    let until = begun + CALM + ARRIVALS + Duration::from_secs(30);
    for number in 0..learners {
        let wait = ARRIVALS * u32::try_from(number)? / u32::try_from(learners.max(1))?;
        let (address, seen) = (server.address().to_owned(), seen.clone());
        tasks.spawn(async move {
            tokio::time::sleep(wait).await;
            let outcome = learner::play(&address, &seen, until).await;
            (number, outcome)
        });
    }
    tokio::time::sleep_until((until + PAUSE / 2).into()).await;
    let folder = product.data().display().to_string();
    let memory = tokio::task::spawn_blocking(move || Processes::find(&folder).map(|it| (it.len(), it.total()))).await?;
    let mut failed = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (number, outcome) = done?;
        if let Err(error) = outcome {
            failed.push(format!("learner {number}: {error:#}"));
        }
    }
    tokio::time::sleep(CALM).await;
    let samples = watch.stop();
    let records = seen.lock().unwrap_or_else(PoisonError::into_inner);
    figures::table(learners, &records, &samples, memory.ok());
    std::fs::write(picture, picture::draw(learners, &records, &samples))?;
    anyhow::ensure!(failed.is_empty(), "{} of {learners} could not go on:\n{}", failed.len(), failed.join("\n"));
    Ok(())
}
