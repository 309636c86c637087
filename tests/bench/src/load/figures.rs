//! What was measured, and the table of it.

use std::time::{Duration, Instant};

use super::machine::Sample;

/// What took a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The page, and what the code leads to.
    Page,
    /// From *Join* to ready.
    Start,
    /// From the terminal's opening to its first prompt.
    Prompt,
    /// From a key to its character on the screen.
    Echo,
    /// From the end of a line to the next prompt.
    Command,
    /// From the end of the line that fulfils a step to the step's green mark.
    Check,
    /// From *End* to the cluster's end.
    End,
}

/// Something that took a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// When it began, in seconds since the beginning.
    pub(super) at: f64,
    pub(super) kind: Kind,
    /// Milliseconds.
    pub(super) took: f64,
}

/// All of it.
pub(crate) struct Records {
    begun: Instant,
    all: Vec<Record>,
}

impl Records {
    pub(super) fn new(begun: Instant) -> Records {
        Records { begun, all: Vec::new() }
    }

    pub(super) fn note(&mut self, at: Instant, kind: Kind, took: Duration) {
        let at = at.duration_since(self.begun).as_secs_f64();
        self.all.push(Record { at, kind, took: took.as_secs_f64() * 1000.0 });
    }

    /// Those of a kind.
    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = &Record> {
        self.all.iter().filter(move |record| record.kind == kind)
    }
}

/// The value that a share (0 to 1) of them does not exceed.
pub(super) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}

/// Prints the table.
pub(super) fn table(learners: usize, records: &Records, samples: &[Sample], held: Option<(usize, u64)>) {
    println!("| {learners} learners, one server | times | p50 | p99 | longest |\n| --- | --- | --- | --- | --- |");
    for (kind, what) in [
        (Kind::Page, "page behind the link"),
        (Kind::Start, "*Join* → cluster ready"),
        (Kind::Prompt, "terminal → prompt"),
        (Kind::Echo, "key → character on the screen"),
        (Kind::Command, "Enter → next prompt (kubectl)"),
        (Kind::Check, "`kubectl run` → Pod runs, check green"),
        (Kind::End, "*End* → nothing left"),
    ] {
        let times: Vec<_> = records.of(kind).map(|record| record.took).collect();
        let (p50, p99, most) = (quantile(&times, 0.5), quantile(&times, 0.99), quantile(&times, 1.0));
        println!("| {what} | {} | {} | {} | {} |", times.len(), millis(p50), millis(p99), millis(most));
    }
    let first = samples.first().copied().unwrap_or_default();
    let memory = samples.iter().map(|sample| sample.memory).fold(0.0, f64::max) - first.memory;
    let peak = samples.iter().map(|sample| sample.server_memory).fold(0.0, f64::max);
    let cpu: Vec<_> = samples.iter().map(|sample| sample.cpu).collect();
    let server: Vec<_> = samples.iter().map(|sample| sample.server_cpu).collect();
    let own: Vec<_> = samples.iter().map(|sample| sample.own_cpu).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    println!(
        "\nMemory of the machine at its peak above before: {:.2} GB, {:.1} MB a learner",
        memory / 1e9,
        memory / 1e6 / learners as f64
    );
    if let Some((processes, bytes)) = held {
        let (bytes, each) = (bytes as f64 / 1e6, bytes as f64 / 1e6 / learners as f64);
        println!(
            "Memory of the {processes} processes of all sessions after it (PSS): {bytes:.0} MB, {each:.1} MB a learner"
        );
    }
    println!("Memory of the server's process at its peak: {:.0} MB", peak / 1e6);
    println!("CPU of the machine: mean {:.0} %, p99 {:.0} % (100 is all processors)", mean(&cpu), quantile(&cpu, 0.99));
    println!(
        "CPU of the server's process: mean {:.1} %, p99 {:.0} % of one processor",
        mean(&server),
        quantile(&server, 0.99)
    );
    println!("CPU of the learners' program itself, contained in the above: mean {:.1} % of one processor", mean(&own));
}

fn millis(value: f64) -> String {
    if value < 10.0 { format!("{value:.1} ms") } else { format!("{value:.0} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((quantile(&values, 0.0), quantile(&values, 0.5), quantile(&values, 1.0)), (1.0, 51.0, 100.0));
        assert_eq!(quantile(&values, 0.99), 99.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
