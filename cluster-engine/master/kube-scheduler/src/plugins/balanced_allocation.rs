//! Prefers nodes whose cpu and memory are used evenly.

use crate::framework::{MAX_SCORE, Plugin};
use crate::snapshot::{NodeInfo, PodInfo};

/// Upstream: `NodeResourcesBalancedAllocation`.
pub(crate) struct BalancedAllocation<'a> {
    pod: &'a PodInfo,
}

impl<'a> BalancedAllocation<'a> {
    /// For this pod.
    pub(crate) fn new(pod: &'a PodInfo) -> BalancedAllocation<'a> {
        BalancedAllocation { pod }
    }
}

impl Plugin for BalancedAllocation<'_> {
    fn weight(&self) -> i64 {
        // A pod that asks for nothing says nothing about balance.
        i64::from(self.pod.requests.milli_cpu > 0 || self.pod.requests.memory > 0)
    }

    fn score(&self, node: &NodeInfo) -> i64 {
        let share = |wanted: i64, used: i64, has: i64| {
            (has > 0).then(|| ((used.saturating_add(wanted)) as f64 / has as f64).min(1.0))
        };
        let (wanted, used, has) = (&self.pod.requests, &node.requested, &node.allocatable);
        let cpu = share(wanted.milli_cpu, used.milli_cpu, has.milli_cpu);
        let memory = share(wanted.memory, used.memory, has.memory);
        // The standard deviation of two numbers is half their distance.
        let deviation = match (cpu, memory) {
            (Some(cpu), Some(memory)) => (cpu - memory).abs() / 2.0,
            _ => 0.0,
        };
        ((1.0 - deviation) * MAX_SCORE as f64) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{info, node, pod};

    #[test]
    fn even_use_is_better() {
        let wanted = pod("p").request("cpu", "1").request("memory", "1Gi").build();
        let plugin = BalancedAllocation::new(&wanted);
        let even = info(node("n").allocatable("cpu", "4").allocatable("memory", "4Gi"), vec![]);
        let uneven = info(node("n").allocatable("cpu", "1").allocatable("memory", "4Gi"), vec![]);
        assert_eq!(plugin.score(&even), 100);
        assert_eq!(plugin.score(&uneven), 62);
    }
}
