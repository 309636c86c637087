//! Spreads pods over zones, hosts or any other node label.
//!
//! Pods without constraints of their own that belong to a service or workload get upstream's system
//! defaults: as evenly as is easily done over hosts and zones.

use std::collections::{BTreeMap, BTreeSet};

use drydock_api::selector::{Operator, Selector};
use drydock_client::types::{Pod, TopologySpreadConstraint};

use crate::framework::{MAX_SCORE, Plugin, Rejection};
use crate::snapshot::{NodeInfo, PodInfo, Snapshot, with_label_keys};

const NAME: &str = "PodTopologySpread";
const REASON: &str = "node(s) didn't match pod topology spread constraints";
const MISSING_LABEL: &str = "node(s) didn't match pod topology spread constraints (missing required label)";
const HOSTNAME: &str = "kubernetes.io/hostname";
/// Upstream's system defaults: topology key and max skew.
const DEFAULTS: [(&str, i64); 2] = [(HOSTNAME, 3), ("topology.kubernetes.io/zone", 5)];

struct Constraint {
    key: String,
    max_skew: i64,
    min_domains: i64,
    selector: Selector,
    honor_affinity: bool,
    honor_taints: bool,
    /// Matching pods by the value of the node label, over eligible nodes.
    counts: BTreeMap<String, i64>,
    /// Whether the pod itself matches.
    counts_itself: bool,
}

/// Upstream: `PodTopologySpread`.
pub(crate) struct PodTopologySpread<'a> {
    pod: &'a PodInfo,
    hard: Vec<Constraint>,
    soft: Vec<Constraint>,
    /// Default constraints do not leave nodes without the label out.
    are_defaults: bool,
}

impl<'a> PodTopologySpread<'a> {
    /// For this pod.
    pub(crate) fn new(snapshot: &Snapshot, pod: &'a PodInfo) -> PodTopologySpread<'a> {
        let stated = &pod.pod.spec.topology_spread_constraints;
        let mut this = PodTopologySpread { pod, hard: Vec::new(), soft: Vec::new(), are_defaults: stated.is_empty() };
        for constraint in stated {
            let compiled = compile(constraint, &pod.pod);
            if constraint.when_unsatisfiable == "ScheduleAnyway" {
                this.soft.push(compiled);
            } else {
                this.hard.push(compiled);
            }
        }
        if this.are_defaults {
            this.soft = defaults(snapshot, &pod.pod);
        }
        let hard_keys: Vec<String> = this.hard.iter().map(|constraint| constraint.key.clone()).collect();
        count(&mut this.hard, snapshot, pod, &hard_keys);
        let soft_keys: Vec<String> = if this.are_defaults {
            Vec::new()
        } else {
            this.soft.iter().map(|constraint| constraint.key.clone()).collect()
        };
        count(&mut this.soft, snapshot, pod, &soft_keys);
        this
    }
}

fn compile(constraint: &TopologySpreadConstraint, pod: &Pod) -> Constraint {
    let selector = Selector::from_typed(constraint.label_selector.as_ref()).unwrap_or_else(|_| Selector::nothing());
    let selector = with_label_keys(selector, &constraint.match_label_keys, &pod.metadata.labels, Operator::In);
    Constraint {
        key: constraint.topology_key.clone(),
        max_skew: i64::from(constraint.max_skew),
        min_domains: i64::from(constraint.min_domains.unwrap_or(1)),
        counts_itself: selector.matches_map(&pod.metadata.labels),
        selector,
        honor_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
        honor_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
        counts: BTreeMap::new(),
    }
}

/// The system defaults, if the pod belongs to a service or workload.
fn defaults(snapshot: &Snapshot, pod: &Pod) -> Vec<Constraint> {
    let Some(known) = snapshot.selectors.get(&pod.metadata.namespace) else { return Vec::new() };
    let controller = pod.metadata.controller().map(|owner| owner.uid.as_str());
    let mut requirements = Vec::new();
    for selected in known.values() {
        let concerns = match &selected.controller_uid {
            Some(uid) => controller == Some(uid),
            None => selected.selector.matches_map(&pod.metadata.labels),
        };
        if concerns && !selected.selector.is_nothing() {
            requirements.extend(selected.selector.requirements().iter().cloned());
        }
    }
    if requirements.is_empty() {
        return Vec::new();
    }
    let selector = Selector::from_requirements(requirements);
    DEFAULTS
        .iter()
        .map(|(key, max_skew)| Constraint {
            key: (*key).to_owned(),
            max_skew: *max_skew,
            min_domains: 1,
            counts_itself: selector.matches_map(&pod.metadata.labels),
            selector: selector.clone(),
            honor_affinity: true,
            honor_taints: false,
            counts: BTreeMap::new(),
        })
        .collect()
}

/// Fills in the counts. Nodes that lack one of `keys` do not count at all.
fn count(constraints: &mut [Constraint], snapshot: &Snapshot, pod: &PodInfo, keys: &[String]) {
    if constraints.is_empty() {
        return;
    }
    for node in snapshot.nodes() {
        if keys.iter().any(|key| node.label(key).is_none()) {
            continue;
        }
        for constraint in constraints.iter_mut() {
            let Some(value) = node.label(&constraint.key) else { continue };
            if !is_eligible(constraint, pod, node) {
                continue;
            }
            let matching = node
                .pods
                .iter()
                .filter(|other| {
                    other.pod.metadata.namespace == pod.pod.metadata.namespace
                        && !other.pod.metadata.is_deleting()
                        && constraint.selector.matches_map(&other.pod.metadata.labels)
                })
                .count() as i64;
            *constraint.counts.entry(value.to_owned()).or_default() += matching;
        }
    }
}

fn is_eligible(constraint: &Constraint, pod: &PodInfo, node: &NodeInfo) -> bool {
    let tolerated = || {
        node.node
            .spec
            .taints
            .iter()
            .filter(|taint| taint.effect != "PreferNoSchedule")
            .all(|taint| taint.is_tolerated(&pod.pod.spec.tolerations))
    };
    (!constraint.honor_affinity || pod.pod.asks_for(&node.node)) && (!constraint.honor_taints || tolerated())
}

impl Plugin for PodTopologySpread<'_> {
    fn filter(&self, node: &NodeInfo) -> Result<(), Rejection> {
        for constraint in &self.hard {
            let Some(value) = node.label(&constraint.key) else {
                return Err(Rejection::final_(NAME, MISSING_LABEL));
            };
            let fewest = if (constraint.counts.len() as i64) < constraint.min_domains {
                // With fewer domains than wanted the emptiest one is one that does not exist yet.
                0
            } else {
                constraint.counts.values().copied().min().unwrap_or_default()
            };
            let here = constraint.counts.get(value).copied().unwrap_or_default();
            if here + i64::from(constraint.counts_itself) - fewest > constraint.max_skew {
                return Err(Rejection::resolvable(NAME, REASON));
            }
        }
        Ok(())
    }

