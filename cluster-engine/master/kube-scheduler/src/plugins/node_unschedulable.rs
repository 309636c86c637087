//! Keeps pods off cordoned nodes, but for those that bear the taint of being cordoned.

use drydock_client::types::Taint;

use crate::framework::{Plugin, Rejection};
use crate::snapshot::{NodeInfo, PodInfo};

/// Upstream: `NodeUnschedulable`.
pub(crate) struct NodeUnschedulable {
    is_borne: bool,
}

impl NodeUnschedulable {
    /// For this pod.
    pub(crate) fn new(pod: &PodInfo) -> NodeUnschedulable {
        let taint = Taint {
            key: "node.kubernetes.io/unschedulable".to_owned(),
            effect: "NoSchedule".to_owned(),
            ..Taint::default()
        };
        NodeUnschedulable { is_borne: taint.is_tolerated(&pod.pod.spec.tolerations) }
    }
}

impl Plugin for NodeUnschedulable {
    fn filter(&self, node: &NodeInfo) -> Result<(), Rejection> {
        if node.node.spec.unschedulable && !self.is_borne {
            return Err(Rejection::final_("NodeUnschedulable", "node(s) were unschedulable"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_filter, node, pod};

    #[test]
    fn cordoned_nodes_are_avoided() {
        let cordoned = || node("n").cordoned();
        check_filter(node("n"), pod("p"), Ok(()));
        check_filter(cordoned(), pod("p"), Err("node(s) were unschedulable"));
        check_filter(cordoned(), pod("p").toleration("node.kubernetes.io/unschedulable", "Exists", "", ""), Ok(()));
    }
}
