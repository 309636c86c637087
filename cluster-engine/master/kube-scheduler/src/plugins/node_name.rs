//! A pod that names its node runs nowhere else.

use crate::framework::{Plugin, Rejection};
use crate::snapshot::{NodeInfo, PodInfo};

/// Upstream: `NodeName`.
pub(crate) struct NodeName<'a> {
    wanted: &'a str,
}

impl<'a> NodeName<'a> {
    /// For this pod.
    pub(crate) fn new(pod: &'a PodInfo) -> NodeName<'a> {
        NodeName { wanted: &pod.pod.spec.node_name }
    }
}

impl Plugin for NodeName<'_> {
    fn filter(&self, node: &NodeInfo) -> Result<(), Rejection> {
        if self.wanted.is_empty() || self.wanted == node.name() {
            return Ok(());
        }
        Err(Rejection::final_("NodeName", "node(s) didn't match the requested node name"))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_filter, node, pod};

    #[test]
    fn a_named_node_is_the_only_one() {
        check_filter(node("n"), pod("p").on("n"), Ok(()));
        check_filter(node("m"), pod("p").on("n"), Err("node(s) didn't match the requested node name"));
    }
}
