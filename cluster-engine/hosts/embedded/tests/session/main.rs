//! Real sessions of nodes whose first process is busybox: what the host promises, and that nothing of it stays behind.
//!
//! Needs root and a static busybox; says so and does nothing where either is missing. A program of its own instead of
//! libtest because sessions start the very executable again as supervisor and as runtime helper.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

mod cases;
mod census;
mod lab;

use std::path::Path;

fn main() {
    let name = std::env::args().next().unwrap_or_default();
    match Path::new(&name).file_name().and_then(|name| name.to_str()) {
        Some("runtime") => drydock_container_runtime::helper_main(),
        Some("drydock-supervisor") => supervise(),
        _ => {}
    }
    let filter = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    if !nix::unistd::geteuid().is_root() || !Path::new("/bin/busybox").exists() {
        println!("skipped: needs root and /bin/busybox");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut failed = false;
    for (name, case) in cases::ALL {
        if filter.as_ref().is_some_and(|filter| !name.contains(filter.as_str())) {
            continue;
        }
        let before = census::Census::take();
        let lab = lab::Lab::new();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(case(&lab))));
        if outcome.is_err() {
            lab.show_logs();
        }
        let removed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(lab.end())));
        let left = before.compare();
        let ok = outcome.is_ok() && removed.is_ok() && left.is_empty();
        for line in left {
            println!("left behind by {name}: {line}");
        }
        println!("{name} ... {}", if ok { "ok" } else { "FAILED" });
        failed |= !ok;
    }
    std::process::exit(i32::from(failed));
}

fn supervise() -> ! {
    use clap::Parser;
    drydock_component::init_logging("drydock-supervisor");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        let shutdown = drydock_component::Shutdown::on_signals().unwrap();
        drydock_supervisor::run(drydock_supervisor::Options::parse(), shutdown).await
    });
    if let Err(error) = outcome {
        tracing::error!(%error, "ended");
        std::process::exit(1);
    }
    std::process::exit(0);
}
