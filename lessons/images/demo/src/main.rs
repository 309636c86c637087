//! The demo application of the lessons: it shows where it runs, and misbehaves when told to. Started under the name
//! `wget`, it is one.
//!
//! | request | answer |
//! | --- | --- |
//! | GET / | one line: version, host name, address |
//! | GET /info | JSON: version, host name, addresses, environment, mounted files |
//! | GET /healthz, /readyz | 200, or 503 after POST /fail/healthz or /fail/readyz |
//! | POST /fail/{probe}, /heal/{probe} | switches a probe |
//! | GET /counter, POST /counter | reads, adds to a number kept in $DEMO_DATA (default /data) |
//! | POST /leak?mib=N | keeps N MiB of memory |
//! | POST /burn?seconds=N | keeps a CPU busy |
//! | POST /exit?code=N | ends the process |
#![allow(clippy::print_stdout, reason = "a container's log is its stdout")]

mod wget;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::extract::{ConnectInfo, Path as Segment, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};

/// Text files larger than this are only named.
const SHOWN_FILE: u64 = 4096;
/// Folders in which lessons mount volumes.
const MOUNTS: [&str; 4] = ["/data", "/config", "/secret", "/shared"];

struct Demo {
    version: String,
    host: String,
    healthy: AtomicBool,
    ready: AtomicBool,
    data: PathBuf,
    leaked: Mutex<Vec<Vec<u8>>>,
    counter: Mutex<()>,
}

#[derive(Deserialize)]
struct Amount {
    #[serde(default)]
    mib: usize,
    #[serde(default)]
    seconds: u64,
    #[serde(default)]
    code: i32,
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let name = words.first().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    if name == "wget" {
        std::process::exit(wget::main(&words[1..]));
    }
    serve()
}

#[tokio::main(flavor = "current_thread")]
async fn serve() -> anyhow::Result<()> {
    let variable = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let demo = Arc::new(Demo {
        version: variable("DEMO_VERSION", "dev"),
        host: std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned(),
        healthy: AtomicBool::new(true),
        ready: AtomicBool::new(true),
        data: variable("DEMO_DATA", "/data").into(),
        leaked: Mutex::default(),
        counter: Mutex::default(),
    });
    let port: u16 = variable("PORT", "8080").parse().context("PORT is not a port number")?;
    let listener = tokio::net::TcpListener::bind(("0.0.0.0", port))
        .await
        .with_context(|| format!("cannot listen on port {port}"))?;
    println!("demo {} listens on port {port}", demo.version);
    let app = Router::new()
        .route("/", get(line))
        .route("/info", get(info))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/fail/{probe}", post(|state, probe| async move { switch(&state, &probe, false) }))
        .route("/heal/{probe}", post(|state, probe| async move { switch(&state, &probe, true) }))
        .route("/counter", get(read_counter).post(add_to_counter))
        .route("/leak", post(leak))
        .route("/burn", post(burn))
        .route("/exit", post(exit))
        .with_state(demo.clone());
    let mut terminate = signal(SignalKind::terminate())?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move {
            terminate.recv().await;
            println!("demo stops");
        })
        .await?;
    Ok(())
}

async fn line(State(demo): State<Arc<Demo>>, ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
    println!("GET / from {}", peer.ip());
    format!("demo {} from {} ({})\n", demo.version, demo.host, addresses().join(", "))
}

async fn info(State(demo): State<Arc<Demo>>) -> Json<serde_json::Value> {
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let mut files = BTreeMap::new();
    for folder in MOUNTS {
        collect(Path::new(folder), &mut files);
    }
    Json(serde_json::json!({
        "version": demo.version,
        "host": demo.host,
        "addresses": addresses(),
        "environment": environment,
        "files": files,
    }))
}

async fn healthz(State(demo): State<Arc<Demo>>) -> (StatusCode, &'static str) {
    probe(demo.healthy.load(Ordering::Relaxed))
}

async fn readyz(State(demo): State<Arc<Demo>>) -> (StatusCode, &'static str) {
    probe(demo.ready.load(Ordering::Relaxed))
}

fn probe(well: bool) -> (StatusCode, &'static str) {
    if well { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "told to fail\n") }
}

fn switch(State(demo): &State<Arc<Demo>>, Segment(probe): &Segment<String>, well: bool) -> (StatusCode, &'static str) {
    let flag = match probe.as_str() {
        "healthz" => &demo.healthy,
        "readyz" => &demo.ready,
        _ => return (StatusCode::NOT_FOUND, "probes are healthz and readyz\n"),
    };
    flag.store(well, Ordering::Relaxed);
    (StatusCode::OK, "done\n")
}

async fn read_counter(State(demo): State<Arc<Demo>>) -> String {
    format!("{}\n", counter(&demo))
}

async fn add_to_counter(State(demo): State<Arc<Demo>>) -> Result<String, (StatusCode, String)> {
    let _one_at_a_time = demo.counter.lock().unwrap_or_else(PoisonError::into_inner);
    let next = counter(&demo) + 1;
    let file = demo.data.join("counter");
    std::fs::write(&file, next.to_string())
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write {}: {error}\n", file.display())))?;
    Ok(format!("{next}\n"))
}

fn counter(demo: &Demo) -> u64 {
    std::fs::read_to_string(demo.data.join("counter"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or_default()
}

async fn leak(State(demo): State<Arc<Demo>>, Query(amount): Query<Amount>) -> String {
    let mut leaked = demo.leaked.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..amount.mib.min(4096) {
        // Written to, or the kernel would not count it.
        leaked.push(vec![1; 1 << 20]);
    }
    format!("keeping {} MiB\n", leaked.len())
}

async fn burn(Query(amount): Query<Amount>) -> String {
    let seconds = amount.seconds.min(3600);
    std::thread::spawn(move || {
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            std::hint::spin_loop();
        }
    });
    format!("busy for {seconds} s\n")
}

async fn exit(Query(amount): Query<Amount>) -> StatusCode {
    println!("told to exit with code {}", amount.code);
    std::process::exit(amount.code)
}

/// The addresses of this pod, from the kernel's own table.
fn addresses() -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let mut found = Vec::new();
    let mut last = "";
    for line in table.lines() {
        if let Some(address) = line.trim().strip_prefix("|-- ") {
            last = address;
        } else if line.contains("/32 host LOCAL") && !last.starts_with("127.") && !found.iter().any(|it| it == last) {
            found.push(last.to_owned());
        }
    }
    found
}

/// Text files below a folder, with their contents if they are short.
fn collect(folder: &Path, files: &mut BTreeMap<String, String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        // A volume's files are links into a hidden folder, which would show everything twice.
        if entry.file_name().to_string_lossy().starts_with("..") {
            continue;
        }
        let Ok(meta) = std::fs::metadata(&path) else { continue };
        if meta.is_dir() {
            collect(&path, files);
        } else {
            let text = if meta.len() <= SHOWN_FILE { std::fs::read_to_string(&path).ok() } else { None };
            files.insert(path.display().to_string(), text.unwrap_or_else(|| format!("({} bytes)", meta.len())));
        }
    }
}
