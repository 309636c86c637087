//! /metrics: a few of upstream's series, counted in memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::server::Server;

/// Upper bounds of the latency histogram in seconds.
const BOUNDS: [f64; 10] = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 1.0, 5.0, 30.0];

/// Counters of requests.
#[derive(Default)]
pub(crate) struct Metrics(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    requests: BTreeMap<Key, u64>,
    durations: BTreeMap<&'static str, Histogram>,
    panics: u64,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    verb: &'static str,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    code: u16,
}

#[derive(Default)]
struct Histogram {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

impl Metrics {
    /// Counts a finished request; `known` tells whether its resource exists (a client cannot make series out of nothing).
    pub(crate) fn request(&self, info: &crate::request::RequestInfo, known: bool, code: u16, took: Duration) {
        let verb = verb(info.verb);
        let text = |value: &str| if known { value.to_owned() } else { String::new() };
        let key = Key {
            verb,
            group: text(&info.group),
            version: text(&info.version),
            resource: text(&info.resource),
            subresource: text(&info.subresource),
            code,
        };
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counted.requests.entry(key).or_default() += 1;
        if verb == "WATCH" {
            return;
        }
        let histogram = counted.durations.entry(verb).or_default();
        let seconds = took.as_secs_f64();
        histogram.count += 1;
        histogram.sum += seconds;
        for (bucket, bound) in histogram.buckets.iter_mut().zip(BOUNDS) {
            if seconds <= bound {
                *bucket += 1;
            }
        }
    }

    /// Counts a handler that panicked.
    pub(crate) fn panicked(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).panics += 1;
    }

    /// Everything in Prometheus' text form.
    pub(crate) fn text(&self, server: &Server) -> String {
        let mut out = String::new();
        // Writing into a String cannot fail.
        let _ = self.write(server, &mut out);
        out
    }

    fn write(&self, server: &Server, out: &mut String) -> std::fmt::Result {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(
            out,
            "# HELP apiserver_request_total Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.\n# TYPE apiserver_request_total counter"
        )?;
        for (key, count) in &counted.requests {
            writeln!(
                out,
                "apiserver_request_total{{code=\"{}\",component=\"apiserver\",dry_run=\"\",group=\"{}\",resource=\"{}\",scope=\"\",subresource=\"{}\",verb=\"{}\",version=\"{}\"}} {count}",
                key.code, key.group, key.resource, key.subresource, key.verb, key.version
            )?;
        }
        writeln!(
            out,
            "# HELP apiserver_request_duration_seconds Response latency distribution in seconds for each verb.\n# TYPE apiserver_request_duration_seconds histogram"
        )?;
        for (verb, histogram) in &counted.durations {
            for (bucket, bound) in histogram.buckets.iter().zip(BOUNDS) {
                writeln!(out, "apiserver_request_duration_seconds_bucket{{verb=\"{verb}\",le=\"{bound}\"}} {bucket}")?;
            }
            writeln!(
                out,
                "apiserver_request_duration_seconds_bucket{{verb=\"{verb}\",le=\"+Inf\"}} {}",
                histogram.count
            )?;
            writeln!(out, "apiserver_request_duration_seconds_sum{{verb=\"{verb}\"}} {}", histogram.sum)?;
            writeln!(out, "apiserver_request_duration_seconds_count{{verb=\"{verb}\"}} {}", histogram.count)?;
        }
        writeln!(
            out,
            "# HELP apiserver_storage_objects Number of stored objects at the time of last check split by kind.\n# TYPE apiserver_storage_objects gauge"
        )?;
        for row in server.rows.all().iter().filter(|row| row.stored() && row.from_storage.is_none()) {
            let count = server.caches.get(row.storage).map_or(0, |cache| cache.len());
            let dot = if row.group.is_empty() { "" } else { "." };
            writeln!(out, "apiserver_storage_objects{{resource=\"{}{dot}{}\"}} {count}", row.plural, row.group)?;
        }
        let (calls, micros) = server.etcd.timings();
        writeln!(
            out,
            "# TYPE etcd_request_duration_seconds summary\netcd_request_duration_seconds_sum {}\netcd_request_duration_seconds_count {calls}",
            micros as f64 / 1e6
        )?;
        writeln!(out, "# TYPE apiserver_panics_total counter\napiserver_panics_total {}", counted.panics)?;
        writeln!(
            out,
            "# TYPE process_uptime_seconds gauge\nprocess_uptime_seconds {}",
            server.started.elapsed().as_secs_f64()
        )
    }
}

fn verb(verb: &str) -> &'static str {
    match verb {
        "get" => "GET",
        "list" => "LIST",
        "watch" => "WATCH",
        "create" | "post" => "POST",
        "update" | "put" => "PUT",
        "patch" => "PATCH",
        "delete" => "DELETE",
        "deletecollection" => "DELETECOLLECTION",
        _ => "other",
    }
}
