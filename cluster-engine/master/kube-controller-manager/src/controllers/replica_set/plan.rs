//! How many pods to create, or which to delete, and what the status says.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use drydock_api::time::parse_seconds;
use drydock_client::types::{Condition, Pod};
use serde::Deserialize;

use crate::kinds::{ReplicaSetStatus, Replicated};

/// At most this many pods are created or deleted at once (upstream: BurstReplicas).
const BURST: usize = 500;
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Scale {
    Right,
    Create(usize),
    Delete(Vec<Arc<Pod>>),
}

/// What is to be done about the pods that the set owns.
pub(super) fn scale(set: &impl Replicated, owned: &[Arc<Pod>], related: &[Arc<Pod>]) -> Scale {
    let mut active: Vec<Arc<Pod>> = owned.iter().filter(|pod| pod.is_active()).cloned().collect();
    let wanted = usize::try_from(set.replicas()).unwrap_or_default();
    if active.len() < wanted {
        return Scale::Create((wanted - active.len()).min(BURST));
    }
    let surplus = (active.len() - wanted).min(BURST);
    if surplus == 0 {
        return Scale::Right;
    }
    let mut on_node: HashMap<&str, usize> = HashMap::new();
    for pod in related.iter().filter(|pod| pod.is_active()) {
        *on_node.entry(&pod.spec.node_name).or_default() += 1;
    }
    active.sort_by_cached_key(|pod| {
        let crowd = on_node.get(pod.spec.node_name.as_str()).copied().unwrap_or_default();
        dispensability(pod, crowd)
    });
    active.truncate(surplus);
    Scale::Delete(active)
}

