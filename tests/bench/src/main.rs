//! `cargo xtask bench`: what a session costs, measured in one run on one machine.
//!
//! Figures are medians of several tries unless they say otherwise. Machines are noisy: compare ratios of one run.
#![allow(clippy::print_stdout, reason = "the table is the result")]

mod api;
mod echo;
mod load;
mod processes;

use std::time::{Duration, Instant};

use anyhow::Context;
use drydock_client::{Client, Config};
use drydock_tests_harness::Product;
use processes::Processes;

/// Clusters created for the start time.
const STARTS: usize = 7;
/// Pods run one after the other.
const PODS: usize = 15;
/// Pods created at once for the rate.
const MANY_PODS: usize = 100;
/// Clusters created on Docker.
const DOCKER_STARTS: usize = 3;
/// Numbers of sessions whose memory is measured.
const CLASSES: [usize; 3] = [1, 5, 20];
/// How long a cluster is left alone before it counts as idle.
const SETTLE: Duration = Duration::from_secs(3);
/// How long idle CPU is watched.
const IDLE: Duration = Duration::from_secs(30);

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word @ ("class" | "prepared-class"), learners, picture] =
        words.iter().map(String::as_str).collect::<Vec<_>>().as_slice()
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let prepared = *word == "prepared-class";
        return runtime.block_on(load::run(&Product::new(), learners.parse()?, prepared, picture.as_ref()));
    }
    let product = Product::new();
    // The first command unpacks bundle and images, which a machine does once.
    product.drydock(["image", "list"]).ok();
    println!("| what | measured |\n| --- | --- |");

    println!("{}", starts(&product, "embedded", STARTS)?);
    match product.drydock(["--host", "docker", "cluster", "list"]) {
        outcome if outcome.code == 0 => println!("{}", starts(&product, "docker", DOCKER_STARTS)?),
        outcome => println!("| on Docker | not measured: {} |", outcome.stderr.trim()),
    }

    product.drydock(["cluster", "create", "bench", "--workers", "2"]).ok();
    let kubeconfig = product.drydock(["cluster", "kubeconfig", "bench"]).ok();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let client = Client::new(Config::from_kubeconfig_str(&kubeconfig)?)?;
    runtime.block_on(api::wait_for_dns(&client))?;

    std::thread::sleep(SETTLE);
    let processes = Processes::find(&product.data().to_string_lossy())?;
    for (name, bytes) in processes.memory() {
        println!("| idle PSS: {name} | {:.1} MB |", megabytes(bytes));
    }
    println!(
        "| idle PSS of the session (1 + 2 nodes, {} processes) | {:.1} MB |",
        processes.len(),
        megabytes(processes.total())
    );
    let control_plane = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
    let idle: u64 = processes
        .memory()
        .iter()
        .filter(|(name, _)| control_plane.contains(&name.as_str()))
        .map(|(_, bytes)| bytes)
        .sum();
    println!("| idle PSS of the control plane's four processes | {:.1} MB |", megabytes(idle));

    let (before, started) = (processes.cpu_micros(), Instant::now());
    std::thread::sleep(IDLE);
    let share = (processes.cpu_micros() - before) as f64 / started.elapsed().as_micros() as f64 * 100.0;
    println!("| idle CPU of the session over {} s | {share:.2} % of a core |", IDLE.as_secs());

    let mut pods = Vec::new();
    for number in 0..PODS {
        pods.push(runtime.block_on(api::run_pod(&client, &format!("one-{number}")))?);
    }
    println!(
        "| pod create → Running, image present, median of {PODS} (min) | {} ms ({} ms) |",
        median(&pods),
        low(&pods)
    );
    let twenty = runtime.block_on(api::run_pods(&client, 20))?;
    println!("| 20 pods at once → all Running | {twenty:.0} ms |");
    let many = runtime.block_on(api::run_pods(&client, MANY_PODS))?;
    println!("| {MANY_PODS} pods at once on two workers | {:.0} pods/s |", MANY_PODS as f64 * 1000.0 / many);

    let server = processes.one("kube-apiserver").context("no kube-apiserver")?;
    for result in runtime.block_on(api::load(&kubeconfig, server))? {
        println!(
            "| {} | {:.0}/s, p50 {:.2} ms, p99 {:.2} ms, server CPU {:.0} µs each |",
            result.what, result.per_second, result.p50, result.p99, result.server_micros
        );
    }
    product.drydock(["cluster", "delete", "bench"]).ok();
    class(&product, &runtime)?;
    let mut echoes: Vec<f64> =
        runtime.block_on(echo::times(&product))?.into_iter().map(|it| it.as_secs_f64() * 1000.0).collect();
    echoes.sort_by(f64::total_cmp);
    let at = |share: usize| {
        echoes.get((echoes.len() * share / 100).min(echoes.len().saturating_sub(1))).copied().unwrap_or_default()
    };
    println!(
        "| a typed character back from the shell, {} people typing at once, {} characters each | p50 {:.1} ms, p99 {:.1} ms |",
        echo::SESSIONS,
        echo::KEYS,
        at(50),
        at(99)
    );
    Ok(())
}

/// How long clusters take on a host, as a row.
fn starts(product: &Product, host: &str, tries: usize) -> anyhow::Result<String> {
    let mut starts = Vec::new();
    for number in 0..tries {
        let name = format!("start-{number}");
        let create = ["--host", host, "cluster", "create", &name, "--workers", "2", "--output", "json"];
        let described: serde_json::Value = serde_json::from_str(&product.drydock(create).ok())?;
        starts.push(described["readyMillis"].as_f64().context("readyMillis")?);
        product.drydock(["--host", host, "cluster", "delete", &name]).ok();
    }
    let (median, low) = (median(&starts), low(&starts));
    Ok(format!("| create on {host} → all 3 nodes Ready, cold, median of {tries} (min) | {median} ms ({low} ms) |"))
}

/// What a session costs when it is one of several: pages of the program are shared by all.
fn class(product: &Product, runtime: &tokio::runtime::Runtime) -> anyhow::Result<()> {
    let mut there = 0;
    let mut longest = 0.0_f64;
    for size in CLASSES {
        for number in there..size {
            let name = format!("class-{number}");
            let create = ["cluster", "create", &name, "--workers", "2", "--output", "json"];
            let described: serde_json::Value = serde_json::from_str(&product.drydock(create).ok())?;
            longest = longest.max(described["readyMillis"].as_f64().context("readyMillis")?);
            let kubeconfig = product.drydock(["cluster", "kubeconfig", &name]).ok();
            runtime.block_on(api::wait_for_dns(&Client::new(Config::from_kubeconfig_str(&kubeconfig)?)?))?;
        }
        there = size;
        std::thread::sleep(SETTLE);
        let processes = Processes::find(&product.data().to_string_lossy())?;
        let each = megabytes(processes.total()) / size as f64;
        let (before, started) = (processes.cpu_micros(), Instant::now());
        std::thread::sleep(SETTLE);
        let share = (processes.cpu_micros() - before) as f64 / started.elapsed().as_micros() as f64 * 100.0;
        println!("| idle PSS of each of {size} sessions (CPU of all) | {each:.1} MB ({share:.1} % of a core) |");
    }
    println!("| slowest start while up to {there} sessions run | {longest:.0} ms |");
    for number in 0..there {
        product.drydock(["cluster", "delete", &format!("class-{number}")]).ok();
    }
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default().round()
}

fn low(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min).round()
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}
