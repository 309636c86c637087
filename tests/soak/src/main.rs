//! `cargo xtask soak`: many sessions at once, in which all kinds of things go wrong for minutes. In the end each must be as
//! it was made, nothing acknowledged may be lost, and after their removal the machine must be as before.
#![allow(clippy::print_stdout, reason = "the table is the result")]

mod plan;
mod session;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Parser;
use drydock_tests_harness::{Census, Product};
use plan::Luck;
use session::{Outcome, Program, Session};
use tokio::task::JoinSet;

/// How bad it gets.
#[derive(Parser)]
struct Options {
    /// Sessions at once, of three nodes each.
    #[arg(long, default_value_t = 20)]
    sessions: usize,
    /// For how long things go wrong.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Tells the same story again; without it, another one each time.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    println!("{} sessions, {} s, seed {seed}", options.sessions, options.seconds);
    let product = Product::new();
    // The first command unpacks bundle and images, which a machine does once.
    product.drydock(["image", "list"]).ok();
    let before = Census::take(&product.data());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let program = Program { binary: product.binary().to_owned(), data: product.data() };
    let outcomes = runtime.block_on(soak(&program, &options, seed));
    for number in 0..options.sessions {
        product.drydock(["cluster", "delete", &name(number)]);
    }
    let mut wrong = Vec::new();
    let mut well = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(outcome) => well.push(outcome),
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    report(&well);
    wrong.extend(
        Census::take(&product.data()).added_since(&before).into_iter().map(|line| format!("left behind: {line}")),
    );
    let sessions = product.data().join("sessions");
    let folders = std::fs::read_dir(&sessions)?.flatten().filter(|entry| entry.path().is_dir());
    wrong.extend(folders.map(|folder| format!("left behind: {}", folder.path().display())));
    if wrong.is_empty() {
        println!("all {} sessions are well, nothing is lost, nothing is left behind", options.sessions);
        return Ok(());
    }
    bail!("seed {seed}:\n  {}", wrong.join("\n  "));
}

fn name(number: usize) -> String {
    format!("soak-{number}")
}

async fn soak(program: &Program, options: &Options, seed: u64) -> Vec<anyhow::Result<Outcome>> {
    let started = Instant::now();
    let mut sessions = JoinSet::new();
    for number in 0..options.sessions {
        let session = Session { name: name(number), program: program.clone() };
        let time = Duration::from_secs(options.seconds);
        sessions.spawn(async move {
            session.begin().await?;
            session.suffer(Luck::new(seed, number), time.saturating_sub(started.elapsed())).await
        });
    }
    let mut outcomes = Vec::new();
    while let Some(outcome) = sessions.join_next().await {
        outcomes.push(outcome.unwrap_or_else(|error| Err(error.into())));
    }
    outcomes
}

fn report(outcomes: &[Outcome]) {
    let mut faults = BTreeMap::<&str, usize>::new();
    for fault in outcomes.iter().flat_map(|outcome| &outcome.faults) {
        *faults.entry(fault).or_default() += 1;
    }
    println!("| what went wrong | times |\n| --- | --- |");
    for (fault, times) in &faults {
        println!("| {fault} | {times} |");
    }
    let mut recoveries: Vec<Duration> = outcomes.iter().map(|outcome| outcome.recovery).collect();
    recoveries.sort_unstable();
    let seconds = |recovery: Option<&Duration>| recovery.map_or(0.0, Duration::as_secs_f64);
    println!(
        "{} faults, {} acknowledged writes; from the last fault until all is well: median {:.1} s, longest {:.1} s",
        faults.values().sum::<usize>(),
        outcomes.iter().map(|outcome| outcome.writes).sum::<usize>(),
        seconds(recoveries.get(recoveries.len() / 2)),
        seconds(recoveries.last())
    );
}
