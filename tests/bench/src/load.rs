//! `cargo xtask bench --class 50`: a class. Its learners come within half a minute, join by its code with a name, type, fulfil a
//! step and leave, all on one server; its instructor looks on.
//!
//! Each is a browser with its own cookies, event stream and terminal. Meanwhile the machine is looked at twice a second; what
//! comes out is a table and one picture of curves.

mod browser;
mod figures;
mod instructor;
mod learner;
mod machine;
mod picture;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use drydock_tests_harness::{Product, Server, http};
use figures::{Kind, Records};
use instructor::Instructor;

use crate::processes::Processes;

/// Learners come within this time, evenly.
const ARRIVALS: Duration = Duration::from_secs(25);
/// How long the server is watched before the first comes, and after the last has left.
const CALM: Duration = Duration::from_secs(4);

/// Clusters that are made ready ahead are waited for as long as each next one comes within this time.
const NEXT_WARM: Duration = Duration::from_secs(15);

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
/// With `prepared`, the first comes when the class's clusters are ready, as those do who come a few minutes before its beginning;
/// without, everybody comes as soon as there is a class.
///
/// # Errors
/// When a learner's way ends early.
pub(crate) async fn run(product: &Product, learners: usize, prepared: bool, picture: &Path) -> anyhow::Result<()> {
    let most = learners.to_string();
    let server = Server::start(product, &["--max-sessions", &most, "--keep-sessions"]);
    let token = server.setup_token();
    let begun = Instant::now();
    let seen: Seen = Arc::new(Mutex::new(Records::new(begun)));
    let watch = machine::Watch::start(server.pid().as_raw(), begun);
    tokio::time::sleep(CALM).await;
    let planned = Instant::now();
    let mut instructor = Instructor::begin(server.address(), &token, learners).await?;
    if prepared {
        let count = prepare(server.address(), learners).await?;
        println!("{count} clusters were made ready ahead in {:.1} s.\n", planned.elapsed().as_secs_f64());
    }
    let mut tasks = tokio::task::JoinSet::new();
    // Everybody types until the last has arrived and had time to begin.
    let until = Instant::now() + ARRIVALS + Duration::from_secs(30);
    for number in 0..learners {
        let wait = ARRIVALS * u32::try_from(number)? / u32::try_from(learners.max(1))?;
        let (address, code, seen) = (server.address().to_owned(), instructor.code.clone(), seen.clone());
        tasks.spawn(async move {
            tokio::time::sleep(wait).await;
            let name = format!("Learner {}", number + 1);
            let outcome = learner::play(&address, &code, &name, &seen, until).await;
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
    {
        let records = seen.lock().unwrap_or_else(PoisonError::into_inner);
        figures::table(learners, &records, &samples, memory.ok());
        std::fs::write(picture, picture::draw(learners, &records, &samples))?;
    }
    let fulfilled = instructor.fulfilled().await?;
    println!(
        "The class's table has the step for {fulfilled} of {learners}; its grid was told {} changes.",
        instructor.changes()
    );
    instructor.leave();
    anyhow::ensure!(failed.is_empty(), "{} of {learners} could not go on:\n{}", failed.len(), failed.join("\n"));
    anyhow::ensure!(fulfilled == learners, "only {fulfilled} of {learners} have the step in the class's table");
    Ok(())
}

/// Waits until every learner's cluster is ready, or there is no room for more: how many are.
async fn prepare(address: &str, learners: usize) -> anyhow::Result<usize> {
    let (mut count, mut since) = (0, Instant::now());
    while count < learners && since.elapsed() < NEXT_WARM {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let page = http::raw(address, "GET", "/metrics", "");
        let now = page.lines().find_map(|line| line.strip_prefix("drydock_warm_clusters "));
        let now: usize = now.context("no figure of warm clusters")?.trim().parse()?;
        if now > count {
            (count, since) = (now, Instant::now());
        }
    }
    Ok(count)
}