/// The order in which pods go (upstream: `ActivePodsWithRanks`): not assigned, pending, not ready,
/// cheap to delete, on crowded nodes, ready for a short time, often restarted, young.
fn dispensability(pod: &Pod, crowd: usize) -> impl Ord + use<> {
    let phase = match pod.status.phase.as_str() {
        "Pending" | "" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    let cost: i32 = pod.metadata.annotations.get(DELETION_COST).and_then(|cost| cost.parse().ok()).unwrap_or_default();
    let ready_since = pod
        .condition("Ready")
        .filter(|ready| ready.status == "True")
        .and_then(|ready| ready.last_transition_time.as_deref())
        .and_then(parse_seconds);
    // Ages count on a logarithmic scale upstream; in a lab seconds matter, so the exact time decides.
    (
        !pod.spec.node_name.is_empty(),
        phase,
        pod.is_ready(),
        cost,
        Reverse(crowd),
        Reverse(ready_since),
        Reverse(pod.max_restarts()),
        Reverse(pod.metadata.creation_timestamp.clone()),
        pod.metadata.name.clone(),
    )
}

/// Whether a pod has been ready for `min_ready_seconds`.
pub(crate) fn is_available(pod: &Pod, min_ready_seconds: i32, now: i64) -> bool {
    available_in(pod, min_ready_seconds, now) == Some(0)
}

/// In how many seconds a ready pod counts as available; `None` if it is not ready.
pub(crate) fn available_in(pod: &Pod, min_ready_seconds: i32, now: i64) -> Option<u64> {
    let ready = pod.condition("Ready").filter(|ready| ready.status == "True")?;
    if min_ready_seconds <= 0 {
        return Some(0);
    }
    let since = ready.last_transition_time.as_deref().and_then(parse_seconds)?;
    u64::try_from((since + i64::from(min_ready_seconds) - now).max(0)).ok()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TemplateLabels {
    metadata: LabelsOnly,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LabelsOnly {
    labels: Option<drydock_client::types::StringMap>,
}

/// What the status should say, and after how many seconds it may change by itself.
pub(super) fn status(
    set: &impl Replicated,
    owned: &[Arc<Pod>],
    failure: Option<(&str, String)>,
    now: i64,
    timestamp: &str,
) -> (ReplicaSetStatus, Option<u64>) {
    let template: TemplateLabels = set.template().read();
    let labels = template.metadata.labels.unwrap_or_default();
    let mut status = ReplicaSetStatus {
        observed_generation: set.meta().generation,
        conditions: set.status().conditions.clone(),
        terminating_replicas: Some(0),
        ..ReplicaSetStatus::default()
    };
    let mut soonest: Option<u64> = None;
    let mut terminating = 0;
    for pod in owned {
        if pod.metadata.is_deleting() && !pod.is_terminal() {
            terminating += 1;
        }
        if !pod.is_active() {
            continue;
        }
        status.replicas += 1;
        let has_all = labels.iter().all(|(key, value)| pod.metadata.labels.get(key) == Some(value));
        status.fully_labeled_replicas += i32::from(has_all);
        match available_in(pod, set.min_ready_seconds(), now) {
            None => {}
            Some(0) => {
                status.ready_replicas += 1;
                status.available_replicas += 1;
            }
            Some(seconds) => {
                status.ready_replicas += 1;
                soonest = Some(soonest.map_or(seconds, |before| before.min(seconds)));
            }
        }
    }
    status.terminating_replicas = Some(terminating);
    let had = status.conditions.iter().position(|condition| condition.kind == "ReplicaFailure");
    match (failure, had) {
        (Some((reason, message)), None) => status.conditions.push(Condition {
            kind: "ReplicaFailure".to_owned(),
            status: "True".to_owned(),
            reason: reason.to_owned(),
            message,
            last_transition_time: Some(timestamp.to_owned()),
            ..Condition::default()
        }),
        (None, Some(at)) => drop(status.conditions.remove(at)),
        _ => {}
    }
    (status, soonest)
}

#[cfg(test)]
#[path = "properties.rs"]
mod properties;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::ReplicaSet;
    use serde_json::json;

    fn set(replicas: i32) -> ReplicaSet {
        let mut set = ReplicaSet::default();
        set.spec.replicas = Some(replicas);
        set.metadata.generation = 3;
        set.spec.template = (&json!({"metadata": {"labels": {"app": "web"}}})).into();
        set
    }

    fn pod(name: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.name = name.into();
        pod.metadata.creation_timestamp = Some("2026-01-01T00:00:00Z".into());
        pod.spec.node_name = "n".into();
        pod.status.phase = "Running".into();
        pod.metadata.labels.insert("app".into(), "web".into());
        pod
    }

    fn ready(mut pod: Pod, since: &str) -> Pod {
        pod.status.conditions.push(Condition {
            kind: "Ready".into(),
            status: "True".into(),
            last_transition_time: Some(format!("2026-01-01T00:00:{since}Z")),
            ..Condition::default()
        });
        pod
    }

    #[test]
    fn counts_only_active_pods() {
        let mut failed = pod("failed");
        failed.status.phase = "Failed".into();
        let mut leaving = pod("leaving");
        leaving.metadata.deletion_timestamp = Some("T".into());
        let pods = [pod("a"), failed, leaving].map(Arc::new);
        assert_eq!(scale(&set(3), &pods, &[]), Scale::Create(2));
        assert_eq!(scale(&set(1), &pods, &[]), Scale::Right);
        let (status, _) = status(&set(3), &pods, None, 0, "T");
        assert_eq!((status.replicas, status.terminating_replicas, status.observed_generation), (1, Some(1), 3));
    }

    #[test]
    fn the_most_dispensable_go_first() {
        let mut unassigned = pod("unassigned");
        unassigned.spec.node_name = String::new();
        let mut pending = pod("pending");
        pending.status.phase = "Pending".into();
        let unready = pod("unready");
        let mut cheap = ready(pod("cheap"), "10");
        cheap.metadata.annotations.insert(DELETION_COST.into(), "-5".into());
        let mut crowded = ready(pod("crowded"), "10");
        crowded.spec.node_name = "crowd".into();
        let young = ready(pod("young"), "20");
        let old = ready(pod("old"), "10");
        let expected = ["unassigned", "pending", "unready", "cheap", "crowded", "young", "old"];
        let pods = [old, young, crowded.clone(), cheap, unready, pending, unassigned].map(Arc::new);
        let mut second = crowded.clone();
        second.metadata.name = "second".into();
        let mut third = crowded;
        third.metadata.name = "third".into();
        let mut related = pods.to_vec();
        related.extend((0..8).map(|_| Arc::new(third.clone())));
        for count in 1..=expected.len() {
            let Scale::Delete(gone) = scale(&set((expected.len() - count) as i32), &pods, &related) else {
                panic!("nothing deleted")
            };
            let names: Vec<_> = gone.iter().map(|pod| pod.metadata.name.as_str()).collect();
            assert_eq!(names, expected[..count]);
        }
    }

    #[test]
    fn availability_takes_its_time() {
        let mut set = set(2);
        set.spec.min_ready_seconds = 10;
        let pods = [ready(pod("a"), "00"), ready(pod("b"), "05")].map(Arc::new);
        let at = parse_seconds("2026-01-01T00:00:11Z").unwrap();
        let (status, again) = status(&set, &pods, None, at, "T");
        assert_eq!((status.ready_replicas, status.available_replicas, again), (2, 1, Some(4)));
    }

    #[test]
    fn failures_show_until_they_are_over() {
        let mut set = set(1);
        let (failing, _) = status(&set, &[], Some(("FailedCreate", "quota".into())), 0, "T");
        assert_eq!(
            (failing.conditions[0].reason.as_str(), failing.conditions[0].message.as_str()),
            ("FailedCreate", "quota")
        );
        set.status = failing.clone();
        assert_eq!(status(&set, &[], Some(("FailedCreate", "other".into())), 0, "T").0.conditions, failing.conditions);
        assert!(status(&set, &[], None, 0, "T").0.conditions.is_empty());
    }

    #[test]
    fn reconciling_twice_does_nothing_more() {
        let mut set = set(1);
        let pods = [Arc::new(ready(pod("a"), "00"))];
        set.status = status(&set, &pods, None, 0, "T").0;
        assert_eq!(scale(&set, &pods, &pods), Scale::Right);
        assert_eq!(status(&set, &pods, None, 0, "T2").0, set.status);
    }
}
