//! Requests by route: how many, how they ended, how long until the answer began (a stream's answer begins at once).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use drydock_protocol::operator::RouteLoad;

use super::text::Page;
use super::{Buckets, Histogram};

const BOUNDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Classes of status codes.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
const REFUSED: usize = 3;
const FAILED: usize = 4;

/// Requests of this process.
pub(crate) static ROUTES: Routes = Routes { rows: Mutex::new(BTreeMap::new()) };

/// A row for each method and route. Both come from the router, so there are only as many as it has.
#[derive(Debug)]
pub(crate) struct Routes {
    rows: Mutex<BTreeMap<(&'static str, String), Row>>,
}

#[derive(Debug)]
struct Row {
    times: Histogram,
    by_class: [u64; CLASSES.len()],
}

/// A route as it is now.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    method: &'static str,
    route: String,
    times: Buckets,
    by_class: [u64; CLASSES.len()],
}

impl Routes {
    /// One more request.
    pub(crate) fn observe(&self, method: &Method, route: &str, status: StatusCode, time: Duration) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1).min(FAILED);
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (known(method), route.to_owned());
        let row =
            rows.entry(key).or_insert_with(|| Row { times: Histogram::new(BOUNDS), by_class: [0; CLASSES.len()] });
        row.times.observe(time);
        if let Some(count) = row.by_class.get_mut(class) {
            *count += 1;
        }
    }

    /// All of them.
    pub(crate) fn read(&self) -> Vec<Counted> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |((method, route), row): (&(&'static str, String), &Row)| Counted {
            method,
            route: route.clone(),
            times: row.times.read(),
            by_class: row.by_class,
        };
        rows.iter().map(read).collect()
    }
}

/// Methods that routes know; a client may make up others.
fn known(method: &Method) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT"]
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("OTHER")
}

/// Requests, and how many failed by the server's fault.
pub(crate) fn totals(routes: &[Counted]) -> (u64, u64) {
    routes.iter().fold((0, 0), |(all, failed), it| (all + it.times.count(), failed + it.by_class[FAILED]))
}

/// For the operator's page: those that took most of the time first.
pub(crate) fn loads(mut routes: Vec<Counted>) -> Vec<RouteLoad> {
    routes.sort_by(|a, b| b.times.sum_seconds.total_cmp(&a.times.sum_seconds));
    let load = |it: Counted| RouteLoad {
        method: it.method.to_owned(),
        times: it.times.durations(),
        refused: it.by_class[REFUSED],
        failed: it.by_class[FAILED],
        route: it.route,
    };
    routes.into_iter().map(load).collect()
}

/// For Prometheus.
pub(crate) fn write(page: &mut Page, routes: &[Counted]) {
    let labels: Vec<_> = routes.iter().map(|it| [("method", it.method), ("route", it.route.as_str())]).collect();
    let times: Vec<_> = routes.iter().zip(&labels).map(|(it, labels)| (labels.as_slice(), it.times.clone())).collect();
    page.histogram("drydock_http_request_duration_seconds", "Time until an answer began.", &times);
    let mut ended = Vec::new();
    for it in routes {
        for (class, count) in CLASSES.into_iter().zip(it.by_class).filter(|(_, count)| *count > 0) {
            ended.push(([("method", it.method), ("route", it.route.as_str()), ("code", class)], count as f64));
        }
    }
    let ended: Vec<_> = ended.iter().map(|(labels, count)| (labels.as_slice(), *count)).collect();
    page.counter("drydock_http_requests_total", "Requests by class of their status code.", &ended);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route() {
        let routes = Routes { rows: Mutex::default() };
        let made_up = Method::from_bytes(b"XYZZY").expect("a method");
        for (method, route, status, millis) in [
            (&Method::GET, "/a", 200, 2),
            (&Method::GET, "/a", 404, 2),
            (&Method::GET, "/a", 503, 2),
            (&Method::POST, "/b", 101, 700),
            (&made_up, "/a", 405, 1),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            routes.observe(method, route, status, Duration::from_millis(millis));
        }
        let read = routes.read();
        assert_eq!(totals(&read), (5, 1));
        let loads = loads(read.clone());
        let shown: Vec<_> = loads
            .iter()
            .map(|it| (it.method.as_str(), it.route.as_str(), it.times.count, it.refused, it.failed))
            .collect();
        assert_eq!(shown, [("POST", "/b", 1, 0, 0), ("GET", "/a", 3, 1, 1), ("OTHER", "/a", 1, 1, 0)]);
        let mut page = Page::default();
        write(&mut page, &read);
        let text = page.into_text();
        assert!(text.contains("drydock_http_requests_total{method=\"GET\",route=\"/a\",code=\"5xx\"} 1\n"), "{text}");
        assert!(text.contains("_count{method=\"POST\",route=\"/b\"} 1\n"), "{text}");
    }
}
