//! How many pods of a budget may go now (upstream: `pkg/controller/disruption`).

use std::collections::BTreeMap;
use std::sync::Arc;

use drydock_api::time::parse_seconds;
use drydock_client::Object;
use drydock_client::types::{IntOrString, Pod};

use crate::kinds::{DisruptionBudget, DisruptionBudgetStatus, MetaCondition};

/// How long an evicted pod may take until it is being deleted; then the eviction counts as failed.
const DELETION_TIMEOUT: i64 = 120;
const ALLOWED: &str = "DisruptionAllowed";

/// How many pods there should be, and how many of them must be healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) expected: i32,
    pub(super) healthy: i32,
}

/// Whether the number of pods that are wanted must be asked of their controllers.
pub(super) fn needs_scale(budget: &DisruptionBudget) -> bool {
    budget.spec.max_unavailable.is_some() || matches!(budget.spec.min_available, Some(IntOrString::String(_)))
}

/// `scale`: how many pods the controllers of the budget's pods want, where that counts.
pub(super) fn numbers(budget: &DisruptionBudget, pods: usize, scale: i32) -> Numbers {
    if let Some(most) = &budget.spec.max_unavailable {
        let missing = most.scaled(scale, true).unwrap_or_default();
        return Numbers { expected: scale, healthy: (scale - missing).max(0) };
    }
    match &budget.spec.min_available {
        Some(IntOrString::Int(least)) => Numbers { expected: i32::try_from(pods).unwrap_or(i32::MAX), healthy: *least },
        Some(share) => Numbers { expected: scale, healthy: share.scaled(scale, true).unwrap_or_default() },
        None => Numbers { expected: 0, healthy: 0 },
    }
}

/// What the status should say.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: DisruptionBudgetStatus,
    /// Pods that were evicted and stayed.
    pub(super) not_deleted: Vec<Arc<Pod>>,
    /// In how many seconds an eviction counts as failed.
    pub(super) look_again: Option<u64>,
}

