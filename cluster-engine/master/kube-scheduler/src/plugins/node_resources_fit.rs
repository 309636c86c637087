//! A pod fits where what it asks for is free; the emptiest node is best (LeastAllocated).

use crate::framework::{MAX_SCORE, Plugin, Rejection};
use crate::snapshot::{NodeInfo, PodInfo};

/// Upstream: `NodeResourcesFit`.
pub(crate) struct NodeResourcesFit<'a> {
    pod: &'a PodInfo,
}

impl<'a> NodeResourcesFit<'a> {
    /// For this pod.
    pub(crate) fn new(pod: &'a PodInfo) -> NodeResourcesFit<'a> {
        NodeResourcesFit { pod }
    }
}

impl Plugin for NodeResourcesFit<'_> {
    fn filter(&self, node: &NodeInfo) -> Result<(), Rejection> {
        let (wanted, has, used) = (&self.pod.requests, &node.allocatable, &node.requested);
        let mut reasons = Vec::new();
        // What the node could not give even if it were empty cannot be helped by preemption.
        let mut resolvable = true;
        if node.pods.len() as i64 + 1 > has.pods {
            reasons.push("Too many pods".to_owned());
        }
        let mut check = |name: &str, wanted: i64, has: i64, used: i64| {
            if wanted > 0 && wanted > has.saturating_sub(used) {
                reasons.push(format!("Insufficient {name}"));
                resolvable &= wanted <= has;
            }
        };
        check("cpu", wanted.milli_cpu, has.milli_cpu, used.milli_cpu);
        check("memory", wanted.memory, has.memory, used.memory);
        check("ephemeral-storage", wanted.ephemeral_storage, has.ephemeral_storage, used.ephemeral_storage);
        for (name, amount) in &wanted.others {
            let of = |amounts: &crate::resources::Amounts| amounts.others.get(name).copied().unwrap_or_default();
            check(name, *amount, of(has), of(used));
        }
        if reasons.is_empty() { Ok(()) } else { Err(Rejection { plugin: "NodeResourcesFit", reasons, resolvable }) }
    }

    fn weight(&self) -> i64 {
        1
    }

    /// The mean of the free shares of cpu and memory.
    fn score(&self, node: &NodeInfo) -> i64 {
        let (wanted, has, used) = (&self.pod.scoring_requests, &node.allocatable, &node.scoring_requested);
        let free = |wanted: i64, has: i64, used: i64| {
            let used = used.saturating_add(wanted);
            if has == 0 || used > has { 0 } else { (has - used) * MAX_SCORE / has }
        };
        let shares: Vec<i64> = [
            (has.milli_cpu > 0).then(|| free(wanted.milli_cpu, has.milli_cpu, used.milli_cpu)),
            (has.memory > 0).then(|| free(wanted.memory, has.memory, used.memory)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if shares.is_empty() { 0 } else { shares.iter().sum::<i64>() / shares.len() as i64 }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_filter_with, check_order, node, pod};

    #[test]
    fn what_is_free_decides() {
        let there = || vec![pod("q").request("cpu", "1500m").request("memory", "1Gi")];
        for (wanted, expected) in [
            (pod("p").request("cpu", "500m"), Ok(())),
            (pod("p").request("cpu", "501m"), Err("Insufficient cpu")),
            (pod("p").request("memory", "4Gi"), Err("Insufficient memory")),
            (pod("p").request("cpu", "1").request("memory", "4Gi"), Err("Insufficient cpu, Insufficient memory")),
            (pod("p").request("example.com/gpu", "1"), Err("Insufficient example.com/gpu")),
            (pod("p"), Ok(())),
        ] {
            check_filter_with(
                node("n").allocatable("cpu", "2").allocatable("memory", "4Gi"),
                there(),
                wanted,
                expected,
            );
        }
        check_filter_with(node("n").allocatable("pods", "1"), there(), pod("p"), Err("Too many pods"));
    }

    #[test]
    fn the_emptiest_node_is_best() {
        let nodes = vec![node("a"), node("b")];
        check_order(nodes, vec![("a", pod("q").request("cpu", "1"))], pod("p").request("cpu", "100m"), "b");
    }
}
