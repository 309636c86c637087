//! What holds whatever the cluster looks like: no node is ever overcommitted, and preemption takes nothing that it need
//! not or may not take.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::framework::{fits, schedule};
use crate::preemption::preempt;
use crate::snapshot::{PodInfo, Snapshot};
use crate::testing::{NodeBuilder, PodBuilder, node, pod};

#[derive(Clone, Debug)]
struct RandomNode {
    cpu: u32,
    memory: u32,
    pods: u32,
    gpus: u32,
    zone: bool,
    cordoned: bool,
}

#[derive(Clone, Debug)]
struct RandomPod {
    cpu: u32,
    memory: u32,
    gpus: u32,
    port: Option<i32>,
    priority: i32,
    wants_zone: bool,
    lonely: bool,
    spread: bool,
    never_preempts: bool,
    /// Which of the pods that are there ends before this one comes.
    ends: Option<prop::sample::Index>,
}

fn nodes() -> impl Strategy<Value = Vec<RandomNode>> {
    let node = (0_u32..5, 0_u32..5, 0_u32..6, 0_u32..3, any::<bool>(), prop::bool::weighted(0.1));
    let node = node.prop_map(|(cpu, memory, pods, gpus, zone, cordoned)| RandomNode {
        cpu,
        memory,
        pods,
        gpus,
        zone,
        cordoned,
    });
    prop::collection::vec(node, 1..5)
}

fn pods() -> impl Strategy<Value = Vec<RandomPod>> {
    let amounts = (0_u32..4, 0_u32..4, prop_oneof![4 => Just(0_u32), 1 => 1_u32..3]);
    let port = prop::option::weighted(0.2, 1_i32..3);
    let flags = (any::<bool>(), prop::bool::weighted(0.2), prop::bool::weighted(0.2), prop::bool::weighted(0.1));
    let ends = prop::option::weighted(0.2, any::<prop::sample::Index>());
    let pod = (amounts, port, -1_i32..4, flags, ends);
    let pod = pod.prop_map(|((cpu, memory, gpus), port, priority, flags, ends)| {
        let (wants_zone, lonely, spread, never_preempts) = flags;
        RandomPod { cpu, memory, gpus, port, priority, wants_zone, lonely, spread, never_preempts, ends }
    });
    prop::collection::vec(pod, 1..24)
}

fn build_node(at: usize, random: &RandomNode) -> NodeBuilder {
    let zone = if random.zone { "a" } else { "b" };
    let built = node(&format!("n{at}"))
        .allocatable("cpu", &random.cpu.to_string())
        .allocatable("memory", &format!("{}Gi", random.memory))
        .allocatable("pods", &random.pods.to_string())
        .allocatable("example.com/gpu", &random.gpus.to_string())
        .label("zone", zone)
        .label("host", &format!("n{at}"));
    if random.cordoned { built.cordoned() } else { built }
}

fn build_pod(at: usize, random: &RandomPod) -> PodInfo {
    let mut built: PodBuilder = pod(&format!("p{at}"))
        .label("app", "x")
        .priority(random.priority)
        .request("cpu", &format!("{}m", random.cpu * 700))
        .request("memory", &format!("{}Gi", random.memory));
    if random.gpus > 0 {
        built = built.request("example.com/gpu", &random.gpus.to_string());
    }
    if let Some(port) = random.port {
        built = built.host_port("", port, "TCP");
    }
    if random.wants_zone {
        built = built.node_selector("zone", "a");
    }
    if random.lonely {
        built = built.label("lonely", "yes").away("host", "lonely", "yes");
    }
    if random.spread {
        built = built.spread("host", 2, "DoNotSchedule", "app", "x");
    }
    if random.never_preempts {
        built = built.never_preempts();
    }
    built.build()
}

