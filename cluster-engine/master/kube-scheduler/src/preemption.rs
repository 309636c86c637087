//! Making room: which less important pods must go so that a pod fits (upstream: `DefaultPreemption`).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::framework::{FitError, Rejection, fits};
use crate::snapshot::{PodInfo, Snapshot};

const PLUGIN: &str = "DefaultPreemption";
const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";
const NO_VICTIMS: &str = "No preemption victims found for incoming pod";

/// Which pods must leave which node.
#[derive(Clone, Debug)]
pub struct Preemption {
    /// The node on which room is made.
    pub node: String,
    /// Who must leave it.
    pub victims: Vec<Arc<PodInfo>>,
}

/// Where room can be made for `pod`, which fits nowhere for the reasons in `error`.
///
/// # Errors
/// Why no room can be made, as the pod's FailedScheduling event says it.
pub fn preempt(snapshot: &Snapshot, pod: &PodInfo, error: &FitError) -> Result<Preemption, String> {
    if let Some(reason) = ineligible(snapshot, pod) {
        return Err(format!("preemption: {reason}"));
    }
    let mut failure = FitError { nodes: error.nodes, ..FitError::default() };
    let mut candidates = Vec::new();
    for node in snapshot.nodes() {
        let may_help =
            error.whole.is_none() && error.by_node.get(node.name()).is_some_and(|rejection| rejection.resolvable);
        let outcome =
            if may_help { victims_on(snapshot, pod, node.name()) } else { Err(Rejection::final_(PLUGIN, NOT_HELPFUL)) };
        match outcome {
            Ok(candidate) => candidates.push(candidate),
            Err(rejection) => {
                failure.by_node.insert(node.name().to_owned(), rejection);
            }
        }
    }
    candidates
        .into_iter()
        .min_by_key(Candidate::badness)
        .map(|candidate| candidate.preemption)
        .ok_or_else(|| format!("preemption: {failure}"))
}

fn ineligible(snapshot: &Snapshot, pod: &PodInfo) -> Option<&'static str> {
    if pod.pod.spec.preemption_policy.as_deref() == Some("Never") {
        return Some("not eligible due to preemptionPolicy=Never.");
    }
    // Room is being made already: wait for those who leave.
    let nominated = snapshot.node(&pod.pod.status.nominated_node_name)?;
    let leaving = nominated.pods.iter().any(|other| {
        other.priority() < pod.priority()
            && other.pod.metadata.is_deleting()
            && other
                .pod
                .condition("DisruptionTarget")
                .is_some_and(|condition| condition.status == "True" && condition.reason == "PreemptionByScheduler")
    });
    leaving.then_some("not eligible due to a terminating pod on the nominated node.")
}

struct Candidate {
    preemption: Preemption,
    violations: usize,
}

impl Candidate {
    /// Fewest broken budgets, then the least important most important victim, the smallest sum of
    /// priorities, the fewest victims, the one whose most important victim started last.
    fn badness(&self) -> (usize, i32, i64, usize, Reverse<String>) {
        let victims = &self.preemption.victims;
        let highest = victims.iter().map(|victim| victim.priority()).max().unwrap_or(i32::MIN);
        // Shifted so that pods with negative priority weigh something too.
        let sum = victims.iter().map(|victim| i64::from(victim.priority()) + i64::from(i32::MAX) + 1).sum();
        let earliest_start = victims
            .iter()
            .filter(|victim| victim.priority() == highest)
            .filter_map(|victim| victim.pod.status.start_time.clone())
            .min()
            .unwrap_or_default();
        (self.violations, highest, sum, victims.len(), Reverse(earliest_start))
    }
}

/// The fewest and least important pods whose leaving `node` makes `pod` fit there.
fn victims_on(snapshot: &Snapshot, pod: &PodInfo, node: &str) -> Result<Candidate, Rejection> {
    let mut trial = snapshot.clone();
    let mut lower: Vec<Arc<PodInfo>> = trial
        .node(node)
        .map(|info| info.pods.iter().filter(|other| other.priority() < pod.priority()).cloned().collect())
        .unwrap_or_default();
    if lower.is_empty() {
        return Err(Rejection::final_(PLUGIN, NO_VICTIMS));
    }
    for victim in &lower {
        trial.remove_pod(victim.uid());
    }
    fits_for_sure(&trial, pod, node)?;

    // The most important, and of those the longest running, get their place back first; those whose
    // leaving would break a budget before all others.
    lower.sort_by_key(|victim| (Reverse(victim.priority()), victim.pod.status.start_time.clone()));
    let (violating, allowed) = split_by_budgets(snapshot, lower);
    let mut victims = Vec::new();
    let mut violations = 0;
    for (candidate, breaks) in
        violating.into_iter().map(|pod| (pod, true)).chain(allowed.into_iter().map(|pod| (pod, false)))
    {
        trial.place(candidate.clone(), node);
        if fits_for_sure(&trial, pod, node).is_err() {
            trial.remove_pod(candidate.uid());
            violations += usize::from(breaks);
            victims.push(candidate);
        }
    }
    Ok(Candidate { preemption: Preemption { node: node.to_owned(), victims }, violations })
}

