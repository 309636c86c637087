//! Figures of this process: counted where things happen, read by `/metrics` and by the operator's page.
//!
//! They are statics, as a log is: whoever has something to count does so in one line, with nothing handed through.

pub(crate) mod machine;
pub(crate) mod monitor;
pub(crate) mod routes;
pub(crate) mod text;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use axum::response::Response;
use drydock_protocol::operator::Durations;

/// Sessions that were asked for.
pub(crate) static SESSIONS_CREATED: Counter = Counter::new();
/// Sessions that could not start.
pub(crate) static SESSIONS_FAILED: Counter = Counter::new();
/// From the request to all nodes Ready.
pub(crate) static SESSION_START: Histogram =
    Histogram::new(&[0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0]);
/// From the request to the start, of sessions that had to wait.
pub(crate) static QUEUE_WAIT: Histogram =
    Histogram::new(&[1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0]);
/// Terminals that are connected.
pub(crate) static TERMINALS: Gauge = Gauge::new();
/// Terminals that were opened.
pub(crate) static TERMINALS_OPENED: Counter = Counter::new();
/// Requests to learners' workloads.
pub(crate) static PREVIEW_REQUESTS: Counter = Counter::new();

/// Marks an answer of a learner's workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfPreview;

/// Counts and marks an answer of a learner's workload.
pub(crate) fn preview(mut response: Response) -> Response {
    PREVIEW_REQUESTS.add();
    response.extensions_mut().insert(OfPreview);
    response
}

/// Buckets that a histogram can have, the last one without a bound included.
const MOST_BUCKETS: usize = 16;

/// Something that only grows.
#[derive(Debug)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    /// One more.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Something that comes and goes.
#[derive(Debug)]
pub(crate) struct Gauge(AtomicI64);

/// One that is there until this is dropped.
#[derive(Debug)]
pub(crate) struct Held(&'static Gauge);

impl Gauge {
    const fn new() -> Gauge {
        Gauge(AtomicI64::new(0))
    }

    /// One more, for as long as the answer is kept.
    #[must_use]
    pub(crate) fn hold(&'static self) -> Held {
        self.0.fetch_add(1, Ordering::Relaxed);
        Held(self)
    }

    /// How many there are.
    pub(crate) fn get(&self) -> u64 {
        u64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long something takes, sorted into buckets.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// Upper bounds in seconds, rising.
    bounds: &'static [f64],
    /// One more than there are bounds.
    counts: [AtomicU64; MOST_BUCKETS],
    sum_micros: AtomicU64,
}

/// A histogram at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Buckets {
    bounds: &'static [f64],
    counts: Vec<u64>,
    sum_seconds: f64,
}

impl Histogram {
    /// With these upper bounds in seconds.
    pub(crate) const fn new(bounds: &'static [f64]) -> Histogram {
        assert!(bounds.len() < MOST_BUCKETS, "a bucket is left for all that is longer");
        Histogram { bounds, counts: [const { AtomicU64::new(0) }; MOST_BUCKETS], sum_micros: AtomicU64::new(0) }
    }

    /// One more that took this long.
    pub(crate) fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = self.bounds.iter().position(|bound| seconds <= *bound).unwrap_or(self.bounds.len());
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_micros.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// As it is now.
    pub(crate) fn read(&self) -> Buckets {
        let counts = self.counts.iter().take(self.bounds.len() + 1).map(|count| count.load(Ordering::Relaxed));
        let micros = self.sum_micros.load(Ordering::Relaxed);
        Buckets { bounds: self.bounds, counts: counts.collect(), sum_seconds: micros as f64 / 1e6 }
    }
}

impl Buckets {
    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long at most `share` (0 to 1) of them took, in seconds, as if they lay evenly in their bucket. What is longer than all
    /// bounds counts as the last bound.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let wanted = self.count() as f64 * share;
        let (mut below, mut from) = (0.0, 0.0);
        for (bound, count) in self.bounds.iter().zip(&self.counts) {
            let count = *count as f64;
            if count > 0.0 && below + count >= wanted {
                return from + (bound - from) * ((wanted - below) / count);
            }
            below += count;
            from = *bound;
        }
        if self.count() == 0 { 0.0 } else { from }
    }

    /// What came since then.
    pub(crate) fn since(&self, before: &Buckets) -> Buckets {
        let counts = self.counts.iter().zip(&before.counts).map(|(now, then)| now.saturating_sub(*then)).collect();
        Buckets { bounds: self.bounds, counts, sum_seconds: self.sum_seconds - before.sum_seconds }
    }

    /// For the operator's page.
    pub(crate) fn durations(&self) -> Durations {
        let millis = |share| (self.quantile(share) * 10_000.0).round() / 10.0;
        Durations { count: self.count(), p50_millis: millis(0.5), p99_millis: millis(0.99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_in_the_right_bucket() {
        let histogram = Histogram::new(&[0.1, 1.0]);
        assert_eq!(histogram.read().quantile(0.99), 0.0);
        for millis in [50, 100, 400, 900] {
            histogram.observe(Duration::from_millis(millis));
        }
        let read = histogram.read();
        assert_eq!(read.counts, [2, 2, 0]);
        assert_eq!((read.quantile(0.25), read.quantile(0.5), read.quantile(1.0)), (0.05, 0.1, 1.0));
        assert!((read.quantile(0.75) - 0.55).abs() < 1e-9);
        histogram.observe(Duration::from_secs(70));
        assert_eq!(histogram.read().quantile(1.0), 1.0, "beyond all bounds, the last bound is said");
        assert!((histogram.read().sum_seconds - 71.45).abs() < 1e-9);
    }

    #[test]
    fn a_gauge_counts_what_is_held() {
        static DOORS: Gauge = Gauge::new();
        let one = DOORS.hold();
        let two = DOORS.hold();
        assert_eq!(DOORS.get(), 2);
        drop((one, two));
        assert_eq!(DOORS.get(), 0);
    }
}
