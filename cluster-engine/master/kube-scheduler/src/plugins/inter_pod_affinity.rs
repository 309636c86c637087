//! Near some pods, away from others: required and preferred, both ways round.

use std::collections::HashMap;

use crate::framework::{MAX_SCORE, Plugin, Rejection};
use crate::snapshot::{NodeInfo, PodInfo, Snapshot, Term};

const NAME: &str = "InterPodAffinity";
const AFFINITY: &str = "node(s) didn't match pod affinity rules";
const ANTI_AFFINITY: &str = "node(s) didn't match pod anti-affinity rules";
const EXISTING: &str = "node(s) didn't satisfy existing pods anti-affinity rules";
/// How much a required affinity of a pod that is there counts for one that would come near it.
const HARD_WEIGHT: i64 = 1;

/// (topology key, its value) of a node.
type Domain = (String, String);

/// Upstream: `InterPodAffinity`.
pub(crate) struct InterPodAffinity<'a> {
    pod: &'a PodInfo,
    /// Domains in which a pod is that does not want this pod near.
    forbidden: HashMap<Domain, usize>,
    /// Domains in which all affinity terms are matched by a pod.
    near: HashMap<Domain, usize>,
    /// Domains in which a pod is that this pod does not want near.
    away: HashMap<Domain, usize>,
    /// No pod matches the affinity, but this pod does: it is the first of its kind.
    is_first: bool,
    /// Weights for scoring.
    weights: HashMap<Domain, i64>,
}

impl<'a> InterPodAffinity<'a> {
    /// For this pod.
    pub(crate) fn new(snapshot: &Snapshot, pod: &'a PodInfo) -> InterPodAffinity<'a> {
        let mut this = InterPodAffinity {
            pod,
            forbidden: HashMap::new(),
            near: HashMap::new(),
            away: HashMap::new(),
            is_first: false,
            weights: HashMap::new(),
        };
        for node in snapshot.nodes() {
            for there in &node.pods {
                this.look_at(there, node, snapshot);
            }
        }
        this.is_first = this.near.is_empty() && pod.affinity.iter().all(|term| term.matches(&pod.pod, snapshot));
        this
    }

    fn look_at(&mut self, there: &PodInfo, node: &NodeInfo, snapshot: &Snapshot) {
        let domain = |term: &Term| -> Option<Domain> {
            Some((term.topology_key.clone(), node.label(&term.topology_key)?.to_owned()))
        };
        for term in &there.anti_affinity {
            if let Some(domain) = domain(term)
                && term.matches(&self.pod.pod, snapshot)
            {
                *self.forbidden.entry(domain).or_default() += 1;
            }
        }
        // A pod counts as near only if it matches all the terms.
        if !self.pod.affinity.is_empty() && self.pod.affinity.iter().all(|term| term.matches(&there.pod, snapshot)) {
            for domain in self.pod.affinity.iter().filter_map(domain) {
                *self.near.entry(domain).or_default() += 1;
            }
        }
        for term in &self.pod.anti_affinity {
            if let Some(domain) = domain(term)
                && term.matches(&there.pod, snapshot)
            {
                *self.away.entry(domain).or_default() += 1;
            }
        }
        let mut weigh = |term: &Term, other: &PodInfo, weight: i64| {
            if let Some(domain) = domain(term)
                && term.matches(&other.pod, snapshot)
            {
                *self.weights.entry(domain).or_default() += weight;
            }
        };
        for (weight, term) in &self.pod.preferred_affinity {
            weigh(term, there, *weight);
        }
        for (weight, term) in &self.pod.preferred_anti_affinity {
            weigh(term, there, -weight);
        }
        for term in &there.affinity {
            weigh(term, self.pod, HARD_WEIGHT);
        }
        for (weight, term) in &there.preferred_affinity {
            weigh(term, self.pod, *weight);
        }
        for (weight, term) in &there.preferred_anti_affinity {
            weigh(term, self.pod, -weight);
        }
    }
}

fn in_domain(domains: &HashMap<Domain, usize>, node: &NodeInfo, key: &str) -> bool {
    node.label(key).is_some_and(|value| domains.contains_key(&(key.to_owned(), value.to_owned())))
}

impl Plugin for InterPodAffinity<'_> {
    fn filter(&self, node: &NodeInfo) -> Result<(), Rejection> {
        let has_keys = self.pod.affinity.iter().all(|term| node.label(&term.topology_key).is_some());
        let is_near = self.pod.affinity.iter().all(|term| in_domain(&self.near, node, &term.topology_key));
        if !has_keys || !(is_near || self.is_first) {
            return Err(Rejection::final_(NAME, AFFINITY));
        }
        if self.pod.anti_affinity.iter().any(|term| in_domain(&self.away, node, &term.topology_key)) {
            return Err(Rejection::resolvable(NAME, ANTI_AFFINITY));
        }
        if self.forbidden.keys().any(|(key, value)| node.label(key) == Some(value)) {
            return Err(Rejection::resolvable(NAME, EXISTING));
        }
        Ok(())
    }

    fn weight(&self) -> i64 {
        if self.weights.is_empty() { 0 } else { 2 }
    }

    fn score(&self, node: &NodeInfo) -> i64 {
        self.weights.iter().filter(|((key, value), _)| node.label(key) == Some(value)).map(|(_, weight)| weight).sum()
    }

    fn normalize(&self, scores: &mut [i64], _nodes: &[&NodeInfo]) {
        let lowest = scores.iter().copied().min().unwrap_or_default();
        let highest = scores.iter().copied().max().unwrap_or_default();
        for score in scores {
            *score = if highest == lowest { 0 } else { MAX_SCORE * (*score - lowest) / (highest - lowest) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_cluster, check_order, node, pod};

    fn nodes() -> Vec<crate::testing::NodeBuilder> {
        vec![node("a").label("zone", "a"), node("b").label("zone", "b"), node("bare")]
    }

    #[test]
    fn affinity() {
        let wants = || pod("p").near("zone", "app", "db");
        let db = || pod("db").label("app", "db");
        check_cluster(nodes(), vec![("a", db())], wants(), &[("b", AFFINITY), ("bare", AFFINITY)]);
        check_cluster(nodes(), vec![], wants(), &[("a", AFFINITY), ("b", AFFINITY), ("bare", AFFINITY)]);
        // The first of its kind may go anywhere that has the label.
        check_cluster(nodes(), vec![], wants().label("app", "db"), &[("bare", AFFINITY)]);
        // Other namespaces do not count.
        check_cluster(
            nodes(),
            vec![("a", db().namespace("other"))],
            wants(),
            &[("a", AFFINITY), ("b", AFFINITY), ("bare", AFFINITY)],
        );
    }

    #[test]
    fn anti_affinity_both_ways() {
        let db = || pod("db").label("app", "db");
        check_cluster(nodes(), vec![("a", db())], pod("p").away("zone", "app", "db"), &[("a", ANTI_AFFINITY)]);
        check_cluster(nodes(), vec![("b", pod("q").away("zone", "app", "db"))], db(), &[("b", EXISTING)]);
    }

    #[test]
    fn preferences() {
        let db = pod("db").label("app", "db");
        check_order(nodes(), vec![("b", db)], pod("p").prefers_near(10, "zone", "app", "db"), "b");
    }
}