    fn weight(&self) -> i64 {
        if self.soft.is_empty() { 0 } else { 2 }
    }

    fn score(&self, node: &NodeInfo) -> i64 {
        let mut score = 0.0;
        for constraint in &self.soft {
            let Some(value) = node.label(&constraint.key) else { continue };
            let count = constraint.counts.get(value).copied().unwrap_or_default() as f64;
            // Topologies with many domains count more, or they would drown.
            let weight = ((constraint.counts.len() + 2) as f64).ln();
            score += count * weight + (constraint.max_skew - 1) as f64;
        }
        score.round() as i64
    }

    fn normalize(&self, scores: &mut [i64], nodes: &[&NodeInfo]) {
        let mut ignored: BTreeSet<usize> = BTreeSet::new();
        if !self.are_defaults {
            for (at, node) in nodes.iter().enumerate() {
                let lacks = self.soft.iter().any(|constraint| node.label(&constraint.key).is_none());
                if lacks || !self.soft.iter().all(|constraint| is_eligible(constraint, self.pod, node)) {
                    ignored.insert(at);
                }
            }
        }
        let counted = || scores.iter().enumerate().filter(|(at, _)| !ignored.contains(at)).map(|(_, score)| *score);
        let (lowest, highest) = (counted().min().unwrap_or_default(), counted().max().unwrap_or_default());
        for (at, score) in scores.iter_mut().enumerate() {
            *score = if ignored.contains(&at) {
                0
            } else if highest == 0 {
                MAX_SCORE
            } else {
                MAX_SCORE * (highest + lowest - *score) / highest
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_cluster, check_order, node, pod};

    fn zones() -> Vec<crate::testing::NodeBuilder> {
        vec![node("a1").label("zone", "a"), node("a2").label("zone", "a"), node("b1").label("zone", "b")]
    }

    fn web(name: &str) -> crate::testing::PodBuilder {
        pod(name).label("app", "web")
    }

    #[test]
    fn hard_constraints() {
        let spread = |name: &str| web(name).spread("zone", 1, "DoNotSchedule", "app", "web");
        let there = || vec![("a1", web("1")), ("a2", web("2")), ("b1", web("3"))];
        check_cluster(zones(), there(), spread("p"), &[("a1", REASON), ("a2", REASON)]);
        check_cluster(zones(), vec![], spread("p"), &[]);
        let mut with_bare = zones();
        with_bare.push(node("bare"));
        check_cluster(with_bare, vec![], spread("p"), &[("bare", MISSING_LABEL)]);
    }

    #[test]
    fn min_domains_count_missing_ones_as_empty() {
        let spread = web("p").spread("zone", 1, "DoNotSchedule", "app", "web").min_domains(3);
        let there = vec![("a1", web("1")), ("b1", web("2"))];
        check_cluster(zones(), there, spread, &[("a1", REASON), ("a2", REASON), ("b1", REASON)]);
    }

    #[test]
    fn soft_constraints_prefer_the_emptier_domain() {
        let spread = web("p").spread("zone", 1, "ScheduleAnyway", "app", "web");
        check_order(zones(), vec![("a1", web("1")), ("a2", web("2"))], spread, "b1");
    }

    #[test]
    fn replicas_spread_by_default() {
        let mut snapshot = crate::testing::snapshot(
            vec![node("a").label(HOSTNAME, "a"), node("b").label(HOSTNAME, "b")],
            vec![("a", web("1"))],
        );
        let selector = Selector::parse("app=web").unwrap();
        let selected = crate::snapshot::Selected { controller_uid: None, selector };
        snapshot.selectors.entry("default".into()).or_default().insert("web".into(), selected);
        assert_eq!(crate::framework::schedule(&snapshot, &web("p").build()).unwrap(), "b");
    }

    #[test]
    fn a_workload_spreads_the_pods_it_controls() {
        let nodes = vec![node("a").label(HOSTNAME, "a"), node("b").label(HOSTNAME, "b")];
        let mut snapshot = crate::testing::snapshot(nodes, vec![("a", web("1").owner("set"))]);
        let selector = drydock_api::meta::LabelSelector {
            match_labels: [("app".to_owned(), "web".to_owned())].into(),
            ..Default::default()
        };
        let selected = crate::snapshot::Selected::workload("set", Some(&selector));
        snapshot.selectors.entry("default".into()).or_default().insert("set".into(), selected);
        assert_eq!(defaults(&snapshot, &web("p").owner("set").build().pod).len(), 2);
        assert!(defaults(&snapshot, &web("p").owner("other").build().pod).is_empty());
    }
}
