//! Keeps pods off nodes with taints they do not bear, and away from those they would rather not.

use drydock_client::types::Toleration;

use crate::framework::{Plugin, Rejection, normalize_to_highest};
use crate::snapshot::{NodeInfo, PodInfo};

/// Upstream: `TaintToleration`.
pub(crate) struct TaintToleration<'a> {
    tolerations: &'a [Toleration],
}

impl<'a> TaintToleration<'a> {
    /// For this pod.
    pub(crate) fn new(pod: &'a PodInfo) -> TaintToleration<'a> {
        TaintToleration { tolerations: &pod.pod.spec.tolerations }
    }
}

impl Plugin for TaintToleration<'_> {
    fn filter(&self, node: &NodeInfo) -> Result<(), Rejection> {
        let keeps_off = node.node.spec.taints.iter().any(|taint| {
            matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute") && !taint.is_tolerated(self.tolerations)
        });
        if keeps_off {
            return Err(Rejection::final_("TaintToleration", "node(s) had untolerated taint(s)"));
        }
        Ok(())
    }

    fn weight(&self) -> i64 {
        3
    }

    /// How many PreferNoSchedule taints the pod does not bear.
    fn score(&self, node: &NodeInfo) -> i64 {
        let preferences = node.node.spec.taints.iter().filter(|taint| taint.effect == "PreferNoSchedule");
        preferences.filter(|taint| !taint.is_tolerated(self.tolerations)).count() as i64
    }

    fn normalize(&self, scores: &mut [i64], _nodes: &[&NodeInfo]) {
        normalize_to_highest(scores, true);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_filter, check_order, node, pod};

    #[test]
    fn taints_keep_pods_off() {
        let tainted = |effect: &str| node("n").taint("dedicated", "db", effect);
        let refused = Err("node(s) had untolerated taint(s)");
        check_filter(tainted("NoSchedule"), pod("p"), refused);
        check_filter(tainted("NoExecute"), pod("p"), refused);
        check_filter(tainted("PreferNoSchedule"), pod("p"), Ok(()));
        check_filter(tainted("NoSchedule"), pod("p").toleration("dedicated", "Equal", "db", "NoSchedule"), Ok(()));
        check_filter(tainted("NoExecute"), pod("p").toleration("dedicated", "Equal", "db", "NoSchedule"), refused);
    }

    #[test]
    fn fewer_unwanted_taints_are_better() {
        let nodes = vec![node("bad").taint("x", "", "PreferNoSchedule"), node("good")];
        check_order(nodes, vec![], pod("p"), "good");
    }
}