/// Whether the pod fits both with the pods for which room is being made on the node and without them
/// (upstream: `RunFilterPluginsWithNominatedPods`).
fn fits_for_sure(snapshot: &Snapshot, pod: &PodInfo, node: &str) -> Result<(), Rejection> {
    if let Some(crowded) = snapshot.with_nominated(pod) {
        fits(&crowded, pod, node)?;
    }
    fits(snapshot, pod, node)
}

/// Those whose leaving a disruption budget does not allow, and the others.
fn split_by_budgets(snapshot: &Snapshot, pods: Vec<Arc<PodInfo>>) -> (Vec<Arc<PodInfo>>, Vec<Arc<PodInfo>>) {
    let mut left: BTreeMap<&(String, String), i32> =
        snapshot.budgets.iter().map(|(key, budget)| (key, budget.allowed)).collect();
    pods.into_iter().partition(|pod| {
        let mut breaks = false;
        for (key, budget) in &snapshot.budgets {
            if key.0 == pod.pod.metadata.namespace && budget.selector.matches_map(&pod.pod.metadata.labels) {
                let left = left.entry(key).or_default();
                *left -= 1;
                breaks |= *left < 0;
            }
        }
        breaks
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framework::schedule;
    use crate::testing::{PodBuilder, node, pod, snapshot};

    #[track_caller]
    fn check(there: Vec<(&str, PodBuilder)>, wanted: PodBuilder, expected: Result<(&str, &[&str]), &str>) {
        let small = |name: &str| node(name).allocatable("cpu", "1");
        let snapshot = snapshot(vec![small("a"), small("b").taint("x", "", "NoSchedule"), small("c")], there);
        let wanted = wanted.build();
        let error = schedule(&snapshot, &wanted).unwrap_err();
        let found = preempt(&snapshot, &wanted, &error).map(|preemption| {
            let mut names: Vec<_> = preemption.victims.iter().map(|pod| pod.pod.metadata.name.clone()).collect();
            names.sort();
            (preemption.node, names)
        });
        let expected = expected
            .map(|(node, victims)| (node.to_owned(), victims.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()))
            .map_err(str::to_owned);
        assert_eq!(found, expected);
    }

    fn cpu(name: &str, cpu: &str, priority: i32) -> PodBuilder {
        pod(name).request("cpu", cpu).priority(priority)
    }

    #[test]
    fn the_cheapest_node_is_chosen() {
        let there = || vec![("a", cpu("a1", "800m", 5)), ("c", cpu("c1", "400m", 1)), ("c", cpu("c2", "400m", 2))];
        check(there(), cpu("p", "500m", 10), Ok(("c", &["c1"])));
        check(there(), cpu("p", "900m", 10), Ok(("c", &["c1", "c2"])));
        check(
            there(),
            cpu("p", "900m", 2),
            Err(
                "preemption: 0/3 nodes are available: 1 Insufficient cpu, 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.",
            ),
        );
    }

    #[test]
    fn texts() {
        let there = || vec![("a", cpu("a1", "800m", 0)), ("c", cpu("c1", "800m", 0))];
        check(
            there(),
            cpu("p", "500m", 0),
            Err(
                "preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod.",
            ),
        );
        check(
            there(),
            cpu("p", "500m", 9).never_preempts(),
            Err("preemption: not eligible due to preemptionPolicy=Never."),
        );
    }

    #[test]
    fn budgets_are_spared_where_possible() {
        let small = |name: &str| node(name).allocatable("cpu", "1");
        let there = vec![("a", cpu("a1", "800m", 1).label("app", "db")), ("c", cpu("c1", "800m", 2))];
        let mut snapshot = snapshot(vec![small("a"), small("c")], there);
        let selector = drydock_api::selector::Selector::parse("app=db").unwrap();
        let budget = crate::snapshot::Budget { selector, allowed: 0 };
        snapshot.budgets.insert(("default".into(), "db".into()), budget);
        let wanted = cpu("p", "500m", 9).build();
        let error = schedule(&snapshot, &wanted).unwrap_err();
        assert_eq!(preempt(&snapshot, &wanted, &error).unwrap().node, "c");
    }
}
