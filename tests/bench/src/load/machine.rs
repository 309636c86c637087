//! The machine and the server's process while the class goes on, twice a second.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks.
const STEP: Duration = Duration::from_millis(500);
/// Clock ticks of /proc a second, on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// How it was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    /// Seconds since the beginning.
    pub(super) at: f64,
    /// CPU share of the machine, 100 is all processors.
    pub(super) cpu: f64,
    /// CPU shares of one processor.
    pub(super) server_cpu: f64,
    pub(super) own_cpu: f64,
    /// Bytes in use.
    pub(super) memory: f64,
    pub(super) server_memory: f64,
}

/// A thread that looks.
pub(super) struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Sample>>,
}

#[derive(Clone, Copy)]
struct Counters {
    at: Instant,
    busy: f64,
    all: f64,
    server: f64,
    own: f64,
}

impl Watch {
    pub(super) fn start(server: i32, begun: Instant) -> Watch {
        let over = Arc::new(AtomicBool::new(false));
        let flag = over.clone();
        let thread = std::thread::spawn(move || {
            let mut samples = Vec::new();
            let mut before = counters(server);
            while !flag.load(Ordering::Relaxed) {
                std::thread::sleep(STEP);
                let now = counters(server);
                let seconds = now.at.duration_since(before.at).as_secs_f64().max(0.001);
                samples.push(Sample {
                    at: now.at.duration_since(begun).as_secs_f64(),
                    cpu: (now.busy - before.busy) / (now.all - before.all).max(1.0) * 100.0,
                    server_cpu: (now.server - before.server) / TICKS / seconds * 100.0,
                    own_cpu: (now.own - before.own) / TICKS / seconds * 100.0,
                    memory: memory(),
                    server_memory: process(&server.to_string()).1,
                });
                before = now;
            }
            samples
        });
        Watch { over, thread }
    }

    pub(super) fn stop(self) -> Vec<Sample> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

fn counters(server: i32) -> Counters {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let columns: Vec<f64> = line.split_whitespace().skip(1).take(8).map(|word| word.parse().unwrap_or(0.0)).collect();
    let all: f64 = columns.iter().sum();
    let idle: f64 = columns.iter().skip(3).take(2).sum();
    let (server, own) = (process(&server.to_string()).0, process("self").0);
    Counters { at: Instant::now(), busy: all - idle, all, server, own }
}

/// CPU ticks and bytes of memory of a process.
fn process(pid: &str) -> (f64, f64) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let columns: Vec<f64> = rest.split_whitespace().map(|word| word.parse().unwrap_or(0.0)).collect();
    let column = |index: usize| columns.get(index).copied().unwrap_or(0.0);
    (column(11) + column(12), column(21) * 4096.0)
}

fn memory() -> f64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let row = |name: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        rest.split_whitespace().next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0
    };
    row("MemTotal:") - row("MemAvailable:")
}
