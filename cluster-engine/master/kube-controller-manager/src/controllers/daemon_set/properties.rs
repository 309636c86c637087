//! Daemon sets come to rest with one pod of the present template on every node that wants one, and never leave more
//! nodes without a working pod than they may.

use drydock_client::types::{Condition, Taint};
use proptest::prelude::*;

use super::*;

fn pod(name: String, node: &str, hash: &str, ready: bool, age: usize) -> Arc<Pod> {
    let mut pod = Pod::default();
    pod.metadata.uid = name.clone();
    pod.metadata.name = name;
    pod.metadata.creation_timestamp = Some(format!("{age:04}"));
    pod.metadata.labels.insert(REVISION_LABEL.into(), hash.into());
    pod.spec.node_name = node.into();
    pod.status.phase = "Running".into();
    let status = if ready { "True" } else { "False" };
    pod.status.conditions.push(Condition { kind: "Ready".into(), status: status.into(), ..Condition::default() });
    Arc::new(pod)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rollouts_come_to_rest(
        tainted in prop::collection::vec(prop::bool::weighted(0.2), 1..6),
        there in prop::collection::btree_map(0_usize..6, (any::<bool>(), any::<bool>()), 0..6),
        surge in 0_i32..3,
        missing in 0_i32..3,
    ) {
        let mut set = DaemonSet::default();
        set.metadata.name = "agent".into();
        let rules = set.spec.update_strategy.rolling_update.get_or_insert_default();
        rules.max_surge = Some(IntOrString::Int(surge));
        rules.max_unavailable = Some(IntOrString::Int(if surge > 0 { 0 } else { missing }));
        let nodes: Vec<Arc<Node>> = tainted.iter().enumerate().map(|(at, tainted)| {
            let mut node = Node::default();
            node.metadata.name = format!("n{at}");
            let taint = Taint { key: "x".into(), effect: "NoSchedule".into(), ..Taint::default() };
            node.spec.taints.extend(tainted.then_some(taint));
            Arc::new(node)
        }).collect();
        let mut age = 0;
        let mut pods: Vec<Arc<Pod>> = Vec::new();
        for (node, (new, ready)) in there.into_iter().filter(|(node, _)| *node < nodes.len()) {
            age += 1;
            let hash = if new { "new" } else { "old" };
            pods.push(pod(format!("p{age}"), &format!("n{node}"), hash, ready, age));
        }
        let mut rounds = 0;
        loop {
            rounds += 1;
            prop_assert!(rounds < 60, "no rest: {pods:?}");
            let works = |pods: &[Arc<Pod>], node: &str| {
                pods.iter().any(|pod| pod.spec.node_name == node && pod.is_ready())
            };
            let before = pods.clone();
            let todo = what_to_do(&set, &nodes, &pods, "new", 0);
            if todo.create.is_empty() && todo.delete.is_empty() && pods.iter().all(|pod| pod.is_ready()) {
                break;
            }
            pods.retain(|pod| !todo.delete.contains(pod));
            let lost = nodes.iter().filter(|node| works(&before, node.name()) && !works(&pods, node.name())).count();
            let most = if surge > 0 { 0 } else { missing.max(1) };
            prop_assert!(lost as i32 <= most, "{lost} nodes lost what worked, {most} may");
            for node in &todo.create {
                age += 1;
                pods.push(pod(format!("p{age}"), node, "new", false, age));
            }
            // One more starts to work each round, the youngest last.
            if let Some(at) = pods.iter().position(|pod| !pod.is_ready()) {
                let made_ready = &pods[at];
                let hash = made_ready.metadata.labels[REVISION_LABEL].clone();
                let made_ready = pod(made_ready.metadata.name.clone(), &made_ready.spec.node_name, &hash, true, at);
                pods[at] = made_ready;
            }
        }
        for (node, tainted) in nodes.iter().zip(&tainted) {
            let here: Vec<_> = pods.iter().filter(|pod| pod.spec.node_name == node.metadata.name).collect();
            prop_assert!(*tainted || here.len() == 1, "{} pods", here.len());
            prop_assert!(*tainted || is_current(here[0], "new"));
        }
        set.status = status(&set, &nodes, &pods, "new", 0).0;
        prop_assert_eq!(&status(&set, &nodes, &pods, "new", 9).0, &set.status);
    }
}