/// Everything that a node has suffices for all of its pods.
fn check_no_overcommit(snapshot: &Snapshot) -> Result<(), TestCaseError> {
    for node in snapshot.nodes() {
        let (used, has) = (&node.requested, &node.allocatable);
        prop_assert!(node.pods.len() as i64 <= has.pods, "{} pods of {}", node.pods.len(), has.pods);
        prop_assert!(used.milli_cpu <= has.milli_cpu, "{} m of {} m", used.milli_cpu, has.milli_cpu);
        prop_assert!(used.memory <= has.memory, "{} of {} bytes", used.memory, has.memory);
        for (name, amount) in &used.others {
            prop_assert!(*amount <= has.others.get(name).copied().unwrap_or_default(), "{name}");
        }
        let mut ports = BTreeSet::new();
        let all = node.pods.iter().flat_map(|pod| &pod.pod.spec.containers).flat_map(|container| &container.ports);
        for port in all {
            prop_assert!(ports.insert(port.host_port), "port {} is taken twice", port.host_port);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_overcommitted_and_nobody_is_evicted_needlessly(nodes in nodes(), pods in pods()) {
        let mut cluster = crate::testing::snapshot(
            nodes.iter().enumerate().map(|(at, node)| build_node(at, node)).collect(),
            vec![],
        );
        let mut there: Vec<std::sync::Arc<PodInfo>> = Vec::new();
        for (at, random) in pods.iter().enumerate() {
            if let Some(index) = random.ends.filter(|_| !there.is_empty()) {
                let gone = there.remove(index.index(there.len()));
                cluster.remove_pod(gone.uid());
            }
            let pod = std::sync::Arc::new(build_pod(at, random));
            let error = match schedule(&cluster, &pod) {
                Ok(node) => {
                    prop_assert_eq!(fits(&cluster, &pod, &node), Ok(()));
                    cluster.place(pod.clone(), &node);
                    there.push(pod);
                    check_no_overcommit(&cluster)?;
                    continue;
                }
                Err(error) => error,
            };
            for node in cluster.nodes() {
                prop_assert!(fits(&cluster, &pod, node.name()).is_err(), "{} would do", node.name());
            }
            let Ok(found) = preempt(&cluster, &pod, &error) else { continue };
            prop_assert!(!random.never_preempts && !found.victims.is_empty());
            let mut after = cluster.clone();
            for victim in &found.victims {
                prop_assert!(victim.priority() < pod.priority(), "{} is as important", victim.uid());
                prop_assert_eq!(after.placed_on(victim.uid()), Some(found.node.as_str()));
                after.remove_pod(victim.uid());
            }
            prop_assert_eq!(fits(&after, &pod, &found.node), Ok(()), "the room is not enough");
            for victim in &found.victims {
                let mut kept = after.clone();
                kept.place(victim.clone(), &found.node);
                prop_assert!(fits(&kept, &pod, &found.node).is_err(), "{} need not have gone", victim.uid());
            }
            there.retain(|pod| !found.victims.iter().any(|victim| victim.uid() == pod.uid()));
            cluster = after;
            cluster.place(pod.clone(), &found.node);
            there.push(pod);
            check_no_overcommit(&cluster)?;
        }
    }

    #[test]
    fn the_order_of_events_does_not_matter(nodes in nodes(), pods in pods(), turn in any::<prop::sample::Index>()) {
        // The same pods counted in another order make the same cluster, so the next decision is the same.
        let built: Vec<_> = pods.iter().enumerate().map(|(at, pod)| std::sync::Arc::new(build_pod(at, pod))).collect();
        let cluster = |order: &mut dyn Iterator<Item = &std::sync::Arc<PodInfo>>| {
            let nodes = nodes.iter().enumerate().map(|(at, node)| build_node(at, node)).collect();
            let mut cluster = crate::testing::snapshot(nodes, vec![]);
            for pod in order {
                let number: usize = pod.pod.metadata.name[1..].parse().unwrap();
                cluster.place(pod.clone(), &format!("n{}", number % cluster.node_count()));
            }
            cluster
        };
        let next = build_pod(pods.len(), &pods[0]);
        let at = turn.index(built.len());
        let one = schedule(&cluster(&mut built.iter()), &next);
        let other = schedule(&cluster(&mut built[at..].iter().chain(&built[..at])), &next);
        prop_assert_eq!(one, other);
    }
}
