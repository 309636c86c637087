//! Every developer command of Drydock: `cargo xtask up`, `cargo xtask test` and the rest.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its user")]

mod bench;
mod build;
mod ci;
mod clients;
mod docker;
mod images;
mod kubectl;
mod lessons;
mod metadata;
mod progress;
mod rerun;
mod soak;
mod test;
mod tidy;
mod tools;
mod up;

use clap::{Parser, Subcommand};

/// Builds, runs, tests and measures Drydock.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds everything and serves it on http://127.0.0.1:8080.
    Up(up::Options),
    /// Builds target/release/drydock with all that it needs inside.
    Build,
    /// Builds the local images.
    Images,
    /// Runs every test: unit tables, etcd, clusters with genuine kubectl, the browser journey, clean-up.
    Test(test::Options),
    /// Proves the lessons on real clusters: their checks fail before and hold after what a learner does.
    Lessons(lessons::Options),
    /// Formatting, lints, dependency rules, licences and sources.
    Check,
    /// What CI runs: `check`, then `test`.
    Ci,
    /// Checks the dependency table and the files' form.
    Tidy,
    /// Measures start times, memory, CPU and the API server; or a whole class.
    Bench(bench::Options),
    /// Lets everything go wrong in many sessions at once, for minutes, and checks that nothing is lost or left behind.
    Soak(soak::Options),
}

fn main() -> anyhow::Result<()> {
    match Options::parse().command {
        Command::Up(options) => up::run(&options),
        Command::Build => build::release().map(|binary| println!("{}", binary.display())),
        Command::Images => images::build(&progress::Progress::new(1)).map(|_| ()),
        Command::Test(options) => test::run(&options),
        Command::Lessons(options) => lessons::run(&options),
        Command::Check => ci::check(),
        Command::Ci => ci::check().and_then(|()| test::run(&test::Options::default())),
        Command::Tidy => tidy::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Soak(options) => soak::run(&options),
    }
}
