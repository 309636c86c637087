//! Use: the difference of two readings.

use std::collections::BTreeMap;

use crate::parse::{Counters, Reading};

/// What something uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Billionths of a core.
    pub cpu_nanos: u64,
    /// Bytes.
    pub memory: u64,
    /// When, in seconds since 1970.
    pub at: f64,
    /// Over how many seconds the processor's use is an average.
    pub window: f64,
}

/// What a node's containers use, by namespace and pod; per container.
pub type Pods = BTreeMap<(String, String), Vec<(String, Usage)>>;

/// What one node and its pods use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeUsage {
    /// The node as a whole; none until it was read twice.
    pub node: Option<Usage>,
    /// Its pods.
    pub pods: Pods,
}

/// Shorter times say nothing about use.
const SHORTEST: f64 = 0.5;

/// Use between two readings of a node. A container that began after the first reading is measured from its start.
pub fn between(before: &Reading, after: &Reading) -> NodeUsage {
    let mut usage = NodeUsage { node: rate(&before.node, &after.node), pods: Pods::new() };
    for (key, now) in &after.containers {
        let since_start = Counters { at: now.started, ..Counters::default() };
        let from = match before.containers.get(key) {
            // Restarted in between: the old counter is another container's.
            Some(then) if then.started == now.started && then.cpu_seconds <= now.cpu_seconds => then,
            _ => &since_start,
        };
        if let Some(used) = rate(from, now) {
            let (namespace, pod, container) = key.clone();
            usage.pods.entry((namespace, pod)).or_default().push((container, used));
        }
    }
    usage
}

fn rate(from: &Counters, to: &Counters) -> Option<Usage> {
    let window = to.at - from.at;
    if from.at <= 0.0 || window < SHORTEST || to.cpu_seconds < from.cpu_seconds {
        return None;
    }
    let cores = (to.cpu_seconds - from.cpu_seconds) / window;
    Some(Usage { cpu_nanos: (cores * 1e9).round() as u64, memory: to.working_set as u64, at: to.at, window })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(cpu_seconds: f64, started: f64, at: f64) -> Counters {
        Counters { cpu_seconds, working_set: 100.0, started, at }
    }

    fn reading(container: Option<Counters>) -> Reading {
        let key = ("x".to_owned(), "p".to_owned(), "c".to_owned());
        Reading {
            node: counters(0.0, 0.0, 0.0),
            containers: container.map(|counters| (key, counters)).into_iter().collect(),
        }
    }

    #[track_caller]
    fn check(before: Option<Counters>, after: Counters, expected: Option<(u64, f64)>) {
        let usage = between(&reading(before), &reading(Some(after)));
        let found = usage.pods.values().next().map(|containers| (containers[0].1.cpu_nanos, containers[0].1.window));
        assert_eq!(found, expected);
    }

    #[test]
    fn rates() {
        check(Some(counters(1.0, 5.0, 10.0)), counters(2.5, 5.0, 20.0), Some((150_000_000, 10.0)));
        // New, and restarted: measured from the start.
        check(None, counters(1.0, 15.0, 20.0), Some((200_000_000, 5.0)));
        check(Some(counters(9.0, 5.0, 10.0)), counters(1.0, 15.0, 20.0), Some((200_000_000, 5.0)));
        // Too soon to say.
        check(None, counters(1.0, 19.9, 20.0), None);
        check(Some(counters(1.0, 5.0, 20.0)), counters(1.0, 5.0, 20.0), None);
    }
}
