//! Node selectors and node affinity, required and preferred.

use std::collections::BTreeSet;

use drydock_client::types::Pod;

use crate::framework::{Plugin, Rejection, normalize_to_highest};
use crate::snapshot::{NodeInfo, PodInfo};

const NAME: &str = "NodeAffinity";
const REASON: &str = "node(s) didn't match Pod's node affinity/selector";

/// Upstream: `NodeAffinity`.
pub(crate) struct NodeAffinity<'a> {
    pod: &'a Pod,
}

impl<'a> NodeAffinity<'a> {
    /// For this pod.
    ///
    /// # Errors
    /// When the pod's affinity names nodes (by field) that contradict each other.
    pub(crate) fn new(pod: &'a PodInfo) -> Result<NodeAffinity<'a>, Rejection> {
        if named_nodes(&pod.pod).is_some_and(|names| names.is_empty()) {
            return Err(Rejection::final_(NAME, "pod affinity terms conflict"));
        }
        Ok(NodeAffinity { pod: &pod.pod })
    }
}

/// The nodes that the required affinity names in every term; `None` if a term names none.
pub(crate) fn named_nodes(pod: &Pod) -> Option<BTreeSet<&str>> {
    let affinity = pod.spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
    if required.node_selector_terms.is_empty() {
        return None;
    }
    let mut all = BTreeSet::new();
    for term in &required.node_selector_terms {
        let mut of_term: Option<BTreeSet<&str>> = None;
        for field in &term.match_fields {
            if field.key == "metadata.name" && field.operator == "In" {
                let names: BTreeSet<&str> = field.values.iter().map(String::as_str).collect();
                of_term = Some(of_term.map_or(names.clone(), |before| &before & &names));
            }
        }
        all.extend(of_term?);
    }
    Some(all)
}

impl Plugin for NodeAffinity<'_> {
    fn filter(&self, node: &NodeInfo) -> Result<(), Rejection> {
        if self.pod.asks_for(&node.node) { Ok(()) } else { Err(Rejection::final_(NAME, REASON)) }
    }

    fn weight(&self) -> i64 {
        2
    }

    fn score(&self, node: &NodeInfo) -> i64 {
        let affinity = self.pod.spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
        let preferred =
            affinity.into_iter().flat_map(|affinity| &affinity.preferred_during_scheduling_ignored_during_execution);
        preferred.filter(|wish| wish.preference.matches(&node.node)).map(|wish| i64::from(wish.weight)).sum()
    }

    fn normalize(&self, scores: &mut [i64], _nodes: &[&NodeInfo]) {
        normalize_to_highest(scores, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_filter, check_order, node, pod};

    #[test]
    fn selectors() {
        let ssd = || node("n").label("disk", "ssd");
        check_filter(ssd(), pod("p").node_selector("disk", "ssd"), Ok(()));
        check_filter(ssd(), pod("p").node_selector("disk", "hdd"), Err(REASON));
        check_filter(node("n"), pod("p").node_selector("disk", "ssd"), Err(REASON));
    }

    #[test]
    fn operators() {
        let node = || node("n").label("cores", "8").label("zone", "a");
        for (key, operator, values, fits) in [
            ("zone", "In", vec!["a", "b"], true),
            ("zone", "NotIn", vec!["a"], false),
            ("other", "NotIn", vec!["a"], true),
            ("zone", "Exists", vec![], true),
            ("zone", "DoesNotExist", vec![], false),
            ("cores", "Gt", vec!["4"], true),
            ("cores", "Lt", vec!["4"], false),
            ("zone", "Gt", vec!["4"], false),
        ] {
            let expected = if fits { Ok(()) } else { Err(REASON) };
            check_filter(node(), pod("p").node_affinity(key, operator, &values), expected);
        }
    }

    #[test]
    fn preferences() {
        let nodes = vec![node("a").label("zone", "a"), node("b").label("zone", "b")];
        check_order(nodes, vec![], pod("p").prefers_node(10, "zone", "In", &["b"]), "b");
    }
}
