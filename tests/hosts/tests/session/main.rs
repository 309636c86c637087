//! One suite for both hosts: real sessions of nodes whose first process is busybox: what the host promises, and that nothing of it stays behind.
//!
//! Needs root and a static busybox, and Docker for its half; says so and does nothing where one is missing. Arguments pick
//! cases by parts of their names, `docker::terminals`. A program of its own instead of
//! libtest because sessions start the very executable again as supervisor and as runtime helper.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

mod archive;
mod cases;
mod census;
mod docker;
mod lab;

use std::path::Path;

use lab::{Bench, Kind};

fn main() {
    let mut arguments: Vec<String> = std::env::args().collect();
    let name = |argument: Option<&String>| {
        argument
            .and_then(|it| Path::new(it).file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    if name(arguments.first()) == "drydock-node" {
        // As the node binary: `drydock-node drydock-supervisor …` is `drydock-supervisor …`.
        arguments.remove(0);
    }
    match name(arguments.first()).as_str() {
        "runtime" => drydock_container_runtime::helper_main(),
        program @ ("drydock-supervisor" | "drydock-relay" | "drydock-store") => serve(program, &arguments),
        _ => {}
    }
    let filters: Vec<_> = arguments.iter().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    if !nix::unistd::geteuid().is_root() || !Path::new("/bin/busybox").exists() {
        println!("skipped: needs root and /bin/busybox");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut failed = false;
    for kind in [Kind::Embedded, Kind::Docker] {
        let wanted: Vec<_> = cases::ALL
            .iter()
            .map(|(name, case)| (format!("{kind:?}::{name}").to_lowercase(), case))
            .filter(|(name, _)| filters.iter().all(|filter| name.contains(filter.as_str())))
            .collect();
        if wanted.is_empty() {
            continue;
        }
        if kind == Kind::Docker
            && let Err(error) = runtime.block_on(drydock_host_docker::preflight())
        {
            println!("docker skipped: {error}");
            continue;
        }
        let bench = Bench::new(kind);
        if kind == Kind::Docker {
            // What is made once for all sessions counts as there before.
            runtime.block_on(docker::prepare(&bench));
        }
        for (name, case) in wanted {
            failed |= !run(&runtime, &bench, &name, case);
        }
        if kind == Kind::Docker {
            runtime.block_on(docker::clean(&bench));
        }
    }
    std::process::exit(i32::from(failed));
}

/// Runs one case and counts what it leaves behind.
fn run(runtime: &tokio::runtime::Runtime, bench: &Bench, name: &str, case: &cases::Case) -> bool {
    let before = runtime.block_on(census::Census::take(bench.kind));
    let start = std::time::Instant::now();
    let lab = bench.lab();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(case(&lab))));
    if outcome.is_err() {
        runtime.block_on(lab.show_logs());
    }
    let removed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(lab.end())));
    let left = runtime.block_on(before.compare());
    let ok = outcome.is_ok() && removed.is_ok() && left.is_empty();
    for line in left {
        println!("left behind by {name}: {line}");
    }
    println!("{name} ... {} ({:.1} s)", if ok { "ok" } else { "FAILED" }, start.elapsed().as_secs_f64());
    ok
}

fn serve(program: &str, arguments: &[String]) -> ! {
    use clap::Parser;
    use drydock_supervisor::{Options, relay, store};
    drydock_component::init_logging("drydock-supervisor");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        let shutdown = drydock_component::Shutdown::on_signals().unwrap();
        match program {
            "drydock-relay" => relay::run(relay::Options::parse_from(arguments)).await,
            "drydock-store" => store::run(store::Options::parse_from(arguments)),
            _ => drydock_supervisor::run(Options::parse_from(arguments), shutdown).await,
        }
    });
    if let Err(error) = outcome {
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        tracing::error!("ended: {}", causes.map(ToString::to_string).collect::<Vec<_>>().join(": "));
        std::process::exit(1);
    }
    std::process::exit(0);
}
