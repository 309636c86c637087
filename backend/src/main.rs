//! `drydock`: the server and the engine's command line in one file.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its user")]

mod access;
mod accounts;
mod admission;
mod backup;
mod classroom;
mod commands;
mod config;
mod deeds;
mod error;
mod faults;
mod files;
mod front;
mod identity;
mod lessons;
mod limits;
mod live;
mod metrics;
mod notify;
mod preview;
mod routes;
mod sessions;
mod store;

use std::process::ExitCode;

fn main() -> ExitCode {
    let line: Vec<_> = std::env::args_os().collect();
    match commands::parse(&line).and_then(|(options, settings)| commands::run(options, &settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("drydock: {}", error::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
