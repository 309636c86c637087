//! The scheduling cycle as a whole: texts, choices, and that nodes are never overcommitted.

use std::sync::Arc;

use proptest::prelude::*;

use crate::framework::schedule;
use crate::preemption::preempt;
use crate::testing::{node, pod, snapshot};

#[track_caller]
fn check_text(nodes: Vec<crate::testing::NodeBuilder>, wanted: crate::testing::PodBuilder, expected: &str) {
    let snapshot = snapshot(nodes, vec![]);
    let wanted = wanted.build();
    let mut error = schedule(&snapshot, &wanted).unwrap_err();
    if error.nodes > 0 {
        error.preemption = preempt(&snapshot, &wanted, &error).unwrap_err();
    }
    assert_eq!(error.to_string(), expected);
}

#[test]
fn texts_are_upstreams() {
    check_text(vec![], pod("p"), "no nodes available to schedule pods");
    check_text(
        vec![
            node("m").taint("node-role.kubernetes.io/control-plane", "", "NoSchedule"),
            node("w1").allocatable("cpu", "1"),
            node("w2").allocatable("cpu", "1"),
        ],
        pod("p").request("cpu", "2"),
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
    );
    check_text(
        vec![node("w")],
        pod("p").claim("data"),
        "0/1 nodes are available: persistentvolumeclaim \"data\" not found. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
    );
    check_text(
        vec![node("w").cordoned(), node("x").allocatable("cpu", "10m").allocatable("memory", "1Mi")],
        pod("p").request("cpu", "2").request("memory", "1Gi"),
        "0/2 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 node(s) were unschedulable. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
    );
}

#[test]
fn equal_nodes_share_the_pods() {
    let snapshot = snapshot(vec![node("a"), node("b"), node("c")], vec![]);
    let chosen: std::collections::BTreeSet<String> =
        (0..40).map(|n| schedule(&snapshot, &pod(&n.to_string()).build()).unwrap()).collect();
    assert_eq!(chosen.len(), 3);
}

#[test]
fn room_that_was_made_for_another_is_not_taken() {
    let mut snapshot = snapshot(vec![node("a").allocatable("cpu", "1")], vec![]);
    let important = Arc::new(pod("important").request("cpu", "1").priority(10).build());
    snapshot.nominate(important.clone(), "a");
    let other = pod("other").request("cpu", "500m").build();
    assert!(schedule(&snapshot, &other).is_err());
    assert_eq!(schedule(&snapshot, &important).as_deref(), Ok("a"));
    let more_important = pod("more").request("cpu", "500m").priority(11).build();
    assert_eq!(schedule(&snapshot, &more_important).as_deref(), Ok("a"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes, what is placed on a node never exceeds what it has.
    #[test]
    fn never_overcommits(
        nodes in prop::collection::vec((1_u32..4000, 1_u32..4096, 1_u32..6), 1..6),
        pods in prop::collection::vec((0_u32..2500, 0_u32..3000, 0_i32..3), 1..40),
    ) {
        let mut snapshot = snapshot(
            nodes
                .iter()
                .enumerate()
                .map(|(n, (cpu, memory, pods))| {
                    node(&n.to_string())
                        .allocatable("cpu", &format!("{cpu}m"))
                        .allocatable("memory", &format!("{memory}Mi"))
                        .allocatable("pods", &pods.to_string())
                })
                .collect(),
            vec![],
        );
        for (n, (cpu, memory, priority)) in pods.iter().enumerate() {
            let wanted = pod(&n.to_string())
                .request("cpu", &format!("{cpu}m"))
                .request("memory", &format!("{memory}Mi"))
                .priority(*priority)
                .build();
            match schedule(&snapshot, &wanted) {
                Ok(node) => snapshot.place(Arc::new(wanted), &node),
                Err(error) => {
                    if let Ok(preemption) = preempt(&snapshot, &wanted, &error) {
                        for victim in &preemption.victims {
                            prop_assert!(victim.priority() < wanted.priority());
                            snapshot.remove_pod(victim.uid());
                        }
                        prop_assert!(schedule(&snapshot, &wanted).is_ok(), "preemption made room");
                        snapshot.place(Arc::new(wanted), &preemption.node);
                    }
                }
            }
            for node in snapshot.nodes() {
                prop_assert!(node.requested.milli_cpu <= node.allocatable.milli_cpu);
                prop_assert!(node.requested.memory <= node.allocatable.memory);
                prop_assert!(node.pods.len() as i64 <= node.allocatable.pods);
            }
        }
    }
}