/// The status after a successful count.
pub(super) fn status(
    budget: &DisruptionBudget,
    pods: &[Arc<Pod>],
    numbers: Numbers,
    now: i64,
    timestamp: &str,
) -> Outcome {
    let mut disrupted = BTreeMap::new();
    let mut not_deleted = Vec::new();
    let mut look_again: Option<u64> = None;
    for pod in pods {
        let Some(evicted) = budget.status.disrupted_pods.get(pod.name()) else { continue };
        if pod.metadata.is_deleting() {
            continue;
        }
        let left = parse_seconds(evicted).unwrap_or_default() + DELETION_TIMEOUT - now;
        match u64::try_from(left) {
            Ok(left @ 1..) => {
                disrupted.insert(pod.name().to_owned(), evicted.clone());
                look_again = Some(look_again.map_or(left, |before| before.min(left)));
            }
            _ => not_deleted.push(pod.clone()),
        }
    }
    let is_counted =
        |pod: &&Arc<Pod>| !pod.metadata.is_deleting() && !disrupted.contains_key(pod.name()) && pod.is_ready();
    let healthy = i32::try_from(pods.iter().filter(is_counted).count()).unwrap_or(i32::MAX);
    let allowed = if numbers.expected <= 0 { 0 } else { (healthy - numbers.healthy).max(0) };
    let mut status = DisruptionBudgetStatus {
        observed_generation: budget.metadata.generation,
        disrupted_pods: disrupted,
        disruptions_allowed: allowed,
        current_healthy: healthy,
        desired_healthy: numbers.healthy,
        expected_pods: numbers.expected,
        conditions: budget.status.conditions.clone(),
    };
    let (value, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    say(&mut status, value, reason, "", timestamp);
    Outcome { status, not_deleted, look_again }
}

/// The status after a count that failed: nothing may go.
pub(super) fn failed(budget: &DisruptionBudget, why: &str, timestamp: &str) -> DisruptionBudgetStatus {
    let mut status = budget.status.clone();
    status.disruptions_allowed = 0;
    status.observed_generation = budget.metadata.generation;
    say(&mut status, "False", "SyncFailed", why, timestamp);
    status
}

fn say(status: &mut DisruptionBudgetStatus, value: &str, reason: &str, message: &str, timestamp: &str) {
    let condition = MetaCondition {
        kind: ALLOWED.to_owned(),
        status: value.to_owned(),
        observed_generation: status.observed_generation,
        last_transition_time: timestamp.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    MetaCondition::set(&mut status.conditions, condition);
}

#[cfg(test)]
mod tests {
    use super::*;
    use drydock_client::types::Condition;

    fn budget(least: Option<&str>, most: Option<&str>) -> DisruptionBudget {
        let value = |text: &str| text.parse().map_or(IntOrString::String(text.into()), IntOrString::Int);
        let mut budget = DisruptionBudget::default();
        budget.metadata.generation = 1;
        budget.spec.min_available = least.map(value);
        budget.spec.max_unavailable = most.map(value);
        budget
    }

    fn pod(name: &str, ready: bool) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.name = name.into();
        if ready {
            pod.status.conditions.push(Condition {
                kind: "Ready".into(),
                status: "True".into(),
                ..Condition::default()
            });
        }
        Arc::new(pod)
    }

    #[test]
    fn numbers_round_up() {
        for (least, most, pods, scale, expected) in [
            (Some("2"), None, 3, 0, (3, 2)),
            (Some("50%"), None, 3, 5, (5, 3)),
            (None, Some("1"), 3, 3, (3, 2)),
            (None, Some("30%"), 3, 10, (10, 7)),
            (None, Some("34%"), 3, 10, (10, 6)),
            (None, Some("9"), 3, 3, (3, 0)),
            (Some("0"), None, 0, 0, (0, 0)),
        ] {
            let found = numbers(&budget(least, most), pods, scale);
            assert_eq!((found.expected, found.healthy), expected, "{least:?} {most:?}");
        }
        assert!(needs_scale(&budget(Some("50%"), None)) && !needs_scale(&budget(Some("1"), None)));
    }

    #[test]
    fn only_healthy_pods_may_be_missed() {
        let pods = [pod("a", true), pod("b", true), pod("c", false)];
        let numbers = Numbers { expected: 3, healthy: 1 };
        let told = status(&budget(Some("1"), None), &pods, numbers, 0, "T").status;
        assert_eq!((told.current_healthy, told.disruptions_allowed, told.expected_pods), (2, 1, 3));
        assert_eq!(
            (told.conditions[0].status.as_str(), told.conditions[0].reason.as_str()),
            ("True", "SufficientPods")
        );
        let none = status(&budget(Some("1"), None), &[], Numbers { expected: 0, healthy: 0 }, 0, "T").status;
        assert_eq!((none.disruptions_allowed, none.conditions[0].reason.as_str()), (0, "InsufficientPods"));
    }

    #[test]
    fn evicted_pods_do_not_count_until_they_are_late() {
        let mut budget = budget(Some("1"), None);
        budget.status.disrupted_pods.insert("a".into(), "1970-01-01T00:00:10Z".into());
        budget.status.disrupted_pods.insert("gone".into(), "1970-01-01T00:00:10Z".into());
        let pods = [pod("a", true), pod("b", true)];
        let numbers = Numbers { expected: 2, healthy: 1 };
        let soon = status(&budget, &pods, numbers, 20, "T");
        assert_eq!((soon.status.current_healthy, soon.status.disruptions_allowed, soon.look_again), (1, 0, Some(110)));
        assert_eq!(soon.status.disrupted_pods.len(), 1);
        let late = status(&budget, &pods, numbers, 130, "T");
        assert_eq!((late.status.current_healthy, late.not_deleted.len()), (2, 1));
        assert!(late.status.disrupted_pods.is_empty());
    }

    #[test]
    fn reconciling_twice_does_nothing_more() {
        let mut budget = budget(None, Some("1"));
        let (pods, numbers) = ([pod("a", true)], Numbers { expected: 1, healthy: 0 });
        budget.status = status(&budget, &pods, numbers, 0, "T1").status;
        assert_eq!(status(&budget, &pods, numbers, 9, "T2").status, budget.status);
        budget.status = failed(&budget, "no scale", "T3");
        assert_eq!(budget.status.conditions[0].last_transition_time, "T3");
        assert_eq!((budget.status.disruptions_allowed, failed(&budget, "no scale", "T4")), (0, budget.status.clone()));
    }
}
