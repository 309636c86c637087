//! `drydock`: the server and the engine's command line in one file.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its user")]

mod access;
mod accounts;
mod commands;
mod deeds;
mod error;
mod faults;
mod files;
mod front;
mod identity;
mod lessons;
mod limits;
mod live;
mod routes;
mod sessions;
mod store;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let options = commands::Options::parse();
    match commands::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("drydock: {}", error::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
